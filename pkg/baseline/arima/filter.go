package arima

import "math"

// filter is a Kalman filter without measurement error. mean and cov are of the state before the next value.
type filter struct {
	*space
	mean   vector
	cov    matrix
	before matrix // the covariance a step ago

	// Of the newest value, and of all to come once the covariance stays: the gain, and the variance with its logarithm.
	stays         bool
	gain          vector
	variance, log float64
}

// take filters a value and returns its log likelihood.
func (f *filter) take(x float64) float64 {
	n := f.d + f.r
	f.look(n)
	miss := f.follow(x)
	f.spread(n)
	return -0.5 * (f.log + miss*miss/f.variance)
}

// takeAll filters values with a covariance that stays, and returns their log likelihood.
func (f *filter) takeAll(series []float64) float64 {
	if f.d+f.r == 1 {
		return f.takeAllByOne(series)
	}
	var loglik float64
	for _, x := range series {
		miss := f.follow(x)
		loglik -= 0.5 * (f.log + miss*miss/f.variance)
	}
	return loglik
}

// takeAllByOne is takeAll for a state of one number, the commonest, in a quarter of the time.
func (f *filter) takeAllByOne(series []float64) float64 {
	mean, gain, ar, intercept := f.mean[0], f.gain[0], f.ar[0], f.intercept
	var loglik float64
	for _, x := range series {
		miss := x - mean
		mean = ar*(mean+gain*miss) + intercept
		loglik -= 0.5 * (f.log + miss*miss/f.variance)
	}
	f.mean[0] = mean
	return loglik
}

// follow moves the mean to what a value tells and one step on, and returns by how much the value was missed.
func (f *filter) follow(x float64) float64 {
	miss := x - f.observed(&f.mean)
	for i := range f.d + f.r {
		f.mean[i] += f.gain[i] * miss
	}
	f.advance(&f.mean)
	f.mean[f.d] += f.intercept
	return miss
}

// look sets the variance of the next value and the gain, and takes from the covariance what the value will tell.
func (f *filter) look(n int) {
	var common vector
	f.before = f.cov
	for i := range n {
		common[i] = f.observed(&f.cov[i])
	}
	f.variance = f.observed(&common)
	f.log = math.Log(2 * math.Pi * f.variance)
	for i := range n {
		f.gain[i] = common[i] / f.variance
	}
	for i := range n {
		for j := range n {
			f.cov[i][j] -= f.gain[i] * common[j]
		}
	}
}

// spread moves the covariance one step on, shock included.
func (f *filter) spread(n int) {
	f.forward(n)
	transpose(&f.cov, n)
	f.forward(n)
	for i := range f.r {
		for j := range f.r {
			f.cov[f.d+i][f.d+j] += f.space.variance * f.ma[i] * f.ma[j]
		}
	}
	f.stays = same(&f.before, &f.cov, n)
}

func (f *filter) forward(n int) {
	for i := range n {
		f.advance(&f.cov[i])
	}
}

func transpose(x *matrix, n int) {
	for i := range n {
		for j := range i {
			x[i][j], x[j][i] = x[j][i], x[i][j]
		}
	}
}

// same says whether two covariances are, for all that matters, the same.
func same(x, y *matrix, n int) bool {
	var change, trace float64
	for i := range n {
		trace += y[i][i]
		for j := range n {
			d := y[i][j] - x[i][j]
			change += d * d
		}
	}
	return change < settled*trace*trace
}
