package report

import (
	"math"

	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// result is a cell as the page judges it. GPU-hours and their ratio to the oracle's are NaN where not known.
type result struct {
	policy       string
	hours, ratio float64
	// leastHours and mostHours bound the mean GPU-hours over the seeds.
	leastHours, mostHours float64
	// attained is the share of all requests that met the SLO, low and high bound its mean over the seeds.
	attained, low, high float64
	seeds               int
	standing            score.Standing
}

func judge(c *score.Cell, slo score.SLO) result {
	r := result{
		policy: c.Policy, hours: figure(c.Figures, "gpu_hours"), ratio: figure(c.ToOracle, "gpu_hours"),
		attained: c.Attained(), seeds: len(c.Runs), standing: c.Standing(slo),
	}
	r.low, r.high = interval(c.Figures["attainment"], r.attained)
	r.low, r.high = max(0, r.low), min(1, r.high)
	r.leastHours, r.mostHours = interval(c.Figures["gpu_hours"], r.hours)
	return r
}

// figure is the mean of a figure, NaN where there is none.
func figure(figures map[string]score.Interval, name string) float64 {
	if i, ok := figures[name]; ok {
		return i.Mean
	}
	return math.NaN()
}

// interval bounds a mean, by itself where it is all that is known.
func interval(i score.Interval, mean float64) (low, high float64) {
	if i.Low == nil || i.High == nil {
		return mean, mean
	}
	return *i.Low, *i.High
}
