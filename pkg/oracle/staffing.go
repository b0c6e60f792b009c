package oracle

import (
	"math"
	"time"
)

// family is one way to staff a known demand x: scale·x + root·√(scale·x) replicas ready, x being the mean over a window.
// The root is the law of Halfin and Whitt (1981): the noise of arrivals grows more slowly than their mean.
type family struct {
	window time.Duration
	root   float64
}

// families are tried in this order: the first is a good one on most loads, the last two are for loads of bursts and for
// those that a constant number serves best.
func families(span time.Duration) []family {
	return []family{
		{time.Minute, 0.3},
		{3 * time.Minute, 0.3},
		{time.Minute, 0},
		{10 * time.Minute, 0.3},
		{20 * time.Second, 0.3},
		{2*span + time.Minute, 0},
	}
}

// want is the number of replicas that a family has ready in each cell.
func (f family) want(demand []float64, scale float64, low, high int32) []int32 {
	out := make([]int32, len(demand))
	for i, x := range demand {
		y := scale * x
		n := math.Ceil(y + f.root*math.Sqrt(y) - 1e-9)
		out[i] = max(low, int32(min(n, float64(high))))
	}
	return out
}

// The scale is sought between these, to within a few per cent.
const (
	leastScale = 1. / 16
	usualScale = 1.3
	mostScale  = 16.
	scaleStep  = 1.03
)

// staffing finds for each family the least scale that meets the goal. It begins with the scale of the family before.
func (s *search) staffing() error {
	scale := usualScale
	for _, f := range families(s.span) {
		x := s.demand(f.window)
		found, err := s.bisect(scale, func(scale float64) lives {
			want := f.want(x, scale, s.p.Target.Min, s.most)
			return staffed(want, s.clock, s.p.Target.Initial, s.lead)
		})
		if err != nil {
			return err
		}
		scale = found
	}
	return nil
}

// bisect runs schedules of different scales until neighbours straddle the goal, and returns the least scale that meets
// it. More replicas need not mean fewer misses everywhere, so that what is found is the edge of one of the ranges.
func (s *search) bisect(scale float64, at func(float64) lives) (float64, error) {
	goal := s.goal()
	meets := func(scale float64) (bool, error) {
		t, err := s.try("staffing", at(scale))
		return err == nil && t.missed <= goal, err
	}
	low, high := 0.0, 0.0
	for factor := 1.25; low == 0 || high == 0 || high/low > scaleStep; {
		ok, err := meets(scale)
		if err != nil {
			return scale, err
		}
		if ok {
			high = scale
		} else {
			low = scale
		}
		switch {
		case low == 0:
			scale = max(scale/factor, leastScale/2)
		case high == 0:
			scale *= factor
		default:
			scale = math.Sqrt(low * high)
		}
		factor *= factor
		if scale < leastScale || scale > mostScale {
			break
		}
	}
	if high == 0 {
		return usualScale, nil
	}
	return high, nil
}

// everything keeps all that can be had, to see what is within reach at all.
func (s *search) everything() error {
	want := []int32{s.most}
	_, err := s.try("constant", staffed(want, clock{cell: s.span + s.cell}, s.p.Target.Initial, s.lead))
	return err
}
