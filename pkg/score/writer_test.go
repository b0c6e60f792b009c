package score_test

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// written returns what one call writes into each file.
func written(t *testing.T, policy string, call func(*score.Writer)) (timeline, requests, decisions string) {
	t.Helper()
	var a, b, c bytes.Buffer
	w := score.NewWriter(policy, "", t0, score.Streams{Timeline: &a, Requests: &b, Decisions: &c})
	call(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return a.String(), b.String(), c.String()
}

func TestRequestRows(t *testing.T) {
	for name, c := range map[string]struct {
		in   replay.Request
		want string
	}{
		"completed": {
			replay.Request{ID: 7, Arrival: 1500 * ms, PromptTokens: 1000, OutputTokens: 20, TTFT: 250 * ms, TPOT: 12_345_678, E2E: 485*ms + 1, Replica: 3, Outcome: replay.Completed},
			"preheat,7,1.5,1000,20,0.25,0.012346,0.485001,3,completed\n",
		},
		"of one token": {
			replay.Request{ID: 8, Arrival: time.Hour, PromptTokens: 1, OutputTokens: 1, TTFT: time.Second, E2E: time.Second, Outcome: replay.Completed},
			"preheat,8,3600,1,1,1,,1,0,completed\n",
		},
		"timed out before it had a replica": {
			replay.Request{ID: 9, PromptTokens: 10, OutputTokens: 20, TTFT: -1, TPOT: -1, E2E: 30 * time.Second, Replica: -1, Outcome: replay.TimedOut},
			"preheat,9,0,10,20,,,30,,timed-out\n",
		},
		"lost after its first token": {
			replay.Request{ID: 10, PromptTokens: 10, OutputTokens: 20, TTFT: 1, TPOT: -1, E2E: 999_999_001, Replica: 12, Outcome: replay.Lost},
			"preheat,10,0,10,20,0.000001,,1,12,lost\n",
		},
		"rejected": {
			replay.Request{ID: 11, PromptTokens: 10, OutputTokens: 20, TTFT: -1, TPOT: -1, Replica: -1, Outcome: replay.Rejected},
			"preheat,11,0,10,20,,,0,,rejected\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, got, _ := written(t, "preheat", func(w *score.Writer) { w.Ended(c.in) })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if cols := strings.Count(score.RequestsHeader, ","); strings.Count(got, ",") != cols {
				t.Errorf("%d fields, the header has %d", strings.Count(got, ",")+1, cols+1)
			}
		})
	}
}

