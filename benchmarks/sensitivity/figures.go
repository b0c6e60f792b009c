package main

import (
	"fmt"
	"math"
	"slices"
)

// outcome is what `make frontier` prints of a policy, as far as it matters here.
type outcome struct {
	Cells []struct {
		Name   string  `json:"cell"`
		Goal   float64 `json:"goal"`
		Oracle struct {
			GPUHours float64 `json:"gpu_hours"`
			Met      bool    `json:"met"`
		} `json:"oracle"`
		Policies []struct {
			Attainment float64 `json:"attainment"`
			GPUHours   float64 `json:"gpu_hours"`
		} `json:"policies"`
	} `json:"cells"`
}

// figure is a planner in one cell.
type figure struct {
	Cell string `json:"cell"`
	// Ratio is its GPU-hours over the oracle's.
	Ratio      float64 `json:"ratio"`
	Attainment float64 `json:"attainment"`
	Goal       float64 `json:"goal"`

	hours float64
}

// figures are those of the only policy, over the cells in which the oracle meets the objective.
func (o *outcome) figures() ([]figure, error) {
	var out []figure
	for _, c := range o.Cells {
		if len(c.Policies) != 1 {
			return nil, fmt.Errorf("%s: %d policies were measured, must be one", c.Name, len(c.Policies))
		}
		if p := c.Policies[0]; c.Oracle.Met {
			out = append(out, figure{Cell: c.Name, Ratio: p.GPUHours / c.Oracle.GPUHours, Attainment: p.Attainment, Goal: c.Goal, hours: p.GPUHours})
		}
	}
	return out, nil
}

// standing is how the planner does as it is.
type standing struct {
	// Mean is the geometric mean of GPU-hours over the oracle's, Attainment the mean over cells, Below the number of cells
	// below the objective.
	Mean       float64  `json:"geometric_mean"`
	Attainment float64  `json:"attainment"`
	Below      int      `json:"below_objective"`
	Cells      []figure `json:"cells"`
}

// effect is what a change does.
type effect struct {
	// Ratio is the geometric mean of GPU-hours over that of the planner as it is: that of ratios to the oracle too.
	Ratio float64 `json:"ratio,omitempty"`
	// Attainment is the change of its mean over cells, a share; Below the number of cells below the objective.
	Attainment float64 `json:"attainment_change"`
	Below      int     `json:"below_objective"`
	// Same says that nothing changed in any cell.
	Same bool `json:"same,omitempty"`
	// Failure is why there is no figure.
	Failure string `json:"failure,omitempty"`
}

// most is by how much a number may move the geometric mean (issue 5).
const most = 0.03

// moves reports whether it is more than that.
func (e effect) moves() bool { return e.Failure == "" && math.Abs(e.Ratio-1) > most }

// size is by how much the geometric mean is moved, in the logarithm; a failure counts as none.
func (e effect) size() float64 {
	if e.Failure != "" {
		return 0
	}
	return math.Abs(math.Log(e.Ratio))
}

// stand sums figures up.
func stand(all []figure) standing {
	s := standing{Cells: all}
	for _, f := range all {
		s.Mean += math.Log(f.Ratio) / float64(len(all))
		s.Attainment += f.Attainment / float64(len(all))
		s.Below += below(f)
	}
	s.Mean = math.Exp(s.Mean)
	return s
}

func below(f figure) int {
	if f.Attainment < f.Goal {
		return 1
	}
	return 0
}

// against sets figures beside those of the planner as it is, cell by cell: an oracle that was found anew in between plays
// no part.
func (s *standing) against(all []figure) effect {
	e := effect{Same: true}
	n := float64(len(s.Cells))
	for _, was := range s.Cells {
		i := slices.IndexFunc(all, func(f figure) bool { return f.Cell == was.Cell })
		if i < 0 {
			return effect{Failure: was.Cell + " was not measured"}
		}
		is := all[i]
		e.Ratio += math.Log(is.hours/was.hours) / n
		e.Attainment += (is.Attainment - was.Attainment) / n
		e.Below += below(is)
		e.Same = e.Same && is.hours == was.hours && is.Attainment == was.Attainment
	}
	e.Ratio = math.Exp(e.Ratio)
	return e
}
