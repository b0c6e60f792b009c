package fidelity

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// Assumptions are what a prediction rests on beside the point itself.
type Assumptions struct {
	Coefficients replica.Coefficients
	// ComputedShare is the share of the prompt tokens that the prefix cache does
	// not supply, 0 to 1.
	ComputedShare float64
}

// Default assumes that a tenth of each prompt is computed: the measured runs are
// of several turns that share their beginnings. Their TTFT hardly depends on the
// length of the prompt, and what it leaves for computing after the steps that a
// request waits for is between 5 and 20 % of the prompt.
func Default() Assumptions {
	return Assumptions{Coefficients: replica.DefaultCoefficients(), ComputedShare: 0.1}
}

// load is how long arrivals are simulated.
const load = 20 * time.Minute

// Predict serves the load of a point on a replica derived for it.
func (a Assumptions) Predict(p Point) (Latencies, error) {
	profile, err := a.profile(p)
	if err != nil {
		return Latencies{}, err
	}
	r, err := replica.New(profile)
	if err != nil {
		return Latencies{}, fmt.Errorf("%s on %d %s: %w", p.Model, p.TP, p.GPU, err)
	}
	next := poisson(p.Rate)
	if p.Clients > 0 {
		next = closed(p.Clients)
	}
	share := a.ComputedShare
	if p.ComputedShare > 0 {
		share = p.ComputedShare
	}
	request := replica.Request{
		PromptTokens: int(p.Prompt), OutputTokens: int(p.Output), CachedTokens: int(p.Prompt * (1 - share)),
	}
	if err := serve(r, next, request); err != nil {
		return Latencies{}, fmt.Errorf("%s on %d %s: %w", p.Model, p.TP, p.GPU, err)
	}
	s := r.Stats()
	mean := func(h replica.Histogram) float64 { return 1e3 * h.Sum / float64(max(1, h.Count())) }
	return Latencies{TTFT: mean(s.TTFT), ITL: mean(s.ITL), E2E: mean(s.E2E)}, nil
}

// arrivals says when the next request comes, as time since the start, if so many
// came and so many have finished by now; not ok while it waits for one to finish.
type arrivals func(came, finished int, now time.Duration) (at time.Duration, ok bool)

func poisson(rate float64) arrivals {
	rng := rand.New(rand.NewPCG(1, 2))
	var at time.Duration
	drawn := 0
	return func(came, _ int, _ time.Duration) (time.Duration, bool) {
		for ; drawn <= came; drawn++ {
			at += time.Duration(rng.ExpFloat64() / rate * float64(time.Second))
		}
		return at, true
	}
}

// closed is a number of clients that begin a little after one another, lest they
// keep in step for ever.
func closed(clients int) arrivals {
	const apart = 20 * time.Millisecond
	return func(came, finished int, now time.Duration) (time.Duration, bool) {
		if came < clients {
			return max(now, time.Duration(came)*apart), true
		}
		return now, came-finished < clients
	}
}

// serve offers requests like q for the length of the load and waits for the last
// to end.
func serve(r *replica.Replica, next arrivals, q replica.Request) error {
	var events []replica.Event
	var now time.Duration
	came, finished := 0, 0
	for {
		at, ok := next(came, finished, now)
		if at > load {
			break
		}
		event := r.NextEvent()
		if ok && at <= event {
			q.ID = uint64(came)
			came++
			if err := r.Submit(at, q); err != nil {
				return err
			}
			continue
		}
		events = r.AdvanceTo(event, events[:0])
		now = event
		finished += count(events)
	}
	r.Advance(2 * load)
	return nil
}

// count is how many requests finished.
func count(events []replica.Event) (finished int) {
	for _, e := range events {
		if e.Kind == replica.Finished {
			finished++
		}
	}
	return finished
}

// profile derives a replica for a point, with the limits that its engine had.
func (a Assumptions) profile(p Point) (replica.Profile, error) {
	shape, err := replica.ShapeOf(p.Model)
	if err != nil {
		return replica.Profile{}, err
	}
	gpu, err := accelerator(p.GPU)
	if err != nil {
		return replica.Profile{}, err
	}
	profile := a.Coefficients.Derive(shape, gpu, p.TP)
	profile.Name = p.Model
	if p.KVTokens > 0 {
		profile.KVTokens = p.KVTokens
	}
	if p.MaxNumSeqs > 0 {
		profile.MaxNumSeqs = p.MaxNumSeqs
	}
	if p.MaxNumBatchedTokens > 0 {
		profile.MaxNumBatchedTokens = p.MaxNumBatchedTokens
	}
	return profile, nil
}

func accelerator(name string) (replica.GPU, error) {
	switch strings.ToUpper(name) {
	case "H100":
		return replica.H100, nil
	case "H200":
		return replica.H200, nil
	case "A100":
		return replica.A100, nil
	case "L40S":
		return replica.L40S, nil
	case "A10", "A10G":
		return replica.A10, nil
	}
	return replica.GPU{}, fmt.Errorf("no figures for the GPU %q: known are A10, L40S, A100, H100, H200", name)
}
