package replay_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// burst is n equal requests at one time.
func burst(at time.Duration, n, prompt, output int) listed {
	l := make(listed, n)
	for i := range l {
		l[i] = trace.Request{At: at, PromptTokens: prompt, OutputTokens: output}
	}
	return l
}

func TestRequestsWaitForTheFirstReplica(t *testing.T) {
	l := burst(time.Second, 3, 100, 10)
	lead := replay.Lead{Load: fixed(30 * time.Second)}
	j, totals := run(t, replay.Config{Lead: lead}, replay.Target{Name: "chat", Profile: engine(), Load: &l, Policy: inPhase{always(1)}})
	for _, r := range j.requests {
		if r.Outcome != replay.Completed || r.TTFT < 29*time.Second || r.TTFT > 29500*time.Millisecond {
			t.Errorf("%+v, want a first token soon after the replica is ready at 30 s", r)
		}
	}
	if totals[0].ColdStarts != 1 || totals[0].Requests != 3 {
		t.Errorf("%+v, want one cold start and three requests", totals[0])
	}
}

func TestTheGatewaysLimits(t *testing.T) {
	type ends map[replay.Outcome]int
	cases := map[string]struct {
		config  replay.Config
		load    listed
		initial int32
		want    ends
	}{
		"what finds the queue full is rejected": {
			replay.Config{MaxOutstanding: 2, QueueLimit: 3}, burst(0, 10, 100, 10), 2, ends{replay.Completed: 7, replay.Rejected: 3},
		},
		"without replicas the queue fills too": {
			replay.Config{QueueLimit: 4, Timeout: time.Minute}, burst(0, 10, 100, 10), 0, ends{replay.TimedOut: 4, replay.Rejected: 6},
		},
		"what is held too long times out": {
			replay.Config{MaxOutstanding: 1, Timeout: 30 * time.Second}, burst(0, 10, 100, 1000), 1, ends{replay.Completed: 4, replay.TimedOut: 6},
		},
		"what waits inside a replica times out too": {
			replay.Config{Timeout: 10 * time.Second}, burst(0, 300, 4000, 1), 1, ends{replay.Completed: 61, replay.TimedOut: 239},
		},
		"what no replica can take is rejected": {
			replay.Config{}, append(burst(0, 1, 131_072, 1), burst(1, 1, 1, 1)...), 1, ends{replay.Rejected: 1, replay.Completed: 1},
		},
		"what nobody ever serves is given up": {
			replay.Config{}, burst(0, 2, 100, 1), 0, ends{replay.TimedOut: 2},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			j, _ := run(t, c.config, replay.Target{Name: "chat", Profile: engine(), Load: &c.load, Policy: always(c.initial), Initial: c.initial})
			if diff := cmp.Diff(map[replay.Outcome]int(c.want), j.outcomes()); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			for _, r := range j.requests {
				if limit := c.config.Timeout; r.Outcome == replay.TimedOut && limit > 0 && r.E2E != limit {
					t.Errorf("timed out after %v, not %v", r.E2E, limit)
				}
			}
		})
	}
}

