package loadgen

import (
	"errors"
	"math"
	"slices"
	"time"
)

// ErrNoRequests means that there is nothing to summarise.
var ErrNoRequests = errors.New("no requests")

// SLO is what a request must get: both bounds, inclusive.
type SLO struct{ TTFT, TPOT time.Duration }

// Met says whether a request got what the SLO promises; a failed one never did.
func (s SLO) Met(r Record) bool { return r.Err == "" && r.TTFT <= s.TTFT && r.TPOT <= s.TPOT }

// Summary is the outcome of a run.
type Summary struct {
	// Requests arrived, of which Errors failed and Attained met the SLO.
	Requests, Errors, Attained int
	// Attainment is the share of all arrived requests that met the SLO.
	Attainment float64
	// TTFTP50, TTFTP90 and TTFTP99 are quantiles over all requests. One that
	// never got a token counts with the time it waited in vain, so these are
	// lower bounds where there were failures.
	TTFTP50, TTFTP90, TTFTP99 time.Duration
}

// Summarize judges records by an SLO.
func Summarize(records []Record, slo SLO) (Summary, error) {
	if len(records) == 0 {
		return Summary{}, ErrNoRequests
	}
	out := Summary{Requests: len(records)}
	waits := make([]time.Duration, len(records))
	for i, r := range records {
		waits[i] = r.TTFT
		if r.TTFT == 0 {
			waits[i] = r.E2E
		}
		if r.Err != "" {
			out.Errors++
		}
		if slo.Met(r) {
			out.Attained++
		}
	}
	out.Attainment = float64(out.Attained) / float64(out.Requests)
	slices.Sort(waits)
	out.TTFTP50, out.TTFTP90, out.TTFTP99 = quantile(waits, 0.5), quantile(waits, 0.9), quantile(waits, 0.99)
	return out, nil
}

// quantile is the smallest element that at least a share q does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
