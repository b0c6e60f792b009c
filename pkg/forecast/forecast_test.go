package forecast

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/mat"
)

var (
	t0     = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	config = Config{Step: 10 * time.Second, Quantile: 0.9}
)

const horizon = 5 * time.Minute

// run feeds one value a step for n steps and calls each with every forecast.
func run(s *State, n int, value func(step int) float64, each func(step int, f Forecast)) {
	for i := range n {
		now := t0.Add(time.Duration(i) * config.Step)
		f := s.Advance(now, value(i), horizon, config)
		if each != nil {
			each(i, f)
		}
	}
}

func TestThereIsNoForecastBeforeAWholeStep(t *testing.T) {
	var s State
	if f := s.Advance(t0.Add(3*time.Second), 5, horizon, config); f.Known() {
		t.Fatalf("one value says nothing of a step: %+v", f)
	}
	if f := s.Advance(t0.Add(9*time.Second), 5, horizon, config); f.Known() {
		t.Fatalf("half a step is no step: %+v", f)
	}
	f := s.Advance(t0.Add(13*time.Second), 5, horizon, config)
	if !f.Known() || f.Horizon != horizon || f.Point != 5 || f.Model != LastValue || f.SkillKnown || f.Withdrawn == "" {
		t.Fatalf("got %+v", f)
	}
	if f.Upper < 1.1*5 {
		t.Fatalf("upper %v: without errors seen there is still doubt", f.Upper)
	}
}

func TestAConstantIsForecastAsItselfByTheLastValue(t *testing.T) {
	var s State
	run(&s, 2000, func(int) float64 { return 7 }, func(i int, f Forecast) {
		if i < 1 {
			return
		}
		if math.Abs(f.Point-7) > 1e-9 || f.Upper < 7-1e-9 || f.Upper > 10 {
			t.Fatalf("step %d: %+v", i, f)
		}
		if f.Model != LastValue {
			t.Fatalf("step %d: %s does not beat a last value that is never wrong", i, f.Model)
		}
		if f.SkillKnown && f.Skill > 0 {
			t.Fatalf("step %d: skill %v over a last value that is never wrong", i, f.Skill)
		}
		if i > 1000 && f.Upper > 7.5 {
			t.Fatalf("step %d: after a thousand steps of a constant upper is still %v", i, f.Upper)
		}
	})
}

func TestARampIsMetByTheUpperQuantile(t *testing.T) {
	var s State
	met := 0
	ramp := func(i int) float64 { return 10 + 0.05*float64(i) } // 1.5 more each horizon
	run(&s, 1500, ramp, func(i int, f Forecast) {
		if i < 500 {
			return
		}
		if excess := f.Upper - ramp(i+30); excess > -0.4 { // the mean of a quarter of a horizon lags by 0.2
			met++
		}
		if f.Upper > 1.1*ramp(i+30) {
			t.Fatalf("step %d: upper %v where %v will be", i, f.Upper, ramp(i+30))
		}
	})
	if met < 990 {
		t.Fatalf("the ramp was met at %d of 1000 steps", met)
	}
}

func TestASeasonIsSeenAheadAndTheLastValueTakesOverWhenItEnds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	sine := func(i int) float64 { return 20 + 12*math.Sin(2*math.Pi*float64(i)/360) } // one hour's period
	var s State
	used, withdrawn, walk := 0, 0, 20.0
	run(&s, 9000, func(i int) float64 {
		if i < 3000 || i >= 6000 {
			return sine(i)
		}
		walk = math.Max(5, walk+0.5*rng.NormFloat64())
		return walk // nothing to be seen ahead
	}, func(i int, f Forecast) {
		switch {
		case i >= 1500 && i < 3000 || i >= 8000:
			if f.Model == autoregressive {
				used++
			}
			if f.Model == autoregressive && f.Skill <= 0 {
				t.Fatalf("step %d: in use with skill %v", i, f.Skill)
			}
		case i >= 5000 && i < 6000:
			if f.Model == LastValue && f.Withdrawn != "" {
				withdrawn++
			}
		}
	})
	t.Logf("autoregressive in %d of 2500 seasonal steps, withdrawn in %d of 1000 steps of a random walk", used, withdrawn)
	if withdrawn < 700 {
		t.Errorf("it was withdrawn in only %d of 1000 steps of a random walk", withdrawn)
	}
	if used < 2400 {
		t.Errorf("the autoregressive model was in use for only %d of 2500 seasonal steps", used)
	}
}

