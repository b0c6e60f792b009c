package score

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Confidence is that of every Interval.
const Confidence = 0.95

// FewestSeeds is how many make an interval. With two, Student's t is 12.7, and the interval reaches to either side 6.4 times
// as far as they are apart: it says nothing.
const FewestSeeds = 3

// Interval is the mean of a figure over the seeds that have it.
type Interval struct {
	Mean float64 `json:"mean"`
	// Low and High bound the mean with Confidence, by Student's t distribution; nil with fewer seeds than FewestSeeds.
	Low  *float64 `json:"low,omitempty"`
	High *float64 `json:"high,omitempty"`
	// Seeds is the number of runs behind it.
	Seeds int `json:"seeds"`
}

// Mean returns the mean of values and its interval; false where there are none. Values must be finite.
func Mean(values []float64) (Interval, bool) {
	n := len(values)
	if n == 0 {
		return Interval{}, false
	}
	mean, deviation := stat.MeanStdDev(values, nil)
	mean = min(max(mean, slices.Min(values)), slices.Max(values)) // rounding moves the mean of 0.99, 0.99 and 0.99 below it
	i := Interval{Mean: mean, Seeds: n}
	if slices.Min(values) == slices.Max(values) {
		deviation = 0 // and rounding gives equal values one
	}
	if n >= FewestSeeds {
		t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)}.Quantile((1 + Confidence) / 2)
		half := t * deviation / math.Sqrt(float64(n))
		low, high := mean-half, mean+half
		i.Low, i.High = &low, &high
	}
	return i, true
}

// within cuts off what of the interval cannot be.
func (i Interval) within(least, most float64) Interval {
	if i.Low == nil {
		return i
	}
	low, high := max(*i.Low, least), min(*i.High, most)
	i.Low, i.High = &low, &high
	return i
}

// Cell is one policy under one lead time, over all its seeds.
type Cell struct {
	Policy string `json:"-"`
	Target string `json:"target,omitempty"`
	// LeadTime is the median in seconds.
	LeadTime float64 `json:"lead_time_s"`
	// Figures are the means by the names of Figures; what no run has is absent.
	Figures map[string]Interval `json:"figures"`
	// ToOracle are ratios to the oracle's run of the same seed and lead time, by the same names; absent where there is
	// none, or its figure is zero.
	ToOracle map[string]Interval `json:"ratio_to_oracle,omitempty"`
	// Runs are the scores behind it, by seed.
	Runs []Score `json:"runs"`
}

// Value returns the mean of a figure, false where no run has it.
func (c Cell) Value(figure string) (float64, bool) {
	i, ok := c.Figures[figure]
	return i.Mean, ok
}

// Attained is the mean attainment; one where no request came.
func (c Cell) Attained() float64 {
	if v, ok := c.Value("attainment"); ok {
		return v
	}
	return 1
}

// Compare groups scores by policy, target and lead time, in the order in which these first occur, and sets each beside
// the policy called oracle, where there is one.
func Compare(scores []Score, oracle string) []Cell {
	var cells []Cell
	for _, s := range scores {
		i := slices.IndexFunc(cells, func(c Cell) bool { return c.holds(s) })
		if i < 0 {
			i = len(cells)
			cells = append(cells, Cell{Policy: s.Policy, Target: s.Target, LeadTime: s.LeadTime})
		}
		cells[i].Runs = append(cells[i].Runs, s)
	}
	best := runsOf(scores, oracle)
	for i := range cells {
		cells[i].summarize(best)
	}
	return cells
}

func (c Cell) holds(s Score) bool {
	return c.Policy == s.Policy && c.Target == s.Target && c.LeadTime == s.LeadTime
}

// summarize fills in the means over the runs and over their ratios to the best ones.
func (c *Cell) summarize(best map[runKey]Score) {
	slices.SortStableFunc(c.Runs, func(a, b Score) int { return cmp.Compare(a.Seed, b.Seed) })
	c.Figures, c.ToOracle = map[string]Interval{}, map[string]Interval{}
	for _, f := range Figures() {
		var values, ratios []float64
		for _, run := range c.Runs {
			if v, ok := f.Of(run); ok {
				values = append(values, v)
			}
			if r, ok := f.Ratio(run, best[run.runKey()]); ok {
				ratios = append(ratios, r)
			}
		}
		note(c.Figures, f.Name, values, f.most())
		note(c.ToOracle, f.Name, ratios, math.Inf(1))
	}
}

// note keeps the mean of a figure that is an amount, and as such from zero to most.
func note(m map[string]Interval, name string, values []float64, most float64) {
	if i, ok := Mean(values); ok {
		m[name] = i.within(0, most)
	}
}

// most is what the figure can be at most: one where it is a share of requests, else without a bound.
func (f Figure) most() float64 {
	if strings.HasPrefix(f.Name, "attainment") {
		return 1
	}
	return math.Inf(1)
}

// Ratio is a figure of a run over the same of another; false where either lacks it or the other's is zero.
func (f Figure) Ratio(run, to Score) (float64, bool) {
	a, ok := f.Of(run)
	b, okay := f.Of(to)
	if !ok || !okay || b == 0 {
		return 0, false
	}
	return a / b, true
}

// runKey tells the runs of one policy apart.
type runKey struct {
	target string
	lead   float64
	seed   uint64
}

func (s Score) runKey() runKey { return runKey{s.Target, s.LeadTime, s.Seed} }

// runsOf are the runs of one policy; the zero Score that a map returns for others has no figure that is not zero, and
// so no ratio.
func runsOf(scores []Score, policy string) map[runKey]Score {
	runs := map[runKey]Score{}
	for _, s := range scores {
		if s.Policy == policy {
			runs[s.runKey()] = s
		}
	}
	return runs
}
