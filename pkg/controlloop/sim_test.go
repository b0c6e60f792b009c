package controlloop_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// world is one simulated target: replicas that take a while to load, a least-outstanding router, and readings taken at
// every tick. It is Observer, Actuator and Recorder.
type world struct {
	start, now time.Time // start is the zero of the engines' clocks
	profile    replica.Profile
	load       func() time.Duration
	desired    int32
	replicas   []*simReplica
	nextID     int
	held       []arrival
	blind      bool // pages cannot be fetched
	unplaced   int  // replicas beyond this many find no GPU; 0: no limit
	records    []scaling.Decision
	gpuSeconds float64
	requests   []*request
	byID       map[uint64]*request
}

type simReplica struct {
	name           string
	created, ready time.Time
	unschedulable  bool
	draining       bool
	engine         *replica.Replica
	reading        *signals.Reading
}

type arrival struct {
	at             time.Time
	prompt, output int
}

type request struct {
	arrival
	first, last time.Time
	done        bool
}

func newWorld(start time.Time, profile replica.Profile, load func() time.Duration, replicas int32) *world {
	w := &world{start: start, now: start, profile: profile, load: load, desired: replicas, byID: map[uint64]*request{}}
	for range replicas {
		w.add(start.Add(-time.Hour), load())
	}
	return w
}

func (w *world) add(at time.Time, load time.Duration) {
	engine, err := replica.New(w.profile)
	if err != nil {
		panic(err)
	}
	w.nextID++
	w.replicas = append(w.replicas, &simReplica{name: fmt.Sprintf("r%d", w.nextID), created: at, ready: at.Add(load), engine: engine})
}

// advance lets time pass with these arrivals.
func (w *world) advance(until time.Time, arrivals []arrival) {
	for _, a := range arrivals {
		w.held = append(w.held, a)
		w.route(a.at)
	}
	w.route(until)
	w.run(until)
	alive := w.replicas[:0]
	for _, r := range w.replicas {
		if !r.unschedulable {
			w.gpuSeconds += until.Sub(w.now).Seconds()
		}
		if !r.draining || r.engine.Inflight() > 0 {
			alive = append(alive, r)
		}
	}
	w.replicas, w.now = alive, until
}

// route hands all that is held to the ready replicas.
func (w *world) route(at time.Time) {
	w.run(at)
	for len(w.held) > 0 {
		var best *simReplica
		for _, r := range w.replicas {
			if !r.draining && !r.unschedulable && !r.ready.After(at) && (best == nil || r.engine.Inflight() < best.engine.Inflight()) {
				best = r
			}
		}
		if best == nil {
			return
		}
		q := &request{arrival: w.held[0]}
		w.held = w.held[1:]
		id := uint64(len(w.requests) + 1)
		w.requests = append(w.requests, q)
		w.byID[id] = q
		if err := best.engine.Submit(at.Sub(w.start), replica.Request{ID: id, PromptTokens: q.prompt, OutputTokens: q.output}); err != nil {
			panic(err)
		}
	}
}

func (w *world) run(until time.Time) {
	for _, r := range w.replicas {
		for _, e := range r.engine.Advance(until.Sub(w.start)) {
			q := w.byID[e.ID]
			if q.first.IsZero() {
				q.first = w.start.Add(e.At)
			}
			if e.Kind == replica.Finished {
				q.last, q.done = w.start.Add(e.At), true
			}
		}
	}
}

func (w *world) Observe(_ context.Context, _ controlloop.TargetID, now time.Time) (scaling.Observation, error) {
	obs := scaling.Observation{Time: now, Desired: w.desired}
	for _, r := range w.replicas {
		x := scaling.Replica{ID: r.name, Name: r.name, Created: r.created, Phase: scaling.Starting}
		switch {
		case r.unschedulable:
			x.Phase = scaling.Unschedulable
		case r.draining:
			x.Phase = scaling.Draining
		case !r.ready.After(now):
			x.Phase, x.ReadyAt = scaling.Ready, r.ready
		}
		if !r.unschedulable {
			x.Scheduled, x.Started = r.created, r.created
		}
		if x.Phase == scaling.Ready && !w.blind {
			r.reading = reading(now, r.engine.Stats())
		}
		x.Reading = r.reading
		obs.Replicas = append(obs.Replicas, x)
	}
	return obs, nil
}

