package signals

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNamesAreDistinctAndFound(t *testing.T) {
	seen := map[string]bool{}
	for m := range NumMetrics {
		if got, ok := MetricNamed(m.String()); !ok || got != m || seen[m.String()] {
			t.Errorf("MetricNamed(%q) = %d %v, want %d", m, got, ok, m)
		}
		seen[m.String()] = true
	}
	for l := range NumLatencies {
		if got, ok := LatencyNamed(l.String()); !ok || got != l || seen[l.String()] {
			t.Errorf("LatencyNamed(%q) = %d %v, want %d", l, got, ok, l)
		}
		seen[l.String()] = true
	}
	if _, ok := MetricNamed("inference_nothing"); ok {
		t.Error("found a metric that does not exist")
	}
	if _, ok := LatencyNamed(""); ok {
		t.Error("found a latency that does not exist")
	}
	if got := NumMetrics.String() + NumLatencies.String(); got != "signals.Metric(21)signals.Latency(5)" {
		t.Errorf("names beyond the vocabulary: %s", got)
	}
}

func TestCountersAreNamedTotal(t *testing.T) {
	for m := range NumMetrics {
		name := m.String()
		total := len(name) > 6 && name[len(name)-6:] == "_total"
		if total != (m.Kind() == Counter) {
			t.Errorf("%s is of kind %d", name, m.Kind())
		}
	}
}

func TestSetKeepsOnlyWhatAnEngineCanMean(t *testing.T) {
	cases := map[string]struct {
		v    float64
		want bool
	}{
		"zero":                {0, true},
		"minus zero":          {math.Copysign(0, -1), true},
		"large":               {9.1e18, true},
		"negative":            {-1, false},
		"barely negative":     {-5e-324, false},
		"NaN":                 {math.NaN(), false},
		"infinite":            {math.Inf(1), false},
		"a sentinel for none": {9223372036854775794, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var r Reading
			if !r.Empty() {
				t.Error("a new reading is not empty")
			}
			r.Set(RequestsWaiting, c.v)
			v, ok := r.Value(RequestsWaiting)
			if ok != c.want || ok == r.Empty() || math.Signbit(v) {
				t.Errorf("Value = %v %v, want known %v", v, ok, c.want)
			}
		})
	}
	t.Run("a refused value leaves the one before", func(t *testing.T) {
		var r Reading
		r.Set(RequestsWaiting, 3)
		r.Set(RequestsWaiting, math.NaN())
		if v, ok := r.Value(RequestsWaiting); v != 3 || !ok {
			t.Errorf("Value = %v %v, want 3 true", v, ok)
		}
	})
	t.Run("a histogram alone is not empty", func(t *testing.T) {
		var r Reading
		r.SetHistogram(TTFT, &Histogram{Counts: []float64{0}})
		if r.Empty() {
			t.Error("reading with a histogram is empty")
		}
	})
}

func TestIncrease(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	later := start.Add(time.Hour)
	unknown := math.NaN()
	cases := map[string]struct {
		from, to       float64
		started, again time.Time
		want           float64
		known          bool
	}{
		"a counter that rose":                            {from: 5, to: 8, want: 3, known: true},
		"a counter that stood":                           {from: 5, to: 5, want: 0, known: true},
		"a counter that all but vanished began anew":     {from: 500, to: 2, want: 2, known: true},
		"a counter that fell by a part lost that":        {from: 500, to: 70},
		"the same process that lost nearly all of it":    {from: 500, to: 2, started: start, again: start},
		"a new process that has counted less":            {from: 500, to: 70, started: start, again: later, want: 70, known: true},
		"a new process that has counted further already": {from: 5, to: 8, started: start, again: later, want: 8, known: true},
		"the same process":                               {from: 5, to: 8, started: start, again: start, want: 3, known: true},
		"a process that says when it began only now":     {from: 5, to: 8, again: later, want: 3, known: true},
		"a process that says no more when it began":      {from: 5, to: 8, started: start, want: 3, known: true},
		"unknown before":                                 {from: unknown, to: 8},
		"unknown after":                                  {from: 5, to: unknown},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, b := Reading{Started: c.started}, Reading{Started: c.again}
			a.Set(PromptTokens, c.from)
			b.Set(PromptTokens, c.to)
			got, known := Increase(&a, &b, PromptTokens)
			if got != c.want || known != c.known {
				t.Errorf("Increase = %v %v, want %v %v", got, known, c.want, c.known)
			}
		})
	}
}

