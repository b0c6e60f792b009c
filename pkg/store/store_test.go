package store

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func pod1() PodID { return PodID{"ns", "pod-1", "uid-1"} }
func pod2() PodID { return PodID{"ns", "pod-2", "uid-2"} }

// reading makes a reading at t0 + seconds.
func reading(seconds float64, values map[signals.Metric]float64) *signals.Reading {
	r := &signals.Reading{Time: t0.Add(time.Duration(seconds * float64(time.Second)))}
	for m, v := range values {
		r.Set(m, v)
	}
	return r
}

func seconds(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

// counter makes readings of one counter, every 5 s.
func counter(m signals.Metric, values ...float64) []*signals.Reading {
	var rs []*signals.Reading
	for i, v := range values {
		rs = append(rs, reading(5*float64(i), map[signals.Metric]float64{m: v}))
	}
	return rs
}

func withTTFT(r *signals.Reading, counts ...float64) *signals.Reading {
	bounds := []float64{1, 2, 4}
	n := counts[len(counts)-1]
	r.SetHistogram(signals.TTFT, &signals.Histogram{Bounds: bounds, Counts: counts, Sum: 1.5 * n})
	return r
}

func mustLatency(t testing.TB, l signals.Latency, s Statistic) Quantity {
	t.Helper()
	q, ok := LatencyQuantity(l, s)
	if !ok {
		t.Fatalf("%v of %v is not served", s, l)
	}
	return q
}

func TestPod(t *testing.T) {
	w, run := signals.RequestsWaiting, signals.RequestsRunning
	restarted := reading(15, map[signals.Metric]float64{signals.RequestsFinished: 90})
	restarted.Started = t0.Add(12 * time.Second)
	first := reading(0, map[signals.Metric]float64{signals.RequestsFinished: 10})
	first.Started = t0.Add(-time.Hour)
	cases := map[string]struct {
		readings []*signals.Reading
		q        Quantity
		now      float64
		want     Sample
		unknown  bool
	}{
		"a gauge is the newest value, without a window": {
			readings: []*signals.Reading{reading(0, map[signals.Metric]float64{w: 9}), reading(5, map[signals.Metric]float64{w: 3})},
			q:        RequestsWaiting, now: 6, want: Sample{Value: 3, Time: seconds(5)},
		},
		"a gauge of zero is known": {
			readings: []*signals.Reading{reading(0, map[signals.Metric]float64{w: 0})},
			q:        RequestsWaiting, now: 1, want: Sample{Value: 0, Time: seconds(0)},
		},
		"a gauge that the newest reading lacks is unknown": {
			readings: []*signals.Reading{reading(0, map[signals.Metric]float64{w: 9}), reading(5, map[signals.Metric]float64{run: 3})},
			q:        RequestsWaiting, now: 6, unknown: true,
		},
		"at the bound of staleness a value still serves": {
			readings: []*signals.Reading{reading(0, map[signals.Metric]float64{w: 9})},
			q:        RequestsWaiting, now: 15, want: Sample{Value: 9, Time: seconds(0)},
		},
		"beyond it nothing does": {
			readings: []*signals.Reading{reading(0, map[signals.Metric]float64{w: 9})},
			q:        RequestsWaiting, now: 15.1, unknown: true,
		},
		"in flight is waiting and running": {
			readings: []*signals.Reading{reading(0, map[signals.Metric]float64{w: 9, run: 4})},
			q:        RequestsInFlight, now: 1, want: Sample{Value: 13, Time: seconds(0)},
		},
		"in flight is unknown where either is": {
			readings: []*signals.Reading{reading(0, map[signals.Metric]float64{w: 9})},
			q:        RequestsInFlight, now: 1, unknown: true,
		},
		"a rate needs two readings": {
			readings: counter(signals.RequestsFinished, 100), q: RequestRate, now: 1, unknown: true,
		},
		"a rate is the increase over the real time between readings": {
			readings: counter(signals.RequestsFinished, 100, 110, 130), q: RequestRate, now: 11,
			want: Sample{Value: 3, Time: seconds(10), Window: 10 * time.Second},
		},
		"an idle engine has a rate of zero": {
			readings: counter(signals.RequestsFinished, 100, 100), q: RequestRate, now: 6,
			want: Sample{Value: 0, Time: seconds(5), Window: 5 * time.Second},
		},
		"a reset in the middle loses only what was not seen": {
			readings: counter(signals.RequestsFinished, 100, 110, 5, 20), q: RequestRate, now: 16,
			want: Sample{Value: 2, Time: seconds(15), Window: 15 * time.Second},
		},
		"a reset that the value hides is told by the process": {
			readings: []*signals.Reading{first, restarted}, q: RequestRate, now: 16,
			want: Sample{Value: 6, Time: seconds(15), Window: 15 * time.Second},
		},
		"a reading without the counter is passed over": {
			readings: []*signals.Reading{
				reading(0, map[signals.Metric]float64{signals.RequestsFinished: 10}),
				reading(5, map[signals.Metric]float64{w: 1}),
				reading(10, map[signals.Metric]float64{signals.RequestsFinished: 30}),
			},
			q: RequestRate, now: 11, want: Sample{Value: 2, Time: seconds(10), Window: 10 * time.Second},
		},
		"a counter that the newest reading lacks is unknown": {
			readings: append(counter(signals.RequestsFinished, 10, 20), reading(10, map[signals.Metric]float64{w: 1})),
			q:        RequestRate, now: 11, unknown: true,
		},
		"tokens are prompt and generated ones": {
			readings: []*signals.Reading{
				reading(0, map[signals.Metric]float64{signals.PromptTokens: 100, signals.GenerationTokens: 10}),
				reading(10, map[signals.Metric]float64{signals.PromptTokens: 200, signals.GenerationTokens: 60}),
			},
			q: TokenRate, now: 11, want: Sample{Value: 15, Time: seconds(10), Window: 10 * time.Second},
		},
		"the hit ratio is of the window, not of all time": {
			readings: []*signals.Reading{
				reading(0, map[signals.Metric]float64{signals.PrefixCacheHits: 1000, signals.PrefixCacheQueries: 1000}),
				reading(10, map[signals.Metric]float64{signals.PrefixCacheHits: 1010, signals.PrefixCacheQueries: 1040}),
			},
			q: PrefixCacheHitRatio, now: 11, want: Sample{Value: 0.25, Time: seconds(10), Window: 10 * time.Second},
		},
		"the hit ratio of no queries is unknown": {
			readings: []*signals.Reading{
				reading(0, map[signals.Metric]float64{signals.PrefixCacheHits: 10, signals.PrefixCacheQueries: 40}),
				reading(10, map[signals.Metric]float64{signals.PrefixCacheHits: 10, signals.PrefixCacheQueries: 40}),
			},
			q: PrefixCacheHitRatio, now: 11, unknown: true,
		},
		"a quantile is of what the window observed": {
			readings: []*signals.Reading{
				withTTFT(reading(0, nil), 0, 0, 1000, 1000),
				withTTFT(reading(10, nil), 4, 8, 1008, 1008),
			},
			q: mustLatency(t, signals.TTFT, P50), now: 11, want: Sample{Value: 1, Time: seconds(10), Window: 10 * time.Second},
		},
		"a mean likewise": {
			readings: []*signals.Reading{withTTFT(reading(0, nil), 0, 0, 100, 100), withTTFT(reading(10, nil), 4, 8, 108, 108)},
			q:        mustLatency(t, signals.TTFT, Mean), now: 11, want: Sample{Value: 1.5, Time: seconds(10), Window: 10 * time.Second},
		},
		"a quantile above the last bucket says so": {
			readings: []*signals.Reading{withTTFT(reading(0, nil), 0, 0, 0, 0), withTTFT(reading(10, nil), 0, 0, 1, 9)},
			q:        mustLatency(t, signals.TTFT, P99), now: 11,
			want: Sample{Value: 4, Time: seconds(10), Window: 10 * time.Second, Saturated: true},
		},
		"a quantile of nothing is unknown": {
			readings: []*signals.Reading{withTTFT(reading(0, nil), 1, 2, 3, 4), withTTFT(reading(10, nil), 1, 2, 3, 4)},
			q:        mustLatency(t, signals.TTFT, P99), now: 11, unknown: true,
		},
		"a quantile of one reading is unknown": {
			readings: []*signals.Reading{withTTFT(reading(0, nil), 1, 2, 3, 4)},
			q:        mustLatency(t, signals.TTFT, P50), now: 1, unknown: true,
		},
		"a quantile survives a reset": {
			readings: []*signals.Reading{
				withTTFT(reading(0, nil), 0, 0, 1000, 1000),
				withTTFT(reading(5, nil), 2, 4, 1004, 1004),
				withTTFT(reading(10, nil), 2, 4, 4, 4),
			},
			q: mustLatency(t, signals.TTFT, P50), now: 11, want: Sample{Value: 1, Time: seconds(10), Window: 10 * time.Second},
		},
		"no reading": {q: RequestsWaiting, unknown: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := New(Options{})
			for _, r := range c.readings {
				s.Put(pod1(), r)
			}
			got, ok := s.Pod(pod1(), c.q, seconds(c.now))
			if ok == c.unknown || math.Abs(got.Value-c.want.Value) > 1e-9 || got.Saturated != c.want.Saturated ||
				!got.Time.Equal(c.want.Time) || got.Window != c.want.Window {
				t.Errorf("Pod(%v) = %+v %v, want %+v %v", c.q, got, ok, c.want, !c.unknown)
			}
		})
	}
}

