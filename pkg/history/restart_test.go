package history

import (
	"bytes"
	"context"
	"encoding/gob"
	"io"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/api/validation"
	"github.com/preheat-autoscaler/preheat/pkg/assemble"
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

const manifest = `apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: chat, namespace: ml}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: chat}
  mode: Own
  maxReplicas: 12
  slo: {ttft: 2s, tpot: 100ms}
`

const (
	length  = 31 * time.Minute
	ended   = 17 * time.Minute // as demand falls
	started = 18 * time.Minute
	window  = 5 * time.Minute // the default of scaleDown.stabilizationWindowSeconds
)

// service is what runs of the production service in a replay: its loop, as a policy. It can die and start.
type service struct {
	t      *testing.T
	loop   *controlloop.Loop
	target controlloop.Target
	// archive makes the archive of a new process; nil: nothing outlives it.
	archive func() controlloop.Archive
	// written, where set, is called after each tick.
	written func()
	// dead is from when until when there is no process.
	dead [2]time.Duration

	alive bool
	seen  scaling.Observation
	// ready are the replicas that ever were, by ID.
	ready   map[string]bool
	decided scaling.Decision
}

func newService(t *testing.T) *service {
	t.Helper()
	ia, err := validation.Parse([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	planner, err := assemble.Planner(ia, assemble.Options{Interval: 15 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	id := controlloop.TargetID{Namespace: ia.Namespace, Name: ia.Name}
	return &service{t: t, target: controlloop.Target{ID: id, UID: "u1", Subject: "chat", Planner: planner}, ready: map[string]bool{}}
}

func (s *service) Path() baseline.Path { return replay.DefaultPath() }

// Decide ticks, or leaves the replicas as they are while there is no process.
func (s *service) Decide(o baseline.Observation) scaling.Decision {
	if at := o.Time.Sub(t0); at >= s.dead[0] && at < s.dead[1] {
		s.alive = false
		return scaling.Decision{Time: o.Time, Current: o.Desired, Replicas: o.Desired, Reason: "Dead"}
	}
	if !s.alive {
		s.loop = controlloop.New(s, s, s, 1)
		if s.archive != nil {
			s.loop.KeepIn(s.archive())
		}
		s.alive = true
	}
	s.seen = o.Observation
	for _, r := range o.Replicas {
		if r.Phase == scaling.Ready {
			s.ready[r.ID] = true
		}
	}
	if err := s.loop.Tick(s.t.Context(), o.Time, []controlloop.Target{s.target}); err != nil {
		s.t.Fatal(err)
	}
	if s.written != nil {
		s.written()
	}
	return s.decided
}

func (s *service) Observe(context.Context, controlloop.TargetID, time.Time) (scaling.Observation, error) {
	return s.seen, nil
}
func (s *service) Actuate(context.Context, controlloop.TargetID, scaling.Decision) error { return nil }
func (s *service) Record(_ context.Context, _ controlloop.TargetID, d scaling.Decision, _ error) {
	s.decided = d
}

// waves is a load that rises and falls every ten minutes.
type waves struct {
	rng *rand.Rand
	at  time.Duration
}

func (w *waves) Next() (trace.Request, error) {
	for {
		w.at += time.Duration(w.rng.ExpFloat64() / 24 * float64(time.Second))
		if w.at > length {
			return trace.Request{}, io.EOF
		}
		if w.rng.Float64()*24 < 12-9*math.Cos(2*math.Pi*w.at.Minutes()/10) {
			return trace.Request{At: w.at, PromptTokens: 200 + w.rng.IntN(1500), OutputTokens: 20 + w.rng.IntN(300)}, nil
		}
	}
}

// decisions keeps those of a run.
type decisions []scaling.Decision

func (d *decisions) Ended(replay.Request)  {}
func (d *decisions) Counted(replay.Census) {}
func (d *decisions) Decided(_ string, x scaling.Decision, _ baseline.Gateway) {
	*d = append(*d, x)
}

func (s *service) run(policy baseline.Policy) decisions {
	s.t.Helper()
	profile, err := replica.ProfileNamed("llama-3.1-8b-a100")
	if err != nil {
		s.t.Fatal(err)
	}
	var all decisions
	_, err = replay.Run(s.t.Context(), replay.Config{
		Start: t0, Seed: 1, Lead: replay.Lead{Pull: replay.Phase{Median: 10 * time.Second, Sigma: 0.2}, Load: replay.Phase{Median: 50 * time.Second, Sigma: 0.2}},
	}, []replay.Target{{
		Name: "chat", Profile: profile, Load: &waves{rng: rand.New(rand.NewPCG(1, 1))}, Policy: policy, Initial: 3, Max: 12,
	}}, &all)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// throughDisk decides as the loop does, and sends all that is learned through a checkpoint at every tick.
type throughDisk struct {
	*service
	state scaling.State
}

func (d *throughDisk) Decide(o baseline.Observation) scaling.Decision {
	data, err := encode(d.target, controlloop.Lesson{Learned: d.state.Learned()}, o.Time, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	c, err := decode(data)
	if err != nil {
		d.t.Fatal(err)
	}
	l := c.lesson.Learned
	d.state.Forecast, d.state.LeadTime, d.state.Capacity = l.Forecast, l.LeadTime, l.Capacity
	var decision scaling.Decision
	d.state, decision = d.target.Planner.Plan(d.state, o.Observation)
	return decision
}

// memory is the dumb twin of Checkpoints: it keeps the lesson of each tick as a deep copy.
type memory struct{ last *controlloop.Lesson }

func (memory) Due(controlloop.Target, time.Time, time.Time) bool { return true }

func (m memory) Keep(_ controlloop.Target, l controlloop.Lesson, _ time.Time) { *m.last = deepCopy(l) }

func (m memory) Recall(_ controlloop.Target, since, now time.Time) (controlloop.Lesson, bool) {
	return deepCopy(*m.last), since.Equal(now) && !m.last.Since.IsZero()
}

func deepCopy(l controlloop.Lesson) controlloop.Lesson {
	var b bytes.Buffer
	var out controlloop.Lesson
	if err := gob.NewEncoder(&b).Encode(l); err != nil {
		panic(err)
	}
	if err := gob.NewDecoder(&b).Decode(&out); err != nil {
		panic(err)
	}
	return out
}

// restarted is a run of a service that is killed and started again, with checkpoints of every tick in a folder.
func restarted(t *testing.T) (*service, decisions) {
	dir := t.TempDir()
	s := newService(t)
	s.dead = [2]time.Duration{ended, started}
	s.archive = func() controlloop.Archive {
		k := open(t, dir)
		k.options.Period = 15 * time.Second
		s.written = k.write
		return k
	}
	return s, s.run(s)
}

func TestARestart(t *testing.T) {
	never := newService(t)
	steady := never.run(never)
	t.Run("through a checkpoint at every tick decides as what never was on disk", func(t *testing.T) {
		through := &throughDisk{service: newService(t)}
		if diff := cmp.Diff(steady, through.run(through)); diff != "" {
			t.Errorf("decisions (-in memory +on disk):\n%s", diff)
		}
	})
	s, warm := restarted(t)
	t.Run("decides as if what was learned had stayed in memory", func(t *testing.T) {
		twin, last := newService(t), &controlloop.Lesson{}
		twin.dead = [2]time.Duration{ended, started}
		twin.archive = func() controlloop.Archive { return memory{last} }
		if diff := cmp.Diff(twin.run(twin), warm); diff != "" {
			t.Errorf("decisions (-by memory +by checkpoints):\n%s", diff)
		}
	})
	t.Run("goes on forecasting", func(t *testing.T) {
		cold := newService(t)
		cold.dead = [2]time.Duration{ended, started}
		restored, forgot := off(steady, warm), off(steady, cold.run(cold))
		t.Logf("forecasts are %.1f %% off those of a service that never stopped, %.1f %% where nothing was kept", 100*restored, 100*forgot)
		if !(restored < 0.75*forgot) {
			t.Errorf("forecasts are %.3f off those of a service that never stopped, %.3f where nothing was kept", restored, forgot)
		}
	})
	t.Run("scales down after a full window only", func(t *testing.T) { waits(t, warm) })
	t.Run("learns no start twice", func(t *testing.T) {
		if n := len(s.loop.State(s.target.ID).LeadTime.Starts); n == 0 || n > len(s.ready) {
			t.Errorf("%d starts were learned, although no more than %d replicas were ever ready", n, len(s.ready))
		}
	})
}

// off is how far the forecasts of a run that was restarted are from those of one that was not, on average and relative to
// these.
func off(steady, run decisions) float64 {
	var sum, n float64
	for i, d := range steady {
		if d.Time.Sub(t0) >= started+time.Minute && run[i].Forecast.Known() && run[i].Time.Equal(d.Time) {
			sum += math.Abs(run[i].Forecast.Upper-d.Forecast.Upper) / d.Forecast.Upper
			n++
		}
	}
	return sum / n
}

func waits(t *testing.T, run decisions) {
	down := false
	for _, d := range run {
		since := d.Time.Sub(t0) - started
		if since >= 0 && since < window && d.Replicas < d.Current {
			t.Errorf("%v after the restart: %s", since, d.Message())
		}
		down = down || since >= window && d.Replicas < d.Current
	}
	if !down {
		t.Error("nothing is scaled down any more")
	}
}
