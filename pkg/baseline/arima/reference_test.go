package arima

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// reference is a series with the model that the search of pmdarima chooses when statsmodels 0.13.5 (SARIMAX, scipy 1.10.1)
// fits, its parameters (intercept, lags, moving average, variance), its AIC and what it expects next. The series are
// simulated: counts of 900 in the mean, mean lengths, random walks, trends, autoregressions and logarithms of counts, of 5 to
// 120 values.
type reference struct {
	Series     string    `json:"series"`
	Values     []float64 `json:"values"`
	Order      [3]int    `json:"order"`
	Intercept  bool      `json:"intercept"`
	Parameters []float64 `json:"parameters"`
	AIC        float64   `json:"aic"`
	Next       float64   `json:"next"`
}

func (r reference) order() Order {
	return Order{P: r.Order[0], D: r.Order[1], Q: r.Order[2], Intercept: r.Intercept}
}

func references(t *testing.T) []reference {
	t.Helper()
	f, err := os.Open("testdata/statsmodels.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []reference
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r reference
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("line %d: %v", len(out)+1, err)
		}
		out = append(out, r)
	}
	if len(out) != 62 {
		t.Fatalf("%d references, want 62", len(out))
	}
	return out
}

func off(got, want float64) float64 { return math.Abs(got-want) / max(1, math.Abs(want)) }

// The likelihood is the same function.
func TestLikelihoodIsThatOfStatsmodels(t *testing.T) {
	for _, r := range references(t) {
		s := r.order().space(r.Parameters)
		loglik, next := s.run(r.Values)
		aic := 2*float64(len(r.Parameters)) - 2*loglik
		if off(aic, r.AIC) > 1e-6 || off(next, r.Next) > 1e-6 {
			t.Errorf("%s of %d values, %v: AIC %.10g, next %.10g, want %.10g, %.10g", r.Series, len(r.Values), r.order(), aic, next, r.AIC, r.Next)
		}
	}
}

// Neither optimizer is at its end when it stops, so that rounding decides between neighbours; seldom, and by little.
func TestSearchChoosesAsPmdarima(t *testing.T) {
	others, far := 0, 0
	for _, r := range references(t) {
		m, err := Auto(r.Values)
		if err != nil {
			t.Errorf("%s of %d values: %v, want %v", r.Series, len(r.Values), err, r.order())
			continue
		}
		if m.Order() != r.order() {
			others++
			t.Logf("%s of %d values: %v, want %v", r.Series, len(r.Values), m.Order(), r.order())
		}
		if off(m.Forecast(), r.Next) > 0.005 {
			far++
			t.Logf("%s of %d values: next %g, want %g", r.Series, len(r.Values), m.Forecast(), r.Next)
		}
	}
	if others > 2 || far > 2 {
		t.Errorf("%d other orders, %d forecasts off by more than 0.5 %%: want at most 2 of 62", others, far)
	}
}

// austres is R's series of Australian residents, in thousands, abc R's rnorm(50, 5, 1) with seed 123; both as
// pmdarima's tests have them.
var (
	austres = []float64{
		13067.3, 13130.5, 13198.4, 13254.2, 13303.7, 13353.9, 13409.3, 13459.2, 13504.5, 13552.6, 13614.3, 13669.5, 13722.6,
		13772.1, 13832.0, 13862.6, 13893.0, 13926.8, 13968.9, 14004.7, 14033.1, 14066.0, 14110.1, 14155.6, 14192.2, 14231.7,
		14281.5, 14330.3, 14359.3, 14396.6, 14430.8, 14478.4, 14515.7, 14554.9, 14602.5, 14646.4, 14695.4, 14746.6, 14807.4,
		14874.4, 14923.3, 14988.7, 15054.1, 15121.7, 15184.2, 15239.3, 15288.9, 15346.2, 15393.5, 15439.0, 15483.5, 15531.5,
		15579.4, 15628.5, 15677.3, 15736.7, 15788.3, 15839.7, 15900.6, 15961.5, 16018.3, 16076.9, 16139.0, 16203.0, 16263.3,
		16327.9, 16398.9, 16478.3, 16538.2, 16621.6, 16697.0, 16777.2, 16833.1, 16891.6, 16956.8, 17026.3, 17085.4, 17106.9,
		17169.4, 17239.4, 17292.0, 17354.2, 17414.2, 17447.3, 17482.6, 17526.0, 17568.7, 17627.1, 17661.5,
	}
	abc = []float64{
		4.439524, 4.769823, 6.558708, 5.070508, 5.129288, 6.715065, 5.460916, 3.734939, 4.313147, 4.554338, 6.224082, 5.359814,
		5.400771, 5.110683, 4.444159, 6.786913, 5.497850, 3.033383, 5.701356, 4.527209, 3.932176, 4.782025, 3.973996, 4.271109,
		4.374961, 3.313307, 5.837787, 5.153373, 3.861863, 6.253815, 5.426464, 4.704929, 5.895126, 5.878133, 5.821581, 5.688640,
		5.553918, 4.938088, 4.694037, 4.619529, 4.305293, 4.792083, 3.734604, 7.168956, 6.207962, 3.876891, 4.597115, 4.533345,
		5.779965, 4.916631,
	}
)

// alkaline-ml/pmdarima pmdarima/arima/tests/test_stationarity.py@0710d3a: test_kpss, test_ndiffs_stationary.
func TestDifferencesAsUpstreamExpects(t *testing.T) {
	tests := map[string]struct {
		x    []float64
		want int
	}{
		"test_kpss: ndiffs(austres)":                            {austres, 2},
		"test_kpss: the data of issue 67, stationary in levels": {[]float64{1, -1, 0, 2, -1, -2, 3}, 0},
		"test_ndiffs_stationary: ones":                          {[]float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0},
		"a straight line":                                       {line(20), 1},
		"too short a line to refute anything":                   {line(8), 0},
		"no values":                                             {nil, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := differences(tt.x); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// test_arima.py@011fe47, test_the_r_src: R's coefficients and criteria, and the tolerances there.
func TestFitsAsUpstreamExpects(t *testing.T) {
	m, err := Fit(abc, Order{P: 2, Q: 1, Intercept: true})
	if err != nil {
		t.Fatal(err)
	}
	_, ar, ma, _ := m.Coefficients()
	for i, want := range []float64{-0.6515, -0.2449, 0.8012} {
		if got := append(ar, ma...)[i]; math.Abs(got-want) > 1.5e-3 {
			t.Errorf("coefficient %d: %g, want %g", i+1, got, want)
		}
	}
	if math.Abs(m.AIC()-135.4) > 1 {
		t.Errorf("AIC %g, want 135.4", m.AIC())
	}
	best, err := Auto(abc)
	if err != nil || math.Abs(best.AIC()-135.28) > 1 {
		t.Errorf("search: AIC %g (%v), want 135.28", best.AIC(), err)
	}
}
