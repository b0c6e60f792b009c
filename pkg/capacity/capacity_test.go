package capacity

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

var (
	t0   = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	goal = Config{TPOT: 100 * time.Millisecond, Attainment: 0.99}
)

// engine follows the linear law exactly: ITL = a + b·running, tokens a request, TPOT = ITL.
type engine struct {
	a, b, prompt, generated float64
	kv                      float64 // cache share of one request
	noise                   *rand.Rand
	spread                  float64
}

// interval is what the engine reports over 15 s with a batch.
func (e engine) interval(running float64) Interval {
	const seconds = 15
	itl := e.a + e.b*running
	if e.noise != nil {
		itl *= math.Exp(e.spread * e.noise.NormFloat64())
	}
	tokens := running * seconds / itl
	x := Interval{
		Seconds: seconds, Running: running, ITL: itl, Tokens: tokens, Generated: tokens,
		Finished: tokens / e.generated, Prompt: tokens / e.generated * e.prompt, KV: running * e.kv,
	}
	x.TPOT = &signals.Histogram{Bounds: []float64{itl, 1}, Counts: []float64{0.5 * x.Finished, x.Finished, x.Finished}, Sum: itl * x.Finished}
	return x
}

func learn(s *State, e engine, batches ...float64) {
	for _, r := range batches {
		s.Learn(e.interval(r))
	}
}

func repeat(n int, batches ...float64) []float64 {
	var out []float64
	for range n {
		out = append(out, batches...)
	}
	return out
}

func TestTheLinearLawIsLearned(t *testing.T) {
	e := engine{a: 0.02, b: 0.0005, prompt: 1000, generated: 200}
	var s State
	learn(&s, e, repeat(5, 4, 8, 16, 24, 32)...)
	fit, ok := s.fit()
	if !ok || math.Abs(fit.intercept-e.a) > 1e-9 || math.Abs(fit.slope-e.b) > 1e-9 {
		t.Fatalf("got %+v, want intercept %v and slope %v", fit, e.a, e.b)
	}
	got := s.Estimate(Config{Attainment: 0.99}) // three quarters of the asymptote would be 120 running
	if got.Source != Learned || math.Abs(got.PerReplica-5.45) > 0.01 {
		t.Fatalf("without an objective 48 run (half more than the most seen), 48/(200·44 ms) = 5.45: got %+v", got)
	}
}

func TestNoiseLowersTheEstimateAndNeverRaisesItMuch(t *testing.T) {
	for _, spread := range []float64{0.02, 0.1, 0.3} {
		low, high, sum := math.Inf(1), 0.0, 0.0
		const runs = 200
		exact := engine{a: 0.02, b: 0.0008, prompt: 1000, generated: 200}
		var still State
		learn(&still, exact, repeat(40, 5, 10, 20, 30, 40)...)
		truth := still.Estimate(Config{Attainment: 0.99}).PerReplica
		for seed := range uint64(runs) {
			e := exact
			e.noise, e.spread = rand.New(rand.NewPCG(seed, 1)), spread
			var s State
			learn(&s, e, repeat(40, 5, 10, 20, 30, 40)...)
			c := s.Estimate(Config{Attainment: 0.99}).PerReplica
			low, high, sum = math.Min(low, c), math.Max(high, c), sum+c
		}
		t.Logf("spread %v: %.2f to %.2f of the truth, mean %.2f", spread, low/truth, high/truth, sum/runs/truth)
		if high > (1+spread/2)*truth || sum/runs > 1.01*truth || low < (1-spread)*truth {
			t.Errorf("spread %v: %.2f to %.2f, mean %.2f, truth %.2f", spread, low, high, sum/runs, truth)
		}
	}
}

func TestABatchNeverSeenIsNotBelieved(t *testing.T) {
	e := engine{a: 0.02, b: 0.0001, prompt: 100, generated: 100}
	var s State
	learn(&s, e, repeat(20, 2, 4)...)
	got := s.Estimate(goal)
	if got.Concurrency > 6 || !strings.Contains(got.Text, "half more than the most seen") {
		t.Fatalf("at most 4 were seen running: %+v", got)
	}
	for _, x := range []struct {
		change func(*Interval)
		bound  string
		most   float64
	}{
		{func(x *Interval) { x.Max = 5 }, "the engine's bound", 5},
		{func(x *Interval) { x.KV = x.Running / 5 }, "KV cache", 4.5},
	} {
		var s State
		for _, r := range repeat(20, 2, 4) {
			v := e.interval(r)
			x.change(&v)
			s.Learn(v)
		}
		if got := s.Estimate(goal); math.Abs(got.Concurrency-x.most) > 1e-6 || !strings.Contains(got.Text, x.bound) {
			t.Errorf("%s: %+v", x.bound, got)
		}
	}
}

