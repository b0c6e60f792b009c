package backtest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// points restates each rule on the whole series: the point made at the end of row i, so many rows ahead.
var points = map[string]func(values []float64, i, ahead int, statistic forecast.Statistic) float64{
	LastValue: func(v []float64, i, _ int, _ forecast.Statistic) float64 { return lastKnown(v, i) },
	RecentMean: func(v []float64, i, _ int, _ forecast.Statistic) float64 {
		sum, n := 0.0, 0.0
		for _, x := range v[max(0, i-29) : i+1] {
			if !math.IsNaN(x) {
				sum, n = sum+x, n+1
			}
		}
		return sum / n
	},
	SeasonalDay: func(v []float64, i, ahead int, statistic forecast.Statistic) float64 {
		return orElse(seasonBefore(v, i, ahead, 1440, statistic), lastKnown(v, i))
	},
	SeasonalWeek: func(v []float64, i, ahead int, statistic forecast.Statistic) float64 {
		return orElse(seasonBefore(v, i, ahead, 7*1440, statistic),
			orElse(seasonBefore(v, i, ahead, 1440, statistic), lastKnown(v, i)))
	},
	Drift: func(v []float64, i, ahead int, _ forecast.Statistic) float64 {
		first, last := 0, i
		for math.IsNaN(v[first]) {
			first++
		}
		for math.IsNaN(v[last]) {
			last--
		}
		if first == last {
			return v[last]
		}
		return max(0, v[last]+(v[last]-v[first])/float64(last-first)*float64(ahead))
	},
}

func lastKnown(v []float64, i int) float64 {
	for math.IsNaN(v[i]) {
		i--
	}
	return v[i]
}

func seasonBefore(v []float64, i, ahead, period int, statistic forecast.Statistic) float64 {
	to := i + ahead - period
	from := to
	if statistic == forecast.Maximum {
		from = i + 1 - period
	}
	if from < 0 {
		return math.NaN()
	}
	return largest(v[from : to+1])
}

// twin is a baseline's quantile at the end of row i, from its definition and the whole series.
func twin(s *Series, name string, i, ahead int, q float64, statistic forecast.Statistic) float64 {
	point := points[name]
	var errors []float64
	for target := max(ahead, i-3999); target <= i; target++ {
		made := target - ahead
		if math.IsNaN(s.Values[made]) {
			continue
		}
		if e := s.Actual(made, ahead, statistic) - point(s.Values, made, ahead, statistic); !math.IsNaN(e) {
			errors = append(errors, e)
		}
	}
	slices.Sort(errors)
	m := len(errors)
	rank := min(int(math.Ceil(float64(m+1)*q-1e-9)), m)
	return max(0, point(s.Values, i, ahead, statistic)+errors[rank-1])
}

func TestABaselineIsItsDefinition(t *testing.T) {
	const rows = 9*1440 + 300
	for _, name := range Baselines() {
		for _, statistic := range []forecast.Statistic{forecast.Value, forecast.Maximum} {
			t.Run(name+"/"+string(statistic), func(t *testing.T) {
				series := noisy(3, rows)
				run := Run{Series: series, Spec: spec(statistic), Origins: series.Origins(200, rows, 3001)}
				got := rowsOf(t, run, NewBaseline(name))
				if len(got) != 3*len(run.Origins) || len(got) < 9 {
					t.Fatalf("%d rows of %d origins", len(got), len(run.Origins))
				}
				for _, row := range got {
					i, _ := series.Row(row.Origin)
					for k, q := range run.Spec.Quantiles {
						want := twin(&series, name, i, int(row.Horizon/time.Minute), q, statistic)
						if math.Abs(row.Values[k]-want) > 1e-9 {
							t.Errorf("at row %d for %v the quantile %v is %v, by the definition %v", i, row.Horizon, q, row.Values[k], want)
						}
					}
				}
			})
		}
	}
}

