package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// example is one row that a Regression learns from: what it saw, what came, and what it had said.
type example struct {
	x                 [numFeatures]float64
	actual, predicted float64
}

// learned lets a Regression learn n rows of a linear truth with noise of its own at each row, and hands each row on.
func learned(rng *rand.Rand, q float64, n int, l *Lane, each func(r *Regression, e example)) *Regression {
	r := newRegression(q)
	truth := [numFeatures]float64{0: 0.4, 3: 0.3, 9: 0.5, 20: -0.2}
	for range n {
		e := example{x: features(rng)}
		for i, c := range truth {
			e.actual += c * e.x[i]
		}
		e.actual += 0.1 * e.x[featureNear] * rng.NormFloat64() // the noise has the size of a feature
		e.predicted = r.predict(&e.x, 0)
		r.learn(q, &e.x, e.actual, e.predicted, l, 1)
		each(&r, e)
	}
	return &r
}

func features(rng *rand.Rand) (x [numFeatures]float64) {
	for i := range x {
		x[i] = math.Abs(1 + 0.5*rng.NormFloat64())
	}
	x[numFeatures-1] = 1
	return x
}

func testLane() *Lane {
	s := asked(config.Step, 1)
	l := newLane(&s, 1)
	return &l
}

// A fit is the solution of the weighted and discounted sums over all rows, drawn to the start.
func TestARegressionIsTheBatchOfItsRows(t *testing.T) {
	const q = 0.9
	l := testLane()
	var rows []example
	var discounts []float64
	fits := 0
	learned(seeded(1), q, 400, l, func(r *Regression, e example) {
		rows = append(rows, e)
		discounts = append(discounts, 1-1/math.Min(regressionMemory, 20+0.6*float64(len(rows)-1)))
		if r.Age > 0 { // no fit of this row
			return
		}
		fits++
		for k := range ridges {
			want := batch(rows, discounts, q, ridges[k], r, l)
			for i, got := range r.Coefficients[k] {
				if math.Abs(got-want[i]) > 1e-6 {
					t.Fatalf("ridge %v, after %d rows: coefficient %d is %v, the batch says %v", ridges[k], len(rows), i, got, want[i])
				}
			}
		}
	})
	if fits < 20 {
		t.Fatalf("%d fits in 400 rows", fits)
	}
}

// batch solves for the coefficients from all rows.
func batch(rows []example, discounts []float64, q, ridge float64, r *Regression, l *Lane) []float64 {
	a, b := mat.NewDense(numFeatures, numFeatures, nil), mat.NewVecDense(numFeatures, nil)
	weight, discount := 0.0, 1.0
	for k, e := range slices.Backward(rows) {
		w := q / (flat + math.Abs(e.actual-e.predicted))
		if e.actual < e.predicted {
			w *= (1 - q) / q
		}
		for i, xi := range e.x {
			b.SetVec(i, b.AtVec(i)+discount*xi*w*e.actual)
			for j, xj := range e.x {
				a.Set(i, j, a.At(i, j)+discount*w*xi*xj)
			}
		}
		weight += w / float64(len(rows))
		discount *= discounts[k]
	}
	start := startCoefficients(q)
	for i := range numFeatures {
		var square float64
		for _, e := range rows {
			square += e.x[i] * e.x[i] / float64(len(rows))
		}
		pull := r.start(ridge, l)*weight*square + 1e-6*a.At(i, i) + 1e-9
		a.Set(i, i, a.At(i, i)+pull)
		b.SetVec(i, b.AtVec(i)+pull*start[i])
	}
	var c mat.VecDense
	if err := c.SolveVec(a, b); err != nil {
		panic(err)
	}
	return c.RawVector().Data
}

// Weighted once, row by row, a regression comes to lose little more than the quantile regression that goes over all rows
// until it has converged: less than 3 %, at the outermost quantile 15 %.
func TestARegressionFindsTheQuantilePlane(t *testing.T) {
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99} {
		l := testLane()
		rng := seeded(2)
		var rows []example
		r := learned(rng, q, 6000, l, func(_ *Regression, e example) { rows = append(rows, e) })
		best := converged(rows, q, flat)
		var own, ideal float64
		learned(rng, q, 4000, l, func(_ *Regression, e example) {
			own += pinball(e.actual, r.predict(&e.x, 0), q)
			var y float64
			for i, c := range best {
				y += c * e.x[i]
			}
			ideal += pinball(e.actual, y, q)
		})
		t.Logf("quantile %v: loss %.4f of the converged regression's", q, own/ideal)
		if limit := map[bool]float64{false: 1.03, true: 1.15}[q > 0.98]; own > limit*ideal {
			t.Errorf("quantile %v: loss %.4f of the converged regression's", q, own/ideal)
		}
	}
}

// converged fits a quantile regression, as flat near its plane, by weighting all rows again and again.
func converged(rows []example, q, flat float64) []float64 {
	c := startCoefficients(q)
	for range 50 {
		a, b := mat.NewDense(numFeatures, numFeatures, nil), mat.NewVecDense(numFeatures, nil)
		for _, e := range rows {
			y := 0.0
			for i, xi := range e.x {
				y += c[i] * xi
			}
			w := q / (flat + math.Abs(e.actual-y))
			if e.actual < y {
				w *= (1 - q) / q
			}
			for i, xi := range e.x {
				b.SetVec(i, b.AtVec(i)+xi*w*e.actual)
				for j, xj := range e.x {
					a.Set(i, j, a.At(i, j)+w*xi*xj)
				}
			}
		}
		var next mat.VecDense
		if err := next.SolveVec(a, b); err != nil {
			panic(err)
		}
		c = next.RawVector().Data
	}
	return c
}

func TestARegressionOutlivesSilentFeatures(t *testing.T) {
	l := testLane()
	r := newRegression(0.9)
	rng := seeded(3)
	for range 60_000 {
		var x [numFeatures]float64
		x[0] = 1 + rng.Float64()
		r.learn(0.9, &x, x[0], r.predict(&x, 0), l, 1)
	}
	var x [numFeatures]float64
	x[0] = 1.5
	for k := range ridges {
		if y := r.predict(&x, k); math.Abs(y-1.5) > 0.01 {
			t.Errorf("ridge %v: %v is forecast where it is always 1.5", ridges[k], y)
		}
		for i, c := range r.Coefficients[k] {
			if math.IsNaN(c) || math.Abs(c) > 10 {
				t.Errorf("ridge %v: coefficient %d is %v", ridges[k], i, c)
			}
		}
	}
}
