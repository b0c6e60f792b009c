package capacity

import (
	"bytes"
	"encoding/gob"
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
	goal = Config{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond, Attainment: 0.99}
)

const tick = 15 * time.Second

// near fails where got is further from want than by a share of it.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*math.Abs(want)) {
		t.Errorf("%s: got %.6g, want %.6g ± %.2g%%", what, got, want, 100*tolerance)
	}
}

// machine is an engine that follows the law exactly: its steps come at empty − generated·G − prefilled·F per second. Its
// requests have so many prompt and output tokens, the share cached of the prompts being supplied by a prefix cache.
type machine struct {
	empty, generated, prefilled float64
	prompt, output, cached      float64
	// kv is the cache share of one request, limit the largest batch; spread the standard deviation of the logarithm of ITL.
	kv, limit, spread float64
	rng               *rand.Rand
}

// chat has an ITL of 20 ms when empty and of 100 ms at 40/(0.01·200 + 0.01·1000) = 3.33 requests/s.
var chat = machine{empty: 50, generated: 0.01, prefilled: 0.01, prompt: 1000, output: 200}

// slows is by how much a request per second slows the steps.
func (m machine) slows() float64 {
	return m.generated*m.output + m.prefilled*m.prompt*(1-m.cached)
}

// interval is what the machine reports over a tick at so many requests per second.
func (m machine) interval(rate float64) Interval {
	seconds := tick.Seconds()
	itl := 1 / (m.empty - rate*m.slows())
	if m.rng != nil {
		itl *= math.Exp(m.spread * m.rng.NormFloat64())
	}
	running, requests := rate*m.output*itl, rate*seconds
	return Interval{
		Seconds: seconds, Running: running, ITL: itl, Tokens: requests * m.output, Finished: requests,
		Prompt: requests * m.prompt, Prefilled: requests * m.prompt * (1 - m.cached), Generated: requests * m.output,
		KV: running * m.kv, Max: m.limit,
	}
}

// teach has a state learn the machine's intervals at loads, in turns, so many times.
func (m machine) teach(s *State, times int, loads ...float64) {
	for range times {
		for _, r := range loads {
			s.Learn(m.interval(r), Config{})
		}
	}
}

func TestNothingIsKnownAtFirstAndTheTextSaysWhatIsMissing(t *testing.T) {
	var s State
	got := s.Estimate(goal)
	if got.Known() || got.Source != Unknown || !strings.Contains(got.Text, "0 of 16 intervals, 0 of 20 requests") {
		t.Errorf("got %+v", got)
	}
	tokens := goal
	tokens.TokensPerSecond = 1000
	if got := s.Estimate(tokens); got.Known() || !strings.Contains(got.Text, "too few requests") {
		t.Errorf("tokens declared and no request seen: %+v", got)
	}
	if (Estimate{}).Known() {
		t.Error("the zero estimate is not known")
	}
}

func TestWhatIsDeclaredHoldsFromTheStart(t *testing.T) {
	declared := goal
	declared.RequestsPerSecond = 4
	var s State
	got := s.Estimate(declared)
	if got.Source != Declared || got.PerReplica != 4 || got.Error != errDeclared || !got.Known() {
		t.Errorf("requests: %+v", got)
	}
	tokens := goal
	tokens.TokensPerSecond = 6000
	// Idle intervals tell the mix of 1200 tokens and no law.
	idle := chat.interval(2)
	idle.Running = 0
	s.Learn(idle, tokens)
	if got := s.Estimate(tokens); got.Source != Declared || math.Abs(got.PerReplica-5) > 1e-9 {
		t.Errorf("6000 tokens/s at 1200 a request are 5 requests/s: %+v", got)
	}
}

func TestADeclaredCapacityIsWeighedAgainstTheLawByTheirErrors(t *testing.T) {
	truth := 40. / 12
	for _, wrong := range []float64{0.5, 1, 1.5} {
		declared := Config{TPOT: goal.TPOT, RequestsPerSecond: wrong * truth}
		var s State
		chat.teach(&s, 20, 0.5, 1.5, 2.5, 3.3)
		got := s.Estimate(declared)
		if got.Source != Declared || got.Error >= errDeclared {
			t.Errorf("%v: %+v", wrong, got)
		}
		law, ok := s.Engine.sustains(declared)
		if !ok {
			t.Fatal("no law")
		}
		near(t, "law", law.rate, truth, 1e-6)
		left := law.err * law.err / (law.err*law.err + errDeclared*errDeclared) // of the error in logarithms
		near(t, "declared and law", got.PerReplica, truth*math.Pow(wrong, left), 1e-6)
	}
}

