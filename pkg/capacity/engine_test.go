package capacity

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheLawOfAnEnginesStepsIsRecovered(t *testing.T) {
	loads := []float64{0.2, 0.6, 1, 1.6, 2.2}
	with := func(change func(*machine)) machine { m := chat; change(&m); return m }
	for name, c := range map[string]struct {
		seen      []machine // one after the other at all loads, the last one's mix being the present one
		tolerance float64
	}{
		"one mix, a prompt token costs what a generated one does":      {[]machine{chat}, 1e-6},
		"one mix, a prompt token costs half: only the sum can be told": {[]machine{with(func(m *machine) { m.prefilled = 0.005 })}, 1e-6},
		"one mix, a prompt token costs twice":                          {[]machine{with(func(m *machine) { m.prefilled = 0.014; m.generated = 0.007 })}, 1e-6},
		"mixes that change, both cost the same": {[]machine{
			with(func(m *machine) { m.prompt = 100 }), with(func(m *machine) { m.cached = 0.8 }), chat,
		}, 1e-6},
		"mixes that change, a prompt token costs 1.3 times": {[]machine{
			with(func(m *machine) { m.prefilled = 0.013; m.prompt = 200 }), with(func(m *machine) { m.prefilled = 0.013 }),
		}, 0.02},
		"mixes that change, a prompt token costs 0.8 times": {[]machine{
			with(func(m *machine) { m.prefilled = 0.008; m.prompt = 200 }), with(func(m *machine) { m.prefilled = 0.008 }),
		}, 0.02},
	} {
		var s State
		for i, m := range c.seen {
			if i == len(c.seen)-1 {
				s.Engine.Requests, s.Engine.Prompt, s.Engine.Prefilled, s.Engine.Generated = 0, 0, 0, 0
			}
			m.teach(&s, 10, loads...)
		}
		last := c.seen[len(c.seen)-1]
		l, ok := s.Engine.law()
		if !ok {
			t.Errorf("%s: no law", name)
			continue
		}
		near(t, name+": empty engine", l.empty, last.empty, c.tolerance)
		near(t, name+": slowed by a request", l.generated*last.output+l.prefilled*last.prompt*(1-last.cached), last.slows(), c.tolerance)
		near(t, name+": capacity", s.Estimate(Config{TPOT: goal.TPOT}).PerReplica, (last.empty-10)/last.slows(), c.tolerance)
	}
}

// The law learned of one mix tells the capacity of another, as far as prompts and outputs cost what they usually do.
func TestTheLawHoldsForAMixNeverSeenAtLoad(t *testing.T) {
	var s State
	chat.teach(&s, 20, 0.5, 1, 2)
	s.Engine.Requests, s.Engine.Prompt, s.Engine.Prefilled, s.Engine.Generated = 0, 0, 0, 0
	summaries := chat
	summaries.prompt, summaries.output = 3000, 50
	idle := summaries.interval(0.5)
	idle.Running = 0
	for range 10 {
		s.Learn(idle, Config{})
	}
	near(t, "capacity", s.Estimate(Config{TPOT: goal.TPOT}).PerReplica, 40/30.5, 1e-6)
}

func TestNoiseLowersTheEstimateAndHardlyEverRaisesIt(t *testing.T) {
	truth := 40. / 12
	for _, spread := range []float64{0.02, 0.1, 0.3} {
		const runs = 200
		low, high, sum := math.Inf(1), 0., 0.
		for seed := range uint64(runs) {
			m := chat
			m.rng, m.spread = rand.New(rand.NewPCG(seed, 1)), spread
			var s State
			m.teach(&s, 40, 0.4, 0.8, 1.6, 2.4, 3.2)
			got := s.Estimate(Config{TPOT: goal.TPOT}).PerReplica / truth
			low, high, sum = math.Min(low, got), math.Max(high, got), sum+got
		}
		t.Logf("spread %v: %.3f to %.3f of the truth, mean %.3f", spread, low, high, sum/runs)
		if high > 1+spread/2 || sum/runs > 1.005 || low < 1-spread {
			t.Errorf("spread %v: %.3f to %.3f of the truth, mean %.3f", spread, low, high, sum/runs)
		}
	}
}

