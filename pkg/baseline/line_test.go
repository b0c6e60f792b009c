package baseline

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// The replicas of a line: each runs up to slots requests at once, which take service each, so that it serves 3.2 a second;
// a new one loads for lead. Prompts have 1000 tokens, answers 200, and the cache holds 40 requests.
const (
	slots       = 32.0
	service     = 10 * time.Second
	lead        = time.Minute
	promptSize  = 1000.0
	answerSize  = 200.0
	cacheTokens = 48_000.0
)

// pod is one replica of a line, its load a fluid.
type pod struct {
	scaling.Replica
	inside, finished, prompts, answers float64
}

func (p *pod) running() float64 { return min(p.inside, slots) }

// line is a time-line of one target under a policy: requests come at a rate, replicas serve them, and the policy sees both
// along its path. Everything moves in steps of a second.
type line struct {
	t       testing.TB
	policy  Policy
	path    Path
	now     time.Time
	desired int32
	pods    []*pod
	made    int
	rate    float64
	held    float64
	gateway Gateway
	shown   Gateway
	ttft    *signals.Histogram
	tpot    *signals.Histogram
	// lost is the share of readings that fail, drawn from dice.
	lost float64
	dice *rand.Rand
	// decisions are all so far.
	decisions []scaling.Decision
}

func newLine(t testing.TB, name string, s Setup, replicas int32) *line {
	t.Helper()
	p, err := New(name, s)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{
		t: t, policy: p, path: p.Path(), now: t0, desired: replicas, dice: rand.New(rand.NewPCG(1, 2)),
		ttft: &signals.Histogram{Bounds: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40}, Counts: make([]float64, 10)},
		tpot: &signals.Histogram{Bounds: []float64{0.025, 0.05, 0.075, 0.1, 0.2, 0.4}, Counts: make([]float64, 7)},
	}
	for range replicas {
		l.add(scaling.Ready)
	}
	return l
}

func (l *line) add(phase scaling.Phase) {
	l.made++
	p := &pod{Replica: scaling.Replica{ID: fmt.Sprintf("uid-%d", l.made), Name: fmt.Sprintf("pod-%d", l.made), Phase: phase, Created: l.now}}
	if phase == scaling.Ready {
		p.Started, p.ReadyAt = l.now, l.now
	}
	l.pods = append(l.pods, p)
}

// load sets the rate of requests per second.
func (l *line) load(rate float64) { l.rate = rate }

// run lets time pass.
func (l *line) run(d time.Duration) {
	for range int(d / time.Second) {
		l.now = l.now.Add(time.Second)
		l.grow()
		l.serve()
		if l.due(l.path.Scrape) {
			l.read()
		}
		if l.due(l.path.Interval) {
			d := l.policy.Decide(l.observe())
			l.decisions = append(l.decisions, d)
			l.scale(d.Replicas)
		}
	}
}

func (l *line) due(every time.Duration) bool { return every > 0 && l.now.Sub(t0)%every == 0 }

// grow starts and readies replicas.
func (l *line) grow() {
	for _, p := range l.pods {
		if p.Phase != scaling.Starting {
			continue
		}
		if l.now.Sub(p.Created) >= 10*time.Second {
			p.Started = l.now
		}
		if l.now.Sub(p.Created) >= lead {
			p.Phase, p.ReadyAt = scaling.Ready, l.now
		}
	}
}

func (l *line) ready() []*pod {
	var out []*pod
	for _, p := range l.pods {
		if p.Phase == scaling.Ready {
			out = append(out, p)
		}
	}
	return out
}

// serve lets a second's requests arrive and be served.
func (l *line) serve() {
	l.gateway.Arrived += l.rate
	l.gateway.PromptTokens += l.rate * promptSize
	ready := l.ready()
	if len(ready) == 0 {
		l.held += l.rate
	} else {
		each := (l.rate + l.held) / float64(len(ready))
		l.held = 0
		for _, p := range ready {
			l.serveOn(p, each)
		}
	}
	inside := l.held
	for _, p := range l.pods {
		inside += p.inside
	}
	l.gateway.Concurrency += inside
	l.gateway.InFlight = inside - l.held
	l.gateway.Queued, l.gateway.QueuedTokens = l.held, l.held*promptSize
}

func (l *line) serveOn(p *pod, arrivals float64) {
	observe(l.ttft, 0.2+max(0, p.inside-slots)/(slots/service.Seconds()), arrivals)
	p.prompts += arrivals * promptSize
	p.inside += arrivals
	done := p.running() / service.Seconds()
	p.inside -= done
	if p.inside < 1e-6 {
		p.inside = 0
	}
	p.finished += done
	p.answers += done * answerSize
	observe(l.tpot, service.Seconds()/answerSize, done)
	l.gateway.Answered += done
	l.gateway.OutputTokens += done * answerSize
}

func observe(h *signals.Histogram, x, n float64) {
	for i := range h.Counts {
		if i == len(h.Bounds) || x <= h.Bounds[i] {
			h.Counts[i] += n
		}
	}
	h.Sum += n * x
}

// read lets the policy's path fetch the pages of all ready replicas and of the gateway; what is lost stays as it was.
func (l *line) read() {
	for _, p := range l.ready() {
		if l.dice.Float64() < l.lost {
			continue
		}
		r := &signals.Reading{Time: l.now}
		r.Set(signals.RequestsRunning, p.running())
		r.Set(signals.RequestsWaiting, p.inside-p.running())
		r.Set(signals.KVCacheCapacityTokens, cacheTokens)
		r.Set(signals.KVCacheUtilization, min(1, p.running()*(promptSize+answerSize)/cacheTokens))
		r.Set(signals.RequestsFinished, p.finished)
		r.Set(signals.PromptTokens, p.prompts)
		r.Set(signals.GenerationTokens, p.answers)
		p.Reading = r
	}
	if l.dice.Float64() >= l.lost {
		l.shown = l.gateway
		l.shown.Time, l.shown.TTFT, l.shown.TPOT = l.now, l.ttft.Scaled(1), l.tpot.Scaled(1)
	}
}

// observe is what the policy sees now.
func (l *line) observe() Observation {
	o := Observation{Gateway: l.shown}
	o.Time, o.Desired = l.now, l.desired
	for _, p := range l.pods {
		o.Replicas = append(o.Replicas, p.Replica)
	}
	return o
}

// scale makes the replicas asked for, or ends the newest; their requests go to the gateway.
func (l *line) scale(n int32) {
	l.desired = n
	for int32(len(l.pods)) < n {
		l.add(scaling.Starting)
	}
	for _, p := range l.pods[n:] {
		l.held += p.inside
	}
	l.pods = l.pods[:n]
}

// changes counts how often the number wanted changed since a time.
func (l *line) changes(since time.Time) int {
	n := 0
	for _, d := range l.decisions {
		if d.Time.After(since) && d.Replicas != d.Current {
			n++
		}
	}
	return n
}
