package forecast

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// codecs write and read plain data.
var codecs = map[string]func(from, to any) error{
	"gob": func(from, to any) error {
		var b bytes.Buffer
		if err := gob.NewEncoder(&b).Encode(from); err != nil {
			return err
		}
		return gob.NewDecoder(&b).Decode(to)
	},
	"json": func(from, to any) error {
		text, err := json.Marshal(from)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, to)
	},
}

// restarts are the rows after which a checkpoint is taken: before anything is known, amid leading zeros, at the first
// demand, within the first horizon, when residuals are thinned, within silence and after days.
var restarts = []int{0, 3, 6, 7, 20, 199, 200, 384, 700, 1003, 1499}

// interrupted is leading zeros, then a restless series with gaps.
func interrupted(n int) []float64 {
	values := restless(9, n, 10*time.Minute)
	fill(values[:6], 0)
	fill(values[900:960], math.NaN())
	return values
}

func TestAForecasterGoesOnFromACheckpoint(t *testing.T) {
	values := interrupted(1600)
	for name, copied := range codecs {
		for _, statistic := range []Statistic{Value, Maximum} {
			t.Run(name+"/"+string(statistic), func(t *testing.T) {
				s := asked(10*time.Minute, 1, 12)
				s.Statistic = statistic
				kept, restored := newStream(s), newStream(s)
				for i := range values {
					for _, r := range restarts {
						if i == r {
							var f Forecaster
							if err := copied(restored.Forecaster, &f); err != nil {
								t.Fatal(err)
							}
							restored.Forecaster = f
						}
					}
					kept.feed(1, at(values))
					restored.feed(1, at(values))
					if i%7 > 0 {
						continue
					}
					if diff := cmp.Diff(kept.Predict(&s), restored.Predict(&s)); diff != "" {
						t.Fatalf("row %d (-kept +restored):\n%s", i, diff)
					}
				}
			})
		}
	}
}

func TestAStateGoesOnFromACheckpoint(t *testing.T) {
	for name, copied := range codecs {
		t.Run(name, func(t *testing.T) {
			rng := seeded(7)
			var kept, restored State
			for i := range 1500 {
				if i%171 == 7 {
					var s State
					if err := copied(restored, &s); err != nil {
						t.Fatal(err)
					}
					restored = s
				}
				now, v := t0.Add(time.Duration(i)*config.Step), 10+3*rng.NormFloat64()
				if diff := cmp.Diff(kept.Advance(now, v, horizon, config), restored.Advance(now, v, horizon, config)); diff != "" {
					t.Fatalf("%d steps after the start (-kept +restored):\n%s", i, diff)
				}
			}
		})
	}
}

// Predict only looks: whoever asks more often is told the same.
func TestPredictChangesNothing(t *testing.T) {
	s := asked(10*time.Minute, 1, 12)
	values := interrupted(1500)
	silent := newStream(s)
	newStream(s).follow(len(values), at(values), func(i int, _ []Prediction) { silent.feed(1, at(values)) })
	asking := newStream(s)
	asking.follow(len(values), at(values), func(int, []Prediction) { asking.Predict(&s) })
	if diff := cmp.Diff(silent.Forecaster, asking.Forecaster); diff != "" {
		t.Fatalf("(-never asked +asked each row):\n%s", diff)
	}
}

// What was predicted is the caller's: rows that come later do not change it.
func TestAPredictionStays(t *testing.T) {
	s := asked(10*time.Minute, 1, 12)
	values := interrupted(1200)
	x := newStream(s)
	x.feed(800, at(values))
	given := x.Predict(&s)
	var remembered []Prediction
	if err := codecs["gob"](given, &remembered); err != nil {
		t.Fatal(err)
	}
	x.feed(400, at(values))
	if diff := cmp.Diff(remembered, given); diff != "" {
		t.Fatalf("(-when given +400 rows later):\n%s", diff)
	}
}

func TestASeriesOfRowsNotKnownIsOneGap(t *testing.T) {
	s := asked(10*time.Minute, 1, 12)
	values := restless(4, 900, s.Step)
	given, left := newStream(s), newStream(s)
	for i, v := range values {
		given.feed(1, at(values))
		if left.row++; v >= 0 || i == 0 {
			left.Observe(&s, left.start(i+1), v)
		}
	}
	given.feed(1, func(int) float64 { return 20 })
	left.feed(1, func(int) float64 { return 20 })
	if diff := cmp.Diff(given.Predict(&s), left.Predict(&s)); diff != "" {
		t.Fatalf("(-rows of NaN +rows left out):\n%s", diff)
	}
}

// A row that comes again, or late, is dropped, whatever it says.
func TestARowThatIsNoNewerIsDropped(t *testing.T) {
	s := asked(10*time.Minute, 1, 12)
	values := restless(4, 300, s.Step)
	once, again := newStream(s), newStream(s)
	for i := range values {
		once.feed(1, at(values))
		again.feed(1, at(values))
		for _, earlier := range []int{0, 1, i} {
			again.Observe(&s, again.start(i+1-earlier), 1e6)
		}
	}
	if diff := cmp.Diff(once.Forecaster, again.Forecaster); diff != "" {
		t.Fatalf("(-once +again and again):\n%s", diff)
	}
}

// heap is the size of what a new Forecaster holds after it has gone through a series.
func heap(s Spec, rows int, value func(int) float64) (*stream, float64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := newStream(s)
	x.feed(rows, value)
	runtime.GC()
	runtime.ReadMemStats(&after)
	return x, float64(after.HeapAlloc) - float64(before.HeapAlloc)
}

// Five weeks of minutes take less than a MiB, and no row allocates for good.
func TestMemoryIsBounded(t *testing.T) {
	s := asked(time.Minute, 1, 5, 10, 30)
	rng := seeded(1)
	values := series(10_000, noise(rng, 20, 5))
	x, bytes := heap(s, 36*daysOfMinutes, func(i int) float64 { return values[i%len(values)] })
	t.Logf("%.0f KiB", bytes/1024)
	if bytes > 1<<20 {
		t.Errorf("%.0f KiB after five weeks of minutes", bytes/1024)
	}
	if n := testing.AllocsPerRun(1000, func() { x.feed(1, func(i int) float64 { return values[i%len(values)] }) }); n > 2 {
		t.Errorf("%.2f allocations a row", n)
	}
	if n := testing.AllocsPerRun(200, func() { x.Predict(&s) }); n > 80 {
		t.Errorf("%.0f allocations for a prediction", n)
	}
	runtime.KeepAlive(x)
}