func TestTimelineRows(t *testing.T) {
	got, _, _ := written(t, `mine, "tuned"`, func(w *score.Writer) {
		w.Counted(replay.Census{At: 90*time.Second + 1, Desired: 5, Starting: 1, Ready: 2, Draining: 3, Unschedulable: 4})
	})
	if want := `"mine, ""tuned""",90.000000001,5,1,2,3,4` + "\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDecisionLines(t *testing.T) {
	full := scaling.Decision{
		Time: t0.Add(15 * time.Second), Current: 2, Replicas: 3, Ready: 2, Starting: 1, Reason: scaling.ForecastDemand,
		Steps:  []scaling.Step{{Stage: "demand", Replicas: -1, Text: "10 requests/s"}, {Stage: "forecast", Replicas: 3, Text: "µ \"up\""}},
		Unseen: []string{"pod-1"}, Limited: true, Needed: 4, Demand: 10.5, DemandKnown: true, Waiting: 1, Running: 20,
		Forecast: forecast.Forecast{
			Horizon: 2 * time.Minute, Point: 11, Upper: 13.25, Quantile: 0.9, Model: "last-value", Withdrawn: "it was worse", Quantiles: []float64{0.5, 0.9},
			Skill:   forecast.Skill{Known: true, Hours: -0.125, Days: 0.25, Seasonal: 0.5, Coverage: []float64{0.5, 0.875}, Bias: -0.02, Due: 40},
			Weights: []forecast.Weight{{Expert: "level", Share: 0.51239}, {Expert: "last-value", Share: 0.3}, {Expert: "day", Share: 0.1}, {Expert: "week", Share: 0.08}},
		},
		Tokens: scaling.Tokens{
			Prompt:     scaling.TokenDemand{TokenRate: scaling.TokenRate{PerSecond: 2000, Known: true}, Forecast: forecast.Forecast{Horizon: time.Minute, Point: 2100, Upper: 2500}},
			Generation: scaling.TokenDemand{TokenRate: scaling.TokenRate{Known: true}},
		},
		LeadTime: leadtime.Estimate{P50: time.Minute, P90: 90 * time.Second, Source: leadtime.Measured, Samples: 3},
		Capacity: capacity.Estimate{PerReplica: 5, Concurrency: 30, Source: capacity.Learned, Text: "from ITL"},
	}
	nothing := scaling.Decision{Time: t0, Blind: true, Reason: scaling.NoFreshData, Demand: 3}
	young := scaling.Decision{Time: t0, Reason: scaling.DemandMet, Forecast: forecast.Forecast{
		Horizon: time.Minute, Point: 1, Upper: 2, Quantile: 0.9, Model: "experts", Skill: forecast.Skill{Due: 3, Coverage: []float64{0, 0}},
	}}
	broken := scaling.Decision{Time: t0, DemandKnown: true, Demand: math.NaN(), Waiting: math.Inf(1), Reason: scaling.DemandMet}
	for name, c := range map[string]struct {
		in   scaling.Decision
		want string
	}{
		"with all there is": {
			full, `{"policy":"preheat","t_s":15,"current":2,"replicas":3,"ready":2,"starting":1,"unschedulable":0,"reason":"ForecastDemand",` +
				`"demand":10.5,"waiting":1,"running":20,"queued":0.5,"in_flight":20,` +
				`"forecast":{"point":11,"upper":13.25,"quantile":0.9,"horizon_s":120,"model":"last-value","withdrawn":"it was worse",` +
				`"due":40,"skill_hours":-0.125,"skill_days":0.25,"skill_seasonal":0.5,"coverage":0.875,"bias":-0.02,` +
				`"weights":{"level":0.512,"last-value":0.3,"day":0.1}},` +
				`"prompt_tokens":{"per_s":2000,"point":2100,"upper":2500},"generation_tokens":{"per_s":0},` +
				`"lead_time":{"p50_s":60,"p90_s":90,"source":"Measured","samples":3},` +
				`"capacity":{"requests_per_s":5,"concurrency":30,"source":"Learned","text":"from ITL"},` +
				`"needed":4,"limited":true,"unseen":["pod-1"],"steps":["demand: 10 requests/s","forecast: µ \"up\""]}`,
		},
		"blind": {
			nothing, `{"policy":"preheat","t_s":0,"current":0,"replicas":0,"ready":0,"starting":0,"unschedulable":0,` +
				`"reason":"NoFreshData","queued":0.5,"in_flight":20,"blind":true}`,
		},
		"without skill while too few forecasts have come due": {
			young, `{"policy":"preheat","t_s":0,"current":0,"replicas":0,"ready":0,"starting":0,"unschedulable":0,"reason":"DemandMet",` +
				`"queued":0.5,"in_flight":20,"forecast":{"point":1,"upper":2,"quantile":0.9,"horizon_s":60,"model":"experts","due":3}}`,
		},
		"with what JSON cannot say": {
			broken, `{"policy":"preheat","t_s":0,"current":0,"replicas":0,"ready":0,"starting":0,"unschedulable":0,` +
				`"reason":"DemandMet","running":0,"queued":0.5,"in_flight":20}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, got := written(t, "preheat", func(w *score.Writer) { w.Decided("", c.in, baseline.Gateway{Queued: 0.5, InFlight: 20}) })
			if diff := cmp.Diff(c.want+"\n", got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !json.Valid([]byte(got)) {
				t.Error("not JSON")
			}
		})
	}
}

// The integral over the rows is the score, to the last bit: both are sums of whole nanoseconds.
func TestTheTimelineAddsUpToTheScore(t *testing.T) {
	for seed := range uint64(50) {
		var rows bytes.Buffer
		w := score.NewWriter("preheat", "", t0, score.Streams{Timeline: &rows})
		c := score.NewCollector(options("preheat"))
		s := c.Score(tell(seed, 300, c, w))
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := gpuSeconds(t, score.TimelineHeader+rows.String(), 4); got != s.GPUSeconds || got == 0 {
			t.Errorf("seed %d: %v GPU-seconds in the timeline, %v in the score", seed, got, s.GPUSeconds)
		}
	}
}

// gpuSeconds adds up a timeline as its reader would.
func gpuSeconds(t *testing.T, timeline string, gpus float64) float64 {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(timeline)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var sum, since time.Duration
	held := int64(0)
	for _, r := range records[1:] {
		at, err := time.ParseDuration(r[1] + "s")
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(held) * (at - since)
		since, held = at, 0
		for _, field := range r[3:6] {
			n, err := strconv.ParseInt(field, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			held += n
		}
	}
	return sum.Seconds() * gpus
}

// What a reader of requests.csv finds is what was scored.
func TestTheRequestsAddUpToTheScore(t *testing.T) {
	var rows bytes.Buffer
	w := score.NewWriter("preheat", "", t0, score.Streams{Requests: &rows})
	c := score.NewCollector(options("preheat"))
	s := c.Score(tell(3, 500, c, w))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(score.RequestsHeader + rows.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	within := func(field string, bound float64) bool {
		x, err := strconv.ParseFloat(field, 64)
		return field == "" || err == nil && x <= bound
	}
	var got score.Requests
	for _, r := range records[1:] {
		got.Arrived++
		if r[9] == "completed" && within(r[5], 2) && within(r[6], 0.1) {
			got.WithinSLO++
		}
	}
	if got.Arrived != s.Requests.Arrived || got.WithinSLO != s.Requests.WithinSLO || got.WithinSLO == 0 {
		t.Errorf("got %+v, scored %+v", got, s.Requests)
	}
}

func TestEveryDecisionIsOneLineOfJSON(t *testing.T) {
	var text bytes.Buffer
	w := score.NewWriter("preheat", "", t0, score.Streams{Decisions: &text})
	c := score.NewCollector(options("preheat"))
	s := c.Score(tell(5, 500, c, w))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want, got := 0, 0
	for _, n := range s.Decisions {
		want += n
	}
	for lines := bufio.NewScanner(&text); lines.Scan(); got++ {
		if !json.Valid(lines.Bytes()) {
			t.Fatalf("not JSON: %s", lines.Text())
		}
	}
	if got != want || got == 0 {
		t.Errorf("%d lines for %d decisions", got, want)
	}
}

type brokenPipe struct{ writes int }

func (b *brokenPipe) Write([]byte) (int, error) {
	b.writes++
	return 0, io.ErrClosedPipe
}

func TestAFailedWriteIsToldOnceAndNotRepeated(t *testing.T) {
	pipe := &brokenPipe{}
	w := score.NewWriter("preheat", "", t0, score.Streams{Requests: pipe})
	tell(1, 10_000, w)
	if err := w.Flush(); !errors.Is(err, io.ErrClosedPipe) || pipe.writes != 1 {
		t.Errorf("%d writes, error %v", pipe.writes, err)
	}
}

func TestWritingDoesNotAllocate(t *testing.T) {
	w := score.NewWriter("preheat", "", t0, score.Streams{Timeline: io.Discard, Requests: io.Discard})
	r := completed(time.Second, 50*ms)
	tell(1, 3000, w) // the buffers grow to their size
	if n := testing.AllocsPerRun(5000, func() {
		w.Ended(r)
		w.Counted(replay.Census{Ready: 1})
	}); n > 0 {
		t.Errorf("%v allocations a row", n)
	}
}

func BenchmarkRequestRows(b *testing.B) {
	w := score.NewWriter("preheat", "", t0, score.Streams{Requests: io.Discard})
	r := completed(1234567890, 50*ms+123456)
	r.Arrival = 123456*time.Second + 987654321
	for b.Loop() {
		w.Ended(r)
	}
}
