// Package replica measures how many requests a second of one core the model of one replica serves, beside a version that
// goes through every engine step.
//
//	go test -run '^$' -bench . ./benchmarks/replica
package replica

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// load is an array of Poisson arrivals with lengths as in the Azure 2023 conversation trace: prompts of 1155 tokens and
// outputs of 211 in the mean, log-normal.
type load struct {
	at       []time.Time
	requests []replica.Request
}

func draw(n int, perSecond float64) load {
	rng := rand.New(rand.NewPCG(1, 2))
	now, l := start, load{}
	for i := range n {
		now = now.Add(time.Duration(rng.ExpFloat64() / perSecond * 1e9))
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

// BenchmarkReplica serves requests as a replay does: time moves to each arrival, and what happened meanwhile is collected.
// The rate is half of what the replica can take.
func BenchmarkReplica(b *testing.B) {
	const batch = 100_000
	profile, err := replica.ProfileNamed("llama-3.1-8b-h100")
	if err != nil {
		b.Fatal(err)
	}
	l := draw(batch, 7.4)
	b.ReportAllocs()
	var events []replica.Event
	finished, steps := 0, 0.0
	for b.Loop() {
		r, err := replica.New(profile)
		if err != nil {
			b.Fatal(err)
		}
		for i := range l.requests {
			events = r.AdvanceTo(l.at[i], events[:0])
			finished += count(events)
			if err := r.Submit(l.at[i], l.requests[i]); err != nil {
				b.Fatal(err)
			}
		}
		events = r.AdvanceTo(l.at[batch-1].Add(time.Hour), events[:0])
		finished += count(events)
		steps += float64(r.Stats().Steps)
	}
	if finished != b.N*batch {
		b.Fatalf("%d of %d requests finished", finished, b.N*batch)
	}
	b.ReportMetric(float64(finished)/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(steps/float64(finished), "steps/request")
}

func count(events []replica.Event) (finished int) {
	for _, e := range events {
		if e.Kind == replica.Finished {
			finished++
		}
	}
	return finished
}