func TestACrashLosesWhatHasBegunAndRetriesWhatHasNot(t *testing.T) {
	l := listed{
		{At: 0, PromptTokens: 100, OutputTokens: 2000},
		{At: 0, PromptTokens: 100, OutputTokens: 2000},
		{At: 5 * time.Second, PromptTokens: 8000, OutputTokens: 10}, // in its prefill when the first replica crashes
		{At: 100 * time.Second, PromptTokens: 1, OutputTokens: 1},
	}
	lead := replay.Lead{Load: fixed(20 * time.Second)}
	crash := replay.Event{At: 5100 * time.Millisecond, Kind: replay.ReplicasCrash, Value: 1}
	config := replay.Config{Lead: lead, Events: []replay.Event{crash}}
	j, totals := run(t, config, replay.Target{Name: "chat", Profile: engine(), Load: &l, Policy: always(2), Initial: 2})
	var got []string
	for _, r := range j.requests {
		got = append(got, r.Outcome.String())
	}
	if diff := cmp.Diff([]string{"lost", "completed", "completed", "completed"}, got); diff != "" {
		t.Errorf("outcomes in order of their ends (-want +got):\n%s", diff)
	}
	retried := j.requests[1]
	if retried.ID != 3 || retried.Replica != 1 || retried.TTFT < 100*time.Millisecond {
		t.Errorf("the third request was not tried again on the other replica: %+v", retried)
	}
	if totals[0].Crashes != 1 || totals[0].ColdStarts != 1 {
		t.Errorf("%+v, want one crash and one cold start", totals[0])
	}
	// a second crash loses it for good
	l = listed{{At: 0, PromptTokens: 100_000, OutputTokens: 10}}
	config.Events = []replay.Event{{At: time.Second, Kind: replay.ReplicasCrash, Value: 1}, {At: 22 * time.Second, Kind: replay.ReplicasCrash, Value: 1}}
	j, _ = run(t, config, replay.Target{Name: "chat", Profile: engine(), Load: &l, Policy: always(1), Initial: 1})
	if r := j.requests[0]; r.Outcome != replay.Lost || r.E2E != 22*time.Second || r.TTFT >= 0 {
		t.Errorf("%+v, want it lost at the second crash", r)
	}
}

func TestWhatTheGatewayReports(t *testing.T) {
	var seen []baseline.Gateway
	policy := always(2)
	policy.path.Scrape, policy.path.Lag = 2*time.Second, time.Second
	policy.saw = func(o baseline.Observation) {
		if age := o.Time.Sub(o.Gateway.Time); !o.Gateway.Time.IsZero() && (age < time.Second || age >= 3*time.Second) {
			t.Errorf("the gateway was read %v ago, with a scrape every 2 s and a lag of 1 s", age)
		}
		seen = append(seen, o.Gateway)
	}
	j, _ := run(t, replay.Config{MaxOutstanding: 10, Seed: 5}, replay.Target{Name: "chat", Profile: engine(), Load: load(8, 20, 4000), Policy: policy, Initial: 2})
	for i, g := range seen {
		at := g.Time.Sub(start)
		if g.Time.IsZero() {
			continue
		}
		var want baseline.Gateway
		for _, r := range j.requests {
			end := r.Arrival + r.E2E
			if r.Arrival > at {
				continue
			}
			want.Arrived++
			want.PromptTokens += float64(r.PromptTokens)
			want.Concurrency += (min(end, at) - r.Arrival).Seconds()
			if end <= at {
				want.Answered++
				want.OutputTokens += float64(r.OutputTokens)
			}
		}
		if math.Abs(g.Concurrency-want.Concurrency) > 1e-3 {
			t.Errorf("reading %d: concurrency %v, want %v", i, g.Concurrency, want.Concurrency)
		}
		if g.Queued+g.InFlight != g.Arrived-g.Answered || g.InFlight > 20 {
			t.Errorf("reading %d: %v queued and %v in flight, %v of %v answered", i, g.Queued, g.InFlight, g.Answered, g.Arrived)
		}
		if n := g.TTFT.Count(); n < g.Answered || g.E2E.Count() != g.Answered || g.TPOT.Count() != g.Answered {
			t.Errorf("reading %d: %v first tokens and %v ends of %v", i, n, g.E2E.Count(), g.Answered)
		}
		got := baseline.Gateway{Arrived: g.Arrived, PromptTokens: g.PromptTokens, Answered: g.Answered, OutputTokens: g.OutputTokens}
		want.Concurrency = 0
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("reading %d at %v (-want +got):\n%s", i, at, diff)
		}
	}
	if len(seen) < 10 || seen[len(seen)-1].Arrived < 3000 {
		t.Errorf("%d readings, the last with %v arrivals: too few to tell", len(seen), seen[len(seen)-1].Arrived)
	}
}