func TestStateSurvivesItsEncodings(t *testing.T) {
	s := experienced()
	want := s.Estimate(goal)
	if !want.Known() || s.Outcomes.Edge.Factor == 0 || s.Budget.Requests == 0 {
		t.Fatalf("the state has learned nothing to be kept: %+v", want)
	}
	var asJSON, asGob State
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &asJSON); err != nil {
		t.Fatal(err)
	}
	var buffer bytes.Buffer
	if err := gob.NewEncoder(&buffer).Encode(s); err != nil {
		t.Fatal(err)
	}
	if err := gob.NewDecoder(&buffer).Decode(&asGob); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]State{"JSON": asJSON, "gob": asGob} {
		if diff := cmp.Diff(s, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(want, got.Estimate(goal)); diff != "" {
			t.Errorf("estimate after %s (-want +got):\n%s", name, diff)
		}
	}
}

// experienced is a state that has learned a law, misses, bursts and a budget.
func experienced() State {
	var s State
	rng := rand.New(rand.NewPCG(3, 4))
	s.Decay(t0)
	for i := range 200 {
		rate := 1.5 + math.Sin(float64(i)/10)
		x := chat.interval(rate)
		x.TTFT = served(rng, rate*tick.Seconds(), 0.02)
		s.Learn(x, goal)
		s.Close(Tick{Seconds: tick.Seconds(), Rate: rate * (0.9 + 0.2*rng.Float64()), Recent: rate, Replicas: 1, Foreseen: 3}, goal)
		s.Decay(t0.Add(time.Duration(i) * tick))
	}
	return s
}

// served are the times to first token of so many requests, of which each misses 2 s with a probability.
func served(rng *rand.Rand, requests, miss float64) *signals.Histogram {
	all := math.Floor(requests + rng.Float64())
	late := 0.
	for range int(all) {
		if rng.Float64() < miss {
			late++
		}
	}
	return &signals.Histogram{Bounds: []float64{1, 2}, Counts: []float64{all - late, all - late, all}}
}

func TestLearnLeavesWhatItIsGiven(t *testing.T) {
	x := chat.interval(2)
	x.TTFT = &signals.Histogram{Bounds: []float64{1, 3}, Counts: []float64{5, 8, 9}, Sum: 12}
	x.TPOT = &signals.Histogram{Bounds: []float64{0.05, 0.2}, Counts: []float64{5, 8, 9}, Sum: 1}
	ttft, tpot := signals.Merge(x.TTFT), signals.Merge(x.TPOT)
	var s State
	s.Learn(x, goal)
	was := s
	s.Learn(x, goal)
	if cmp.Equal(was, s) {
		t.Error("a second interval taught nothing")
	}
	if diff := cmp.Diff(ttft, x.TTFT) + cmp.Diff(tpot, x.TPOT); diff != "" {
		t.Errorf("the interval changed:\n%s", diff)
	}
	if s.Outcomes.Judged != 18 || was.Outcomes.Judged != 9 {
		t.Errorf("a copy of the state shares memory with it: %v and %v judged", was.Outcomes.Judged, s.Outcomes.Judged)
	}
}

func TestMissesOfAnInterval(t *testing.T) {
	at := func(good, all float64) *signals.Histogram {
		return &signals.Histogram{Bounds: []float64{0.1, 2}, Counts: []float64{good, good, all}}
	}
	for name, c := range map[string]struct {
		x              Interval
		judged, missed float64
	}{
		"nothing reported":                     {Interval{}, 0, 0},
		"first tokens only":                    {Interval{TTFT: at(90, 100)}, 100, 10},
		"tokens only":                          {Interval{TPOT: at(95, 100)}, 100, 5},
		"both, half of the rarer are others'":  {Interval{TTFT: at(90, 100), TPOT: at(96, 100)}, 100, 12},
		"never more than were judged":          {Interval{TTFT: at(0, 100), TPOT: at(0, 100)}, 100, 100},
		"more have begun than ended":           {Interval{TTFT: at(100, 120), TPOT: at(80, 80)}, 120, 20},
		"nobody began, those that ended count": {Interval{TTFT: at(0, 0), TPOT: at(7, 8)}, 8, 1},
	} {
		judged, missed := c.x.misses(goal)
		if judged != c.judged || missed != c.missed {
			t.Errorf("%s: got %v of %v, want %v of %v", name, missed, judged, c.missed, c.judged)
		}
	}
	if judged, missed := (Interval{TTFT: at(0, 9), TPOT: at(0, 9)}).misses(Config{}); judged != 9 || missed != 0 {
		t.Errorf("without objectives nothing misses: %v of %v", missed, judged)
	}
}

