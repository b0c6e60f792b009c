package forecast

import (
	"math"
	"testing"
	"time"
)

// Three weeks of days that go up and down: a forecaster that recalls them foresees the morning, one that begins does not.
func TestWhatIsRecalledIsForecastFrom(t *testing.T) {
	day := func(at time.Time) float64 {
		return 50 - 40*math.Cos(2*math.Pi*float64(at.Unix()%86400)/86400)
	}
	end := time.Date(2026, 11, 20, 5, 0, 0, 0, time.UTC)
	var rows []float64
	for at := end.Add(-21 * 24 * time.Hour); at.Before(end); at = at.Add(time.Minute) {
		if at.Hour() == 3 && at.Day() == 10 {
			rows = append(rows, math.NaN())
			continue
		}
		rows = append(rows, day(at))
	}
	c := Config{Step: 15 * time.Second, Quantile: 0.9}
	recalled := Recall(end, time.Minute, rows)
	if want := 21*24*time.Hour - time.Hour; recalled.Span() != want {
		t.Errorf("%v are known, want %v", recalled.Span(), want)
	}
	recalled.Skip(end.Add(90 * time.Second))
	var begun State
	var got, without Forecast
	for at := end.Add(105 * time.Second); at.Before(end.Add(5 * time.Minute)); at = at.Add(c.Step) {
		got = recalled.Advance(at, day(at), time.Hour, c)
		without = begun.Advance(at, day(at), time.Hour, c)
	}
	if !got.Known() {
		t.Fatal("there is no forecast")
	}
	want := day(got.At.Add(got.Horizon))
	if math.Abs(got.Point-want) > 0.05*want || got.Upper < 0.97*want {
		t.Errorf("an hour ahead %v to %v is forecast, %v comes", got.Point, got.Upper, want)
	}
	if without.Known() && math.Abs(without.Point-want) < math.Abs(got.Point-want) {
		t.Errorf("without the past %v is forecast, no worse than %v", without.Point, got.Point)
	}
}
