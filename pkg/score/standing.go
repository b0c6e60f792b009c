package score

// Standing says whether a policy meets an SLO, as far as its seeds tell. Tables, files, verdicts and the page all take it
// from Cell.Standing.
type Standing string

// The standings.
const (
	// Met says that the attainment reaches the objective under every seed, or with its whole interval.
	Met Standing = "met"
	// Missed says that it falls short under every seed, or with the whole interval.
	Missed Standing = "missed"
	// Unsure says that the seeds disagree and the objective lies inside the interval: others might turn the mean to either
	// side.
	Unsure Standing = "unsure"
)

// Standing judges a mean attainment (0 to 1) by its interval; by itself alone where there are fewer seeds than FewestSeeds.
func (s SLO) Standing(attained Interval) Standing {
	low, high := attained.Mean, attained.Mean
	if attained.Low != nil && attained.High != nil {
		low, high = *attained.Low, *attained.High
	}
	switch {
	case s.MetBy(low):
		return Met
	case s.MetBy(high):
		return Unsure
	}
	return Missed
}

// Standing is what the seeds say where they agree, and that of their mean where they do not; Met where no request came,
// since none was missed.
func (c Cell) Standing(slo SLO) Standing {
	attained, ok := c.Figures["attainment"]
	if !ok {
		return Met
	}
	met, counted := 0, 0
	for _, run := range c.Runs {
		if run.Attainment == nil {
			continue
		}
		counted++
		if slo.MetBy(run.Attainment.Both) {
			met++
		}
	}
	switch {
	case counted == 0: // the cell is of a mean alone
	case met == counted:
		return Met
	case met == 0:
		return Missed
	}
	return slo.Standing(attained)
}

// Judged is a cell with its standing, as it is in summary.json.
type Judged struct {
	SLO Standing `json:"slo"`
	Cell
}
