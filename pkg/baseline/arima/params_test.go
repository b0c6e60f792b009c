package arima

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gonum.org/v1/gonum/mat"
)

// largestRoot is the modulus of the largest inverse root of an autoregression's polynomial.
func largestRoot(ar []float64) float64 {
	if len(ar) == 0 {
		return 0
	}
	companion := mat.NewDense(len(ar), len(ar), nil)
	for i, a := range ar {
		companion.Set(i, 0, a)
		if i+1 < len(ar) {
			companion.Set(i, i+1, 1)
		}
	}
	var e mat.Eigen
	if !e.Factorize(companion, mat.EigenNone) {
		return math.NaN()
	}
	var most float64
	for _, v := range e.Values(nil) {
		most = max(most, cmplx.Abs(v))
	}
	return most
}

func TestFreeCoordinatesAreStationaryAndGoBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 500 {
		o := Order{P: rng.IntN(6), Q: rng.IntN(6), Intercept: rng.IntN(2) == 0}
		free := make([]float64, o.size())
		for i := range free {
			free[i] = 2 * rng.NormFloat64()
		}
		free[len(free)-1] = math.Abs(free[len(free)-1])
		params := o.bound(free)
		ma := append([]float64(nil), o.ma(params)...)
		negate(ma)
		if a, b := largestRoot(o.ar(params)), largestRoot(ma); !(a < 1+1e-9 && b < 1+1e-9) {
			t.Errorf("%v at %.3g: roots %g, %g", o, free, a, b)
		}
		if diff := cmp.Diff(free, o.free(params), cmpopts.EquateApprox(1e-4, 1e-6)); diff != "" {
			t.Errorf("%v at %.3g (-want +got):\n%s", o, params, diff)
		}
	}
}

func TestWithinIsARootTest(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 9))
	inside := 0
	for range 2000 {
		ar := make([]float64, rng.IntN(6))
		for i := range ar {
			ar[i] = rng.Float64()*1.6 - 0.8
		}
		radius := 0.5 + rng.Float64()
		want := largestRoot(ar) < radius
		if got := within(ar, radius); got != want {
			t.Errorf("%.4g within %g: got %v, the largest root is %g", ar, radius, got, largestRoot(ar))
		}
		if want {
			inside++
		}
	}
	if inside < 200 || inside > 1800 {
		t.Errorf("%d of 2000 inside: the test compares nothing", inside)
	}
}