func TestGroup(t *testing.T) {
	util, capacity := signals.KVCacheUtilization, signals.KVCacheCapacityTokens
	type gauges = map[signals.Metric]float64
	cases := map[string]struct {
		a, b  []*signals.Reading
		q     Quantity
		now   float64
		want  float64
		known int
		ok    bool
		time  float64
	}{
		"a sum": {
			a: []*signals.Reading{reading(1, gauges{signals.RequestsWaiting: 3})},
			b: []*signals.Reading{reading(3, gauges{signals.RequestsWaiting: 4})},
			q: RequestsWaiting, now: 4, want: 7, known: 2, ok: true, time: 1,
		},
		"a stale pod is left out and the caller told": {
			a: []*signals.Reading{reading(0, gauges{signals.RequestsWaiting: 3})},
			b: []*signals.Reading{reading(15, gauges{signals.RequestsWaiting: 4})},
			q: RequestsWaiting, now: 16, want: 4, known: 1, ok: true, time: 15,
		},
		"no pod is known": {q: RequestsWaiting, now: 1},
		"utilization weighs by capacity": {
			a: []*signals.Reading{reading(0, gauges{util: 1, capacity: 100})},
			b: []*signals.Reading{reading(0, gauges{util: 0.2, capacity: 300})},
			q: KVCacheUtilization, now: 1, want: 0.4, known: 2, ok: true,
		},
		"utilization does not weigh where a capacity is unknown": {
			a: []*signals.Reading{reading(0, gauges{util: 1, capacity: 100})},
			b: []*signals.Reading{reading(0, gauges{util: 0.2})},
			q: KVCacheUtilization, now: 1, want: 0.6, known: 2, ok: true,
		},
		"a ratio is of the sums": {
			a: []*signals.Reading{
				reading(0, gauges{signals.PrefixCacheHits: 0, signals.PrefixCacheQueries: 0}),
				reading(5, gauges{signals.PrefixCacheHits: 10, signals.PrefixCacheQueries: 10}),
			},
			b: []*signals.Reading{
				reading(0, gauges{signals.PrefixCacheHits: 0, signals.PrefixCacheQueries: 0}),
				reading(5, gauges{signals.PrefixCacheHits: 0, signals.PrefixCacheQueries: 30}),
			},
			q: PrefixCacheHitRatio, now: 6, want: 0.25, known: 2, ok: true, time: 5,
		},
		"rates over different windows add": {
			a: counter(signals.RequestsFinished, 0, 10, 20),
			b: counter(signals.RequestsFinished, 0, 50)[0:2],
			q: RequestRate, now: 11, want: 12, known: 2, ok: true, time: 5,
		},
		"a quantile is of the observations of all pods, not a mean of quantiles": {
			a: []*signals.Reading{withTTFT(reading(0, nil), 0, 0, 0, 0), withTTFT(reading(5, nil), 30, 30, 30, 30)},
			b: []*signals.Reading{withTTFT(reading(0, nil), 0, 0, 0, 0), withTTFT(reading(5, nil), 0, 0, 10, 10)},
			q: mustLatency(t, signals.TTFT, P50), now: 6, want: 20.0 / 30, known: 2, ok: true, time: 5,
		},
		"a pod that observed nothing does not hide the others": {
			a: []*signals.Reading{withTTFT(reading(0, nil), 0, 0, 0, 0), withTTFT(reading(5, nil), 0, 0, 0, 0)},
			b: []*signals.Reading{withTTFT(reading(0, nil), 0, 0, 0, 0), withTTFT(reading(5, nil), 10, 10, 10, 10)},
			q: mustLatency(t, signals.TTFT, P50), now: 6, want: 0.5, known: 2, ok: true, time: 5,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := New(Options{})
			for _, r := range c.a {
				s.Put(pod1(), r)
			}
			for _, r := range c.b {
				s.Put(pod2(), r)
			}
			got, known, ok := s.Group([]PodID{pod1(), pod2(), {Name: "never seen"}}, c.q, seconds(c.now))
			if math.Abs(got.Value-c.want) > 1e-9 || known != c.known || ok != c.ok {
				t.Fatalf("Group(%v) = %+v %d %v, want %v %d %v", c.q, got, known, ok, c.want, c.known, c.ok)
			}
			if ok && !got.Time.Equal(seconds(c.time)) {
				t.Errorf("Time = %v, want %v: the oldest of the newest readings", got.Time, seconds(c.time))
			}
		})
	}
}

