package forecast

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// ridges are the strengths with which coefficients are drawn to those they start from, in rows of typical weight; at
// first they are drawn more.
var ridges = [numRidges]float64{0.1, 10}

const (
	// flat is how close to the quantile plane a row's weight stops growing, in units: a few hundredths of the mean do not
	// matter to an autoscaler, and sharper weights are noisier (see DESIGN.md).
	flat = 0.06
	// regressionMemory is the number of rows over which a regression forgets, at least two weeks of minutes.
	regressionMemory = 20_000
	// packed is the size of an upper triangle.
	packed = numFeatures * (numFeatures + 1) / 2
)

// Regression is a linear quantile regression, fitted as rows come by asymmetrically and iteratively weighted least squares
// (Schnabel and Eilers, Simultaneous estimation of quantile curves using quantile sheets, 2013): pinball loss is a sum of
// squares with the weights q/(flat+|residual|) above and (1−q)/(flat+|residual|) below the plane, whose sums are kept.
// Each row is weighted once, by its residual when it came, and old rows are forgotten, so that weights of worse fits
// fade; no row is kept.
type Regression struct {
	// Moments is Σ weight·x·xᵀ, the upper triangle row by row, Cross is Σ weight·y·x. Newer rows count more by Growth, which
	// is divided out at each fit.
	Moments, Cross []float64
	Growth         float64
	// Squares are the means of x², Weight that of the weights; Count is the number of rows, Age that since the last fit.
	Squares    []float64
	Weight     float64
	Count, Age int
	// Coefficients are the fits, one for each of ridges.
	Coefficients [numRidges][]float64
}

// newRegression returns a regression that predicts the last value and the start quantile of its changes.
func newRegression(q float64) Regression {
	r := Regression{Moments: make([]float64, packed), Cross: make([]float64, numFeatures), Squares: make([]float64, numFeatures), Growth: 1}
	for i := range r.Coefficients {
		r.Coefficients[i] = startCoefficients(q)
	}
	return r
}

func startCoefficients(q float64) []float64 {
	c := make([]float64, numFeatures)
	c[featureLast] = 1
	c[featureNear], c[featureFar] = startQuantile(q)/2, startQuantile(q)/2
	return c
}

// predict returns the quantile in units.
func (r *Regression) predict(x *[numFeatures]float64, ridge int) float64 {
	var y float64
	for i, c := range r.Coefficients[ridge] {
		y += c * x[i]
	}
	return y
}

// learn takes what came true of a prediction, both in units. overlap is the number of rows taken within one horizon,
// which tell the same; rows the number that this one stands for.
func (r *Regression) learn(q float64, x *[numFeatures]float64, actual, predicted float64, l *Lane, rows float64) {
	weight := q / (flat + math.Abs(actual-predicted))
	if actual < predicted {
		weight *= (1 - q) / q
	}
	r.Growth /= 1 - 1/math.Min(math.Max(regressionMemory/rows, 20), 20+0.6*float64(r.Count))
	r.Count++
	r.Weight += math.Max(1/float64(r.Count), 0.002) * (weight - r.Weight)
	share := math.Max(1/float64(r.Count), 0.001)
	g, at := weight*r.Growth, 0
	right := g * actual
	for i, xi := range x {
		r.Squares[i] += share * (xi*xi - r.Squares[i])
		r.Cross[i] += right * xi
		rest := x[i:]
		floats.AddScaled(r.Moments[at:at+len(rest)], g*xi, rest)
		at += len(rest)
	}
	if r.Age++; r.Age >= min(max(r.Count/25, 5), 120) {
		r.Age = 0
		r.rescale()
		r.fit(q, l)
	}
}

// rescale divides the growth out.
func (r *Regression) rescale() {
	for i := range r.Moments {
		r.Moments[i] /= r.Growth
	}
	for i := range r.Cross {
		r.Cross[i] /= r.Growth
	}
	r.Growth = 1
}

// fit solves for the coefficients. Where the sums are singular beyond what the ridge mends the old ones stay.
func (r *Regression) fit(q float64, l *Lane) {
	start := startCoefficients(q)
	var sums [numFeatures * numFeatures]float64
	var right [numFeatures]float64
	for k := range ridges {
		rows := r.start(ridges[k], l)
		for i, at := 0, 0; i < numFeatures; i++ {
			n := numFeatures - i
			copy(sums[i*numFeatures+i:(i+1)*numFeatures], r.Moments[at:at+n])
			pull := rows*r.Weight*r.Squares[i] + 1e-6*r.Moments[at] + 1e-9
			sums[i*numFeatures+i] += pull
			right[i] = r.Cross[i] + pull*start[i]
			at += n
		}
		matrix := blas64.Symmetric{N: numFeatures, Stride: numFeatures, Data: sums[:], Uplo: blas.Upper}
		if factor, ok := lapack64.Potrf(matrix); ok {
			lapack64.Potrs(factor, blas64.General{Rows: numFeatures, Cols: 1, Stride: 1, Data: right[:]})
			copy(r.Coefficients[k], right[:])
		}
	}
}

// start is the weight of what a regression starts from, in rows: a ridge's worth once there are some hundred horizons,
// the more the fewer there were.
func (r *Regression) start(ridge float64, l *Lane) float64 {
	overlap := math.Max(1, float64(l.Rows)/float64(l.Stride))
	independent := math.Min(float64(r.Count*l.Stride), 4000) / float64(l.Rows)
	few := 300 / (independent + 1)
	return math.Min(ridge*(1+few*few), 1e6) * math.Max(1, overlap/3)
}
