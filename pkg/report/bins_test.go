package report

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// truth is a dumb twin of the recorder: it keeps all that it is told.
type truth struct {
	requests []replay.Request
	census   []replay.Census
	decided  int
}

// replaySome tells a recorder of a random run that lasts the given time, and the twin the same.
func replaySome(rng *rand.Rand, length time.Duration) (*Recorder, *truth) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := NewRecorder(Options{Policy: "p", Start: start, SLO: score.SLO{TTFT: time.Second, TPOT: time.Second}, GPUs: 1})
	w := &truth{}
	within := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d) + 1)) }
	for t := time.Duration(0); t < length; t += within(length / 500) {
		c := replay.Census{At: t, Desired: rng.Int32N(9), Starting: rng.Int32N(3), Ready: rng.Int32N(9), Draining: rng.Int32N(2), Unschedulable: rng.Int32N(2)}
		r.Counted(c)
		w.census = append(w.census, c)
		for range rng.IntN(4) {
			q := replay.Request{Arrival: within(t), Outcome: replay.Completed}
			q.E2E = within(t - q.Arrival)
			q.TTFT = within(q.E2E)
			if rng.IntN(5) == 0 {
				q.TTFT, q.TPOT, q.Outcome = -1, -1, replay.TimedOut
			}
			r.Ended(q)
			w.requests = append(w.requests, q)
		}
		r.Decided("", scaling.Decision{Time: start.Add(t), Replicas: c.Desired, Reason: scaling.DemandMet}, baseline.Gateway{})
		w.decided++
	}
	c := replay.Census{At: length}
	r.Counted(c)
	w.census = append(w.census, c)
	return r, w
}

// Whatever the length and however often the bins were folded, what they hold adds up to what happened.
func TestBinsAddUpToWhatHappened(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		length := time.Duration(math.Exp(rng.Float64()*16) * float64(time.Second)) // a second to three months
		r, w := replaySome(rng, length)
		run := r.Run()
		if n := len(run.bins.list); n > mostBins || n == 0 {
			t.Fatalf("seed %d, %v: %d bins, at most %d are wanted", seed, length, n, mostBins)
		}
		var got, want struct{ arrived, missed, ready, starting, desired, waited float64 }
		for i, x := range run.bins.waiting(run.end) {
			b := &run.bins.list[i]
			got.arrived, got.missed = got.arrived+float64(b.arrived), got.missed+float64(b.missed)
			got.ready, got.starting, got.desired = got.ready+b.ready, got.starting+b.starting, got.desired+b.desired
			got.waited += x * run.bins.length(i, run.end)
		}
		for i, c := range w.census[1:] {
			was, s := w.census[i], (c.At - w.census[i].At).Seconds()
			want.ready, want.starting, want.desired = want.ready+s*float64(was.Ready), want.starting+s*float64(was.Starting), want.desired+s*float64(was.Desired)
		}
		for _, q := range w.requests {
			want.arrived++
			wait := q.TTFT
			if q.Outcome != replay.Completed {
				wait = q.E2E
			}
			if q.Outcome != replay.Completed || q.TTFT > time.Second {
				want.missed++
			}
			want.waited += wait.Seconds()
		}
		for _, x := range []struct {
			name      string
			got, want float64
		}{
			{"arrived", got.arrived, want.arrived},
			{"missed", got.missed, want.missed},
			{"ready replica-seconds", got.ready, want.ready},
			{"starting replica-seconds", got.starting, want.starting},
			{"desired replica-seconds", got.desired, want.desired},
			{"waited request-seconds", got.waited, want.waited},
		} {
			if math.Abs(x.got-x.want) > 1e-6*(1+math.Abs(x.want)) {
				t.Errorf("seed %d, %v: %s: bins hold %g, %g happened", seed, length, x.name, x.got, x.want)
			}
		}
	}
}