func TestANewBaselineIsHonestAboutItsErrors(t *testing.T) {
	s := forecast.Spec{Step: time.Minute, Horizons: []time.Duration{time.Minute}, Quantiles: []float64{0.5, 0.9}}
	nan := math.NaN()
	cases := map[string]struct {
		rows []float64
		want []float64 // nil: no prediction
	}{
		"nothing seen":                         {nil, nil},
		"nothing known":                        {[]float64{nan, -1, math.Inf(1)}, nil},
		"no error yet: the point":              {[]float64{7}, []float64{7, 7}},
		"one error: it is all that is known":   {[]float64{7, 9}, []float64{11, 11}},
		"two errors: the median is the second": {[]float64{7, 9, 8}, []float64{10, 10}}, // −1, 2: rank ceil(3·0.5) = 2
		"an unknown row leaves no error":       {[]float64{7, nan, 9}, []float64{9, 9}},
		"never below zero":                     {[]float64{9, 2}, []float64{0, 0}},
		"nine errors reach 0.9, eight do not":  {[]float64{0, 1, 3, 6, 10, 15, 21, 28, 36, 45}, []float64{50, 54}},
		"the last known value holds":           {[]float64{5, 5, nan}, []float64{5, 5}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := NewBaseline(LastValue)
			for i, v := range c.rows {
				b.Observe(&s, t0.Add(time.Duration(i)*time.Minute), v)
			}
			var got []float64
			for _, p := range b.Predict(&s) {
				got = p.Values
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRowsLeftOutAreUnknownRows(t *testing.T) {
	series := noisy(5, 3000)
	fill(series.Values[2000:2100], math.NaN())
	s := spec(forecast.Value)
	for _, name := range Baselines() {
		whole, gappy := NewBaseline(name), NewBaseline(name)
		for i, v := range series.Values {
			whole.Observe(&s, series.End(i), v)
			if !math.IsNaN(v) {
				gappy.Observe(&s, series.End(i), v)
				gappy.Observe(&s, series.End(i), 1e9)   // a duplicate
				gappy.Observe(&s, series.End(i-1), 1e9) // a clock that went back
			}
		}
		if diff := cmp.Diff(whole.Predict(&s), gappy.Predict(&s)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAfterALongGapTheOldErrorsAreForgotten(t *testing.T) {
	s := spec(forecast.Value)
	for _, name := range Baselines() {
		b := NewBaseline(name)
		for i := range 2000 {
			b.Observe(&s, t0.Add(time.Duration(i)*time.Minute), float64(i%7)*100)
		}
		b.Observe(&s, t0.AddDate(3, 0, 0), 5)
		if p := b.Predict(&s)[0]; p.Values[0] != p.Values[3] {
			t.Errorf("%s: after three years it still spreads: %v", name, p.Values)
		}
	}
}

func TestBaselinesCoverStationaryNoise(t *testing.T) {
	series := noisy(11, 12*1440)
	for i := range series.Values {
		series.Values[i] -= 50 * math.Sin(2*math.Pi*float64(i)/1440)
	}
	for _, name := range Baselines() {
		for _, statistic := range []forecast.Statistic{forecast.Value, forecast.Maximum} {
			score, err := Of(&Run{Series: series, Spec: spec(statistic), Origins: series.SecondHalf(3000)}, NewBaseline(name))
			if err != nil {
				t.Fatal(err)
			}
			for k, q := range score.Quantiles {
				if c := score.Coverage(k); math.Abs(c-q) > 0.025 {
					t.Errorf("%s, %s: coverage %.3f at %v", name, statistic, c, q)
				}
			}
		}
	}
}

func TestAnUnknownNameIsNoBaseline(t *testing.T) {
	if b := NewBaseline("crystal-ball"); b != nil {
		t.Error("there is one")
	}
}

// FuzzBaselines feeds rows of any value at any distance.
func FuzzBaselines(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := spec(forecast.Maximum)
		s.Step, s.Horizons = time.Hour, []time.Duration{time.Hour, 3 * time.Hour}
		for _, name := range Baselines() {
			b, end := NewBaseline(name), t0
			for rest := data; len(rest) >= 9; rest = rest[9:] {
				end = end.Add(time.Duration(int8(rest[0])) * 10 * time.Minute)
				b.Observe(&s, end, math.Float64frombits(binary.LittleEndian.Uint64(rest[1:])))
				for _, p := range b.Predict(&s) {
					if !slices.IsSorted(p.Values) || math.IsNaN(p.Values[0]) || p.Values[0] < 0 {
						t.Fatalf("%s: %v", name, p.Values)
					}
				}
			}
		}
	})
}

func BenchmarkLastValue(b *testing.B) {
	s := spec(forecast.Value)
	rng := rand.New(rand.NewPCG(1, 1))
	f, i := NewBaseline(LastValue), 0
	for b.Loop() {
		f.Observe(&s, t0.Add(time.Duration(i)*time.Minute), rng.Float64())
		i++
	}
}
