package backfill

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/history/series"
	"github.com/preheat-autoscaler/preheat/pkg/prom"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

var (
	now  = time.Date(2026, 11, 20, 12, 0, 30, 0, time.UTC)
	chat = Target{ID: controlloop.TargetID{Namespace: "ml", Name: "chat"}, Workload: "chat", Engine: "auto", Naming: prom.Naming{Namespace: "namespace", Pod: "pod"}}
)

// past is Prometheus' own storage and query engine, asked directly.
type past struct {
	storage *teststorage.TestStorage
	engine  *promql.Engine
	asked   []int // points of each range query
	fails   int   // so many queries fail
	partial bool
}

func newPast(t *testing.T) *past {
	t.Helper()
	p := &past{
		storage: teststorage.New(t),
		engine:  promql.NewEngine(promql.EngineOpts{MaxSamples: 5e7, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})}),
	}
	t.Cleanup(func() { p.storage.Close() })
	return p
}

// pod records a pod of vLLM over a time: requests that come at a rate, of which the engine ends at most so many.
func (p *past) pod(t *testing.T, name string, from, to time.Time, every time.Duration, rate, most float64) {
	t.Helper()
	app := p.storage.Appender(t.Context())
	ended, waiting := 0., 0.
	for at := from; at.Before(to); at = at.Add(every) {
		done := math.Min(rate, most) * every.Seconds()
		ended += done
		waiting += rate*every.Seconds() - done
		for metric, v := range map[string]float64{
			"up": 1, "vllm:request_success_total": ended, "vllm:num_requests_waiting": waiting, "vllm:num_requests_running": 4,
			"vllm:prompt_tokens_total": 500 * ended, "vllm:generation_tokens_total": 100 * ended,
		} {
			l := labels.FromStrings("__name__", metric, "namespace", "ml", "pod", name, "job", "engines", "instance", name)
			if _, err := app.Append(0, l, at.UnixMilli(), v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

// twice records all that there is once more, as two Prometheus do whose samples go to one store.
func (p *past) twice(t *testing.T, from, to time.Time) {
	t.Helper()
	q, err := p.storage.Querier(from.UnixMilli(), to.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	app := p.storage.Appender(t.Context())
	for set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")); set.Next(); {
		l := labels.NewBuilder(set.At().Labels()).Set("prometheus_replica", "b").Labels()
		samples := set.At().Iterator(nil)
		for samples.Next() != chunkenc.ValNone {
			at, v := samples.At()
			if _, err := app.Append(0, l, at, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

func (p *past) run(ctx context.Context, q promql.Query, err error) (model.Value, v1.Warnings, v1.Infos, error) {
	if err != nil {
		return nil, nil, nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	var warnings v1.Warnings
	if p.partial {
		warnings = v1.Warnings{"a store is down"}
	}
	matrix, err := result.Matrix()
	var out model.Matrix
	for _, s := range matrix {
		stream := &model.SampleStream{Metric: metric(s.Metric)}
		for _, f := range s.Floats {
			stream.Values = append(stream.Values, model.SamplePair{Timestamp: model.Time(f.T), Value: model.SampleValue(f.F)})
		}
		out = append(out, stream)
	}
	return out, warnings, nil, err
}

func metric(l labels.Labels) model.Metric {
	m := model.Metric{}
	l.Range(func(l labels.Label) { m[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return m
}

// Series implements API.
func (p *past) Series(ctx context.Context, matches []string, from, to time.Time, _ ...v1.Option) (out []model.LabelSet, warnings v1.Warnings, _ v1.Infos, _ error) {
	if p.fails > 0 {
		p.fails--
		return nil, nil, nil, errors.New("no answer")
	}
	matchers, err := parser.NewParser(parser.Options{}).ParseMetricSelector(matches[0])
	if err != nil {
		return nil, nil, nil, err
	}
	q, err := p.storage.Querier(from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, nil, nil, err
	}
	defer q.Close()
	for set := q.Select(ctx, true, nil, matchers...); set.Next(); {
		out = append(out, model.LabelSet(metric(set.At().Labels())))
	}
	if p.partial {
		warnings = v1.Warnings{"a store is down"}
	}
	return out, warnings, nil, nil
}

// QueryRange implements API.
func (p *past) QueryRange(ctx context.Context, query string, r v1.Range, _ ...v1.Option) (model.Value, v1.Warnings, v1.Infos, error) {
	p.asked = append(p.asked, int(r.End.Sub(r.Start)/r.Step)+1)
	q, err := p.engine.NewRangeQuery(ctx, p.storage, nil, query, r.Start, r.End, r.Step)
	return p.run(ctx, q, err)
}

// kept is a history in memory, on disk or not.
type kept struct {
	own    map[series.Quantity][]series.Sample
	past   []series.Past
	onDisk bool
}

// Range implements History: its own samples, and what was filled in.
func (k *kept) Range(_ context.Context, _ controlloop.TargetID, q series.Quantity, from, to time.Time, _ time.Duration) (out []series.Sample, _ error) {
	for _, p := range k.past {
		if p.Quantity == q {
			out = append(out, p.Samples...)
		}
	}
	for _, s := range k.own[q] {
		if !s.Time.Before(from) && s.Time.Before(to) {
			out = append(out, s)
		}
	}
	return out, nil
}

// Fill implements History.
func (k *kept) Fill(_ context.Context, past []series.Past) error {
	if !k.onDisk {
		return series.ErrNotOnDisk
	}
	k.past = append(k.past, past...)
	return nil
}

// rig is a filler with what it reads and writes.
type rig struct {
	*Filler
	past   *past
	kept   *kept
	taught []scaling.Past
	clock  time.Time
}

func newRig(t *testing.T, length time.Duration, change ...func(*Target)) *rig {
	t.Helper()
	target := chat
	for _, c := range change {
		c(&target)
	}
	profiles, err := exposition.Load()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{past: newPast(t), kept: &kept{onDisk: true, own: map[series.Quantity][]series.Sample{}}, clock: now}
	r.Filler = New(Options{
		API: r.past, Profiles: profiles, History: r.kept, Targets: func() []Target { return []Target{target} }, Length: length,
		OnDisk: func() bool { return r.kept.onDisk }, Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return r.clock },
		Teach: func(_ controlloop.TargetID, p scaling.Past) bool { r.taught = append(r.taught, p); return true },
	})
	return r
}

// at returns the value of a quantity that was filled in for a minute.
func (r *rig) at(q series.Quantity, t time.Time) (float64, bool) {
	for _, p := range r.kept.past {
		for _, s := range p.Samples {
			if p.Quantity == q && s.Time.Equal(t) {
				return s.Value, true
			}
		}
	}
	return 0, false
}

func TestThePastIsWhatWasOffered(t *testing.T) {
	r := newRig(t, 12*time.Hour)
	r.past.pod(t, "chat-6d4cf56db6-x8q2z", now.Add(-10*time.Hour), now.Add(-4*time.Hour), 15*time.Second, 2, 9)
	r.past.pod(t, "chat-6d4cf56db6-k2b4c", now.Add(-8*time.Hour), now.Add(-4*time.Hour), 15*time.Second, 3, 2) // drowns
	r.past.pod(t, "chat-large-0", now.Add(-10*time.Hour), now, 15*time.Second, 100, 1e9)                       // another workload
	r.Pass(t.Context())
	for ago, want := range map[time.Duration]float64{9 * time.Hour: 2, 6 * time.Hour: 5} {
		at := now.Add(-ago).Truncate(time.Minute)
		if got, ok := r.at(series.Demand, at); !ok || math.Abs(got-want) > 0.02*want {
			t.Errorf("%v ago %v (%v) came, want %v", ago, got, ok, want)
		}
		served := map[float64]float64{2: 2, 5: 4}[want]
		if got, ok := r.at(series.PromptTokens, at); !ok || math.Abs(got-500*served) > 10*served {
			t.Errorf("%v ago %v (%v) prompt tokens, want %v", ago, got, ok, 500*served)
		}
	}
	for _, ago := range []time.Duration{11 * time.Hour, 3 * time.Hour} {
		if got, ok := r.at(series.Demand, now.Add(-ago).Truncate(time.Minute)); ok {
			t.Errorf("%v ago there was no pod, and yet demand of %v", ago, got)
		}
	}
	if len(r.taught) != 1 || len(r.taught[0].Demand) < 9*60 || !r.taught[0].End.Equal(now.Truncate(time.Minute)) {
		t.Fatalf("taught is %d times", len(r.taught))
	}
	rows := r.taught[0].Demand
	if last := rows[len(rows)-1]; !math.IsNaN(last) {
		t.Errorf("the last minute is %v, want NaN: it is not known", last)
	}
	r.Pass(t.Context())
	if n := len(r.past.asked); n != 4 || len(r.taught) != 1 {
		t.Errorf("%d queries, taught %d times, in two passes", n, len(r.taught))
	}
	if got := testutil.ToFloat64(r.targets.WithLabelValues("done")); got != 1 {
		t.Errorf("%v targets are done", got)
	}
}

func TestAPodThatIsScrapedTwiceCountsOnce(t *testing.T) {
	r := newRig(t, 2*time.Hour)
	r.past.pod(t, "chat-0", now.Add(-time.Hour), now, 15*time.Second, 3, 2)
	r.past.pod(t, "chat-1", now.Add(-time.Hour), now, 15*time.Second, 3, 9)
	r.past.twice(t, now.Add(-time.Hour), now)
	r.Pass(t.Context())
	if got, ok := r.at(series.Demand, now.Add(-30*time.Minute).Truncate(time.Minute)); !ok || math.Abs(got-6) > 0.1 {
		t.Errorf("%v (%v) came, want 6", got, ok)
	}
}

func TestOnlyWhatTheHistoryDoesNotKnowIsAskedFor(t *testing.T) {
	r := newRig(t, 12*time.Hour)
	r.past.pod(t, "chat-0", now.Add(-12*time.Hour), now, 15*time.Second, 2, 9)
	for at := now.Add(-6 * time.Hour).Truncate(time.Minute); at.Before(now); at = at.Add(time.Minute) {
		if ago := now.Sub(at); ago > 3*time.Hour && ago < 4*time.Hour {
			continue // a time without a process
		}
		r.kept.own[series.Demand] = append(r.kept.own[series.Demand], series.Sample{Time: at, Value: 7})
	}
	r.Pass(t.Context())
	if got, ok := r.at(series.Demand, now.Add(-8*time.Hour).Truncate(time.Minute)); !ok || math.Abs(got-2) > 0.05 {
		t.Errorf("before our own: %v %v", got, ok)
	}
	if got, ok := r.at(series.Demand, now.Add(-210*time.Minute).Truncate(time.Minute)); !ok || math.Abs(got-2) > 0.05 {
		t.Errorf("in the gap: %v %v", got, ok)
	}
	if got, ok := r.at(series.Demand, now.Add(-2*time.Hour).Truncate(time.Minute)); ok {
		t.Errorf("where we know ourselves: %v", got)
	}
	if rows := r.taught[0].Demand; rows[len(rows)-60] != 7 || math.Abs(rows[10]-2) > 0.05 {
		t.Errorf("taught is %v, %v", rows[10], rows[len(rows)-60])
	}
}

func TestFiveWeeksAreAskedForInPieces(t *testing.T) {
	r := newRig(t, 5*7*24*time.Hour)
	r.past.pod(t, "chat-0", now.Add(-36*time.Hour), now, 2*time.Minute, 2, 9) // too seldom for a window of two minutes
	r.Pass(t.Context())
	if got, ok := r.at(series.Demand, now.Add(-24*time.Hour).Truncate(time.Minute)); !ok || math.Abs(got-2) > 0.05 {
		t.Errorf("%v %v", got, ok)
	}
	points := 0
	for _, n := range r.past.asked {
		points += n
		if n > mostPoints {
			t.Errorf("%d points in one query", n)
		}
	}
	if want := 2 * 4 * 5 * 7 * 24 * 60; points != want {
		t.Errorf("%d points in all, want %d", points, want)
	}
}

func TestFailuresAreTriedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*rig)
		state  string
	}{
		"fails for two hours":        {func(r *rig) { r.past.fails = 7 }, "done"},
		"fails twice":                {func(r *rig) { r.past.fails = 2 }, "done"},
		"fails always":               {func(r *rig) { r.past.fails = 1000 }, "failed"},
		"answers in part":            {func(r *rig) { r.past.partial = true }, "failed"},
		"nothing is known":           {func(r *rig) { r.past = newPast(t); r.o.API = r.past }, "done"},
		"an engine without counters": {func(r *rig) { r.o.Targets = func() []Target { c := chat; c.Engine = "seldon"; return []Target{c} } }, "done"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 3*time.Hour)
			r.past.pod(t, "chat-0", now.Add(-2*time.Hour), now, 15*time.Second, 2, 9)
			tc.change(r)
			for range 180 {
				r.Pass(t.Context())
				r.clock = r.clock.Add(time.Minute)
			}
			if got := testutil.ToFloat64(r.targets.WithLabelValues(tc.state)); got != 1 {
				t.Errorf("it is not %s", tc.state)
			}
		})
	}
}

// The lease comes some seconds after the start, or hours later.
func TestAPastIsKeptOnceThisProcessWrites(t *testing.T) {
	r := newRig(t, 3*time.Hour)
	r.kept.onDisk = false
	r.past.pod(t, "chat-0", now.Add(-2*time.Hour), now, 15*time.Second, 2, 9)
	r.Pass(t.Context())
	r.Pass(t.Context())
	if len(r.taught) != 1 || len(r.kept.past) != 0 {
		t.Errorf("taught %d times, kept %d", len(r.taught), len(r.kept.past))
	}
	r.kept.onDisk = true
	for range 2 {
		r.Pass(t.Context())
	}
	if len(r.kept.past) != 3 {
		t.Errorf("%d series are kept", len(r.kept.past))
	}
}

func TestQueriesOfEachEngineAreSound(t *testing.T) {
	profiles, err := exposition.Load()
	if err != nil {
		t.Fatal(err)
	}
	demand := 0
	for _, name := range profiles.Names() {
		p, _ := profiles.Named(name)
		for q, text := range queries(p, chat.matchers(), []string{"namespace", "pod"}, 2*time.Minute).of {
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
			if err != nil || expr.Type() != parser.ValueTypeVector {
				t.Errorf("%s: %v: %v", name, q, err)
			}
			if q == series.Demand {
				demand++
			}
		}
	}
	if demand < 15 {
		t.Errorf("demand of %d engines can be asked for only", demand)
	}
}

func TestDemandOfAnotherWorkloadIsTaught(t *testing.T) {
	r := newRig(t, 2*time.Hour, func(t *Target) { t.Kind = "Deployment" })
	r.past.pod(t, "chat-6d4b75cb6d-x2x4z", now.Add(-2*time.Hour), now, 15*time.Second, 3, 10)
	r.past.pod(t, "chat-v2-0", now.Add(-2*time.Hour), now, 15*time.Second, 50, 100) // StatefulSet chat-v2
	r.Pass(t.Context())
	for _, p := range r.kept.past {
		if p.Quantity == series.Demand {
			if v := p.Samples[len(p.Samples)/2].Value; math.Abs(v-3) > 0.5 {
				t.Errorf("demand of chat is 3 a second, taught %v", v)
			}
		}
	}
}

// Scrapes of one pod that has a queue fail for 20 min (target down, relabelling, node cut off), and come back. Its
// queue goes out of the sum and comes in again: growth that never was.
func TestScrapesOfAPodWithAQueueFailForAWhile(t *testing.T) {
	r := newRig(t, 2*time.Hour)
	r.past.pod(t, "chat-6d4b75cb6d-x2x4z", now.Add(-2*time.Hour), now, 15*time.Second, 10, 100) // 10/s all the time
	app := r.past.storage.Appender(t.Context())
	for at := now.Add(-2 * time.Hour); at.Before(now); at = at.Add(15 * time.Second) { // 2/s all the time, 600 wait all the time
		if ago := now.Sub(at); ago > 50*time.Minute && ago < 70*time.Minute {
			continue
		}
		for metric, v := range map[string]float64{
			"up": 1, "vllm:request_success_total": 2 * at.Sub(now.Add(-2*time.Hour)).Seconds(), "vllm:num_requests_waiting": 600, "vllm:num_requests_running": 4,
		} {
			l := labels.FromStrings("__name__", metric, "namespace", "ml", "pod", "chat-6d4b75cb6d-z2x4z", "job", "engines", "instance", "z")
			if _, err := app.Append(0, l, at.UnixMilli(), v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	r.Pass(t.Context())
	for _, p := range r.kept.past {
		if p.Quantity != series.Demand {
			continue
		}
		for _, s := range p.Samples[3:] {
			if s.Value < 9.5 || s.Value > 13 {
				t.Errorf("%v: demand %.1f; it was 12 all the time, 10 of which were seen all the time", s.Time.Format(time.TimeOnly), s.Value)
			}
		}
	}
}

// The history goes by the target's name; what it scales now, it may not have scaled then.
func TestHistoryOfAnEarlierSubjectIsNotTaught(t *testing.T) {
	r := newRig(t, 10*24*time.Hour)
	for at := now.Truncate(step).Add(-9 * 24 * time.Hour); at.Before(now.Add(-time.Hour)); at = at.Add(step) {
		r.kept.own[series.Demand] = append(r.kept.own[series.Demand], series.Sample{Time: at, Value: 500})
	}
	r.past.pod(t, "chat-6d4b75cb6d-x2x4z", now.Add(-time.Hour), now, 15*time.Second, 3, 10)
	known := false
	r.o.Since = func(controlloop.TargetID) (time.Time, bool) { return now.Add(-time.Hour), known }
	if r.Pass(t.Context()); len(r.taught) > 0 {
		t.Error("taught before it is known since when")
	}
	known, r.clock = true, r.clock.Add(again)
	r.Pass(t.Context())
	if len(r.taught) != 1 || len(r.taught[0].Demand) > 2*60 {
		t.Fatalf("taught %d times, of which chat had an hour", len(r.taught))
	}
}

// Of each minute those pods alone would count that were scraped twice in two minutes.
func TestSeldomScrapesOfManyPods(t *testing.T) {
	r := newRig(t, 2*time.Hour)
	for i, name := range []string{"b", "c", "d", "f", "g", "h"} {
		r.past.pod(t, "chat-6d4b75cb6d-x2x4"+name, now.Add(-2*time.Hour+time.Duration(15*i)*time.Second), now, 90*time.Second, 10, 100)
	}
	r.Pass(t.Context())
	for _, p := range r.kept.past {
		if p.Quantity == series.Demand {
			sum := 0.
			for _, s := range p.Samples {
				sum += s.Value
			}
			if mean := sum / float64(len(p.Samples)); math.Abs(mean-60) > 6 || len(p.Samples) < 100 {
				t.Errorf("demand is 60 a second all the time, taught %.1f in the mean of %d minutes", mean, len(p.Samples))
			}
		}
	}
}

func TestPodsOfAWorkload(t *testing.T) {
	const deployed, numbered, led, other = "chat-6d4cf56db6-x8q2z", "chat-12", "chat-0-1", "chat-x8q2z"
	for kind, own := range map[string][]string{
		"Deployment": {deployed}, "StatefulSet": {numbered}, "LeaderWorkerSet": {numbered, led}, "ReplicaSet": {other},
		"Something": {deployed, numbered, led, other},
	} {
		names := regexp.MustCompile("^(?:" + podNames(kind, "chat") + ")$")
		for _, name := range []string{deployed, numbered, led, other} {
			if names.MatchString(name) != slices.Contains(own, name) {
				t.Errorf("%s: %s: %v", kind, name, names.MatchString(name))
			}
		}
		for _, name := range []string{"chat-large-0", "chat-large-6d4cf56db6-x8q2z", "chat", "my-chat-0", "chat-large-x8q2z"} {
			if names.MatchString(name) {
				t.Errorf("%s: %s is of another workload", kind, name)
			}
		}
		if foreign := "chat-v2-0"; kind != "Something" && names.MatchString(foreign) {
			t.Errorf("%s: %s is of another workload", kind, foreign)
		}
	}
	dots := Target{ID: controlloop.TargetID{Namespace: "ml"}, Workload: "a.b", Naming: prom.Naming{Namespace: "ns", Pod: "p"}}
	if got := dots.matchers(); !strings.HasPrefix(got, `ns="ml",p=~"a\\.b(`) {
		t.Error(got)
	}
}
