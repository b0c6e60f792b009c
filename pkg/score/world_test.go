package score_test

import (
	"math/rand/v2"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

var t0 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

const ms = time.Millisecond

// tell plays a random but seeded run to the sinks: every kind of outcome, replicas that come and go, blind decisions.
func tell(seed uint64, requests int, sinks ...replay.Sink) replay.Total {
	rng := rand.New(rand.NewPCG(seed, 1))
	total := replay.Total{ColdStarts: rng.IntN(9)}
	c := replay.Census{Desired: 2, Ready: 2}
	now := time.Duration(0)
	count := func() {
		c.At = now
		for _, s := range sinks {
			s.Counted(c)
		}
	}
	count()
	for id := range requests {
		now += time.Duration(rng.ExpFloat64() * float64(time.Second))
		r := randomRequest(rng, uint64(id+1), now)
		for _, s := range sinks {
			s.Ended(r)
		}
		if rng.IntN(5) == 0 {
			c.Starting, c.Ready = rng.Int32N(4), rng.Int32N(9)
			c.Draining, c.Unschedulable = rng.Int32N(3), rng.Int32N(2)
			c.Desired = c.Starting + c.Ready + c.Unschedulable
			count()
			d := randomDecision(rng, now, c)
			for _, s := range sinks {
				s.Decided("", d, baseline.Gateway{Queued: 3, InFlight: 2.5})
			}
		}
	}
	now += time.Duration(rng.Int64N(int64(time.Minute)))
	count()
	total.End, total.Idle = now, now/2
	return total
}

func randomRequest(rng *rand.Rand, id uint64, now time.Duration) replay.Request {
	span := func() time.Duration { return time.Duration(rng.ExpFloat64() * float64(time.Second)) }
	r := replay.Request{
		ID: id, Arrival: now, PromptTokens: 1 + rng.IntN(2000), OutputTokens: 1 + rng.IntN(3),
		TTFT: span(), TPOT: span() / 20, E2E: span(), Replica: rng.Int32N(5), Outcome: replay.Outcome(1 + rng.IntN(4)),
	}
	switch {
	case r.Outcome != replay.Completed:
		r.TPOT = -1
	case r.OutputTokens == 1:
		r.TPOT = 0
	}
	if r.Outcome == replay.TimedOut || r.Outcome == replay.Rejected {
		r.TTFT, r.Replica = -1, -1
	}
	return r
}

func randomDecision(rng *rand.Rand, now time.Duration, c replay.Census) scaling.Decision {
	d := scaling.Decision{
		Time: t0.Add(now), Current: c.Desired, Replicas: c.Desired, Ready: c.Ready, Starting: c.Starting,
		Reason: scaling.DemandMet, Blind: rng.IntN(4) == 0,
		Steps: []scaling.Step{{Stage: "hold", Replicas: c.Desired, Text: `"as it is" – unchanged`}},
	}
	if d.Blind {
		d.Reason = scaling.NoFreshData
	}
	return d
}
