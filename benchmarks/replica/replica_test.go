// Package replica measures how many requests a second of one core the model of one replica serves, beside a version that
// goes through every engine step.
//
//	go test -run '^$' -bench . ./benchmarks/replica
package replica

import (
	"math"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

const (
	profileName = "llama-3.1-8b-h100"
	// capacity is the rate that the profile sustains with this mix, in requests/s; BenchmarkReplica checks it.
	capacity = 15.0
	// batch is the number of requests in one round.
	batch = 100_000
)

// load is an array of Poisson arrivals with lengths as in the Azure 2023 conversation trace: prompts of 1155 tokens and
// outputs of 211 in the mean, log-normal.
type load struct {
	at       []time.Duration
	requests []replica.Request
}

func draw(n int, perSecond float64) load {
	rng := rand.New(rand.NewPCG(1, 2))
	now, l := time.Duration(0), load{}
	for i := range n {
		now += time.Duration(rng.ExpFloat64() / perSecond * 1e9)
		l.at = append(l.at, now)
		l.requests = append(l.requests, replica.Request{
			ID:           uint64(i),
			PromptTokens: length(rng, 1155, 0.9, 8000),
			OutputTokens: length(rng, 211, 0.8, 1500),
		})
	}
	return l
}

// length draws from a log-normal distribution with the given mean and standard deviation of the logarithm.
func length(rng *rand.Rand, mean, sigma float64, most int) int {
	return max(1, min(most, int(mean*math.Exp(sigma*rng.NormFloat64()-sigma*sigma/2))))
}

func profile(tb testing.TB) replica.Profile {
	tb.Helper()
	p, err := replica.ProfileNamed(profileName)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// serve offers a load as a replay does: time moves to each arrival, and what happened meanwhile is collected.
func serve(tb testing.TB, p replica.Profile, l load, events []replica.Event) (finished int, steps uint64, buffer []replica.Event) {
	tb.Helper()
	r, err := replica.New(p)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range l.requests {
		events = r.AdvanceTo(l.at[i], events[:0])
		finished += count(events)
		if err := r.Submit(l.at[i], l.requests[i]); err != nil {
			tb.Fatal(err)
		}
	}
	events = r.AdvanceTo(l.at[len(l.at)-1]+time.Hour, events[:0])
	return finished + count(events), r.Stats().Steps, events
}

func count(events []replica.Event) (finished int) {
	for _, e := range events {
		if e.Kind == replica.Finished {
			finished++
		}
	}
	return finished
}

// cpu is the processor time that this process has used: on a busy machine it says what the clock cannot.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReplica reports requests a second of the clock and of processor time, and how many times as many as with the
// stepper of the same run.
func BenchmarkReplica(b *testing.B) {
	p := profile(b)
	mix := replica.Mix{PromptTokens: 1155, OutputTokens: 211}
	if got := replica.Sustainable(p, mix, 2*time.Second, 100*time.Millisecond); math.Abs(got/capacity-1) > 0.1 {
		b.Fatalf("%s sustains %.1f requests/s, not about %v", profileName, got, capacity)
	}
	for name, share := range map[string]float64{"load=0.5": 0.5, "load=0.8": 0.8} {
		b.Run(name, func(b *testing.B) {
			l := draw(batch, share*capacity)
			stepping := stepped(b, p, load{l.at[:batch/5], l.requests[:batch/5]})
			var events []replica.Event
			var steps uint64
			finished := 0
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				n, s, buffer := serve(b, p, l, events)
				finished, steps, events = finished+n, steps+s, buffer
			}
			perSecond := float64(finished) / (cpu(b) - before).Seconds()
			if finished != b.N*batch {
				b.Fatalf("%d of %d requests finished", finished, b.N*batch)
			}
			b.ReportMetric(float64(finished)/b.Elapsed().Seconds(), "requests/s")
			b.ReportMetric(perSecond, "requests/cpu-s")
			b.ReportMetric(perSecond/stepping, "x-stepping")
			b.ReportMetric(float64(steps)/float64(finished), "steps/request")
		})
	}
}

// stepped is how many requests a second of processor time the stepper serves.
func stepped(b *testing.B, p replica.Profile, l load) float64 {
	before := cpu(b)
	s := stepper{p: p}
	s.run(l)
	return float64(len(l.requests)) / (cpu(b) - before).Seconds()
}

// Both serve the same load in the same number of steps to the same end: what is compared does the same.
func TestStepperAgrees(t *testing.T) {
	p := profile(t)
	for _, share := range []float64{0.3, 0.5, 0.8} {
		l := draw(3000, share*capacity)
		s := stepper{p: p}
		end, steps := s.run(l)
		r, err := replica.New(p)
		if err != nil {
			t.Fatal(err)
		}
		for i := range l.requests {
			if err := r.Submit(l.at[i], l.requests[i]); err != nil {
				t.Fatal(err)
			}
		}
		events := r.Advance(l.at[len(l.at)-1] + time.Hour)
		last := float64(events[len(events)-1].At) / float64(time.Millisecond)
		if got := r.Stats(); int(got.Steps) != steps || got.Preemptions != 0 {
			t.Errorf("load %v: %d steps and %d evictions, stepping took %d steps", share, got.Steps, got.Preemptions, steps)
		}
		if math.Abs(last/end-1) > 1e-6 {
			t.Errorf("load %v: the last request ended after %v ms, stepping after %v", share, last, end)
		}
	}
}