func reading(now time.Time, s replica.Stats) *signals.Reading {
	r := &signals.Reading{Time: now}
	r.Set(signals.RequestsWaiting, float64(s.Waiting))
	r.Set(signals.RequestsRunning, float64(s.Running))
	r.Set(signals.KVCacheUtilization, s.KVUsage)
	r.Set(signals.RequestsFinished, float64(s.Finished))
	r.Set(signals.PromptTokens, float64(s.PromptTokens))
	r.Set(signals.GenerationTokens, float64(s.GenerationTokens))
	r.SetHistogram(signals.ITL, histogram(s.ITL))
	r.SetHistogram(signals.TPOT, histogram(s.TPOT))
	r.SetHistogram(signals.TTFT, histogram(s.TTFT))
	return r
}

func histogram(h replica.Histogram) *signals.Histogram {
	out := &signals.Histogram{Bounds: h.Bounds, Sum: h.Sum}
	sum := 0.0
	for _, c := range h.Counts {
		sum += float64(c)
		out.Counts = append(out.Counts, sum)
	}
	return out
}

func (w *world) Actuate(_ context.Context, _ controlloop.TargetID, d scaling.Decision) error {
	w.scale(d.Replicas)
	return nil
}

// scale adds loading replicas, or drains the newest.
func (w *world) scale(n int32) {
	w.desired = n
	var active []*simReplica
	placed := 0
	for _, r := range w.replicas {
		if !r.draining {
			active = append(active, r)
			if !r.unschedulable {
				placed++
			}
		}
	}
	for i := int32(len(active)); i < n; i++ {
		w.add(w.now, w.load())
		if placed++; w.unplaced > 0 && placed > w.unplaced {
			w.replicas[len(w.replicas)-1].unschedulable = true
		}
	}
	for i := int32(len(active)); i > n; i-- {
		active[i-1].draining = true
	}
}

func (w *world) Record(_ context.Context, _ controlloop.TargetID, d scaling.Decision, _ error) {
	w.records = append(w.records, d)
}

// attainment is the share of all requests with TTFT and mean TPOT within the objectives, those that arrived in the last
// ten seconds left out.
func (w *world) attainment(ttft, tpot time.Duration) float64 {
	var good, all float64
	for _, q := range w.requests {
		if w.now.Sub(q.at) < 10*time.Second {
			continue
		}
		all++
		if q.first.IsZero() || q.first.Sub(q.at) > ttft {
			continue
		}
		if q.done && q.output > 1 && q.last.Sub(q.first) > time.Duration(q.output-1)*tpot {
			continue
		}
		good++
	}
	return good / math.Max(1, all+float64(len(w.held)))
}

// poisson draws arrivals with a rate that depends on time, thinning a stream of the highest rate; tokens are drawn
// around those of chat traffic (about 1150 in, 210 out).
func poisson(start time.Time, length time.Duration, most float64, rate func(time.Duration) float64, seed uint64) []arrival {
	rng := rand.New(rand.NewPCG(seed, seed))
	var as []arrival
	for t := time.Duration(0); t < length; t += time.Duration(rng.ExpFloat64() / most * float64(time.Second)) {
		if rng.Float64()*most < rate(t) {
			as = append(as, arrival{
				at:     start.Add(t),
				prompt: 50 + int(math.Min(4000, 1100*math.Exp(0.7*rng.NormFloat64()-0.25))),
				output: 5 + int(math.Min(1000, 205*math.Exp(0.8*rng.NormFloat64()-0.32))),
			})
		}
	}
	return as
}

// drive runs a loop over arrivals with a tick each interval.
func drive(w *world, p *scaling.Planner, arrivals []arrival, length, interval time.Duration, each func(time.Time)) {
	loop := controlloop.New(w, w, w, 1)
	target := []controlloop.Target{{ID: controlloop.TargetID{Namespace: "default", Name: "sim"}, Planner: p}}
	end := w.now.Add(length)
	for w.now.Before(end) {
		next := w.now.Add(interval)
		n := sort.Search(len(arrivals), func(i int) bool { return arrivals[i].at.After(next) })
		w.advance(next, arrivals[:n])
		arrivals = arrivals[n:]
		if each != nil {
			each(next)
		}
		if err := loop.Tick(context.Background(), next, target); err != nil {
			panic(err)
		}
	}
}