func TestOneBatchSizeTellsNoSlopeSoThatTheThroughputSeenIsTheCapacity(t *testing.T) {
	e := engine{a: 0.02, b: 0.0005, prompt: 1000, generated: 200}
	var s State
	learn(&s, e, repeat(20, 10)...)
	seen := 10 / (200 * 0.025)
	if got := s.Estimate(goal); math.Abs(got.PerReplica-seen) > 1e-6 {
		t.Fatalf("%v requests/s were seen, nothing says that more is possible: %+v", seen, got)
	}
}

func TestWhatTeachesNothing(t *testing.T) {
	e := engine{a: 0.02, b: 0.0005, prompt: 1000, generated: 200}
	train := func() State {
		var s State
		learn(&s, e, repeat(10, 4, 8, 16, 24, 32)...)
		return s
	}
	base := train()
	want := base.Estimate(goal).PerReplica
	cases := map[string]struct {
		x    Interval
		band float64
	}{
		"idle intervals":                           {Interval{Seconds: 15, KV: -1}, 1e-9},
		"an interval without time":                 {Interval{Waiting: 5, Running: 3, KV: -1}, 1e-9},
		"a cold start: few tokens, slow":           {Interval{Seconds: 15, Running: 8, ITL: 5, Tokens: 10, Generated: 10, Grown: 8, KV: -1}, 0.25},
		"a latency without observations":           {Interval{Seconds: 15, Running: 8, ITL: 0, Tokens: 0, KV: -1}, 1e-9},
		"a latency that is no number":              {Interval{Seconds: 15, Running: 8, ITL: math.NaN(), Tokens: 500, KV: -1}, 1e-9},
		"an infinite latency":                      {Interval{Seconds: 15, Running: 8, ITL: math.Inf(1), Tokens: 500, KV: -1}, 1e-9},
		"a new replica that fills with a queue":    {Interval{Seconds: 15, Running: 16, Waiting: 30, Grown: 32, ITL: e.a + e.b*16, Tokens: 8000, Generated: 8000, Prompt: 50000, Finished: 2, KV: -1}, 0.2},
		"requests that wait for a moment, unasked": {Interval{Seconds: 15, Running: 4, Waiting: 1, Finished: 13.6, Generated: 2727, Prompt: 13636, ITL: 0.022, Tokens: 2727, KV: -1}, 0.2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := train()
			for range 6 {
				s.Learn(c.x)
			}
			if got := s.Estimate(goal); math.Abs(got.PerReplica/want-1) > c.band || math.IsNaN(got.PerReplica) {
				t.Errorf("%.2f before, now %.2f: %s", want, got.PerReplica, got.Text)
			}
		})
	}
}

func TestSaturationCapsWhatTheLawPromises(t *testing.T) {
	// the law promises more than the engine sustains: requests wait though the batch could be larger
	e := engine{a: 0.02, b: 0.0002, prompt: 4000, generated: 200}
	var s State
	learn(&s, e, repeat(10, 4, 8, 16, 24, 32)...)
	promised := s.Estimate(goal).PerReplica
	for range 20 {
		x := e.interval(32)
		x.Waiting = 60
		s.Learn(x)
	}
	sustained := 32 / (200 * (0.02 + 0.0002*32))
	got := s.Estimate(goal)
	if got.PerReplica > sustained || got.PerReplica < 0.85*sustained || got.PerReplica >= promised {
		t.Fatalf("%.2f were promised, %.2f sustained while 60 waited: %+v", promised, sustained, got)
	}
	if !strings.Contains(got.Text, "waited") {
		t.Errorf("the text does not say so: %q", got.Text)
	}
}

func TestTheMixShifts(t *testing.T) {
	short := engine{a: 0.02, b: 0.0005, prompt: 1000, generated: 100}
	long := engine{a: 0.02, b: 0.0005, prompt: 1000, generated: 400}
	var s State
	now := t0
	step := func(e engine, n int) {
		for range n {
			now = now.Add(15 * time.Second)
			s.Decay(now)
			learn(&s, e, 4, 12, 20)
		}
	}
	step(short, 240)
	before := s.Estimate(goal).PerReplica
	step(long, 8*60) // two hours: four half-lives
	after := s.Estimate(goal).PerReplica
	if ratio := before / after; ratio < 3.2 || ratio > 4.2 {
		t.Fatalf("requests four times as long: %.2f requests/s before, %.2f after", before, after)
	}
	if s.N > 4*240 || math.IsNaN(s.N) {
		t.Errorf("sums grow without bound: %v", s.N)
	}
}