func TestQuantile(t *testing.T) {
	h := &Histogram{Bounds: []float64{1, 2, 4}, Counts: []float64{4, 8, 8, 10}, Sum: 15}
	cases := map[string]struct {
		h         *Histogram
		q, want   float64
		saturated bool
		ok        bool
	}{
		"within the lowest bucket, which starts at zero": {h: h, q: 0.2, want: 0.5, ok: true},
		"at a bound":                      {h: h, q: 0.4, want: 1, ok: true},
		"between bounds":                  {h: h, q: 0.6, want: 1.5, ok: true},
		"an empty bucket is passed over":  {h: h, q: 0.8, want: 2, ok: true},
		"above the last bound":            {h: h, q: 0.9, want: 4, saturated: true, ok: true},
		"the lowest":                      {h: h, q: 0, want: 0, ok: true},
		"the highest":                     {h: h, q: 1, want: 4, saturated: true, ok: true},
		"outside 0 to 1":                  {h: h, q: 1.5},
		"NaN":                             {h: h, q: math.NaN()},
		"nothing observed":                {h: &Histogram{Bounds: []float64{1}, Counts: []float64{0, 0}}, q: 0.5},
		"no buckets":                      {h: &Histogram{Counts: []float64{3}, Sum: 3}, q: 0.5},
		"no histogram":                    {q: 0.5},
		"a bucket that ends at zero":      {h: &Histogram{Bounds: []float64{0, 1}, Counts: []float64{2, 2, 2}}, q: 0.5, want: 0, ok: true},
		"everything in the lowest bucket": {h: &Histogram{Bounds: []float64{8}, Counts: []float64{4, 4}}, q: 0.25, want: 2, ok: true},
		"everything above the last bound": {h: &Histogram{Bounds: []float64{8}, Counts: []float64{0, 4}}, q: 0.25, want: 8, saturated: true, ok: true},
		"half of a single observation":    {h: &Histogram{Bounds: []float64{8}, Counts: []float64{1, 1}}, q: 0.5, want: 4, ok: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v, saturated, ok := c.h.Quantile(c.q)
			if math.Abs(v-c.want) > 1e-12 || saturated != c.saturated || ok != c.ok {
				t.Errorf("Quantile(%v) = %v %v %v, want %v %v %v", c.q, v, saturated, ok, c.want, c.saturated, c.ok)
			}
		})
	}
}

func TestMean(t *testing.T) {
	if v, ok := (&Histogram{Counts: []float64{4}, Sum: 6}).Mean(); v != 1.5 || !ok {
		t.Errorf("Mean = %v %v, want 1.5 true", v, ok)
	}
	if _, ok := (&Histogram{Counts: []float64{0}}).Mean(); ok {
		t.Error("the mean of nothing is known")
	}
	if _, ok := (*Histogram)(nil).Mean(); ok {
		t.Error("the mean of no histogram is known")
	}
}

func TestCountAtMost(t *testing.T) {
	h := &Histogram{Bounds: []float64{1, 2}, Counts: []float64{4, 8, 10}}
	for x, want := range map[float64]float64{-1: 0, 0: 0, 0.5: 2, 1: 4, 1.25: 5, 2: 8, 99: 8} {
		if got := h.CountAtMost(x); got != want {
			t.Errorf("CountAtMost(%v) = %v, want %v", x, got, want)
		}
	}
	if got := (&Histogram{Counts: []float64{3}}).CountAtMost(1); got != 0 {
		t.Errorf("without buckets CountAtMost = %v, want 0: all may be larger", got)
	}
}

