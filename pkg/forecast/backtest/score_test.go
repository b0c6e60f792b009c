package backtest

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

var near = cmpopts.EquateApprox(0, 1e-12)

// forecastsOf scores forecasts of a minute ahead with the quantiles 0.9 and 0.95 alike, each against its actual.
func forecastsOf(t *testing.T, mean, forecasted float64, actuals ...float64) Score {
	t.Helper()
	series := Series{Name: "s", Start: t0, Step: time.Minute, Values: []float64{mean}}
	s := NewScorer(&series, &forecast.Spec{Horizons: []time.Duration{time.Minute}, Quantiles: []float64{0.9, 0.95}})
	for _, a := range actuals {
		s.Add(Row{Horizon: time.Minute, Values: []float64{forecasted, forecasted}, Actual: a})
	}
	return s.Score()
}

func TestPinballWeighsWhatIsMissedByTheQuantile(t *testing.T) {
	for name, c := range map[string]struct{ q, value, actual, want float64 }{
		"too low by 10":  {0.9, 90, 100, 9},
		"too high by 10": {0.9, 110, 100, 1},
		"right":          {0.9, 100, 100, 0},
		"the median":     {0.5, 90, 100, 5},
	} {
		if got := Pinball(c.q, c.value, c.actual); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestAScoreIsOverWhatIsKnown(t *testing.T) {
	got := forecastsOf(t, 100, 100, 90, 110, math.NaN(), 100, 80)
	want := Score{Series: "s", Quantiles: []float64{0.9, 0.95}, Mean: 100, Horizons: []HorizonScore{{
		Horizon: time.Minute, Forecasts: 4, Unknown: 1,
		Pinball: []float64{(1 + 9 + 0 + 2) / 4., (0.5 + 9.5 + 0 + 1) / 4.}, Covered: []int{3, 3},
	}}}
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Error(diff)
	}
	if c := got.Coverage(0); c != 0.75 {
		t.Errorf("coverage %v", c)
	}
}

func TestAScoreOfNothingGoesIntoJSON(t *testing.T) {
	if _, err := json.Marshal(forecastsOf(t, 1, 1, math.NaN())); err != nil {
		t.Error(err)
	}
}

func TestTheRatioIsOfTailLossesWithSlack(t *testing.T) {
	// Missed by 10 of 100: 9 + 9.5 + 0.3 beside 4.5 + 4.75 + 0.3.
	mine, theirs := forecastsOf(t, 100, 95, 100), forecastsOf(t, 100, 90, 100)
	got, err := Compare(&mine, &theirs)
	want := Ratio{Series: "s", Horizons: []HorizonRatio{{time.Minute, 9.55 / 18.8}}, Ratio: 9.55 / 18.8, Pooled: 9.55 / 18.8}
	if diff := cmp.Diff(want, got, near); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestHorizonsCountAlikeInTheRatioAndByTheirLossWhenPooled(t *testing.T) {
	score := func(short, long float64) Score {
		h := func(d time.Duration, loss float64) HorizonScore {
			return HorizonScore{Horizon: d, Forecasts: 1, Pinball: []float64{loss / 2, loss / 2}, Covered: []int{1, 1}}
		}
		return Score{Series: "s", Quantiles: []float64{0.9, 0.95}, Horizons: []HorizonScore{h(time.Minute, short), h(time.Hour, long)}}
	}
	mine, theirs := score(1, 40), score(4, 40)
	got, err := Compare(&mine, &theirs)
	if err != nil || math.Abs(got.Ratio-0.5) > 1e-12 || math.Abs(got.Pooled-41./44) > 1e-12 {
		t.Errorf("%+v, %v: want √(¼·1) and 41/44", got, err)
	}
}

func TestScoresOfOtherForecastsAreNotCompared(t *testing.T) {
	cases := map[string]struct {
		mine, theirs Score
		want         string
	}{
		"fewer forecasts": {forecastsOf(t, 1, 1, 1), forecastsOf(t, 1, 1, 1, 1), "1 forecasts for 1m0s beside 2"},
		"nothing known":   {forecastsOf(t, 1, 1, math.NaN()), forecastsOf(t, 1, 1, math.NaN()), "no forecast of which it is known"},
		"no horizons":     {Score{}, forecastsOf(t, 1, 1, 1), "0 horizons beside 1"},
		"no upper quantile": {
			Score{Quantiles: []float64{0.5}, Horizons: []HorizonScore{{Forecasts: 1, Pinball: []float64{1}}}},
			Score{Quantiles: []float64{0.5}, Horizons: []HorizonScore{{Forecasts: 1, Pinball: []float64{1}}}},
			"no quantile 0.9 among [0.5]",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := Compare(&c.mine, &c.theirs); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}
}

func TestTwoExactForecastsOfZeroAreAlike(t *testing.T) {
	mine, theirs := forecastsOf(t, 0, 0, 0), forecastsOf(t, 0, 0, 0)
	if got, err := Compare(&mine, &theirs); err != nil || got.Ratio != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTheMeasureIsTheGeometricMeanOverSeries(t *testing.T) {
	reference := []Score{forecastsOf(t, 0, 90, 100), forecastsOf(t, 0, 90, 100)}
	scores := []Score{forecastsOf(t, 0, 95, 100), forecastsOf(t, 0, 80, 100)}
	got, ratios, err := Summarize(scores, reference)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.Measure-1) > 1e-12 || math.Abs(got.Worst.Ratio-2) > 1e-12 || math.Abs(ratios[0].Ratio-0.5) > 1e-12 {
		t.Errorf("%+v of %+v: want a measure of 1 from ½ and 2, and 2 the worst", got, ratios)
	}
}

func TestPooledCoverageIsOverForecastsAndDeviationOverSeries(t *testing.T) {
	many, few := forecastsOf(t, 1, 100, 90, 90, 90, 90, 90, 90, 90, 90, 110, 110), forecastsOf(t, 1, 100, 90, 90)
	got, _, err := Summarize([]Score{many, few}, []Score{many, few})
	want := []Coverage{
		{Quantile: 0.9, Pooled: 10. / 12, Deviation: (0.1 + 0.1) / 2},
		{Quantile: 0.95, Pooled: 10. / 12, Deviation: (0.15 + 0.05) / 2},
	}
	if diff := cmp.Diff(want, got.Coverage, near); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestTheReferenceMeasuresOneAgainstItself(t *testing.T) {
	series := noisy(2, 3000)
	run := Run{Series: series, Spec: spec(forecast.Value), Origins: series.SecondHalf(500)}
	score, err := Of(&run, NewBaseline(LastValue))
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := Summarize([]Score{score}, []Score{score})
	if err != nil || got.Measure != 1 || got.Pooled != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