func TestWhatTeachesNothing(t *testing.T) {
	for name, change := range map[string]func(*Interval){
		"an idle replica":                 func(x *Interval) { x.Running = 0 },
		"no latency":                      func(x *Interval) { x.ITL = 0 },
		"a latency of NaN":                func(x *Interval) { x.ITL = math.NaN() },
		"a latency without end":           func(x *Interval) { x.ITL = math.Inf(1) },
		"a negative latency":              func(x *Interval) { x.ITL = -0.02 },
		"no tokens":                       func(x *Interval) { x.Tokens = 0 },
		"few tokens":                      func(x *Interval) { x.Tokens = minTokens - 1 },
		"no time":                         func(x *Interval) { x.Seconds = 0 },
		"negative time":                   func(x *Interval) { x.Seconds = -15 },
		"half as many waiting as running": func(x *Interval) { x.Waiting = x.Running / 2 },
		"a preemption":                    func(x *Interval) { x.Preemptions = 1 },
		"waiting NaN":                     func(x *Interval) { x.Waiting = math.NaN() },
		"preemptions Inf":                 func(x *Interval) { x.Preemptions = math.Inf(1) },
		"first tokens NaN":                func(x *Interval) { x.First = math.NaN(); x.FirstKnown = true },
		"running NaN":                     func(x *Interval) { x.Running = math.NaN() },
		"running without end":             func(x *Interval) { x.Running = math.Inf(1) },
		"tokens NaN":                      func(x *Interval) { x.Tokens = math.NaN() },
		"time NaN":                        func(x *Interval) { x.Seconds = math.NaN() },
		"time without end":                func(x *Interval) { x.Seconds = math.Inf(1) },
		"finished NaN":                    func(x *Interval) { x.Finished = math.NaN() },
		"growth NaN":                      func(x *Interval) { x.Grown = math.NaN() },
		"prompt NaN":                      func(x *Interval) { x.Prompt = math.NaN() },
		"prefill NaN":                     func(x *Interval) { x.Prefilled = math.NaN() },
		"generated Inf":                   func(x *Interval) { x.Generated = math.Inf(1) },
		"utilization NaN":                 func(x *Interval) { x.KV = math.NaN() },
		"a batch without end":             func(x *Interval) { x.Max = math.Inf(1) },
	} {
		m := chat
		m.kv = 0.005
		var s State
		m.teach(&s, 10, 0.5, 1, 2)
		before, want := s.Engine.N, s.Estimate(goal)
		x := m.interval(1)
		change(&x)
		s.Learn(x, goal)
		if s.Engine.N != before {
			t.Errorf("%s: learned", name)
		}
		got := s.Estimate(goal)
		if !(math.Abs(got.PerReplica-want.PerReplica) < 1e-9 && math.Abs(got.Concurrency-want.Concurrency) < 1e-6) {
			t.Errorf("%s: %.4g became %.4g requests/s", name, want.PerReplica, got.PerReplica)
		}
	}
}

