package score

import (
	"cmp"
	"slices"
)

// Point is one setting of one policy in the plane of attainment against GPU-hours.
type Point struct {
	Policy string `json:"policy"`
	// Label says which setting, where there are several: a lead time, a knob.
	Label      string  `json:"label,omitempty"`
	Attainment float64 `json:"attainment"`
	GPUHours   float64 `json:"gpu_hours"`
	// Pareto is set where no other point attains as much for less, or more for as much.
	Pareto bool `json:"pareto"`
}

// Frontier returns the points by rising GPU-hours with those marked that no other one beats. The oracle beats all by
// construction: leave it out to see which policies are worth having.
func Frontier(points []Point) []Point {
	out := slices.Clone(points)
	slices.SortStableFunc(out, func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.GPUHours, b.GPUHours), cmp.Compare(b.Attainment, a.Attainment))
	})
	for i := range out {
		out[i].Pareto = !slices.ContainsFunc(out, func(p Point) bool { return p.beats(out[i]) })
	}
	return out
}

// beats reports whether p is at least as good both ways and better one way.
func (p Point) beats(q Point) bool {
	asGood := p.GPUHours <= q.GPUHours && p.Attainment >= q.Attainment
	return asGood && (p.GPUHours < q.GPUHours || p.Attainment > q.Attainment)
}

// Point returns where the cell stands.
func (c Cell) Point(label string) Point {
	hours, _ := c.Value("gpu_hours")
	return Point{Policy: c.Policy, Label: label, Attainment: c.Attained(), GPUHours: hours}
}