func TestIdleIsTheTimeWithoutARequest(t *testing.T) {
	j, totals := run(t, replay.Config{}, replay.Target{Name: "chat", Profile: engine(), Load: load(4, 0.5, 500), Policy: always(1), Initial: 1})
	var idle, busyUntil time.Duration
	byArrival := slices.SortedFunc(slices.Values(j.requests), func(a, b replay.Request) int { return int(a.ID) - int(b.ID) })
	for _, r := range byArrival {
		idle += max(0, r.Arrival-busyUntil)
		busyUntil = max(busyUntil, r.Arrival+r.E2E)
	}
	if totals[0].Idle != idle || idle < 100*time.Second || totals[0].Held != totals[0].End {
		t.Errorf("idle %v of %v, want %v", totals[0].Idle, totals[0].Held, idle)
	}
}

func TestLoadingIsNotIdle(t *testing.T) {
	l := burst(100*time.Second, 1, 1, 1)
	config := replay.Config{Lead: replay.Lead{Load: fixed(20 * time.Second)}, Events: []replay.Event{{At: 30 * time.Second, Kind: replay.ReplicasCrash, Value: 1}}}
	_, totals := run(t, config, replay.Target{Name: "chat", Profile: engine(), Load: &l, Policy: always(1), Initial: 1})
	if totals[0].Idle != 80*time.Second || totals[0].Held < 100*time.Second {
		t.Errorf("%+v, want 80 s idle: 30 before the crash and 50 after the load of 20", totals[0])
	}
}

func TestWhatTimesOutInAReplicaCountsAsFinishedThere(t *testing.T) {
	l := append(burst(time.Second, 300, 4000, 1), burst(90*time.Second, 1, 1, 1)...)
	policy := always(1)
	policy.path.Scrape = time.Second
	var finished float64
	policy.saw = func(o baseline.Observation) {
		if r := o.Replicas[0].Reading; r != nil {
			finished, _ = r.Value(signals.RequestsFinished)
		}
	}
	j, _ := run(t, replay.Config{Timeout: 10 * time.Second}, replay.Target{Name: "chat", Profile: engine(), Load: &l, Policy: policy, Initial: 1})
	if n := j.outcomes(); finished != 300 || n[replay.TimedOut] < 200 {
		t.Errorf("%v finished by the replica's page, %v: vLLM counts aborted requests too", finished, n)
	}
}