func TestTheDailySeasonIsSeenAhead(t *testing.T) {
	day := func(i int) float64 { // flat but for a peak at 09:00, one hour long, that begins within minutes
		minute := (i / 6) % 1440
		if minute >= 540 && minute < 600 {
			return 40
		}
		return 10
	}
	var s State
	caught := 0
	run(&s, 12*8640, day, func(i int, f Forecast) {
		if step := i % 8640; i > 9*8640 && step >= 540*6-15 && step < 540*6 && f.Upper > 25 {
			caught++
		}
	})
	t.Logf("the daily peak was seen at %d of 45 steps within the half lead time before it", caught)
	if caught == 0 {
		t.Error("a peak that comes every day at nine was never seen ahead")
	}
}

// batch solves the same weighted ridge regression from scratch.
func batch(xs [][numFeatures]float64, ys []float64, lambda float64) []float64 {
	a := mat.NewDense(numFeatures, numFeatures, nil)
	b := mat.NewVecDense(numFeatures, nil)
	for i := range numFeatures {
		a.Set(i, i, ridge*math.Pow(lambda, float64(len(xs))))
	}
	for k, x := range xs {
		w := math.Pow(lambda, float64(len(xs)-1-k))
		for i := range numFeatures {
			b.SetVec(i, b.AtVec(i)+w*x[i]*ys[k])
			for j := range numFeatures {
				a.Set(i, j, a.At(i, j)+w*x[i]*x[j])
			}
		}
	}
	var c mat.VecDense
	if err := c.SolveVec(a, b); err != nil {
		panic(err)
	}
	return c.RawVector().Data
}

func TestRegressionIsTheBatchRidgeRegression(t *testing.T) {
	for _, lambda := range []float64{1, 0.999, 0.97} {
		rng := rand.New(rand.NewPCG(2, 2))
		var r Regression
		var xs [][numFeatures]float64
		var ys []float64
		truth := [numFeatures]float64{0.5, -1, 0, 2, 0.1, 0, -0.3, 1}
		for n := range 300 {
			var x [numFeatures]float64
			y := 0.2 * rng.NormFloat64()
			for i := range x {
				x[i] = 3 * rng.NormFloat64()
				y += truth[i] * x[i]
			}
			r.learn(x, y, lambda)
			xs, ys = append(xs, x), append(ys, y)
			if n%50 != 49 {
				continue
			}
			for i, want := range batch(xs, ys, lambda) {
				if math.Abs(r.Coefficients[i]-want) > 1e-6 {
					t.Fatalf("lambda %v, after %d: coefficient %d is %v, the batch says %v", lambda, n+1, i, r.Coefficients[i], want)
				}
			}
		}
	}
}

func TestRegressionOutlivesSilentFeatures(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var r Regression
	for range 200_000 {
		var x [numFeatures]float64
		x[0] = rng.NormFloat64()
		r.learn(x, x[0], 0.995)
	}
	for i, c := range r.Covariance {
		if math.IsNaN(c) || math.Abs(c) > 100 {
			t.Fatalf("covariance[%d] = %v", i, c)
		}
	}
	for i := range numFeatures {
		for j := range numFeatures {
			if d := r.Covariance[i*numFeatures+j] - r.Covariance[j*numFeatures+i]; math.Abs(d) > 1e-9 {
				t.Fatalf("covariance lost its symmetry by %v", d)
			}
		}
	}
}

