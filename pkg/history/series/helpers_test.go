package series

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

// start is at the beginning of a day and of a week of tsdb's.
var start = time.UnixMilli(2900 * weekLength).UTC()

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func idOf(n int) controlloop.TargetID {
	return controlloop.TargetID{Namespace: "models", Name: fmt.Sprintf("llama-%d", n)}
}

// attached returns a store on a folder that is detached at the end of the test.
func attached(t testing.TB, dir string, now time.Time) *Store {
	t.Helper()
	s := NewStore(dir, Limits{}, silent())
	if err := s.Attach(now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Detach() })
	return s
}

// twin is a store that is too simple to be wrong: all samples, in a list.
type twin map[key][]point

func (tw twin) append(now time.Time, rows []Row) {
	for _, r := range rows {
		for q := range numQuantities {
			if v, ok := r.Value(q); ok {
				tw[key{r.Target, q}] = append(tw[key{r.Target, q}], point{now.Round(time.Second).UnixMilli(), v})
			}
		}
	}
}

// between returns the samples in [from, to); those before ticks, by the minute.
func (tw twin) between(k key, ticks, from, to int64) []Sample {
	byTime := map[int64][]float64{}
	for _, p := range tw[k] {
		at := p.t
		if p.t < ticks {
			at = p.t / 60_000 * 60_000
		}
		if from <= at && at < to {
			byTime[at] = append(byTime[at], p.v)
		}
	}
	var out []Sample
	for at, values := range byTime {
		v := values[len(values)-1]
		if at < ticks && k.quantity <= Held {
			v = 0
			for _, x := range values {
				v += x / float64(len(values))
			}
			v = rounded(v, minuteBits)
		}
		out = append(out, Sample{time.UnixMilli(at).UTC(), v})
	}
	slices.SortFunc(out, func(a, b Sample) int { return a.Time.Compare(b.Time) })
	return out
}

// rowsAt are rows of a tick like those of real targets: with noise, with gaps, with what seldom changes.
func rowsAt(rng *rand.Rand, now time.Time, targets int) []Row {
	rows := make([]Row, targets)
	day := math.Sin(2 * math.Pi * float64(now.Unix()%86400) / 86400)
	for i := range rows {
		r := Row{Target: idOf(i)}
		r.Set(Desired, math.Round(5+3*day))
		r.Set(Ready, math.Round(5+3*day))
		if rng.IntN(50) > 0 {
			demand := math.Max(0, (20+12*day)*(1+0.2*rng.NormFloat64()))
			r.Set(Demand, demand)
			r.Set(PromptTokens, demand*900*(1+0.1*rng.NormFloat64()))
			r.Set(GenerationTokens, demand*250*(1+0.1*rng.NormFloat64()))
			r.Set(Waiting, float64(max(0, rng.IntN(9)-6)))
			r.Set(Running, math.Round(math.Max(0, demand*4*(1+0.1*rng.NormFloat64()))))
			r.Set(Held, 0)
			hour := float64(now.Unix() / 3600)
			r.Set(LeadTimeP50, 95+math.Mod(hour, 7)/3)
			r.Set(LeadTimeP90, 140+math.Mod(hour, 5)/3)
			r.Set(Capacity, 4.1+0.01*float64(now.Unix()/300%13))
		}
		rows[i] = r
	}
	return rows
}

// agree compares all of a store with a twin. Before ticks there are minutes.
func agree(t *testing.T, s *Store, tw twin, ticks, from, to time.Time) {
	t.Helper()
	if len(tw) == 0 {
		t.Fatal("nothing to compare")
	}
	for k := range tw {
		got, err := s.Range(context.Background(), k.target, k.quantity, from, to, 0)
		if err != nil {
			t.Fatalf("%v: %v", k, err)
		}
		want := tw.between(k, ticks.UnixMilli(), from.UnixMilli(), to.UnixMilli())
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%v: %d samples, want %d: %.800s", k, len(got), len(want), d)
		}
	}
}

// firstTick returns the time before which there are minutes.
func firstTick(s *Store) time.Time {
	first := s.newest
	if len(s.windows) > 0 {
		first = s.windows[0].start
	}
	for _, b := range s.ticks.blocks {
		first = min(first, b.MinTime())
	}
	return time.UnixMilli(first)
}