func TestDeclaredCapacity(t *testing.T) {
	var s State
	if got := s.Estimate(Config{RequestsPerSecond: 2.5}); got.PerReplica != 2.5 || got.Source != Declared || !got.Known() {
		t.Errorf("got %+v", got)
	}
	if got := s.Estimate(Config{TokensPerSecond: 6000}); got.Known() || !strings.Contains(got.Text, "too few") {
		t.Errorf("nothing is known of the requests yet: %+v", got)
	}
	learn(&s, engine{a: 0.02, b: 0.0005, prompt: 1000, generated: 200}, repeat(3, 8)...)
	if got := s.Estimate(Config{TokensPerSecond: 6000}); math.Abs(got.PerReplica-5) > 1e-9 || got.Source != Declared {
		t.Errorf("1200 tokens a request: %+v", got)
	}
	if got := (&State{}).Estimate(goal); got.Known() || got.Source != Unknown || got.Text == "" {
		t.Errorf("got %+v", got)
	}
}

func TestTheObjectiveBinds(t *testing.T) {
	e := engine{a: 0.02, b: 0.001, prompt: 1000, generated: 200}
	estimate := func(tpot time.Duration) Estimate {
		var s State
		learn(&s, e, repeat(20, 20, 40, 60)...)
		return s.Estimate(Config{TPOT: tpot, Attainment: 0.5})
	}
	strict, loose := estimate(60*time.Millisecond), estimate(90*time.Millisecond)
	if !(strict.PerReplica < loose.PerReplica) || strict.Concurrency > 40 {
		t.Fatalf("60 ms allows %+v, 90 ms %+v", strict, loose)
	}
	out := estimate(time.Millisecond)
	if !out.Known() || !strings.Contains(out.Text, "out of reach") {
		t.Fatalf("one millisecond cannot be met by scaling: %+v", out)
	}
}

func TestStaffingMeetsTheSimulatedPoints(t *testing.T) {
	for replicas, share := range map[float64]float64{1: 0.71, 2: 0.80, 4: 0.86, 8: 0.89, 16: 0.90, 32: 0.92} {
		// the points' shares are rounded to two digits, which is 0.7 % of the smallest
		if got := Staffing(replicas * share); math.Abs(got/replicas-1) > 0.04 {
			t.Errorf("a pool of %v is used to %v: staffing says %.2f replicas", replicas, share, got)
		}
	}
	for _, x := range []float64{0, -1, math.NaN(), math.Inf(-1)} {
		if got := Staffing(x); got != 0 {
			t.Errorf("Staffing(%v) = %v", x, got)
		}
	}
	for x := 0.01; x < 1000; x *= 1.1 {
		if Staffing(x) <= x || Staffing(1.1*x) <= Staffing(x) {
			t.Fatalf("Staffing(%v) = %v", x, Staffing(x))
		}
	}
}

func TestTimeGoingBackIsNotLearnedTwice(t *testing.T) {
	var s State
	learn(&s, engine{a: 0.02, b: 0.0005, prompt: 1000, generated: 200}, repeat(10, 4, 8)...)
	s.Decay(t0)
	n := s.N
	s.Decay(t0.Add(-time.Hour))
	if s.N != n {
		t.Fatalf("time went back and the sums fell from %v to %v", n, s.N)
	}
}

func TestAStateSurvivesJSON(t *testing.T) {
	var s, u State
	s.Decay(t0)
	learn(&s, engine{a: 0.02, b: 0.0005, prompt: 1000, generated: 200}, repeat(30, 4, 8, 12)...)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &u); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Estimate(goal), u.Estimate(goal)); diff != "" {
		t.Fatalf("(-kept +restored):\n%s", diff)
	}
}

func TestLearningDoesNotChangeWhatItIsGiven(t *testing.T) {
	var s State
	x := engine{a: 0.02, b: 0.0005, prompt: 1000, generated: 200}.interval(8)
	before := append([]float64(nil), x.TPOT.Counts...)
	for i := range 5 {
		s.Decay(t0.Add(time.Duration(i) * time.Minute))
		s.Learn(x)
	}
	if diff := cmp.Diff(before, x.TPOT.Counts); diff != "" {
		t.Fatalf("the page's histogram was changed:\n%s", diff)
	}
}

func TestWhatTheDayTaughtOutlivesTheNight(t *testing.T) {
	e := engine{a: 0.02, b: 0.0005, prompt: 1000, generated: 200}
	cases := map[string]func(s *State, n int){
		"an idle night": func(*State, int) {},
		"a quiet night": func(s *State, n int) {
			if n%40 == 0 { // a request every ten minutes
				learn(s, e, 1)
			}
		},
		"a night of few": func(s *State, _ int) { learn(s, e, 1) },
	}
	for name, night := range cases {
		t.Run(name, func(t *testing.T) {
			var s State
			now := t0
			tick := func() { now = now.Add(15 * time.Second); s.Decay(now) }
			for range 480 {
				tick()
				learn(&s, e, 5, 20, 40)
			}
			evening := s.Estimate(goal)
			for n := range 12 * 240 {
				tick()
				night(&s, n)
			}
			if morning := s.Estimate(goal); !morning.Known() || math.Abs(morning.PerReplica/evening.PerReplica-1) > 0.3 {
				t.Fatalf("in the evening %s; in the morning %s", evening.Text, morning.Text)
			}
		})
	}
}
