package arima

import "math"

// The line search's constants: sufficient decrease and curvature, the relative width of the interval that ends it, and the
// longest step (dcsrch as L-BFGS-B calls it); and how far it extrapolates while no minimum is bracketed, relative to the last
// move.
const (
	decrease     = 1e-3
	curvature    = 0.9
	narrow       = 0.1
	longestStep  = 1e10
	leastGrowth  = 1.1
	mostGrowth   = 4
	leastShrink  = 0.66
	searchRounds = 20 // evaluations in one search (maxls)
)

// trial is a step along the direction with the function's value and slope there.
type trial struct{ step, value, slope float64 }

// lineSearch looks for a step of sufficient decrease and small slope (Moré and Thuente 1994, "Line search algorithms with
// guaranteed sufficient decrease").
type lineSearch struct {
	start, best, other trial // best has the lowest value until now, other is the interval's other end
	bracketed, lowered bool  // a minimum is between the two; a value that is low enough with a slope upwards was seen
	low, high          float64
	width, widthBefore float64
}

func newLineSearch(value, slope, first float64) *lineSearch {
	start := trial{0, value, slope}
	return &lineSearch{
		start: start, best: start, other: start, high: first + mostGrowth*first, width: longestStep, widthBefore: 2 * longestStep,
	}
}

// next returns the step to try after t, or says that t ends the search: it meets the conditions, or nothing better will come.
func (l *lineSearch) next(t trial) (step float64, done bool) {
	slope := decrease * l.start.slope
	bound := l.start.value + t.step*slope
	if t.value <= bound && t.slope >= 0 {
		l.lowered = true
	}
	if l.exhausted(t.step) || t.step == longestStep && t.value <= bound && t.slope <= slope ||
		t.value <= bound && math.Abs(t.slope) <= -curvature*l.start.slope {
		return t.step, true
	}
	if !l.lowered && t.value <= l.best.value && t.value > bound {
		step = l.moveBy(t, slope)
	} else {
		step = l.move(t)
	}
	step = min(l.enclose(step), longestStep)
	if l.exhausted(step) {
		step = l.best.step
	}
	return step, false
}

func (l *lineSearch) exhausted(step float64) bool {
	return l.bracketed && (step <= l.low || step >= l.high || l.high-l.low <= narrow*l.high)
}

// moveBy moves the interval of the function less the line of the given slope: a lower value that is not low enough.
func (l *lineSearch) moveBy(t trial, slope float64) float64 {
	tilt := func(t *trial, by float64) {
		t.value += by * t.step
		t.slope += by
	}
	for _, p := range []*trial{&t, &l.best, &l.other} {
		tilt(p, -slope)
	}
	step := l.move(t)
	tilt(&l.best, slope)
	tilt(&l.other, slope)
	return step
}

// enclose halves an interval that shrinks too slowly, and bounds the step after the next.
func (l *lineSearch) enclose(step float64) float64 {
	if !l.bracketed {
		moved := step - l.best.step
		l.low, l.high = step+leastGrowth*moved, step+mostGrowth*moved
		return step
	}
	width := l.other.step - l.best.step
	if math.Abs(width) >= leastShrink*l.widthBefore {
		step = l.best.step + width/2
	}
	l.widthBefore, l.width = l.width, math.Abs(width)
	l.low, l.high = min(l.best.step, l.other.step), max(l.best.step, l.other.step)
	return step
}

// move returns the next step by interpolation and takes t into the interval.
func (l *lineSearch) move(t trial) (step float64) {
	turned := t.slope*math.Copysign(1, l.best.slope) < 0
	switch {
	case t.value > l.best.value:
		step, l.bracketed = between(l.best, t), true
		l.other = t
		return step
	case turned:
		step, l.bracketed = farther(t.step, cubic(t, l.best), secant(t, l.best)), true
		l.other = l.best
	case math.Abs(t.slope) < math.Abs(l.best.slope):
		step = l.extrapolate(t)
	case l.bracketed:
		step = cubic(t, l.other)
	default:
		step = l.edge(t)
	}
	l.best = t
	return step
}

// edge is the longest step that is allowed next.
func (l *lineSearch) edge(t trial) float64 {
	if t.step > l.best.step {
		return l.high
	}
	return l.low
}

// extrapolate goes on where the slope flattens: with care where a minimum is bracketed, boldly where not.
func (l *lineSearch) extrapolate(t trial) float64 {
	c, s := cubic(t, l.best), secant(t, l.best)
	if !((c-t.step)*(t.step-l.best.step) > 0) { // no minimum ahead
		c = l.edge(t)
	}
	if !l.bracketed {
		return min(max(farther(t.step, c, s), l.low), l.high)
	}
	step, limit := nearer(t.step, c, s), t.step+leastShrink*(l.other.step-t.step)
	if t.step > l.best.step {
		return min(limit, step)
	}
	return max(limit, step)
}

// between is where the minimum lies before a higher value: the cubic's, or halfway to the parabola's where that is nearer.
func between(a, b trial) float64 {
	length := b.step - a.step
	c := cubic(a, b)
	q := a.step + a.slope/((a.value-b.value)/length+a.slope)/2*length
	if math.Abs(c-a.step) < math.Abs(q-a.step) {
		return c
	}
	return c + (q-c)/2
}

// cubic is the minimum of the cubic through two values with their slopes, seen from a.
func cubic(a, b trial) float64 {
	theta := 3*(a.value-b.value)/(b.step-a.step) + a.slope + b.slope
	scale := max(math.Abs(theta), math.Abs(a.slope), math.Abs(b.slope))
	gamma := scale * math.Sqrt(max(0, theta/scale*(theta/scale)-a.slope/scale*(b.slope/scale)))
	if b.step < a.step {
		gamma = -gamma
	}
	r := (gamma - a.slope + theta) / (gamma - a.slope + gamma + b.slope)
	return a.step + r*(b.step-a.step)
}

// secant is where the slope would vanish if it changed evenly.
func secant(a, b trial) float64 {
	return a.step + a.slope/(a.slope-b.slope)*(b.step-a.step)
}

func farther(from, a, b float64) float64 {
	if math.Abs(a-from) > math.Abs(b-from) {
		return a
	}
	return b
}

func nearer(from, a, b float64) float64 {
	if math.Abs(a-from) < math.Abs(b-from) {
		return a
	}
	return b
}
