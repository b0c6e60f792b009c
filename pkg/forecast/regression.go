package forecast

import "gonum.org/v1/gonum/mat"

// numFeatures is the number of inputs of the regression: see features.
const numFeatures = 8

const (
	// ridge pulls the coefficients towards zero, that is towards the last value, as much as this many observations of
	// unit features would.
	ridge = 1.0
	// forgetting is the weight that an observation keeps with each one that follows, per horizon of them: a tenth of
	// the memory is lost in four horizons at once, all of it in about two hundred.
	forgetting = 0.995
)

// Regression is a recursive least-squares fit of target = coefficients·features with forgetting (Plackett 1950; the
// exponentially weighted form is in Ljung and Söderström, Theory and Practice of Recursive Identification, 1983).
type Regression struct {
	Coefficients []float64
	// Covariance is the inverse of the decayed moment matrix, row by row.
	Covariance []float64
}

// predict returns coefficients·features, zero before the first observation.
func (r *Regression) predict(x [numFeatures]float64) float64 {
	var y float64
	for i, c := range r.Coefficients {
		y += c * x[i]
	}
	return y
}

// learn takes one observation; lambda is the weight that all earlier ones keep. The covariance is kept below what the
// ridge gives, so that features that stay silent for long do not make it grow without bound.
func (r *Regression) learn(x [numFeatures]float64, y, lambda float64) {
	if r.Coefficients == nil {
		r.Coefficients = make([]float64, numFeatures)
		r.Covariance = make([]float64, numFeatures*numFeatures)
		for i := range numFeatures {
			r.Covariance[i*numFeatures+i] = 1 / ridge
		}
	}
	p := mat.NewDense(numFeatures, numFeatures, r.Covariance)
	v := mat.NewVecDense(numFeatures, x[:])
	var px mat.VecDense
	px.MulVec(p, v)
	denominator := lambda + mat.Dot(v, &px)
	gain := (y - r.predict(x)) / denominator
	for i := range numFeatures {
		r.Coefficients[i] += gain * px.AtVec(i)
	}
	p.RankOne(p, -1/denominator, &px, &px)
	if trace := mat.Trace(p) / lambda; trace <= numFeatures/ridge {
		p.Scale(1/lambda, p)
	}
}