func TestWindowSlides(t *testing.T) {
	s := New(Options{})
	// 1/s for ten minutes, then 5/s for one.
	total := 0.0
	for at := 0.0; at <= 660; at += 5 {
		s.Put(pod1(), reading(at, map[signals.Metric]float64{signals.RequestsFinished: total}))
		if at < 600 {
			total += 5
		} else {
			total += 25
		}
	}
	got, ok := s.Pod(pod1(), RequestRate, seconds(661))
	if !ok || math.Abs(got.Value-5) > 1e-9 || got.Window != time.Minute {
		t.Errorf("rate = %+v %v, want 5 over one minute", got, ok)
	}
	if n := len(s.pods[pod1()].readings); n != 13 {
		t.Errorf("%d readings are kept, want 13 for one minute at 5 s", n)
	}
}

func TestAGapDoesNotStretchTheWindow(t *testing.T) {
	s := New(Options{})
	s.Put(pod1(), reading(0, map[signals.Metric]float64{signals.RequestsFinished: 0}))
	s.Put(pod1(), reading(600, map[signals.Metric]float64{signals.RequestsFinished: 6000}))
	if got, ok := s.Pod(pod1(), RequestRate, seconds(601)); ok {
		t.Errorf("rate over a gap of ten minutes = %+v, want unknown", got)
	}
	s.Put(pod1(), reading(605, map[signals.Metric]float64{signals.RequestsFinished: 6005}))
	if got, ok := s.Pod(pod1(), RequestRate, seconds(606)); !ok || got.Value != 1 {
		t.Errorf("rate after the gap = %+v %v, want 1", got, ok)
	}
}

