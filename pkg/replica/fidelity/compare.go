package fidelity

import (
	"errors"
	"fmt"
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// Comparison is one point beside its predictions.
type Comparison struct {
	Point
	// Predicted is with the given assumptions.
	Predicted Latencies
	// Unseen is with coefficients calibrated on the points of all other models;
	// nil if there was no cross-validation.
	Unseen *Latencies
}

// Compare predicts every point. Those that it cannot predict are left out; the
// error tells of them all.
func Compare(points []Point, a Assumptions) ([]Comparison, error) {
	var out []Comparison
	var faults []error
	for _, p := range points {
		predicted, err := a.Predict(p)
		if err != nil {
			faults = append(faults, fmt.Errorf("run %s, stage %d: %w", p.Run, p.Stage, err))
			continue
		}
		out = append(out, Comparison{Point: p, Predicted: predicted})
	}
	return out, errors.Join(faults...)
}

// CrossValidate predicts every point that has been compared with what the points
// of other models teach.
func CrossValidate(all []Comparison, a Assumptions) error {
	for i := range all {
		others := slices.DeleteFunc(slices.Clone(all), func(c Comparison) bool { return c.Model == all[i].Model })
		unseen, err := a.without(all[i].Point, others).Predict(all[i].Point)
		if err != nil {
			return err
		}
		all[i].Unseen = &unseen
	}
	return nil
}

// without sets what was calibrated here from points of other models alone: one
// factor on all step times, and the overhead of the API. Where none of the
// others has experts, what experts cost is what it is without measurements: the
// bytes, at the efficiency of other weights.
func (a Assumptions) without(p Point, others []Comparison) Assumptions {
	c := &a.Coefficients
	if sparse(p.Model) && !slices.ContainsFunc(others, func(o Comparison) bool { return sparse(o.Model) }) {
		c.Experts, c.PerMoELayer = c.Weights, 0
	}
	var factors, rest []float64
	for _, o := range others {
		if o.Measured.ITL > 0 {
			factors = append(factors, o.Measured.ITL/o.Predicted.ITL)
		}
		if o.Measured.TTFT > 0 {
			rest = append(rest, o.Measured.TTFT-o.Predicted.TTFT)
		}
	}
	if factor, ok := median(factors); ok {
		for _, v := range []*float64{&c.Weights, &c.Experts, &c.KV, &c.PerLayer, &c.PerMoELayer, &c.PerStep, &c.PerSequence} {
			*v *= factor
		}
	}
	if more, ok := median(rest); ok {
		c.APIOverhead = max(0, c.APIOverhead+more)
	}
	return a
}

func sparse(model string) bool {
	shape, err := replica.ShapeOf(model)
	return err == nil && shape.Experts > 0
}

// Errors are relative errors; nil where nothing was measured.
type Errors struct{ TTFT, ITL, E2E *float64 }

// Off is how far latencies are from the measured ones.
func (c Comparison) Off(l Latencies) Errors {
	off := func(predicted, measured float64) *float64 {
		if measured == 0 {
			return nil
		}
		v := predicted/measured - 1
		return &v
	}
	m := c.Measured
	return Errors{TTFT: off(l.TTFT, m.TTFT), ITL: off(l.ITL, m.ITL), E2E: off(l.E2E, m.E2E)}
}

// Medians are the medians of the absolute errors over the points where they were
// measured, of the predictions picked; nil where there are none.
func Medians(all []Comparison, pick func(Comparison) *Latencies) Errors {
	var ttft, itl, e2e []float64
	add := func(to *[]float64, off *float64) {
		if off != nil {
			*to = append(*to, max(*off, -*off))
		}
	}
	for _, c := range all {
		picked := pick(c)
		if picked == nil {
			continue
		}
		off := c.Off(*picked)
		add(&ttft, off.TTFT)
		add(&itl, off.ITL)
		add(&e2e, off.E2E)
	}
	return Errors{TTFT: middle(ttft), ITL: middle(itl), E2E: middle(e2e)}
}

func middle(v []float64) *float64 {
	if m, ok := median(v); ok {
		return &m
	}
	return nil
}

// median is the middle of v, or the mean of the two in the middle; not ok if
// there is none.
func median(v []float64) (middle float64, ok bool) {
	if len(v) == 0 {
		return 0, false
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2, true
}
