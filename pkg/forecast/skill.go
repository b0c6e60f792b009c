package forecast

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// skillClocks are the half-lives over which skill is told: hours and days.
var skillClocks = [...]time.Duration{6 * time.Hour, 3 * 24 * time.Hour}

const (
	// minDue is the fewest forecasts that a verdict on skill rests on, minHorizons the fewest horizons that they are spread
	// over: forecasts within one horizon tell the same.
	minDue      = 20
	minHorizons = 30
)

// Record is how the mixture has done at one horizon, discounted by each of skillClocks.
type Record struct {
	// Mixture, Last and Seasonal are pinball losses, Rows the numbers of rows.
	Mixture, Last, Seasonal, Rows [len(skillClocks)]float64
	// Covered are the rows whose value was not above each quantile, Error and Actual sums for the bias; over days.
	Covered       []float64
	Error, Actual float64
	// Due is the number of forecasts that have come due, Span the number of rows that they stand for, Withdrawn whether the
	// mixture is.
	Due, Span int
	Withdrawn bool
}

func newRecord(quantiles int) Record { return Record{Covered: make([]float64, quantiles)} }

// tail reports whether a quantile counts for skill: those that capacity is planned by, not so far out that a verdict
// takes weeks.
func tail(s *Spec, q float64) bool {
	upper := func(q float64) bool { return q >= 0.8 && q < 0.985 }
	return upper(q) || !slices.ContainsFunc(s.Quantiles, upper)
}

// add takes what came true of a forecast.
func (r *Record) add(s *Spec, p *Pending, actual float64) {
	r.Due++
	r.Span += p.Rows
	var mixture, last, seasonal float64
	for i, q := range s.Quantiles {
		if tail(s, q) {
			mixture += pinball(actual, p.Mixed[i], q)
			last += pinball(actual, p.Quantiles[i*numExperts+ruleLastValue], q)
			seasonal += pinball(actual, p.Quantiles[i*numExperts+ruleSeasonalNaive], q)
		}
	}
	rows := float64(p.Rows)
	var keep float64
	for c, halfLife := range skillClocks {
		keep = math.Exp2(-rows * float64(s.Step) / float64(halfLife))
		r.Mixture[c] = keep*r.Mixture[c] + rows*mixture
		r.Last[c] = keep*r.Last[c] + rows*last
		r.Seasonal[c] = keep*r.Seasonal[c] + rows*seasonal
		r.Rows[c] = keep*r.Rows[c] + rows
	}
	for i := range s.Quantiles {
		r.Covered[i] *= keep
		if actual <= p.Mixed[i] {
			r.Covered[i] += rows
		}
	}
	r.Error = keep*r.Error + rows*(p.Mixed[middle(s.Quantiles)]-actual)
	r.Actual = keep*r.Actual + rows*actual
}

// skill is 1 − loss/(the other's loss), zero where the other has none.
func skill(loss, other float64) float64 {
	if other <= 0 {
		return 0
	}
	return 1 - loss/other
}

// verdict states the skill, but for the coverage.
func (l *Lane) verdict() Skill {
	r := &l.Skill
	out := Skill{Due: r.Due}
	out.Known = r.Due >= minDue && r.Span >= minHorizons*l.Rows
	if !out.Known {
		return out
	}
	out.Hours, out.Days = skill(r.Mixture[0], r.Last[0]), skill(r.Mixture[1], r.Last[1])
	out.Seasonal = skill(r.Mixture[1], r.Seasonal[1])
	if r.Actual > 0 {
		out.Bias = r.Error / r.Actual
	}
	return out
}

// reconsider withdraws the mixture when it has been worse than the last value over days and is no better over hours, or
// clearly worse over hours, and takes it back when it has been clearly better over hours, or better over both.
func (r *Record) reconsider(k Skill) {
	switch {
	case !k.Known:
	case k.Hours <= -0.15 || k.Days <= 0 && k.Hours <= 0:
		r.Withdrawn = true
	case k.Hours > 0.05 || k.Days > 0.01 && k.Hours > -0.05:
		r.Withdrawn = false
	}
}

// state returns what is expected from the newest row on.
func (l *Lane) state(s *Spec, f *Forecaster) Prediction {
	p := Pending{
		Raw: make([]float64, len(s.Quantiles)*numRidges), Quantiles: make([]float64, len(s.Quantiles)*numExperts),
		Mixed: make([]float64, len(s.Quantiles)),
	}
	l.ask(s, f, &p)
	out := Prediction{Values: p.Mixed, Source: Mixture, Weights: l.shares(s), Skill: l.verdict()}
	if f.Seen <= len(f.Day.Mean) {
		out.Skill.Seasonal = 0 // not one round is known
	}
	for i := range s.Quantiles {
		out.Skill.Coverage = append(out.Skill.Coverage, l.Skill.Covered[i]/math.Max(l.Skill.Rows[1], 1))
	}
	for i := range s.Quantiles {
		out.LastValue = append(out.LastValue, p.Quantiles[i*numExperts+ruleLastValue])
	}
	l.unsurpassed(f, out.LastValue)
	ascend(out.LastValue)
	if l.Skill.Withdrawn && !slices.Contains(s.Without, stageWithdrawal) {
		out.Source = LastValue
		out.Withdrawn = fmt.Sprintf("does not beat the last value: skill %+.3f over hours, %+.3f over days", out.Skill.Hours, out.Skill.Days)
		out.Values = slices.Clone(out.LastValue)
	}
	return out
}
