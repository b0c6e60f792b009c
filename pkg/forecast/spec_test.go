package forecast

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestASpecSaysEveryFault(t *testing.T) {
	good := asked(time.Minute, 1, 5)
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		spoil func(s *Spec)
		want  []string
	}{
		"no step":                      {func(s *Spec) { s.Step = 0 }, []string{"step 0s", "horizon 1m0s"}},
		"no horizon":                   {func(s *Spec) { s.Horizons = nil }, []string{"no horizon"}},
		"half a step ahead":            {func(s *Spec) { s.Horizons[0] = 30 * time.Second }, []string{"horizon 30s: must be a whole multiple"}},
		"horizons in disorder":         {func(s *Spec) { slices.Reverse(s.Horizons) }, []string{"horizon 1m0s: must be above the one before, 5m0s"}},
		"no quantile":                  {func(s *Spec) { s.Quantiles = nil }, []string{"no quantile"}},
		"a quantile of 1, twice":       {func(s *Spec) { s.Quantiles = []float64{1, 1} }, []string{"quantile 1: must lie", "quantile 1: must be above"}},
		"a quantile that is no number": {func(s *Spec) { s.Quantiles = []float64{math.NaN()} }, []string{"quantile NaN"}},
		"without what there is not":    {func(s *Spec) { s.Without = []string{"magic"} }, []string{`without "magic"`, "seasonal-naive", "withdrawal"}},
		"an unknown statistic":         {func(s *Spec) { s.Statistic = "sum" }, []string{`statistic "sum"`}},
		"holidays in disorder":         {func(s *Spec) { s.Calendar.Holidays = []time.Time{t0, t0.AddDate(0, 0, -1)} }, []string{"holidays"}},
		"without any expert":           {func(s *Spec) { s.Without = Experts() }, []string{"without"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := asked(time.Minute, 1, 5)
			c.spoil(&s)
			err := s.Validate()
			if err == nil {
				t.Fatal("it is accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

// What Validate accepts a Forecaster can do, however odd.
func TestEveryValidSpecIsForecastFor(t *testing.T) {
	hours := func(h ...time.Duration) []time.Duration { return h }
	usual := []float64{0.5, 0.9}
	cases := map[string]Spec{
		"a single low quantile":               {Step: time.Minute, Horizons: hours(time.Minute), Quantiles: []float64{0.01}},
		"the outermost quantiles":             {Step: time.Minute, Horizons: hours(time.Minute), Quantiles: []float64{1e-18, 0.5, math.Nextafter(1, 0)}},
		"steps that no hour is a multiple of": {Step: 433 * time.Second, Horizons: hours(433*time.Second, 7*433*time.Second), Quantiles: usual},
		"steps of half a day":                 {Step: 12 * time.Hour, Horizons: hours(12 * time.Hour), Quantiles: usual},
		"steps of a month":                    {Step: 720 * time.Hour, Horizons: hours(720*time.Hour, 7200*time.Hour), Quantiles: usual, Statistic: Maximum},
		"a horizon of days in short steps":    {Step: 10 * time.Second, Horizons: hours(12 * 24 * time.Hour), Quantiles: usual},
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			if err := s.Validate(); err != nil {
				t.Skipf("refused: %v", err)
			}
			x := newStream(s)
			value := noise(seeded(3), 10, 2)
			for range 4 {
				x.feed(300, value)
				sane(t, &x.spec, x.Predict(&x.spec))
			}
			longest := int(s.Horizons[len(s.Horizons)-1] / s.Step)
			if longest > 1000 {
				x.feed(longest, value)
			}
			p := x.Predict(&x.spec)
			sane(t, &x.spec, p)
			if middle := p[0].Values[len(p[0].Values)/2]; middle < 4 || middle > 25 {
				t.Errorf("of a noise around 10: %v", p[0].Values)
			}
		})
	}
}