func TestMerge(t *testing.T) {
	a := &Histogram{Bounds: []float64{1, 2}, Counts: []float64{1, 2, 3}, Sum: 4}
	b := &Histogram{Bounds: []float64{1, 2}, Counts: []float64{10, 20, 30}, Sum: 40}
	other := &Histogram{Bounds: []float64{4}, Counts: []float64{4, 8}, Sum: 20}
	empty := &Histogram{Bounds: []float64{7}, Counts: []float64{0, 0}}
	cases := map[string]struct {
		hs   []*Histogram
		want *Histogram
	}{
		"the same bounds":          {[]*Histogram{a, b}, &Histogram{Bounds: []float64{1, 2}, Counts: []float64{11, 22, 33}, Sum: 44}},
		"one":                      {[]*Histogram{a}, a},
		"none":                     {nil, nil},
		"nil and empty ones":       {[]*Histogram{nil, a, empty, nil}, a},
		"only empty ones":          {[]*Histogram{nil, empty}, nil},
		"other bounds interpolate": {[]*Histogram{a, other}, &Histogram{Bounds: []float64{1, 2, 4}, Counts: []float64{2, 4, 6, 11}, Sum: 24}},
		"one without buckets": {
			[]*Histogram{a, {Counts: []float64{5}, Sum: 5}},
			&Histogram{Bounds: []float64{1, 2}, Counts: []float64{1, 2, 8}, Sum: 9},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Merge(c.hs...)); diff != "" {
				t.Errorf("Merge (-want +got):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(&Histogram{Bounds: []float64{1, 2}, Counts: []float64{1, 2, 3}, Sum: 4}, a); diff != "" {
		t.Errorf("Merge changed its argument (-want +got):\n%s", diff)
	}
}

func TestHistogramIncrease(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(started time.Time, h *Histogram) *Reading {
		r := &Reading{Started: started}
		r.SetHistogram(TTFT, h)
		return r
	}
	few := &Histogram{Bounds: []float64{1, 2}, Counts: []float64{1, 2, 3}, Sum: 4}
	many := &Histogram{Bounds: []float64{1, 2}, Counts: []float64{2, 5, 7}, Sum: 10}
	cases := map[string]struct {
		from, to *Reading
		want     *Histogram
	}{
		"what came since": {at(start, few), at(start, many), &Histogram{Bounds: []float64{1, 2}, Counts: []float64{1, 3, 4}, Sum: 6}},
		"nothing came":    {at(start, few), at(start, few), &Histogram{Bounds: []float64{1, 2}, Counts: []float64{0, 0, 0}}},
		"a part is gone":  {at(start, many), at(start, few), nil},
		"a reset":         {at(time.Time{}, &Histogram{Bounds: []float64{1, 2}, Counts: []float64{2, 50, 70}, Sum: 100}), at(time.Time{}, few), few},
		"a new process":   {at(start, few), at(start.Add(time.Hour), many), many},
		"unknown before":  {at(start, nil), at(start, many), nil},
		"unknown after":   {at(start, few), at(start, nil), nil},
		"other buckets":   {at(start, few), at(start, &Histogram{Bounds: []float64{1}, Counts: []float64{9, 9}}), nil},
		"a bucket that shrank counts as unchanged": {
			at(start, &Histogram{Bounds: []float64{1, 2}, Counts: []float64{3, 4, 4}, Sum: 5}),
			at(start, &Histogram{Bounds: []float64{1, 2}, Counts: []float64{2, 6, 6}, Sum: 4}),
			&Histogram{Bounds: []float64{1, 2}, Counts: []float64{0, 2, 2}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, HistogramIncrease(c.from, c.to, TTFT)); diff != "" {
				t.Errorf("HistogramIncrease (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFrozen(t *testing.T) {
	page := func(running, tokens float64) *Reading {
		r := &Reading{}
		r.Set(RequestsRunning, running)
		r.Set(GenerationTokens, tokens)
		r.SetHistogram(ITL, &Histogram{Bounds: []float64{1}, Counts: []float64{tokens, tokens}, Sum: tokens / 10})
		return r
	}
	atEnd := func(itl *Histogram) *Reading { // counts its tokens when a request ends
		r := page(3, 100)
		r.SetHistogram(ITL, itl)
		return r
	}
	batchOf := func(running float64) *Reading {
		r := &Reading{}
		r.Set(RequestsRunning, running)
		return r
	}
	for name, tc := range map[string]struct {
		earlier, later *Reading
		want           bool
	}{
		"requests run and nothing moves":      {page(3, 100), page(3, 100), true},
		"tokens are produced":                 {page(3, 100), page(3, 101), false},
		"idle: nothing moves, and rightly so": {page(0, 100), page(0, 100), false},
		"the number of running is not known":  {&Reading{}, &Reading{}, false},
		"requests began to run since":         {page(2, 100), page(3, 100), false},
		"a page without a counter of tokens":  {batchOf(3), batchOf(3), false},
		"a long generation without ITL":       {atEnd(nil), atEnd(nil), false},
		"a long generation whose ITL moves":   {page(3, 100), atEnd(&Histogram{Bounds: []float64{1}, Counts: []float64{101, 101}}), false},
		"a long generation with a mean only":  {atEnd(&Histogram{Counts: []float64{9}}), atEnd(&Histogram{Counts: []float64{9}}), false},
		"a metric that was there is gone":     {page(3, 100), func() *Reading { r := &Reading{}; r.Set(RequestsRunning, 3); return r }(), false},
	} {
		if got := Frozen(tc.earlier, tc.later); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestPrefillIsDerivedOfTwoReadings(t *testing.T) {
	page := func(values map[Metric]float64) *Reading {
		r := &Reading{}
		for m, v := range values {
			r.Set(m, v)
		}
		return r
	}
	for name, tc := range map[string]struct {
		earlier, later map[Metric]float64
		want           float64
		ok             bool
	}{
		"stated": {
			map[Metric]float64{PromptTokensComputed: 1, PromptTokens: 1, PromptTokensCached: 0},
			map[Metric]float64{PromptTokensComputed: 5, PromptTokens: 11, PromptTokensCached: 1},
			4, true,
		},
		"prompt less cached": {
			map[Metric]float64{PromptTokens: 100, PromptTokensCached: 90},
			map[Metric]float64{PromptTokens: 150, PromptTokensCached: 120},
			20, true,
		},
		"the cached ones are ahead": {
			map[Metric]float64{PromptTokens: 100, PromptTokensCached: 10},
			map[Metric]float64{PromptTokens: 100, PromptTokensCached: 20},
			0, true,
		},
		"the cached ones are not known": {map[Metric]float64{PromptTokens: 100}, map[Metric]float64{PromptTokens: 150}, 0, false},
	} {
		got, ok := PrefillIncrease(page(tc.earlier), page(tc.later))
		if ok != tc.ok || ok && got != tc.want {
			t.Errorf("%s: %v %v, want %v %v", name, got, ok, tc.want, tc.ok)
		}
	}
}

// The twin of HistogramIncreases adds step by step.
func TestHistogramIncreasesEqualsItsSteps(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 7))
		readings := randomReadings(rng)
		var want *Histogram
		var last *Reading
		for _, r := range readings {
			if r.Histogram(TTFT) == nil {
				continue
			}
			if last != nil {
				want = Merge(want, HistogramIncrease(last, r, TTFT))
			}
			last = r
		}
		if diff := cmp.Diff(want, HistogramIncreases(readings, TTFT)); diff != "" {
			t.Fatalf("seed %d: HistogramIncreases (-want +got):\n%s", seed, diff)
		}
	}
	if got := HistogramIncreases(nil, TTFT); got != nil {
		t.Errorf("of no readings = %v, want nil", got)
	}
}

// randomReadings are of an engine that restarts at times, now and then with other buckets, and of which some pages
// lack the distribution.
func randomReadings(rng *rand.Rand) []*Reading {
	bounds := [][]float64{{1, 2}, {1, 2, 4}}[rng.IntN(2)]
	counts := make([]float64, len(bounds)+1)
	started := time.Unix(1e9, 0)
	var readings []*Reading
	for range rng.IntN(15) {
		if rng.IntN(6) == 0 {
			counts = make([]float64, len(bounds)+1)
			started = started.Add(time.Minute)
		}
		if rng.IntN(12) == 0 {
			bounds = append([]float64{0.5}, bounds...)
			counts = make([]float64, len(bounds)+1)
			started = started.Add(time.Minute)
		}
		add := 0.0
		for i := range counts {
			add += float64(rng.IntN(5))
			counts[i] += add
		}
		r := &Reading{Started: started}
		if rng.IntN(5) > 0 {
			h := Histogram{Bounds: bounds, Counts: counts}
			r.SetHistogram(TTFT, h.clone())
		}
		readings = append(readings, r)
	}
	return readings
}