func TestReadingsThatComeTooOftenAreBounded(t *testing.T) {
	s := New(Options{})
	for i := range 10 * maxReadings {
		s.Put(pod1(), reading(float64(i)/1000, map[signals.Metric]float64{signals.RequestsFinished: float64(i)}))
	}
	if n := len(s.pods[pod1()].readings); n > maxReadings {
		t.Errorf("%d readings are kept, want at most %d", n, maxReadings)
	}
	if got, ok := s.Pod(pod1(), RequestRate, seconds(2)); !ok || math.Abs(got.Value-1000) > 1e-6 {
		t.Errorf("rate = %+v %v, want 1000", got, ok)
	}
}

func TestAnOlderReadingIsDropped(t *testing.T) {
	s := New(Options{})
	s.Put(pod1(), reading(5, map[signals.Metric]float64{signals.RequestsWaiting: 1}))
	s.Put(pod1(), reading(5, map[signals.Metric]float64{signals.RequestsWaiting: 2}))
	s.Put(pod1(), reading(4, map[signals.Metric]float64{signals.RequestsWaiting: 3}))
	if got, ok := s.Pod(pod1(), RequestsWaiting, seconds(6)); !ok || got.Value != 1 {
		t.Errorf("waiting = %+v %v, want 1", got, ok)
	}
}

