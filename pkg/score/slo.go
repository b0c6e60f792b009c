package score

import (
	"errors"
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

// SLO is what requests are measured by.
type SLO struct {
	// TTFT bounds the time to the first token, TPOT the mean time per token after it. Both are above zero.
	TTFT, TPOT time.Duration
	// Attainment is the share of all requests, 0 to 1, that has to meet both.
	Attainment float64
}

// Validate reports every fault. An objective of zero is one that no request meets, and not the want of one: policies that
// steer by it could not tell.
func (s SLO) Validate() error {
	var faults []error
	for _, o := range []struct {
		name  string
		value time.Duration
	}{{"TTFT", s.TTFT}, {"TPOT", s.TPOT}} {
		if o.value <= 0 {
			faults = append(faults, fmt.Errorf("SLO.%s is %v, must be above zero; give a time that never binds, as 1h, where it does not matter", o.name, o.value))
		}
	}
	if !(s.Attainment >= 0 && s.Attainment <= 1) {
		faults = append(faults, fmt.Errorf("SLO.Attainment is %v, must lie between 0 and 1", s.Attainment))
	}
	return errors.Join(faults...)
}

// Verdict is how one request did; Both is TTFT and TPOT.
type Verdict struct{ TTFT, TPOT, Both bool }

// Judge says which objectives a request met; one that did not complete met none.
func (s SLO) Judge(r replay.Request) Verdict {
	if r.Outcome != replay.Completed {
		return Verdict{}
	}
	v := Verdict{TTFT: r.TTFT <= s.TTFT, TPOT: r.TPOT <= s.TPOT}
	v.Both = v.TTFT && v.TPOT
	return v
}

// MetBy reports whether a share of requests, 0 to 1, is as many as have to meet the objectives.
func (s SLO) MetBy(attained float64) bool { return attained >= s.Attainment }
