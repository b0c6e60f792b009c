package capacity_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

const (
	large, small = "llama-3.1-70b-h100x4", "llama-3.1-8b-a100"
	scrape       = 15 * time.Second
)

// objectives are those of a profile: TPOT 100 ms for the large model, 50 ms for the small one.
func objectives(profile string) capacity.Config {
	c := capacity.Config{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond, Attainment: 0.99}
	if profile == small {
		c.TPOT = 50 * time.Millisecond
	}
	return c
}

// fleet is some simulated replicas behind a router to the one with the fewest requests, under a chat-like load.
type fleet struct {
	replicas  []*replica.Replica
	before    []replica.Stats
	config    capacity.Config
	most      float64
	random    *rand.Rand
	even      bool
	now, next time.Duration
	asked     map[uint64]asked
	good, all float64
}

// asked is a request under way; first is when its first token came, zero before.
type asked struct {
	at, first time.Duration
	output    int
}

func newFleet(t testing.TB, profile string, replicas int) *fleet {
	t.Helper()
	p, err := replica.ProfileNamed(profile)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{
		config: objectives(profile), most: float64(p.MaxNumSeqs), random: rand.New(rand.NewPCG(11, 12)), asked: map[uint64]asked{},
	}
	for range replicas {
		r, err := replica.New(p)
		if err != nil {
			t.Fatal(err)
		}
		f.replicas, f.before = append(f.replicas, r), append(f.before, r.Stats())
	}
	return f
}

// serve lets time pass with so many requests per second, Poisson ones or, where they are even, at equal distances.
func (f *fleet) serve(t testing.TB, d time.Duration, rate float64) {
	t.Helper()
	for f.now += d; f.next <= f.now; {
		f.advance(f.next)
		q := replica.Request{
			ID:           uint64(len(f.asked)) + uint64(f.all) + 1,
			PromptTokens: 50 + int(math.Min(4000, 1100*math.Exp(0.7*f.random.NormFloat64()-0.25))),
			OutputTokens: 5 + int(math.Min(1000, 205*math.Exp(0.8*f.random.NormFloat64()-0.32))),
		}
		if err := f.least().Submit(f.next, q); err != nil {
			t.Fatal(err)
		}
		f.asked[q.ID] = asked{at: f.next, output: q.OutputTokens}
		gap := 1 / rate
		if !f.even {
			gap *= f.random.ExpFloat64()
		}
		f.next += time.Duration(gap * float64(time.Second))
	}
	f.advance(f.now)
}

// least is the replica with the fewest requests.
func (f *fleet) least() *replica.Replica {
	best := f.replicas[0]
	for _, r := range f.replicas[1:] {
		if r.Inflight() < best.Inflight() {
			best = r
		}
	}
	return best
}

func (f *fleet) advance(to time.Duration) {
	for _, r := range f.replicas {
		for _, e := range r.Advance(to) {
			q := f.asked[e.ID]
			if q.first == 0 {
				q.first = e.At
				f.asked[e.ID] = q
			}
			if e.Kind != replica.Finished {
				continue
			}
			f.all++
			if q.first-q.at <= f.config.TTFT && e.At-q.first <= time.Duration(q.output-1)*f.config.TPOT {
				f.good++
			}
			delete(f.asked, e.ID)
		}
	}
}

// attained serves for a while and returns the share of good requests of those that ended; what is left unserved beyond
// half a minute's arrivals missed.
func (f *fleet) attained(t testing.TB, d time.Duration, rate float64) float64 {
	good, all := f.good, f.all
	for end := f.now + d; f.now < end; {
		f.serve(t, scrape, rate)
	}
	left := math.Max(0, float64(len(f.asked))-30*rate-20)
	return (f.good - good) / (f.all - all + left)
}

// learn serves one scrape interval and has the state learn from it.
func (f *fleet) learn(t testing.TB, s *capacity.State, rate float64) {
	t.Helper()
	f.serve(t, scrape, rate)
	s.Decay(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).Add(f.now))
	for i, r := range f.replicas {
		after := r.Stats()
		x := interval(f.before[i], after)
		x.Max = f.most
		s.Learn(x, f.config)
		f.before[i] = after
	}
	s.Close(capacity.Tick{
		Seconds: scrape.Seconds(), Rate: rate, Recent: rate, Replicas: int32(len(f.replicas)), Foreseen: rate,
	}, f.config)
}

// interval is what two sets of statistics teach.
func interval(a, b replica.Stats) capacity.Interval {
	diff := func(x, y replica.Histogram) *signals.Histogram {
		h := &signals.Histogram{Bounds: y.Bounds, Sum: y.Sum - x.Sum}
		var sum float64
		for i := range y.Counts {
			sum += float64(y.Counts[i] - x.Counts[i])
			h.Counts = append(h.Counts, sum)
		}
		return h
	}
	itl := diff(a.ITL, b.ITL)
	mean, _ := itl.Mean()
	first, prompt := diff(a.TTFT, b.TTFT), float64(b.PromptTokens-a.PromptTokens)
	return capacity.Interval{
		Seconds: scrape.Seconds(), Running: float64(a.Running+b.Running) / 2, Grown: float64(b.Running - a.Running),
		Waiting: float64(min(a.Waiting, b.Waiting)), Preemptions: float64(b.Preemptions - a.Preemptions),
		First: first.Count(), FirstKnown: true, Finished: float64(b.Finished - a.Finished), Prompt: prompt, Prefilled: prompt,
		Generated: float64(b.GenerationTokens - a.GenerationTokens), ITL: mean, Tokens: itl.Count(),
		TTFT: first, TPOT: diff(a.TPOT, b.TPOT), KV: (a.KVUsage + b.KVUsage) / 2,
	}
}