func TestLatestServesWhateverItsAge(t *testing.T) {
	s := New(Options{})
	if _, ok := s.Latest(pod1()); ok {
		t.Error("an unknown pod has a reading")
	}
	s.Fail(pod1(), t0, errors.New("no"))
	if _, ok := s.Latest(pod1()); ok {
		t.Error("a failure gave a reading")
	}
	r := reading(0, nil)
	s.Put(pod1(), r)
	if got, ok := s.Latest(pod1()); !ok || got != r {
		t.Errorf("Latest = %v %v", got, ok)
	}
}

func TestProblem(t *testing.T) {
	s := New(Options{})
	refused := errors.New("refused")
	check := func(step string, want error, wantAt time.Time) {
		t.Helper()
		if at, err := s.Problem(pod1()); !errors.Is(err, want) || !at.Equal(wantAt) {
			t.Errorf("%s: Problem = %v %v, want %v %v", step, at, err, wantAt, want)
		}
	}
	check("nothing happened", nil, time.Time{})
	s.Put(pod1(), reading(0, nil))
	check("a reading came", nil, time.Time{})
	s.Fail(pod1(), seconds(5), refused)
	check("then a failure", refused, seconds(5))
	s.Put(pod1(), reading(10, nil))
	check("then a reading", nil, time.Time{})
}

func TestAFailureIsNoValue(t *testing.T) {
	s := New(Options{})
	s.Fail(pod1(), seconds(0), errors.New("refused"))
	for _, q := range Quantities() {
		if got, ok := s.Pod(pod1(), q, seconds(1)); ok {
			t.Errorf("%v = %+v after nothing but a failure", q, got)
		}
	}
}

func TestKeep(t *testing.T) {
	s := New(Options{})
	reborn := pod1()
	reborn.UID = "uid-9"
	for _, id := range []PodID{pod1(), pod2(), reborn} {
		s.Put(id, reading(0, nil))
	}
	s.Keep([]PodID{pod1()})
	for id, want := range map[PodID]bool{pod1(): true, pod2(): false, reborn: false} {
		if _, ok := s.Latest(id); ok != want {
			t.Errorf("%v is known: %v, want %v", id, ok, want)
		}
	}
}

