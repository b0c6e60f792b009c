package score

// Standing says whether a policy meets an SLO, as far as its seeds tell. Tables, files, verdicts and the page all take it
// from SLO.Standing.
type Standing string

// The standings.
const (
	// Met says that the attainment reaches the objective, and so does its whole interval where there is one.
	Met Standing = "met"
	// Missed says that it falls short, and so does the whole interval.
	Missed Standing = "missed"
	// Unsure says that the objective lies inside the interval: other seeds might turn the mean to either side.
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

// Standing is that of the cell's attainment; Met where no request came, since none was missed.
func (c Cell) Standing(slo SLO) Standing {
	if i, ok := c.Figures["attainment"]; ok {
		return slo.Standing(i)
	}
	return Met
}

// Judged is a cell with its standing, as it is in summary.json.
type Judged struct {
	SLO Standing `json:"slo"`
	Cell
}