// edge finds by bisection the even rate at which half of the requests are good.
func edge(t testing.TB, profile string) float64 {
	low, high := 0.1, 60.0
	for high/low > 1.02 {
		rate := math.Sqrt(low * high)
		f := newFleet(t, profile, 1)
		f.even = true
		if f.attained(t, 5*time.Minute, rate) >= 0.5 {
			low = rate
		} else {
			high = rate
		}
	}
	return low
}

// The capacity learned lies within a stated band of the rate from which on a simulated replica misses.
func TestLearnedCapacityAgainstTheSimulatedReplica(t *testing.T) {
	truth := map[string]float64{large: edge(t, large), small: edge(t, small)}
	for name, c := range map[string]struct {
		loads     []float64 // shares of the true capacity, a quarter of an hour each
		low, high float64
	}{
		"light load":          {[]float64{0.1, 0.2, 0.3, 0.2}, 0.9, 1.1},
		"medium load":         {[]float64{0.3, 0.5, 0.7, 0.5}, 0.88, 1.12},
		"heavy load":          {[]float64{0.6, 0.8, 0.95, 0.8}, 0.92, 1.1},
		"overload":            {[]float64{0.5, 0.8, 1.2, 0.5}, 0.92, 1.1},
		"drowned at first":    {[]float64{2, 0.1, 0.5, 0.7}, 0.85, 1.15},
		"one load throughout": {[]float64{0.5, 0.5, 0.5, 0.5}, 0.9, 1.1},
	} {
		for _, profile := range []string{large, small} {
			t.Run(profile+" "+name, func(t *testing.T) {
				f := newFleet(t, profile, 1)
				var s capacity.State
				for _, load := range c.loads {
					for range 60 {
						f.learn(t, &s, truth[profile]*load)
					}
				}
				got := s.Estimate(f.config)
				share := got.PerReplica / truth[profile]
				t.Logf("%.2f of the %.2f requests/s at its edge: %s", share, truth[profile], got.Text)
				if !(share > c.low && share < c.high) {
					t.Errorf("learned %.2f of the true %.2f requests/s, want %.2f to %.2f", share, truth[profile], c.low, c.high)
				}
			})
		}
	}
}

// The steps of a replica that gets twice its load from the first minute on say nothing: nothing is claimed to be known.
func TestNothingIsLearnedFromAReplicaThatDrowns(t *testing.T) {
	f := newFleet(t, large, 1)
	var s capacity.State
	for range 60 {
		f.learn(t, &s, 2*8.2)
	}
	if got := s.Estimate(f.config); got.Known() {
		t.Errorf("got %+v", got)
	}
}

// A pool of as many replicas as are planned misses what the plan expects of Poisson arrivals: to within 2 % of requests
// where a miss is dear enough to attain about 99 %, else as far as the error of the capacity goes.
func TestPlansAgainstSimulatedPools(t *testing.T) {
	for _, profile := range []string{large, small} {
		truth := edge(t, profile)
		for _, replicas := range []int{1, 3, 8} {
			f := newFleet(t, profile, replicas)
			var s capacity.State
			n := float64(replicas)
			for i := range 60 * 4 { // an hour at 0.45 to 0.85 of the edge
				f.learn(t, &s, n*truth*(0.65+0.2*math.Sin(float64(i)/20)))
			}
			mu, staffing := s.Estimate(f.config).PerReplica, s.Staffing(f.config)
			for _, price := range []float64{10, 150} {
				staffing.Price, staffing.Headroom = price, price
				plan, rate := largest(staffing, n, mu)
				f.serve(t, time.Minute, rate)
				missed := 1 - f.attained(t, 40*time.Minute, rate)
				known := staffing
				known.Variance = 0
				off := math.Exp(1.5 * math.Sqrt(staffing.Variance))
				best, worst := known.Misses(rate/mu/off, n), known.Misses(rate/mu*off, n)
				t.Logf("%s, %d replicas at %.2f of their edge's load, price %v, ±%.0f%%: %.2f%% missed, %.2f%% expected, %.2f%% to %.2f%%", profile, replicas,
					rate/n/truth, staffing.Price, 100*math.Sqrt(staffing.Variance), 100*missed, 100*plan.Misses, 100*best, 100*worst)
				if missed < best-0.01 || missed > worst {
					t.Errorf("%s, %d replicas, price %v: %.2f%% missed, %.2f%% to %.2f%% expected", profile, replicas, price, 100*missed, 100*best, 100*worst)
				}
				if price > 100 && math.Abs(missed-plan.Misses) > 0.02 {
					t.Errorf("%s, %d replicas, price %v: %.2f%% missed, %.2f%% expected", profile, replicas, price, 100*missed, 100*plan.Misses)
				}
			}
		}
	}
}

// largest is the largest load in requests per second that so many replicas are planned for, and the plan.
func largest(s capacity.Staffing, replicas, perReplica float64) (plan capacity.Plan, rate float64) {
	for r := 0.05 * perReplica; ; r *= 1.01 {
		p := s.Plan([]capacity.Demand{{Busy: r / perReplica, Probability: 1}})
		if p.Replicas > replicas {
			return plan, rate
		}
		plan, rate = p, r
	}
}