// covered is the share of steps from and to whose smoothed value stayed at or below the Upper given one horizon before.
func covered(values []float64, uppers []float64, from, to int) float64 {
	const h, quarter = 30, 7
	good := 0
	for i := from; i < to; i++ {
		var mean float64
		for _, v := range values[i-quarter+1 : i+1] {
			mean += v / quarter
		}
		if mean <= uppers[i-h] {
			good++
		}
	}
	return float64(good) / float64(to-from)
}

func TestCoverageOnStationaryNoiseAndAfterALevelShift(t *testing.T) {
	const n = 12_000
	cases := map[string]func(rng *rand.Rand, i int) float64{
		"white noise":                  func(rng *rand.Rand, _ int) float64 { return math.Max(0, 50+8*rng.NormFloat64()) },
		"noise in proportion to level": func(rng *rand.Rand, i int) float64 { return 5 * math.Exp(0.4*rng.NormFloat64()) },
		"a level shift at half time": func(rng *rand.Rand, i int) float64 {
			if i < n/2 {
				return math.Max(0, 20+4*rng.NormFloat64())
			}
			return math.Max(0, 80+9*rng.NormFloat64())
		},
	}
	for name, value := range cases {
		t.Run(name, func(t *testing.T) {
			for _, q := range []float64{0.5, 0.9, 0.99} {
				rng := rand.New(rand.NewPCG(4, 4))
				var s State
				c := Config{Step: config.Step, Quantile: q}
				values, uppers := make([]float64, n), make([]float64, n)
				var last Forecast
				for i := range n {
					values[i] = value(rng, i)
					last = s.Advance(t0.Add(time.Duration(i)*c.Step), values[i], horizon, c)
					uppers[i] = last.Upper
				}
				first, second := covered(values, uppers, 1000, n/2), covered(values, uppers, n/2+1500, n)
				t.Logf("quantile %v: covered %.3f and %.3f, itself says %.3f", q, first, second, last.Coverage)
				if q == 0.5 {
					continue // Upper is never below the point, which may stand above the median
				}
				for _, got := range []float64{first, second} {
					if math.Abs(got-q) > 0.03 {
						t.Errorf("quantile %v: covered %.3f", q, got)
					}
				}
				if math.Abs(last.Coverage-second) > 0.06 {
					t.Errorf("quantile %v: it says %.3f of itself, true is %.3f", q, last.Coverage, second)
				}
			}
		})
	}
}

func TestUpperStaysBelievableAfterTheFirstJump(t *testing.T) {
	for name, before := range map[string]float64{"from nothing": 0, "from next to nothing": 0.02, "from one": 1} {
		for _, quiet := range []int{60, 120, 400, 5000} {
			var s State
			run(&s, quiet+400, func(i int) float64 {
				if i < quiet {
					return before
				}
				return 20
			}, func(i int, f Forecast) {
				if f.Upper > 60 {
					t.Fatalf("%s, %d quiet steps: %d steps after a jump to 20 upper is %v", name, quiet, i-quiet, f.Upper)
				}
				if i >= quiet+5 && f.Point > 40 {
					t.Fatalf("%s, %d quiet steps: %d steps after a jump to 20 the point is %v", name, quiet, i-quiet, f.Point)
				}
			})
		}
	}
}

