package arima

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What SARIMAX(...).start_params of statsmodels 0.13.5 gives: intercept, lags, moving average, variance.
func TestStartsWhereStatsmodelsDoes(t *testing.T) {
	five, three := []float64{911, 926, 882, 928, 882}, []float64{911, 926, 882}
	tests := map[string]struct {
		x    []float64
		o    Order
		want []float64
	}{
		"a mean and its variance":                            {five, Order{D: 1, Intercept: true}, []float64{-7.25, 1545.6875}},
		"no coefficient: the mean square over all values":    {abc, Order{D: 2}, []float64{4.5378481}},
		"one lag that is not stationary begins at zero":      {five, Order{P: 1, Intercept: true}, []float64{1849.1074, 0, 143.74829}},
		"two equations for three: the shortest solution":     {five, Order{P: 1, Q: 1, Intercept: true}, []float64{0.0079825837, 0.97593729, 0, 1e-10}},
		"shocks come from as many lags twice":                {abc, Order{P: 2, Q: 1, Intercept: true}, []float64{4.1802662, 0.72110532, -0.54356928, -0.64135793, 0.77672}},
		"a moving average that is not invertible":            {abc, Order{P: 1, D: 1, Q: 2}, []float64{-0.79284395, 0, 0, 0.85613815}},
		"too short for its lags: zeros":                      {three, Order{P: 1, Q: 1, Intercept: true}, []float64{0, 0, 0, 250.16667}},
		"too short for its lags once differenced: zeros too": {three, Order{D: 1, Q: 1}, []float64{0, 580.16667}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, startingPoint(tt.x, tt.o), cmpopts.EquateApprox(1e-6, 1e-9)); diff != "" {
				t.Errorf("%v (-want +got):\n%s", tt.o, diff)
			}
		})
	}
}