func TestTheDateOfTheStartMovesNothing(t *testing.T) {
	ends := func(start time.Time) []replay.Request {
		var j journal
		config := replay.Config{Start: start, Timeout: time.Minute, MaxOutstanding: 4}
		target := replay.Target{Name: "chat", Profile: engine(), Load: load(4, 20, 500), Policy: always(2), Initial: 2}
		if _, err := replay.Run(t.Context(), config, []replay.Target{target}, &j); err != nil {
			t.Fatal(err)
		}
		return j.requests
	}
	want := ends(start)
	// dates beyond what fits into Unix nanoseconds, too
	for _, date := range []time.Time{{}, time.Date(1600, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(2262, 4, 11, 23, 47, 16, 0, time.UTC)} {
		if diff := cmp.Diff(want, ends(date)); diff != "" {
			t.Errorf("start %v (-want +got):\n%.500s", date, diff)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	policy := always(2)
	policy.saw = func(o baseline.Observation) {
		if o.Time.Sub(start) > time.Minute {
			cancel()
		}
	}
	var j journal
	totals, err := replay.Run(ctx, replay.Config{Start: start}, []replay.Target{{Name: "chat", Profile: engine(), Load: load(1, 5, 1e6), Policy: policy, Initial: 2}}, &j)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "replay until") {
		t.Errorf("error %v, want that of the context with the time", err)
	}
	last := lastCensus(&j, "chat")
	if len(totals) != 1 || totals[0].End < time.Minute || totals[0].End > 10*time.Minute || last.At != totals[0].End || totals[0].Held != integral(&j, "chat") {
		t.Errorf("totals %+v, last census %+v", totals, last)
	}
	if len(j.requests) < 200 || j.backwards > 0 {
		t.Errorf("%d requests before the end", len(j.requests))
	}
}

// torn is a load that breaks off.
type torn struct{ listed }

func (l *torn) Next() (trace.Request, error) {
	if len(l.listed) == 0 {
		return trace.Request{}, errors.New("line 7, column 3: no number")
	}
	return l.listed.Next()
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	good := func() replay.Target {
		l := burst(0, 1, 1, 1)
		return replay.Target{Name: "chat", Profile: engine(), Load: &l, Policy: always(1), Initial: 1}
	}
	cases := map[string]struct {
		config replay.Config
		change func(*replay.Target)
		says   []string
	}{
		"a load that cannot be read": {change: func(x *replay.Target) { x.Load = &torn{burst(0, 2, 1, 1)} }, says: []string{"chat", "after 2 requests", "line 7, column 3"}},
		"a load out of order": {change: func(x *replay.Target) {
			x.Load = &listed{{At: 2, PromptTokens: 1, OutputTokens: 1}, {At: 1, PromptTokens: 1, OutputTokens: 1}}
		}, says: []string{"request 2", "order of time"}},
		"a request without tokens":    {change: func(x *replay.Target) { x.Load = &listed{{At: 2, PromptTokens: 1}} }, says: []string{"request 1", "at least 1"}},
		"no name":                     {change: func(x *replay.Target) { x.Name = "" }, says: []string{"name of its own"}},
		"no policy and no load":       {change: func(x *replay.Target) { x.Policy, x.Load = nil, nil }, says: []string{"a Load and a Policy"}},
		"bounds against each other":   {change: func(x *replay.Target) { x.Min, x.Max = 3, 2 }, says: []string{"Max 2"}},
		"a profile that makes none":   {change: func(x *replay.Target) { x.Profile.StepBase = 0 }, says: []string{"about-8b-h100", "0, must be a positive number"}},
		"a policy without interval":   {change: func(x *replay.Target) { x.Policy = &plan{} }, says: []string{"interval 0s"}},
		"more replicas than GPUs":     {config: replay.Config{GPUs: 1}, change: func(x *replay.Target) { x.Initial = 2 }, says: []string{"hold 2 GPUs, the stock is 1"}},
		"several faults of a config":  {config: replay.Config{GPUs: -1, LostScrapes: 2, Router: 9, Timeout: -1}, says: []string{"GPUs -1", "LostScrapes 2", "router 9", "Timeout -1ns"}},
		"an impossible lead time":     {config: replay.Config{Lead: replay.Lead{Pull: replay.Phase{Sigma: 3}}}, says: []string{"Lead.Pull", "sigma 3"}},
		"an event for nobody":         {config: replay.Config{Events: []replay.Event{{Kind: replay.LoadsSlow, Value: 1, Target: "x"}}}, says: []string{"event 1", `no target "x"`}},
		"engines that get faster":     {config: replay.Config{Events: []replay.Event{{Kind: replay.EnginesSlow, Value: 0.5}}}, says: []string{"event 1", "0.5", "from 1 to 1000"}},
		"an event of no kind":         {config: replay.Config{Events: []replay.Event{{Kind: 77}}}, says: []string{"event 1", "kind 77"}},
		"events out of order":         {config: replay.Config{Events: []replay.Event{{At: 2, Kind: replay.ScrapesFail}, {At: 1, Kind: replay.ScrapesWork}}}, says: []string{"event 2", "order of time"}},
		"a load that is slow nothing": {config: replay.Config{Events: []replay.Event{{Kind: replay.LoadsSlow}}}, says: []string{"event 1", "factor 0"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			target := good()
			if c.change != nil {
				c.change(&target)
			}
			_, err := replay.Run(context.Background(), c.config, []replay.Target{target}, nothing{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, text := range c.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%v\ndoes not say %q", err, text)
				}
			}
		})
	}
}

// nothing is a sink for runs that do not matter.
type nothing struct{}

func (nothing) Ended(replay.Request)                               {}
func (nothing) Counted(replay.Census)                              {}
func (nothing) Decided(string, scaling.Decision, baseline.Gateway) {}