func TestANewHorizonStartsNewRecords(t *testing.T) {
	var s State
	now := t0
	step := func(h time.Duration) Forecast {
		now = now.Add(config.Step)
		return s.Advance(now, 10+float64(s.Steps%7), h, config)
	}
	for range 300 {
		step(5 * time.Minute)
	}
	if f := step(6 * time.Minute); f.Horizon != 5*time.Minute || f.Errors == 0 {
		t.Fatalf("a drift of a fifth gave up what was learned: %+v", f)
	}
	if f := step(2 * time.Minute); f.Horizon != 2*time.Minute || f.Errors != 0 || f.SkillKnown {
		t.Fatalf("the errors of five minutes are not those of two: %+v", f)
	}
	for range 300 {
		step(2 * time.Minute)
	}
	if f := step(2 * time.Minute); f.Errors < 200 || !f.SkillKnown || len(s.Pending) != 12 || len(s.Recent) > 48 {
		t.Fatalf("got %+v with %d pending, %d recent", f, len(s.Pending), len(s.Recent))
	}
	for _, odd := range []time.Duration{0, -time.Hour, time.Nanosecond, math.MaxInt64} {
		if f := step(odd); !f.Known() || f.Horizon <= 0 || f.Horizon > maxHorizon*config.Step {
			t.Fatalf("horizon %v: %+v", odd, f)
		}
	}
}

func TestAGapIsLeftOut(t *testing.T) {
	var s State
	run(&s, 300, func(int) float64 { return 5 }, nil)
	before := s.Steps
	now := t0.Add(300 * config.Step)
	for i := range 600 { // a hundred minutes of nothing
		s.Skip(now.Add(time.Duration(i) * config.Step))
	}
	if s.Steps != before {
		t.Fatalf("%d steps were learned from a gap", s.Steps-before)
	}
	after := now.Add(600 * config.Step)
	f := s.Advance(after, 9, horizon, config)
	if got := s.Steps - before; got > 2 {
		t.Fatalf("%d steps came out of the gap", got)
	}
	if f.Point < 5 || f.Point > 9 {
		t.Fatalf("got %+v", f)
	}
}

func TestAGapWithoutSkipIsKnownToTheRightMinutes(t *testing.T) {
	var s State
	run(&s, 12, func(int) float64 { return 5 }, nil)
	noon := t0.Add(12 * time.Hour)
	s.Advance(noon, 50, horizon, config)
	for minute, v := range s.Day {
		if v < 0 {
			continue
		}
		if early, late := minute < 3 && v < 50.1, minute >= 690 && minute <= 720 && v == 50; !early && !late {
			t.Errorf("minute %d of the day is said to have seen %v", minute, v)
		}
	}
	if s.Day[710] != 50 {
		t.Errorf("the minutes before noon were not learned: %v", s.Day[710])
	}
}

// finite walks every float of v.
func finite(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			t.Fatalf("%s is %v", path, f)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			finite(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			finite(t, v.Index(i), path+"[]")
		}
	}
}

func TestNothingPoisonsTheForecast(t *testing.T) {
	odd := []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), -5, 1e300, math.MaxFloat64, math.SmallestNonzeroFloat64, 9e18, 1e-12, 10, 1000}
	cases := map[string]func(rng *rand.Rand, i int) float64{
		"zeros":                          func(*rand.Rand, int) float64 { return 0 },
		"zeros with a rare spike":        func(rng *rand.Rand, _ int) float64 { return 1000 * float64(rng.IntN(200)/199) },
		"odd values":                     func(rng *rand.Rand, _ int) float64 { return odd[rng.IntN(len(odd))] },
		"huge and tiny":                  func(rng *rand.Rand, _ int) float64 { return math.Exp2(float64(rng.IntN(100) - 50)) },
		"long zeros, then a busy minute": func(_ *rand.Rand, i int) float64 { return float64(i/3000%2) * 30 },
	}
	for name, value := range cases {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(6, 6))
			var s State
			run(&s, 7000, func(i int) float64 { return value(rng, i) }, func(i int, f Forecast) {
				finite(t, reflect.ValueOf(f), "forecast")
				if f.Point < 0 || f.Upper < f.Point {
					t.Fatalf("step %d: %+v", i, f)
				}
			})
			finite(t, reflect.ValueOf(s), "state")
			for i := range 900 { // it recovers, from sums of 9e18 in some hours
				s.Advance(t0.Add(time.Duration(7000+i)*config.Step), 10, horizon, config)
			}
			if f := s.Advance(t0.Add(7900*config.Step), 10, horizon, config); math.Abs(f.Point-10) > 5 {
				t.Errorf("after 900 steps of 10 the point is %v", f.Point)
			}
		})
	}
}