func TestTooLittleIsNoLaw(t *testing.T) {
	fast := chat
	fast.generated, fast.prefilled = -0.01, -0.01
	for name, teach := range map[string]func(*State){
		"one interval too few":                func(s *State) { chat.teach(s, (minIntervals-1)/3, 0.5, 1, 2) },
		"one load only":                       func(s *State) { chat.teach(s, 40, 1) },
		"steps that get faster with the load": func(s *State) { fast.teach(s, 20, 0.5, 1, 2) },
		"no request has finished": func(s *State) {
			chat.teach(s, 20, 0.5, 1, 2)
			s.Engine.Requests, s.Engine.Generated = 0, 0
		},
	} {
		var s State
		teach(&s)
		if got := s.Estimate(goal); got.Known() {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWhatBoundsAReplica(t *testing.T) {
	objectives := func(ttft, tpot time.Duration) Config { return Config{TTFT: ttft, TPOT: tpot} }
	for name, c := range map[string]struct {
		change      func(*machine)
		config      Config
		bound       string
		rate, batch float64 // zero: not told here
	}{
		"no objective: three quarters of 50/12 requests/s": {nil, Config{}, "three quarters of the throughput", 3.125, 50},
		"TPOT: (50-10)/12 requests/s":                      {nil, objectives(0, 100*time.Millisecond), "TPOT 100ms", 40. / 12, 40. / 12 * 200 * 0.1},
		"TPOT below an empty engine's step: a third of its rate is planned with": {
			nil, objectives(0, 10*time.Millisecond), "TPOT 10ms, which is out of reach", 50. / 3 / 12, 0,
		},
		"TTFT shorter than a prompt takes": {nil, objectives(100*time.Millisecond, 100*time.Millisecond), "TTFT 100ms", lateFirst * 50 / 10, 0},
		"the engine's largest batch":       {func(m *machine) { m.limit = 30 }, objectives(0, 100*time.Millisecond), "the engine's largest batch", 0, 30},
		"the KV cache":                     {func(m *machine) { m.kv = 0.05 }, objectives(0, 100*time.Millisecond), "the KV cache", 0, usableKV / 0.05},
		"the narrower of the two": {
			func(m *machine) { m.kv, m.limit = 0.05, 30 }, objectives(0, 100*time.Millisecond),
			"the KV cache", 0, usableKV / 0.05,
		},
		"prompts from the cache need no prefill: 40/(2+10·0.2)": {
			func(m *machine) { m.cached = 0.8 }, objectives(0, 100*time.Millisecond),
			"TPOT 100ms", 10, 0,
		},
	} {
		m := chat
		if c.change != nil {
			c.change(&m)
		}
		var s State
		m.teach(&s, 20, 0.5, 1, 1.5)
		got := s.Estimate(c.config)
		if got.Source != Learned || !strings.HasSuffix(got.Text, "bound by "+c.bound) {
			t.Errorf("%s: %+v", name, got)
		}
		if c.rate > 0 {
			near(t, name+": rate", got.PerReplica, c.rate, 1e-6)
		}
		if c.batch > 0 {
			near(t, name+": concurrency", got.Concurrency, c.batch, 1e-6)
		}
	}
}

func TestTheQueueOfPromptsKeepsTheTimeToFirstToken(t *testing.T) {
	for _, each := range []float64{0.01, 0.1, 0.3, 1} {
		last := 0.
		for _, ttft := range []float64{0.2, 0.5, 1, 2, 5, 20} {
			busy := busyWithin(ttft, each)
			late := busy * math.Exp(-(1-busy)*math.Max(0, ttft-each)/(1.5*each))
			near(t, "late first tokens", late, lateFirst, 1e-3)
			if busy < last || busy >= 1 {
				t.Errorf("prompts of %v s within %v s: %v of the time, after %v within less", each, ttft, busy, last)
			}
			last = busy
		}
	}
}

func TestTheMixFollowsWhatIsAsked(t *testing.T) {
	short := chat
	short.prompt, short.output = 200, 50
	var s State
	for now := t0; now.Before(t0.Add(2 * time.Hour)); now = now.Add(tick) {
		s.Decay(now)
		s.Learn(chat.interval(2), goal)
	}
	switched := t0.Add(2 * time.Hour)
	for i, c := range []struct{ of, tolerance float64 }{{0.5, 0.02}, {0.25, 0.02}, {0.125, 0.02}} {
		for now := switched.Add(time.Duration(i) * mixHalfLife); now.Before(switched.Add(time.Duration(i+1) * mixHalfLife)); now = now.Add(tick) {
			s.Decay(now)
			s.Learn(short.interval(2), goal)
		}
		prompt, generated, ok := s.Engine.Mix()
		if !ok {
			t.Fatal("no mix")
		}
		near(t, "prompt", prompt, 200+800*c.of, c.tolerance)
		near(t, "generated", generated, 50+150*c.of, c.tolerance)
	}
}

// The tokens of an interval are of the requests that got them, be they still in the batch, ended or given up.
func TestWhoseTokensTheyAre(t *testing.T) {
	for name, c := range map[string]struct {
		x    Interval
		want float64
	}{
		"a steady pool":                           {Interval{Finished: 30}, 30},
		"it fills up: half done counts half":      {Interval{Finished: 30, Grown: 20}, 40},
		"it empties: half was done before":        {Interval{Finished: 30, Grown: -20}, 20},
		"never fewer than none":                   {Interval{Finished: 1, Grown: -20}, 0},
		"first tokens: those that fill it up":     {Interval{Finished: 30, Grown: 20, First: 50, FirstKnown: true}, 40},
		"first tokens: those that leave it":       {Interval{Finished: 30, Grown: -20, First: 10, FirstKnown: true}, 20},
		"given up while they waited: no tokens":   {Interval{Finished: 80, First: 30, FirstKnown: true}, 30},
		"all given up before their first token":   {Interval{Finished: 80, FirstKnown: true}, 0},
		"first tokens that nobody counts are not": {Interval{Finished: 30, First: 0}, 30},
	} {
		var s State
		s.Learn(c.x, goal)
		if s.Engine.Requests != c.want {
			t.Errorf("%s: %v, want %v", name, s.Engine.Requests, c.want)
		}
	}
	var s State
	s.Learn(Interval{Seconds: 15, Finished: 30, Grown: 20, Prompt: 50000, Generated: 8000}, goal)
	if prompt, generated, ok := s.Engine.Mix(); !ok || prompt != 1250 || generated != 200 {
		t.Errorf("got %v and %v, %v", prompt, generated, ok)
	}
}

func TestAQuietNightForgetsNothing(t *testing.T) {
	var s State
	now := t0
	for ; now.Before(t0.Add(4 * time.Hour)); now = now.Add(tick) {
		s.Decay(now)
		s.Learn(chat.interval(0.5+math.Mod(now.Sub(t0).Minutes(), 2)), goal)
	}
	want := s.Estimate(goal)
	for end := now.Add(10 * time.Hour); now.Before(end); now = now.Add(tick) {
		s.Decay(now)
	}
	if s.Engine.N < keepIntervals*0.999 || s.Engine.Requests < keepRequests*0.999 {
		t.Errorf("%.1f intervals and %.1f requests are left", s.Engine.N, s.Engine.Requests)
	}
	got := s.Estimate(goal)
	near(t, "capacity after the night", got.PerReplica, want.PerReplica, 1e-6)
	if got.Error < want.Error || got.Error > want.Error+0.1 {
		t.Errorf("its error went from %.3f to %.3f", want.Error, got.Error)
	}
}

// What was seen of an engine before it was changed is outweighed within hours of work.
func TestASlowerEngineIsNoticed(t *testing.T) {
	var s State
	slower := chat
	slower.generated, slower.prefilled = 0.0125, 0.0125
	now := t0
	for _, m := range []machine{chat, slower} {
		for end := now.Add(3 * time.Hour); now.Before(end); now = now.Add(tick) {
			s.Decay(now)
			s.Learn(m.interval(0.5+math.Mod(now.Sub(t0).Minutes(), 2)), goal)
		}
	}
	near(t, "capacity", s.Estimate(Config{TPOT: goal.TPOT}).PerReplica, 40/slower.slows(), 0.05)
}

func TestTimeThatGoesBackTakesNothing(t *testing.T) {
	s := experienced()
	was := s
	s.Decay(was.At.Add(-time.Hour))
	if diff := cmp.Diff(was.Engine, s.Engine); diff != "" {
		t.Errorf("an hour back (-want +got):\n%s", diff)
	}
	s.Decay(was.At.Add(-time.Hour + tick))
	if got := s.Engine.Requests / was.Engine.Requests; got < 0.98 || got > 1 {
		t.Errorf("the clock goes on from where it is: %.3f of the requests are left", got)
	}
	var never State
	never.Decay(t0)
	if !never.At.Equal(t0) || never.Engine != (Engine{}) {
		t.Errorf("the first instant: %+v", never.At)
	}
	s.Decay(was.At.AddDate(40, 0, 0))
	if got := s.Estimate(goal); !got.Known() || math.IsNaN(got.PerReplica+got.Error) {
		t.Errorf("forty years on: %+v", got)
	}
	var empty State
	empty.Decay(t0)
	empty.Decay(t0.AddDate(40, 0, 0))
	chat.teach(&empty, 20, 0.5, 1, 2)
	if got := empty.Estimate(goal); !got.Known() || math.IsNaN(got.PerReplica+got.Error) {
		t.Errorf("first used forty years on: %+v", got)
	}
}

func TestTheErrorGrowsWithWhatWasNotSeen(t *testing.T) {
	last := 0.
	for _, most := range []float64{3.3, 2.5, 2, 1.5, 1} {
		var s State
		chat.teach(&s, 20, most/3, most/2, most) // from one request in the batch on
		got := s.Estimate(goal)
		if got.Error <= last || got.Error > 0.6 {
			t.Errorf("after loads up to %.0f%%: ±%.3f, after more ±%.3f", 100*most/(40./12), got.Error, last)
		}
		last = got.Error
	}
}
