package arima

import "math"

// widest is the largest state: the differences, and an ARMA part of as many lags as are allowed, or of one more than the
// moving average's.
const widest = MaxDifferences + MaxLags + 1

type vector [widest]float64

type matrix [widest]vector

// diffuse is the variance that the level and the slope before the series have, in squared units of the series (statsmodels'
// initial_variance): it is approximately diffuse, and for shocks that are not small beside 1000 not even that.
const diffuse = 1e6

// settled is the sum of squared changes of the state's covariance, relative to the square of its trace, below which it is
// taken to stay.
const settled = 1e-30

// space is the model in Harvey's state-space form. The state is: the levels that the differences took away, then the
// differenced series with what its past shocks still add to its coming values.
type space struct {
	d, r                int // differences, and size of the ARMA part
	intercept, variance float64
	ar, ma              [MaxLags + 1]float64 // coefficients of the lags, and of the shocks, that of the newest being 1
}

func (o Order) space(params []float64) space {
	s := space{d: o.D, r: max(o.P, o.Q+1), variance: params[len(params)-1]}
	if o.Intercept {
		s.intercept = params[0]
	}
	copy(s.ar[:], o.ar(params))
	s.ma[0] = 1
	copy(s.ma[1:], o.ma(params))
	return s
}

// run filters the series. It returns the log likelihood of all values but the first d, and what is expected next. The
// likelihood is minus infinity where the parameters have none.
func (s *space) run(series []float64) (loglik, next float64) {
	if !within(s.ar[:MaxLags], invertible) {
		return math.Inf(-1), math.NaN()
	}
	f := filter{space: s, mean: s.startMean(), cov: s.startCov()}
	i := 0
	for ; i < len(series) && !f.stays; i++ {
		l := f.take(series[i])
		if i >= s.d {
			loglik += l
		}
	}
	loglik += f.takeAll(series[i:])
	if math.IsNaN(loglik) {
		loglik = math.Inf(-1)
	}
	return loglik, s.observed(&f.mean)
}

// observed is the series' value in a state.
func (s *space) observed(x *vector) float64 {
	var sum float64
	for i := range s.d + 1 {
		sum += x[i]
	}
	return sum
}

// advance moves a state one step on, without intercept and shock.
func (s *space) advance(x *vector) {
	first := x[s.d]
	level := first
	for i := s.d - 1; i >= 0; i-- {
		level += x[i]
		x[i] = level
	}
	last := s.d + s.r - 1
	for i := s.d; i < last; i++ {
		x[i] = s.ar[i-s.d]*first + x[i+1]
	}
	x[last] = s.ar[s.r-1] * first
}

// startMean is the state expected before the first value.
func (s *space) startMean() vector {
	var x vector
	total := 1.0
	for _, a := range s.ar[:s.r] {
		total -= a
	}
	mean := s.intercept / total
	var later float64
	for i := s.r - 1; i > 0; i-- {
		later += s.ar[i] * mean
		x[s.d+i] = later
	}
	x[s.d] = mean
	return x
}

// startCov is its covariance: the levels are diffuse, the rest is stationary.
func (s *space) startCov() matrix {
	var p matrix
	for i := range s.d {
		p[i][i] = diffuse
	}
	x := s.stationaryCov()
	for i := range s.r {
		copy(p[s.d+i][s.d:], x[i][:s.r])
	}
	return p
}

// doublings bounds the sum below: 2^64 terms.
const doublings = 64

// stationaryCov solves X = A·X·A' + Q for the ARMA part, whose shocks have covariance Q: the sum over all k of A^k·Q·A'^k, as
// many terms again with each step.
func (s *space) stationaryCov() matrix {
	var x, a matrix
	for i := range s.r {
		a[i][0] = s.ar[i]
		if i+1 < s.r {
			a[i][i+1] = 1
		}
		for j := range s.r {
			x[i][j] = s.variance * s.ma[i] * s.ma[j]
		}
	}
	for range doublings {
		ax := s.times(&a, &x)
		a2 := s.timesTransposed(&ax, &a)
		if s.add(&x, &a2) {
			break
		}
		a = s.times(&a, &a)
	}
	return x
}

// add adds y to x, and says whether that changed nothing that matters.
func (s *space) add(x, y *matrix) bool {
	done := true
	for i := range s.r {
		for j := range s.r {
			x[i][j] += y[i][j]
			done = done && math.Abs(y[i][j]) <= 1e-17*math.Abs(x[i][i])
		}
	}
	return done
}

func (s *space) times(a, b *matrix) matrix {
	var c matrix
	for i := range s.r {
		for k := range s.r {
			for j := range s.r {
				c[i][j] += a[i][k] * b[k][j]
			}
		}
	}
	return c
}

func (s *space) timesTransposed(a, b *matrix) matrix {
	var c matrix
	for i := range s.r {
		for j := range s.r {
			for k := range s.r {
				c[i][j] += a[i][k] * b[j][k]
			}
		}
	}
	return c
}
