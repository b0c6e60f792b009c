package baseline

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/baseline/arima"
)

func predictions(p predictor, xs ...float64) []float64 {
	var out []float64
	for _, x := range xs {
		p.add(x)
		out = append(out, p.next())
	}
	return out
}

// forecastPath is a series with what upstream's predictor (ai-dynamo/dynamo@260b6ae planner/core/load/predictors.py) expects
// after each value, on statsmodels 0.13.5 and a search that follows pmdarima's.
type forecastPath struct {
	Series     string    `json:"series"`
	Values     []float64 `json:"values"`
	Next       []float64 `json:"next"`
	Order      [3]int    `json:"order"`
	Intercept  bool      `json:"intercept"`
	Logarithms bool      `json:"logarithms"`
}

func forecastPaths(t *testing.T) []forecastPath {
	t.Helper()
	f, err := os.Open("testdata/arima.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []forecastPath
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var p forecastPath
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			t.Fatalf("line %d: %v", len(out)+1, err)
		}
		out = append(out, p)
	}
	if len(out) != 12 {
		t.Fatalf("%d paths, want 12", len(out))
	}
	return out
}

// Upstream's optimizer stops after few iterations, wherever it is then; forecasts differ by where rounding has sent it.
func TestARIMAFollowsUpstreamsPredictor(t *testing.T) {
	all, far := 0, 0
	for _, path := range forecastPaths(t) {
		p := &autoARIMA{}
		for i, got := range predictions(p, path.Values...) {
			all++
			if off := math.Abs(got - path.Next[i]); off > 0.01*(1+path.Next[i]) {
				far++
				t.Logf("%s, value %d: expects %g, want %g", path.Series, i+1, got, path.Next[i])
			}
		}
		want := arima.Order{P: path.Order[0], D: path.Order[1], Q: path.Order[2], Intercept: path.Intercept}
		if p.model.Order() != want || p.logs != path.Logarithms {
			t.Errorf("%s: %v, of logarithms: %v; want %v, %v", path.Series, p.model.Order(), p.logs, want, path.Logarithms)
		}
	}
	if far > all/10 {
		t.Errorf("%d of %d forecasts are off by more than 1 %%, want at most one in ten", far, all)
	}
}

func TestARIMAWithoutAModel(t *testing.T) {
	tests := map[string]struct {
		xs   []float64
		want float64
	}{
		"nothing yet":                         {nil, 0},
		"leading zeros are left out":          {[]float64{0, 0, 0, 0, 0, 0}, 0},
		"fewer than five values: the last":    {[]float64{0, 0, 10, 20, 30, 40}, 40},
		"one value all the time":              {[]float64{7, 7, 7, 7, 7, 7, 7}, 7},
		"what is no number counts as no load": {[]float64{10, 20, math.NaN()}, 0},
		"an infinite one too":                 {[]float64{10, 20, math.Inf(1)}, 0},
		"a negative one too":                  {[]float64{10, 20, -5}, 0},
		"values beyond all sums: the last":    {[]float64{1e300, 2e300, 3e300, 1e300, 2e300}, 2e300},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &autoARIMA{}
			predictions(p, tt.xs...)
			if got := p.next(); got != tt.want || p.model != nil {
				t.Errorf("got %g (model: %v), want %g without a model", got, p.model != nil, tt.want)
			}
		})
	}
}

// Five values of a load that rises and falls: nothing but a mean is worth its parameters, and a mean it stays.
func TestARIMAChoosesOnceAndForGood(t *testing.T) {
	p := &autoARIMA{}
	predictions(p, 896, 869, 941, 900, 906)
	mean := arima.Order{Intercept: true}
	if p.model == nil || p.model.Order() != mean || !p.logs {
		t.Fatalf("got %v, of logarithms: %v; want %v of logarithms", p.model, p.logs, mean)
	}
	var ramp []float64
	for i := range 40 {
		ramp = append(ramp, 900+50*float64(i))
	}
	got := predictions(p, ramp...)
	if p.model.Order() != mean {
		t.Errorf("after a ramp: %v, want still %v", p.model.Order(), mean)
	}
	var sum float64
	for _, x := range p.values {
		sum += math.Log1p(x)
	}
	want := math.Expm1(sum / float64(len(p.values)))
	if last := got[len(got)-1]; math.Abs(last-want) > 0.01*want {
		t.Errorf("expects %g after a ramp to 2850, want the geometric mean of all values, %g", last, want)
	}
}

func TestARIMAKeepsAWindow(t *testing.T) {
	p := &autoARIMA{}
	for i := range arimaWindow + 100 {
		p.add(100 + float64(i%7))
	}
	if len(p.values) != arimaWindow {
		t.Errorf("%d values kept, want %d", len(p.values), arimaWindow)
	}
	first := p.next()
	if p.known = false; p.next() != first {
		t.Errorf("asked again without a new value: %g, then %g", first, p.next())
	}
}

// Whatever comes, a predictor expects a number, and none below zero.
func FuzzPredictors(f *testing.F) {
	f.Add([]byte{0, 0, 1, 2, 3, 4, 5, 6}, 1.0)
	f.Add([]byte{200, 100, 50, 25, 12, 6, 3, 1, 0, 0, 0}, 100.0)
	f.Add([]byte{0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0}, 1e5)
	f.Add([]byte{9, 8, 7, 6, 5, 4, 3, 2, 1}, math.Inf(1))
	f.Add([]byte{1, 9, 1, 9, 1, 9, 1, 9, 200}, 1e250)
	f.Fuzz(func(t *testing.T, raw []byte, unit float64) {
		for kind := predictARIMA; kind <= predictKalman; kind++ {
			p := newPredictor(kind)
			for i, b := range raw[:min(len(raw), 30)] {
				p.add(float64(b) * math.Abs(unit))
				if x := p.next(); math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
					t.Fatalf("predictor %d expects %g after %d values", kind, x, i+1)
				}
			}
		}
	})
}
