package arima

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// The optimizer is L-BFGS with forward differences, with the constants that statsmodels' fit leaves to scipy's fmin_l_bfgs_b
// and its own epsilon. They matter: upstream stops after few iterations, often before the likelihood is at its highest.
const (
	corrections  = 10
	gradientStep = 1e-5
	flatGradient = 1e-5          // pgtol
	littleGained = 1e7 * 0x1p-52 // factr times the machine's precision, relative to the value where that is above 1
	leastCurved  = 0x1p-52       // a correction with less curvature than that is left out
)

// walk is one descent: where it is, the value and the gradient there, and the corrections.
type walk struct {
	f           func([]float64) float64
	x, gradient []float64
	value       float64
	past        []correction // the oldest first
}

// correction is one move and by how much the gradient changed with it.
type correction struct {
	move, change []float64
	curvature    float64 // their product
}

// descend moves x to where f is less, by at most so many iterations. The error is ErrNoFit where f is not finite at x.
func descend(f func([]float64) float64, x []float64, iterations int) error {
	w := &walk{f: f, x: x, gradient: make([]float64, len(x))}
	if !w.evaluate() {
		return ErrNoFit
	}
	length := 1 / floats.Norm(w.gradient, 2)
	for i := 0; i < iterations && floats.Norm(w.gradient, math.Inf(1)) > flatGradient; {
		before := w.value
		if !w.step(length) {
			if len(w.past) == 0 {
				return nil
			}
			w.past = nil // once more, along the gradient
			continue
		}
		if before-w.value <= littleGained*max(math.Abs(before), math.Abs(w.value), 1) {
			return nil
		}
		i, length = i+1, 1
	}
	return nil
}

// evaluate sets value and gradient where the walk is, and says whether they are finite.
func (w *walk) evaluate() bool {
	w.value = w.f(w.x)
	for i, x := range w.x {
		w.x[i] = x + gradientStep
		w.gradient[i] = (w.f(w.x) - w.value) / (w.x[i] - x)
		w.x[i] = x
	}
	size := floats.Norm(w.gradient, 1)
	return !math.IsInf(w.value, 0) && !math.IsInf(size, 0) && !math.IsNaN(size)
}

// direction is the gradient, turned round and bent by the corrections (Nocedal and Wright 2006, algorithm 7.4).
func (w *walk) direction() []float64 {
	d := slices.Clone(w.gradient)
	floats.Scale(-1, d)
	along := make([]float64, len(w.past))
	for i, c := range slices.Backward(w.past) {
		along[i] = floats.Dot(c.move, d) / c.curvature
		floats.AddScaled(d, -along[i], c.change)
	}
	if n := len(w.past); n > 0 {
		last := w.past[n-1]
		floats.Scale(last.curvature/floats.Dot(last.change, last.change), d)
	}
	for i, c := range w.past {
		floats.AddScaled(d, along[i]-floats.Dot(c.change, d)/c.curvature, c.move)
	}
	return d
}

// step searches along the direction and says whether the walk has moved. Where it has not, for no step is better or one led to
// where there is no value, it is where it was.
func (w *walk) step(length float64) bool {
	direction := w.direction()
	slope := floats.Dot(direction, w.gradient)
	if !(slope < 0) {
		return false
	}
	from, gradient, value := slices.Clone(w.x), slices.Clone(w.gradient), w.value
	search := newLineSearch(value, slope, length)
	for range searchRounds {
		floats.AddScaledTo(w.x, from, length, direction)
		if !w.evaluate() {
			break
		}
		next, done := search.next(trial{length, w.value, floats.Dot(direction, w.gradient)})
		if done {
			w.remember(from, gradient, -slope*length)
			return true
		}
		length = next
	}
	copy(w.x, from)
	copy(w.gradient, gradient)
	w.value = value
	return false
}

// remember keeps the correction of a move. fall is by how much the value would have fallen along the old slope.
func (w *walk) remember(from, gradient []float64, fall float64) {
	c := correction{move: slices.Clone(w.x), change: slices.Clone(w.gradient)}
	floats.Sub(c.move, from)
	floats.Sub(c.change, gradient)
	c.curvature = floats.Dot(c.move, c.change)
	if c.curvature <= leastCurved*fall {
		return
	}
	w.past = append(w.past, c)
	w.past = w.past[max(0, len(w.past)-corrections):]
}
