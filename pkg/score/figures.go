package score

// Figure is one number of a Score under its stable name: the key in summary.json, the column of the comparison's CSV.
type Figure struct {
	Name string
	// Of returns the number, false where the run has none.
	Of func(Score) (float64, bool)
}

// Figures are the numbers that are compared, in the order of the CSV's columns.
func Figures() []Figure {
	return append([]Figure{
		{"attainment", func(s Score) (float64, bool) { return s.attainment(func(a Attainment) float64 { return a.Both }) }},
		{"attainment_ttft", func(s Score) (float64, bool) { return s.attainment(func(a Attainment) float64 { return a.TTFT }) }},
		{"attainment_tpot", func(s Score) (float64, bool) { return s.attainment(func(a Attainment) float64 { return a.TPOT }) }},
		{"gpu_hours", always(func(s Score) float64 { return s.GPUHours.Total })},
		{"gpu_hours_running", always(func(s Score) float64 { return s.GPUHours.Running })},
		{"gpu_hours_idle", always(func(s Score) float64 { return s.GPUHours.Idle })},
		{"gpu_hours_loading", always(func(s Score) float64 { return s.GPUHours.Loading })},
		{"gpu_hours_draining", always(func(s Score) float64 { return s.GPUHours.Draining })},
		{"gpu_hours_warm", always(func(s Score) float64 { return s.GPUHours.Warm })},
		{"cost", func(s Score) (float64, bool) { return s.Cost, s.Price > 0 }},
		{"ttft_p50_s", p50(ttft)},
		{"ttft_p90_s", p90(ttft)},
		{"ttft_p99_s", p99(ttft)},
		{"tpot_p50_s", p50(tpot)},
		{"tpot_p90_s", p90(tpot)},
		{"tpot_p99_s", p99(tpot)},
		{"e2e_p50_s", p50(e2e)},
		{"e2e_p90_s", p90(e2e)},
		{"e2e_p99_s", p99(e2e)},
		{"goodput_requests_per_s", func(s Score) (float64, bool) { return s.goodput(func(g Goodput) float64 { return g.Requests }) }},
		{"goodput_tokens_per_s", func(s Score) (float64, bool) { return s.goodput(func(g Goodput) float64 { return g.OutputTokens }) }},
		{"requests", count(func(s Score) uint64 { return s.Requests.Arrived })},
		{"completed", count(func(s Score) uint64 { return s.Requests.Completed })},
		{"timed_out", count(func(s Score) uint64 { return s.Requests.TimedOut })},
		{"rejected", count(func(s Score) uint64 { return s.Requests.Rejected })},
		{"lost", count(func(s Score) uint64 { return s.Requests.Lost })},
		{"scale_events", always(func(s Score) float64 { return float64(s.Scaling.Events()) })},
		{"flapping", always(func(s Score) float64 { return float64(s.Scaling.Flapping) })},
		{"cold_starts", always(func(s Score) float64 { return float64(s.Scaling.ColdStarts) })},
		{"crashes", always(func(s Score) float64 { return float64(s.Scaling.Crashes) })},
		{"blind_s", always(func(s Score) float64 { return s.Blind })},
		{"unschedulable_s", always(func(s Score) float64 { return s.Unschedulable })},
		{"replicas_mean", always(func(s Score) float64 { return s.Replicas.Mean })},
		{"replicas_max", always(func(s Score) float64 { return float64(s.Replicas.Max) })},
	}, zeroFigures()...)
}

func always(of func(Score) float64) func(Score) (float64, bool) {
	return func(s Score) (float64, bool) { return of(s), true }
}

func count(of func(Score) uint64) func(Score) (float64, bool) {
	return func(s Score) (float64, bool) { return float64(of(s)), true }
}

func (s Score) attainment(of func(Attainment) float64) (float64, bool) {
	if s.Attainment == nil {
		return 0, false
	}
	return of(*s.Attainment), true
}

func (s Score) goodput(of func(Goodput) float64) (float64, bool) {
	if s.Goodput == nil {
		return 0, false
	}
	return of(*s.Goodput), true
}

// distribution picks one latency of a score.
type distribution func(Score) *Latency

func ttft(s Score) *Latency { return s.TTFT }
func tpot(s Score) *Latency { return s.TPOT }
func e2e(s Score) *Latency  { return s.E2E }

func p50(d distribution) func(Score) (float64, bool) {
	return d.figure(func(l Latency) float64 { return l.P50 })
}

func p90(d distribution) func(Score) (float64, bool) {
	return d.figure(func(l Latency) float64 { return l.P90 })
}

func p99(d distribution) func(Score) (float64, bool) {
	return d.figure(func(l Latency) float64 { return l.P99 })
}

func (d distribution) figure(of func(Latency) float64) func(Score) (float64, bool) {
	return func(s Score) (float64, bool) {
		l := d(s)
		if l == nil {
			return 0, false
		}
		return of(*l), true
	}
}
