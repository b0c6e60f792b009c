package oracle

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// crowd is a calm of one request in two seconds for ten minutes, with three a second for two minutes from the fifth on.
func crowd() Problem {
	var requests []trace.Request
	for at := time.Duration(0); at < 10*time.Minute; {
		requests = append(requests, trace.Request{At: at, PromptTokens: 100, OutputTokens: 20})
		gap := 2 * time.Second
		if at >= 5*time.Minute && at < 7*time.Minute {
			gap = time.Second / 3
		}
		at += gap
	}
	return Problem{
		Cluster: replay.Config{Start: start, Seed: 1, Lead: replay.Lead{Load: replay.Phase{Median: time.Minute}}},
		Target:  replay.Target{Name: "crowd", Profile: slow(), Initial: 1, Min: 0, Max: 8},
		Load:    func() (trace.Stream, error) { return &replayed{requests: requests}, nil },
		SLO:     score.SLO{TTFT: 2 * time.Second, TPOT: 200 * time.Millisecond, Attainment: 0.99},
	}
}

func TestFindPaysTheLeadTimeAhead(t *testing.T) {
	r, err := Find(t.Context(), crowd(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := r.Schedule.At(3 * time.Minute)
	ahead, _ := r.Schedule.At(4*time.Minute + 30*time.Second)
	after, _ := r.Schedule.At(8 * time.Minute)
	if !r.Met || before != 1 || ahead < 2 || after != 1 {
		t.Errorf("%v: schedule %v asks for %d, %d and %d before, one lead time ahead of and after the crowd, want 1, more, 1",
			r, r.Schedule, before, ahead, after)
	}
	if r.Bound <= 0 || r.Bound > r.GPUSeconds {
		t.Errorf("bound %v of a schedule that costs %v", r.Bound, r.GPUSeconds)
	}
}

// TestFindPaysForTheIdleEndOfALoad gives the crowd fifty minutes of nothing after its last request.
func TestFindPaysForTheIdleEndOfALoad(t *testing.T) {
	busy, err := Find(t.Context(), crowd(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, least := range []int32{0, 1} {
		p := crowd()
		p.Target.Min = least
		load := p.Load
		p.Load = func() (trace.Stream, error) {
			s, err := load()
			return &replayed{requests: s.(*replayed).requests, end: time.Hour}, err
		}
		r, err := Find(t.Context(), p, Options{})
		if err != nil {
			t.Fatal(err)
		}
		idle := (50 * time.Minute).Seconds() * float64(least) * float64(p.Target.Profile.GPUs)
		if !r.Met || r.GPUSeconds < idle || r.GPUSeconds > 1.05*busy.GPUSeconds+idle {
			t.Errorf("at least %d replicas: %v costs %.0f GPU-seconds, want about the %.0f of the busy time and %.0f of the rest",
				least, r, r.GPUSeconds, busy.GPUSeconds, idle)
		}
		if r.Bound < 1.2*idle || r.Bound > r.GPUSeconds {
			t.Errorf("at least %d replicas: bound %.0f of %.0f GPU-seconds, %.0f of them idle", least, r.Bound, r.GPUSeconds, idle)
		}
		if n, _ := r.Schedule.At(11 * time.Minute); n != least {
			t.Errorf("schedule %v keeps %d replicas after the crowd, want %d", r.Schedule, n, least)
		}
	}
}

func TestFindTakesTheHighestAttainmentWhereNothingMeetsTheObjective(t *testing.T) {
	p := crowd()
	p.Target.Initial = 0 // nothing is ready for the first minute
	r, err := Find(t.Context(), p, Options{Simulations: 60})
	if err != nil {
		t.Fatal(err)
	}
	if r.Met || r.Bound != 0 || !strings.Contains(r.String(), "out of reach") {
		t.Errorf("%v with bound %v: 30 requests of the first minute cannot be served in time", r, r.Bound)
	}
	if r.Missed < 28 || r.Missed > 40 {
		t.Errorf("%v: want little more than the 29 requests of the first minute", r)
	}
	if least := contendWith(t, p, 8); least < r.Missed {
		t.Errorf("%v: eight replicas miss %d only", r, least)
	}
}

func contendWith(t *testing.T, p Problem, n int32) int64 {
	came, _ := contend(t, p, Schedule{{0, n}}.Policy(start, 0))
	return came.missed
}

func TestFindKnowsWhatIsBeyondAnyReplica(t *testing.T) {
	p := crowd()
	p.SLO.TTFT = 500 * time.Millisecond // a prompt takes 600 ms
	r, err := Find(t.Context(), p, Options{Simulations: 10})
	if err != nil {
		t.Fatal(err)
	}
	if r.Hopeless != r.Requests || r.Missed != r.Requests || r.Met {
		t.Errorf("%v: every request is beyond any replica", r)
	}
}

// TestFindCountsFromATimeOn lets the crowd alone count: what is loaded and idles before it costs nothing.
func TestFindCountsFromATimeOn(t *testing.T) {
	p := crowd()
	whole, err := Find(t.Context(), p, Options{Simulations: 60})
	if err != nil {
		t.Fatal(err)
	}
	p.From = 5 * time.Minute
	r, err := Find(t.Context(), p, Options{Simulations: 60})
	if err != nil {
		t.Fatal(err)
	}
	// Three a second for two minutes, whose thirds are cut off at the nanosecond, and one in two seconds for three.
	if want := int64(361 + 90); r.Requests != want {
		t.Errorf("%d requests count, want the %d from the fifth minute on", r.Requests, want)
	}
	before := p.From.Seconds() * float64(p.Target.Profile.GPUs) // one replica until then
	if !r.Met || r.GPUSeconds > whole.GPUSeconds-before || r.Bound <= 0 || r.Bound > r.GPUSeconds {
		t.Errorf("%v: %.0f GPU-seconds and a bound of %.0f, want less than %.0f", r, r.GPUSeconds, r.Bound, whole.GPUSeconds-before)
	}
	verify(t, p, r)
}

func TestFindOfNothing(t *testing.T) {
	p := crowd()
	p.Load = func() (trace.Stream, error) { return &replayed{}, nil }
	r, err := Find(t.Context(), p, Options{Simulations: 10})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Met || r.Requests != 0 || r.GPUSeconds != 0 || r.Attainment() != 1 {
		t.Errorf("%v costs %v: want nothing for nothing", r, r.GPUSeconds)
	}
}

func TestFindKeepsToItsBudget(t *testing.T) {
	for _, o := range []Options{{Simulations: 1}, {Simulations: 12}, {Requests: 1}, {Requests: 10000}} {
		r, err := Find(t.Context(), crowd(), o)
		if err != nil {
			t.Fatal(err)
		}
		most := o.Simulations
		if most == 0 {
			most = max(fewRuns, int(o.Requests/r.Requests))
		}
		if r.Simulations > most || r.Simulated != int64(r.Simulations)*r.Requests || !r.Exhausted {
			t.Errorf("%+v: %v, want at most %d runs, and that it says so", o, r, most)
		}
	}
}

func TestFindRunsNoCandidateThatIsKnownToBeWorse(t *testing.T) {
	one := Schedule{{0, 8}}
	base, err := Find(t.Context(), crowd(), Options{Simulations: 12})
	if err != nil {
		t.Fatal(err)
	}
	with := func(k *Known) Result {
		r, err := Find(t.Context(), crowd(), Options{Simulations: 12, Candidates: []Candidate{{Name: "eight", Schedule: one, Known: k}}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := with(&Known{GPUSeconds: 2 * base.GPUSeconds}); r.Simulations != base.Simulations {
		t.Errorf("%d runs, want %d: the candidate is known to be dearer", r.Simulations, base.Simulations)
	}
	if r := with(nil); r.Simulations != base.Simulations+1 {
		t.Errorf("%d runs, want %d: the candidate is not known", r.Simulations, base.Simulations+1)
	}
}

// countdown is a context that ends after it has been asked some times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestFindEndsWithWhatItHas(t *testing.T) {
	r, err := Find(&countdown{t.Context(), 4}, crowd(), Options{})
	if err != nil || !r.Exhausted || r.Simulations == 0 || r.Simulations > 4 {
		t.Errorf("%v, error %v: want the best of the few runs before the end", r, err)
	}
	verify(t, crowd(), r)
	if _, err := Find(&countdown{t.Context(), 0}, crowd(), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of a context that ended before the first run", err)
	}
}

func TestFindIsNoWorseThanWhatIsKnownWhenItIsEnded(t *testing.T) {
	best, err := Find(t.Context(), crowd(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	known := Candidate{Name: "known", Schedule: best.Schedule, Known: &Known{GPUSeconds: best.GPUSeconds, Missed: best.Missed}}
	r, err := Find(&countdown{t.Context(), 4}, crowd(), Options{Candidates: []Candidate{known}})
	if err != nil || !r.Exhausted || r.Source != "known" {
		t.Errorf("%v, error %v: want the candidate that there was no time to run", r, err)
	}
	verify(t, crowd(), r)
}

func TestFindRefuses(t *testing.T) {
	broken := errors.New("broken pipe")
	for name, tc := range map[string]struct {
		change func(*Problem, *Options)
		want   []string
	}{
		"no load":               {func(p *Problem, _ *Options) { p.Load = nil }, []string{"no Load"}},
		"a share of 99":         {func(p *Problem, _ *Options) { p.SLO.Attainment = 99 }, []string{"SLO.Attainment is 99", "between 0 and 1"}},
		"no TTFT":               {func(p *Problem, _ *Options) { p.SLO.TTFT = 0 }, []string{"SLO.TTFT is 0s", "above zero"}},
		"crossed bounds":        {func(p *Problem, _ *Options) { p.Target.Min = 9 }, []string{"bounds 9 to 8"}},
		"no profile":            {func(p *Problem, _ *Options) { p.Target.Profile.GPUs = 0 }, []string{"Target.Profile"}},
		"a load that is gone":   {func(p *Problem, _ *Options) { p.Load = func() (trace.Stream, error) { return nil, broken } }, []string{"open the load", "broken pipe"}},
		"a broken candidate":    {func(_ *Problem, o *Options) { o.Candidates = []Candidate{{Name: "x", Schedule: Schedule{{0, -1}}}} }, []string{`candidate "x"`, "-1"}},
		"a cluster that is not": {func(p *Problem, _ *Options) { p.Cluster.APILag = -1 }, []string{"APILag"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, o := crowd(), Options{Simulations: 3}
			tc.change(&p, &o)
			_, err := Find(t.Context(), p, o)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
		})
	}
}

// TestCrossTakesTheBetterParts: one run wastes in the calm, another lacks in the crowd.
func TestCrossTakesTheBetterParts(t *testing.T) {
	s, err := newSearch(t.Context(), crowd(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.limit = 20
	wasteful, lacking := make([]int32, 600), make([]int32, 600)
	for i := range wasteful {
		wasteful[i], lacking[i] = 4, 1
	}
	for _, want := range [][]int32{wasteful, lacking} {
		if _, err := s.staff("priced", want); err != nil {
			t.Fatal(err)
		}
	}
	before := s.best.outcome
	if before.missed > s.allowed {
		t.Fatalf("four replicas miss %d", before.missed)
	}
	// The two differ everywhere, so that there is only one part to take; a third that differs in the calm gives another.
	calm := append(make([]int32, 0, 600), lacking[:200]...)
	if _, err := s.staff("priced", append(calm, wasteful[200:]...)); err != nil {
		t.Fatal(err)
	}
	late := append(make([]int32, 0, 600), wasteful[:480]...)
	if _, err := s.staff("priced", append(late, lacking[480:]...)); err != nil {
		t.Fatal(err)
	}
	least := s.best.held
	if err := s.cross(); err != nil {
		t.Fatal(err)
	}
	if s.best.held >= least || s.best.missed > s.allowed {
		t.Errorf("crossing came to %v with %d misses, the best of the runs before to %v", s.best.held, s.best.missed, least)
	}
}
