package score

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

// SLO is what requests are measured by.
type SLO struct {
	// TTFT bounds the time to the first token, TPOT the mean time per token after it; zero is no objective.
	TTFT, TPOT time.Duration
	// Attainment is the share of all requests, 0 to 1, that has to meet both.
	Attainment float64
}

// Verdict is how one request did; Both is TTFT and TPOT.
type Verdict struct{ TTFT, TPOT, Both bool }

// Judge says which objectives a request met; one that did not complete met none.
func (s SLO) Judge(r replay.Request) Verdict {
	if r.Outcome != replay.Completed {
		return Verdict{}
	}
	v := Verdict{TTFT: s.TTFT <= 0 || r.TTFT <= s.TTFT, TPOT: s.TPOT <= 0 || r.TPOT <= s.TPOT}
	v.Both = v.TTFT && v.TPOT
	return v
}

// MetBy reports whether a share of requests, 0 to 1, is as many as have to meet the objectives.
func (s SLO) MetBy(attained float64) bool { return attained >= s.Attainment }