// What is in one bin has the TTFT that the score of the same requests has, whatever share of them had none.
func TestTheTTFTOfABinIsThatOfTheScore(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 2))
		r, c := NewRecorder(Options{}), score.NewCollector(score.Options{})
		inVain := rng.Float64()*1.2 - 0.1
		for range 1 + rng.IntN(300) {
			wait := time.Duration((0.01 + rng.ExpFloat64()) * float64(time.Second))
			q := replay.Request{TTFT: wait, E2E: 2 * wait, TPOT: time.Millisecond, OutputTokens: 2, Outcome: replay.Completed}
			if rng.Float64() < inVain { // rejected at once, or given up after a while
				q.TTFT, q.TPOT, q.E2E, q.Outcome = -1, -1, time.Duration(rng.IntN(2))*4*wait, replay.Rejected
			}
			r.Ended(q)
			c.Ended(q)
		}
		run, want := r.Run(), c.Score(replay.Total{}).TTFT
		if want == nil { // nobody waited at all
			continue
		}
		for q, want := range map[float64]float64{0.5: want.P50, 0.99: want.P99} {
			if got := run.bins.list[0].firstToken(q, run.longest.Seconds()); got < want/1.13-0.001 || got > want*1.13+0.001 {
				t.Errorf("seed %d: the %v-quantile of the bin is %v s, that of the score %v s", seed, q, got, want)
			}
		}
	}
	if got := new(bin).firstToken(0.5, 3); !math.IsNaN(got) {
		t.Errorf("quantile of a bin without requests: got %g, want NaN", got)
	}
}

// The more runs share a page, the less is kept of each, and what the page shows of them is the same.
func TestARunAmongManyKeepsWhatThePageShows(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	r, _ := replaySome(rng, time.Hour)
	const among = 48
	alone := r.Run()
	r.options.Among = among
	shared := r.Run()
	if n, most := len(shared.bins.list), mostPageBins/among; n > most || n >= len(alone.bins.list) {
		t.Errorf("%d bins are kept among %d runs, want at most %d and fewer than the %d of a run alone", n, among, most, len(alone.bins.list))
	}
	want := alone.bins.clone(boundsOf(among).bins)
	if shared.bins.width != want.width || len(shared.bins.list) != len(want.list) {
		t.Fatalf("%d bins of %v, want %d of %v", len(shared.bins.list), shared.bins.width, len(want.list), want.width)
	}
	for i := range want.list {
		if got, want := shared.bins.list[i].firstToken(0.9, 9), want.list[i].firstToken(0.9, 9); got != want && !math.IsNaN(want) {
			t.Errorf("bin %d: %v s, want %v s", i, got, want)
		}
	}
}

// A forecast belongs to the time that it is for, not to the time at which it was made.
func TestForecastsStandAtTheTimeTheyAreFor(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := NewRecorder(Options{Start: start})
	d := scaling.Decision{Time: start.Add(10 * time.Second)}
	d.Forecast.Horizon, d.Forecast.Point, d.Forecast.Upper = 20*time.Second, 7, 9
	r.Decided("", d, baseline.Gateway{})
	r.Counted(replay.Census{At: time.Minute})
	run := r.Run()
	for i := range run.bins.list {
		b, from := &run.bins.list[i], time.Duration(i)*run.bins.width
		if there := from <= 30*time.Second && 30*time.Second < from+run.bins.width; there != (b.point.n == 1) {
			t.Errorf("bin from %v has %d forecasts", from, b.point.n)
		} else if there && (b.point.value() != 7 || b.upper.value() != 9) {
			t.Errorf("forecast %g, upper %g; want 7, 9", b.point.value(), b.upper.value())
		}
	}
}

func TestQuantilesAreRightToABucket(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for _, n := range []int{20, 100, 5000} {
		var s, other sketch
		values := make([]float64, n)
		for i := range values {
			values[i] = math.Exp(2*rng.NormFloat64() - 1)
			if i%2 == 0 {
				s.add(values[i])
			} else {
				other.add(values[i])
			}
		}
		s.merge(&other)
		slices.Sort(values)
		for _, q := range []float64{0.1, 0.5, 0.9, 0.99} {
			want := values[int(math.Ceil(q*float64(n)))-1]
			if got := s.quantile(q); got < want/1.125 || got > want*1.125 {
				t.Errorf("%g-quantile of %d values: got %g, want %g within a bucket", q, n, got, want)
			}
		}
	}
	if got := new(sketch).quantile(0.5); !math.IsNaN(got) {
		t.Errorf("quantile of nothing: got %g, want NaN", got)
	}
}