// A declared capacity that is wrong by half is put right by the law and the misses together.
func TestADeclaredCapacityWrongByHalfIsCorrected(t *testing.T) {
	truth := 40. / 12
	for _, wrong := range []float64{0.5, 1.5} {
		c := goal
		c.RequestsPerSecond = wrong * truth
		rng := rand.New(rand.NewPCG(5, 6))
		var s State
		for i := range 2 * 4 * 60 { // two hours at a load that comes near the edge and does not cross it
			share := 0.75 + 0.2*math.Sin(float64(i)/60)
			rate := share * truth
			for range 8 {
				x := chat.interval(rate)
				x.TTFT = served(rng, rate*tick.Seconds(), logistic(Steepness(8*share, 1)*math.Log(share)))
				x.ITL *= math.Exp(0.05 * rng.NormFloat64())
				s.Learn(x, c)
			}
			s.Close(Tick{Seconds: tick.Seconds(), Rate: 8 * rate, Recent: 8 * rate, Replicas: 8}, c)
		}
		got := s.Estimate(c)
		t.Logf("declared %.2f of the truth, believed %.2f ± %.0f%%: %s", wrong, got.PerReplica/truth, 100*got.Error, got.Text)
		near(t, "capacity", got.PerReplica, truth, 0.07)
		if got.Error > 0.1 {
			t.Errorf("after two hours of misses still ±%.0f%%", 100*got.Error)
		}
	}
}

func TestCloseCountsEachRequestOnce(t *testing.T) {
	c := goal
	c.RequestsPerSecond = 1
	var s State
	x := Interval{TTFT: &signals.Histogram{Bounds: []float64{2}, Counts: []float64{90, 100}}}
	for _, k := range []Tick{
		{Seconds: 15, Rate: 0.5, Recent: 0.5, Replicas: 1},
		{Seconds: 15, Rate: 0.5, Recent: 0.5},
	} {
		s.Learn(x, c)
		was := s.Budget.Requests
		s.Close(k, c)
		if s.Outcomes.Judged != 0 || s.Outcomes.Missed != 0 {
			t.Errorf("%d replicas: %v judged are left", k.Replicas, s.Outcomes.Judged)
		}
		if got := s.Budget.Requests - was; math.Abs(got-100) > 1 {
			t.Errorf("%d replicas: the budget took %v of 100", k.Replicas, got)
		}
	}
	s.Learn(x, c)
	was := s
	s.Close(Tick{Rate: 1, Recent: 1, Replicas: 1}, c)
	if diff := cmp.Diff(was, s); diff != "" {
		t.Errorf("a tick without length changed something:\n%s", diff)
	}
}

func TestStaffingSaysWhatWasLearned(t *testing.T) {
	var s State
	c := goal
	c.RequestsPerSecond = 2
	want := Staffing{Variance: errDeclared * errDeclared, Factor: 1, Dispersion: dispersionPrior, Price: usualPrice, Headroom: usualPrice, Allowed: 1 - goal.Attainment}
	if diff := cmp.Diff(want, s.Staffing(c)); diff != "" {
		t.Errorf("before anything was seen (-want +got):\n%s", diff)
	}
	s = experienced()
	got := s.Staffing(goal)
	if got.Variance != s.Outcomes.Edge.Variance || got.Factor != s.Outcomes.Edge.Factor || got.Price != s.Budget.Demand.Of() || got.Headroom != s.Budget.Headroom.Of() {
		t.Errorf("after experience: %+v", got)
	}
}

func BenchmarkClose(b *testing.B) {
	s := experienced()
	k := Tick{Seconds: tick.Seconds(), Rate: 2, Recent: 2, Replicas: 1, Foreseen: 3}
	b.ReportAllocs()
	for b.Loop() {
		s.Outcomes.Judged, s.Outcomes.Missed = 30, 1
		s.Close(k, goal)
	}
}
