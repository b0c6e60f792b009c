package score

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

// firstTokens is the distribution of the times to the first token of all requests. One that had none stands behind all
// that had, at the longest wait of the run: its own had no end, and a policy that sends requests away must not look faster
// for it.
type firstTokens struct {
	had     Sketch
	vain    uint64
	longest time.Duration
}

func (f *firstTokens) take(r replay.Request) {
	if r.TTFT >= 0 {
		f.had.Observe(r.TTFT)
		f.longest = max(f.longest, r.TTFT)
		return
	}
	f.vain++
	f.longest = max(f.longest, r.E2E)
}

// latency returns the quantiles that are reported, nil where no request had a first token or waited for one.
func (f *firstTokens) latency() *Latency {
	if f.had.Count() == 0 && f.longest == 0 {
		return nil
	}
	all := f.had
	all.add(f.longest, f.vain)
	return all.latency()
}