func TestTimeThatStandsStillOrGoesBackTeachesNothing(t *testing.T) {
	var s State
	run(&s, 100, func(int) float64 { return 5 }, nil)
	steps := s.Steps
	for _, at := range []time.Duration{99, 99, 50, 0} {
		f := s.Advance(t0.Add(at*config.Step), 500, horizon, config)
		if s.Steps != steps || f.Point > 6 {
			t.Fatalf("time %v: %d steps, %+v", at, s.Steps-steps, f)
		}
	}
	s = State{}
	for i := range 200 { // instants before 1970 are as good as any
		s.Advance(time.Date(1969, 12, 31, 23, 50, 0, 0, time.UTC).Add(time.Duration(i)*config.Step), 5, horizon, config)
	}
	s = State{}
	for i := range 200 {
		s.Advance(time.Time{}.Add(time.Duration(i)*config.Step), 5, horizon, config)
	}
	if s.Steps < 150 {
		t.Fatalf("%d steps from the zero time on", s.Steps)
	}
}

func TestAStateSurvivesJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	value := func() float64 { return 10 + 3*rng.NormFloat64() }
	var s State
	run(&s, 1000, func(int) float64 { return value() }, nil)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var u State
	if err := json.Unmarshal(text, &u); err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		now, v := t0.Add(time.Duration(1000+i)*config.Step), value()
		if diff := cmp.Diff(s.Advance(now, v, horizon, config), u.Advance(now, v, horizon, config)); diff != "" {
			t.Fatalf("%d steps after the round trip (-kept +restored):\n%s", i, diff)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var s State
	run(&s, 20_000, func(i int) float64 { return float64(i % 50) }, nil)
	if len(s.Pending) > 30 || len(s.Recent) > 120 || len(s.Last.Errors) > maxErrors || len(s.Day) != minutesADay {
		t.Fatalf("%d pending, %d recent, %d errors, %d minutes", len(s.Pending), len(s.Recent), len(s.Last.Errors), len(s.Day))
	}
	if cap(s.Pending) > 128 || cap(s.Recent) > 512 || cap(s.Last.Errors) > 1024 {
		t.Fatalf("capacities %d, %d, %d", cap(s.Pending), cap(s.Recent), cap(s.Last.Errors))
	}
}

// An error is relative to the volatility of its time: that of the first jump after quiet, multiplied by the volatility
// after it, would count the jump twice.
func TestAJumpSeenOnceIsNotExpectedTwice(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	var s State
	var worst float64
	run(&s, 300, func(i int) float64 {
		if i < 120 {
			return 20 + rng.NormFloat64()
		}
		return 50 + 1.5*rng.NormFloat64()
	}, func(i int, f Forecast) {
		if i > 160 {
			worst = math.Max(worst, f.Upper)
		}
	})
	if worst > 1.9*50 {
		t.Fatalf("after one jump from 20 to 50 upper goes up to %.0f", worst)
	}
}

// A target that waits for its first request teaches nothing about the size of errors.
func TestNothingIsForecastBeforeTheFirstDemand(t *testing.T) {
	var s State
	c := Config{Step: 2 * time.Second, Quantile: 0.9}
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for range 100 {
		now = now.Add(2 * time.Second)
		if f := s.Advance(now, 0, 30*time.Second, c); f.Known() {
			t.Fatalf("a forecast of a service without any demand: %+v", f)
		}
	}
	var f Forecast
	for range 60 {
		now = now.Add(2 * time.Second)
		f = s.Advance(now, 28, 30*time.Second, c)
	}
	if f.Upper > 28*prejudice {
		t.Errorf("two minutes into a constant demand of 28 the upper quantile is %.1f", f.Upper)
	}
}