func TestQuantitiesHaveNamesUnitsAndHelp(t *testing.T) {
	seen := map[string]bool{}
	for _, q := range Quantities() {
		if q.Name() == "" || q.Unit() == "" || q.Help() == "" || q.String() != q.Name() || seen[q.Name()] {
			t.Errorf("quantity %d: name %q, unit %q, help %q", q, q.Name(), q.Unit(), q.Help())
		}
		seen[q.Name()] = true
		if got, ok := QuantityNamed(q.Name()); !ok || got != q {
			t.Errorf("QuantityNamed(%q) = %v %v", q.Name(), got, ok)
		}
	}
	want := []string{
		"inference_requests_waiting", "inference_requests_running", "inference_requests_inflight",
		"inference_kv_cache_utilization_ratio", "inference_requests_per_second", "inference_prompt_tokens_per_second",
		"inference_generation_tokens_per_second", "inference_tokens_per_second", "inference_prefix_cache_hit_ratio",
	}
	for _, l := range []string{"time_to_first_token", "inter_token_latency", "request_duration", "time_per_output_token"} {
		for _, s := range []string{"avg", "p50", "p90", "p95", "p99"} {
			want = append(want, fmt.Sprintf("inference_%s_seconds_%s", l, s))
		}
	}
	for _, name := range want {
		if !seen[name] {
			t.Errorf("%s is not served", name)
		}
	}
	if _, ok := QuantityNamed("inference_nothing"); ok {
		t.Error("found a quantity that does not exist")
	}
	if _, ok := LatencyQuantity(signals.QueueTime, P50); ok {
		t.Error("queue time is served, which is of finished requests only")
	}
	if KVCacheUtilization.Aggregation() != CapacityWeightedMean || RequestRate.Aggregation() != Sum {
		t.Error("wrong aggregation")
	}
	if got := Quantity(255).String(); got != "store.Quantity(255)" {
		t.Errorf("unknown quantity is called %q", got)
	}
}

// Run with -race: writers, readers and the forgetting of pods at once.
func TestConcurrentUse(t *testing.T) {
	s := New(Options{})
	ids := []PodID{pod1(), pod2()}
	var running sync.WaitGroup
	for _, id := range ids {
		running.Go(func() {
			for i := range 300 {
				s.Put(id, withTTFT(reading(float64(i), map[signals.Metric]float64{signals.RequestsFinished: float64(i)}), 1, 2, 3, float64(i+3)))
				s.Fail(id, seconds(float64(i)), errors.New("x"))
			}
		})
	}
	for range 2 {
		running.Go(func() {
			for i := range 300 {
				for _, q := range Quantities() {
					s.Group(ids, q, seconds(float64(i)))
				}
				s.Latest(pod1())
				_, _ = s.Problem(pod2())
			}
		})
	}
	running.Go(func() {
		for range 300 {
			s.Keep(ids)
		}
	})
	running.Wait()
	if got, ok := s.Pod(pod1(), RequestRate, seconds(300)); !ok || math.Abs(got.Value-1) > 1e-9 {
		t.Errorf("rate = %+v %v, want 1", got, ok)
	}
}

func TestAPodWhoseReadingsComeSeldomIsNotStaleInBetween(t *testing.T) {
	s := New(Options{Window: time.Minute, Staleness: 15 * time.Second})
	id, at := PodID{Name: "a"}, time.Unix(1000, 0)
	s.Expect(id, time.Minute)
	for i := range 3 {
		r := &signals.Reading{Time: at.Add(time.Duration(i) * time.Minute)}
		r.Set(signals.RequestsFinished, float64(60*i))
		s.Put(id, r)
	}
	newest := at.Add(2 * time.Minute)
	if got, ok := s.Pod(id, RequestRate, newest.Add(3*time.Minute)); !ok || got.Value != 1 {
		t.Errorf("after three intervals: %v %v", got, ok)
	}
	if _, ok := s.Pod(id, RequestRate, newest.Add(3*time.Minute+time.Second)); ok {
		t.Error("not stale after more than three intervals")
	}
}
