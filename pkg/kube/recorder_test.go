package kube

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// decision is one for 5 replicas in place of 3.
func decision(at time.Time) scaling.Decision {
	return scaling.Decision{
		Time: at, Current: 3, Replicas: 5, Ready: 2, Starting: 1, Reason: scaling.ForecastDemand,
		Steps:  []scaling.Step{{Stage: "demand", Replicas: -1, Text: "4.00 requests/s offered"}, {Stage: "forecast", Replicas: 5, Text: "9.00 requests/s ahead"}},
		Demand: 4, DemandKnown: true, Waiting: 2, Running: 7,
		Forecast: forecast.Forecast{
			At: at, Horizon: 90 * time.Second, Point: 8, Upper: 9, Quantile: 0.975, Values: []float64{8, 9}, Quantiles: []float64{0.5, 0.975}, Model: "experts",
			Skill:   forecast.Skill{Known: true, Hours: 0.123, Days: 0.25, Seasonal: 0.5, Coverage: []float64{0.51, 0.9662}, Bias: -0.02, Due: 400},
			Weights: []forecast.Weight{{Expert: "level", Share: 0.5}, {Expert: "last-value", Share: 0.3}, {Expert: "day", Share: 0.1504}, {Expert: "week", Share: 0.0496}},
		},
		Tokens: scaling.Tokens{
			Prompt:     scaling.TokenDemand{Forecast: forecast.Forecast{Horizon: 90 * time.Second, Point: 2000, Upper: 2500}},
			Generation: scaling.TokenDemand{Forecast: forecast.Forecast{Horizon: 90 * time.Second, Point: 400, Upper: 450.5}},
		},
		LeadTime: leadtime.Estimate{
			P50: 61234 * time.Millisecond, P90: 90 * time.Second, Source: leadtime.Measured, Samples: 7,
			Scheduling: leadtime.Phase{P50: time.Second, P90: 2 * time.Second}, Startup: leadtime.Phase{P50: 20 * time.Second, P90: 30 * time.Second},
			Loading: leadtime.Phase{P50: 40 * time.Second, P90: 58 * time.Second},
		},
		Capacity: capacity.Estimate{PerReplica: 2.5, Source: capacity.Declared, Text: "declared"},
		Budget:   capacity.Account{Known: true, Attained: 0.9942, Wanted: 0.99, Spent: 0.58, Price: 9},
	}
}

func (w *world) record(d scaling.Decision, err error) {
	w.Recorder.Record(w.t.Context(), vllm, d, err)
}

// status returns what the API server has after all writes.
func (w *world) status() v1alpha1.InferenceAutoscalerStatus {
	w.t.Helper()
	w.writeStatuses()
	return w.autoscalers.all[vllm].Status
}

func TestStatusTellsTheDecision(t *testing.T) {
	w := ownWorld(t)
	w.pod("a", nil)
	if _, err := w.Observer.Observe(t.Context(), vllm, t0); err != nil {
		t.Fatal(err)
	}
	w.record(decision(t0), nil)
	got := w.status()
	got.Conditions = nil
	at := metav1.NewTime(t0)
	want := v1alpha1.InferenceAutoscalerStatus{
		ObservedGeneration: 1, Selector: "app=vllm",
		Replicas:            &v1alpha1.ReplicaStatus{Desired: 3, Current: 1, Ready: 2, Starting: 1},
		RecommendedReplicas: new(int32(5)),
		LeadTime: &v1alpha1.LeadTimeStatus{
			P50: metav1.Duration{Duration: 61 * time.Second}, P90: metav1.Duration{Duration: 90 * time.Second}, Samples: 7, Source: v1alpha1.SourceMeasured,
			Phases: []v1alpha1.LeadTimePhase{
				{Name: "schedule", P50: metav1.Duration{Duration: time.Second}, P90: metav1.Duration{Duration: 2 * time.Second}},
				{Name: "start", P50: metav1.Duration{Duration: 20 * time.Second}, P90: metav1.Duration{Duration: 30 * time.Second}},
				{Name: "load", P50: metav1.Duration{Duration: 40 * time.Second}, P90: metav1.Duration{Duration: 58 * time.Second}},
			},
		},
		Capacity: &v1alpha1.CapacityStatus{Source: v1alpha1.SourceDeclared, RequestsPerSecond: new(resource.MustParse("2500m")), Message: "declared"},
		Demand:   &v1alpha1.DemandStatus{RequestsPerSecond: new(resource.MustParse("4")), Time: &at, WaitingRequests: new(int64(2)), RunningRequests: new(int64(7))},
		Forecast: &v1alpha1.ForecastStatus{
			State: v1alpha1.ForecastActive, RequestsPerSecond: new(resource.MustParse("9")), Quantile: "97.5%",
			Quantiles: []v1alpha1.ForecastQuantile{
				{Quantile: "50%", RequestsPerSecond: resource.MustParse("8")}, {Quantile: "97.5%", RequestsPerSecond: resource.MustParse("9")},
			},
			PromptTokensPerSecond: new(resource.MustParse("2500")), GenerationTokensPerSecond: new(resource.MustParse("450500m")), TokensPerSecond: new(resource.MustParse("2950500m")),
			Horizon: &metav1.Duration{Duration: 90 * time.Second}, Model: "experts", Due: new(int32(400)), Coverage: "96.6%", BiasPercent: new(int32(-2)),
			SkillPercent: new(int32(25)), SkillOverHoursPercent: new(int32(12)), SkillAgainstSeasonalPercent: new(int32(50)),
			Weights: []v1alpha1.ForecastWeight{{Name: "level", Share: "50%"}, {Name: "last-value", Share: "30%"}, {Name: "day", Share: "15%"}},
		},
		LastDecision: &v1alpha1.DecisionStatus{
			Time: at, Replicas: 5, Reason: "ForecastDemand",
			Steps: []string{"demand: 4.00 requests/s offered", "forecast: 9.00 requests/s ahead"},
			Asked: []v1alpha1.StageReplicas{{Stage: "forecast", Replicas: 5}},
		},
		ErrorBudget: &v1alpha1.ErrorBudgetStatus{Attained: "99.42%", Wanted: "99%", SpentPercent: new(int32(58)), MissPrice: new(resource.MustParse("9"))},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestWhatIsNotKnownIsAbsent(t *testing.T) {
	w := ownWorld(t)
	d := decision(t0)
	d.Tokens = scaling.Tokens{}
	d.DemandKnown, d.Forecast, d.Capacity, d.LeadTime = false, forecast.Forecast{Withdrawn: "too few samples"}, capacity.Estimate{Text: "nothing seen"}, leadtime.Estimate{}
	w.record(d, nil)
	got := w.status()
	if got.Demand != nil || got.LeadTime != nil {
		t.Errorf("demand %v, lead time %v; want both absent", got.Demand, got.LeadTime)
	}
	if diff := cmp.Diff(&v1alpha1.ForecastStatus{State: v1alpha1.ForecastWithdrawn, Message: "too few samples"}, got.Forecast); diff != "" {
		t.Errorf("forecast (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&v1alpha1.CapacityStatus{Source: v1alpha1.SourceNone, Message: "nothing seen"}, got.Capacity); diff != "" {
		t.Errorf("capacity (-want +got):\n%s", diff)
	}
}

func TestTheSumOfTokensNeedsBothKinds(t *testing.T) {
	known := scaling.TokenDemand{Forecast: forecast.Forecast{Horizon: time.Minute, Upper: 5}}
	for name, tokens := range map[string]scaling.Tokens{"prompt alone": {Prompt: known}, "generation alone": {Generation: known}} {
		var s v1alpha1.ForecastStatus
		if tokenStatus(&s, tokens); s.TokensPerSecond != nil || (s.PromptTokensPerSecond == nil) == (s.GenerationTokensPerSecond == nil) {
			t.Errorf("%s: got %+v", name, s)
		}
	}
}

func TestTheForecastSaysWhetherItHelps(t *testing.T) {
	for name, tt := range map[string]struct {
		change   func(*forecast.Forecast)
		disabled bool
		state    v1alpha1.ForecastState
		want     string // the condition
		says     string
	}{
		"it beats the last value": {
			func(*forecast.Forecast) {}, false, v1alpha1.ForecastActive, "True/ForecastSkilful", "and 25 % below that of the last value over the last days",
		},
		"it did of late and not before": {
			func(f *forecast.Forecast) { f.Skill.Days = -0.04 }, false, v1alpha1.ForecastActive, "True/ForecastSkilful", "12 % below that of the last value over the last hours and 4 % above that",
		},
		"it is used before anybody can tell": {
			func(f *forecast.Forecast) { f.Skill = forecast.Skill{Due: 3} }, false, v1alpha1.ForecastActive, "True/ForecastLearning", "too few have come due (3)",
		},
		"it does not": {
			func(f *forecast.Forecast) { f.Withdrawn, f.Skill.Days = "skill -0.031 over days", -0.031 }, false,
			v1alpha1.ForecastWithdrawn, "False/ForecastNotSkilful", "until it beats the last value again",
		},
		"too few have come due to tell": {
			func(f *forecast.Forecast) { f.Withdrawn, f.Skill = "7 of 20", forecast.Skill{Due: 7} }, false,
			v1alpha1.ForecastWithdrawn, "Unknown/ForecastLearning", "too few forecasts have come due (7)",
		},
		"there is none yet": {
			func(f *forecast.Forecast) { *f = forecast.Forecast{} }, false,
			v1alpha1.ForecastWithdrawn, "Unknown/ForecastLearning", "nothing has been forecast yet",
		},
		"the spec disables it": {
			func(f *forecast.Forecast) { f.Withdrawn = "whatever" }, true,
			v1alpha1.ForecastDisabled, "False/ForecastDisabled", "spec.forecast.disabled is set",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deployment("vllm", 3)
			w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Forecast.Disabled = tt.disabled })
			d := decision(t0)
			tt.change(&d.Forecast)
			w.record(d, nil)
			got := w.status()
			c := meta.FindStatusCondition(got.Conditions, v1alpha1.ConditionForecasting)
			if c == nil || fmt.Sprintf("%s/%s", c.Status, c.Reason) != tt.want || !strings.Contains(c.Message, tt.says) {
				t.Errorf("condition %+v, want %s that says %q", c, tt.want, tt.says)
			}
			if got.Forecast.State != tt.state {
				t.Errorf("state %s, want %s", got.Forecast.State, tt.state)
			}
		})
	}
}

func TestAForecastThatIsWithdrawnIsWrittenAtOnce(t *testing.T) {
	w := ownWorld(t)
	w.record(decision(t0), nil)
	w.status()
	d := decision(t0.Add(15 * time.Second))
	d.Forecast.Withdrawn = "skill -0.031"
	w.record(d, nil)
	if got := meta.FindStatusCondition(w.status().Conditions, v1alpha1.ConditionForecasting); got.Reason != string(ForecastNotSkilful) {
		t.Errorf("the condition is still %s", got.Reason)
	}
}

func TestSkillThatIsNotKnownIsAbsent(t *testing.T) {
	var s v1alpha1.ForecastStatus
	skillStatus(&s, forecast.Skill{Due: 3, Days: 0.5})
	if diff := cmp.Diff(v1alpha1.ForecastStatus{Due: new(int32(3))}, s); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	skillStatus(&s, forecast.Skill{Known: true, Days: -1e9, Hours: math.NaN(), Bias: math.Inf(1)})
	if *s.SkillPercent != -1000 || s.SkillOverHoursPercent != nil || *s.BiasPercent != 1000 || s.SkillAgainstSeasonalPercent != nil {
		t.Errorf("got %+v", s)
	}
}

func TestQuantityOfOddNumbers(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e300} {
		if got := quantity(v); got != nil {
			t.Errorf("quantity(%v) = %v, want none", v, got)
		}
	}
	if got := quantity(0.0004); got == nil || !got.IsZero() {
		t.Errorf("quantity(0.0004) = %v, want 0", got)
	}
}

// summary is the conditions in short: Ready, Blind, Conflict, Limited.
func summary(conditions []metav1.Condition) string {
	var all []string
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionBlind, v1alpha1.ConditionConflict, v1alpha1.ConditionLimited} {
		if c := meta.FindStatusCondition(conditions, kind); c != nil {
			all = append(all, fmt.Sprintf("%s=%s/%s", kind, c.Status, c.Reason))
		}
	}
	return strings.Join(all, " ")
}

func TestConditions(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*scaling.Decision)
		err    error
		want   string
		says   string // in one of the messages
	}{
		"all is well": {
			func(*scaling.Decision) {}, nil,
			"Ready=True/ForecastDemand Blind=False/FreshData Conflict=False/SoleWriter Limited=False/WithinLimits", "3 -> 5 replicas",
		},
		"blind names what is missing": {func(d *scaling.Decision) {
			d.Blind, d.Reason, d.Unseen = true, scaling.NoFreshData, []string{"pod a: vllm:num_requests_waiting"}
		}, nil, "Ready=False/NoFreshData Blind=True/NoFreshData Conflict=False/SoleWriter Limited=False/WithinLimits", "vllm:num_requests_waiting"},
		"blind, and seen before": {func(d *scaling.Decision) {
			d.Blind, d.Reason, d.LastSeen = true, scaling.NoFreshData, time.Date(2026, 3, 1, 4, 5, 6, 0, time.UTC)
		}, nil, "Ready=False/NoFreshData Blind=True/NoFreshData Conflict=False/SoleWriter Limited=False/WithinLimits", "last seen 2026-03-01T04:05:06Z"},
		"half blind": {
			func(d *scaling.Decision) { d.Unseen = []string{"pod a: timeout"} }, nil,
			"Ready=True/ForecastDemand Blind=False/PartialData Conflict=False/SoleWriter Limited=False/WithinLimits", "not seen: pod a: timeout",
		},
		"limited": {
			func(d *scaling.Decision) { d.Limited, d.Needed, d.Reason = true, 12, scaling.AtMaximum }, nil,
			"Ready=True/AtMaximum Blind=False/FreshData Conflict=False/SoleWriter Limited=True/AtMaximum", "needs 12 replicas, 5 are allowed",
		},
		"no replica is ready": {
			func(d *scaling.Decision) { d.Reason, d.Ready, d.DemandKnown = scaling.NoReadyReplica, 0, false }, nil,
			"Ready=False/NoReadyReplica Blind=Unknown/NoReadyReplica Conflict=False/SoleWriter Limited=False/WithinLimits", "nothing is known of demand",
		},
		"paused": {
			func(d *scaling.Decision) { d.Reason = scaling.Paused }, nil,
			"Ready=False/Paused Blind=False/FreshData Conflict=False/SoleWriter Limited=False/WithinLimits", "",
		},
		"a rival": {
			func(*scaling.Decision) {}, &Fault{Reason: RivalAutoscaler, Message: "HorizontalPodAutoscaler ml/web"},
			"Ready=False/RivalAutoscaler Blind=False/FreshData Conflict=True/RivalAutoscaler Limited=False/WithinLimits", "ml/web",
		},
		"a failed write is no conflict": {
			func(*scaling.Decision) {}, fmt.Errorf("actuate: %w", &Fault{Reason: WriteFailed, Message: "not allowed"}),
			"Ready=False/WriteFailed Blind=False/FreshData Conflict=False/SoleWriter Limited=False/WithinLimits", "not allowed",
		},
		"an error without a reason": {
			func(*scaling.Decision) {}, errors.New("context deadline exceeded"),
			"Ready=False/WriteFailed Blind=False/FreshData Conflict=False/SoleWriter Limited=False/WithinLimits", "context deadline exceeded",
		},
		"a target that just moved is no fault": {
			func(*scaling.Decision) {}, fmt.Errorf("scale: %w", ErrMoved),
			"Ready=True/ForecastDemand Blind=False/FreshData Conflict=False/SoleWriter Limited=False/WithinLimits", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := ownWorld(t)
			d := decision(t0)
			tt.change(&d)
			w.record(d, tt.err)
			got := w.status().Conditions
			if diff := cmp.Diff(tt.want, summary(got)); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if !slices.ContainsFunc(got, func(c metav1.Condition) bool { return strings.Contains(c.Message, tt.says) }) {
				t.Errorf("no message says %q: %+v", tt.says, got)
			}
		})
	}
}

func TestTransitionTimeChangesWithTheStatusOnly(t *testing.T) {
	w := ownWorld(t)
	ready := func() metav1.Condition {
		return *meta.FindStatusCondition(w.status().Conditions, v1alpha1.ConditionReady)
	}
	w.record(decision(t0), nil)
	first := ready().LastTransitionTime
	d := decision(t0.Add(time.Minute))
	d.Reason = scaling.ReactiveDemand
	w.record(d, nil)
	if got := ready(); !got.LastTransitionTime.Equal(&first) || got.Reason != "ReactiveDemand" {
		t.Errorf("condition %+v, want the new reason with the old time %v", got, first)
	}
	w.record(decision(t0.Add(2*time.Minute)), &Fault{Reason: WriteFailed, Message: "x"})
	if got := ready().LastTransitionTime; !got.Time.Equal(t0.Add(2 * time.Minute)) {
		t.Errorf("transition at %v, want %v", got, t0.Add(2*time.Minute))
	}
}

func TestAnAPIServerThatHangsIsGivenUpAndTold(t *testing.T) {
	w := ownWorld(t)
	w.scales.deaf = true
	w.Observer.timeout = time.Millisecond
	_, err := w.Observer.Observe(t.Context(), vllm, t0)
	if !errors.Is(err, context.DeadlineExceeded) || ReasonOf(err) != ReadFailed || !strings.Contains(err.Error(), "tried again") {
		t.Errorf("got %v", err)
	}
	if got := summary(w.status().Conditions); !strings.HasPrefix(got, "Ready=False/ReadFailed") {
		t.Errorf("conditions %s", got)
	}
}

func TestWhyAReplicaIsNotSeenIsToldWithIt(t *testing.T) {
	w := ownWorld(t)
	w.pod("refuses", nil)
	w.pod("nowhere", func(p *corev1.Pod) { p.Annotations = map[string]string{"preheat.dev/metrics-port": "0"} })
	obs, err := w.Observer.Observe(t.Context(), vllm, t0)
	if err != nil || len(obs.Replicas) != 2 {
		t.Fatalf("%+v, %v", obs, err)
	}
	for i, want := range []string{"0 is not from 1 to 65535", "connection refused; check the metrics port"} {
		if r := obs.Replicas[i]; !strings.Contains(r.Problem, want) {
			t.Errorf("problem of %s is %q, want %q", r.Name, r.Problem, want)
		}
	}
}

// lackingReadings is a store in which a pod's page lacks something.
type lackingReadings struct{ noReadings }

func (lackingReadings) Problem(store.PodID) (time.Time, error) { return time.Time{}, nil }

func (lackingReadings) Lacking(store.PodID) error {
	return errors.New("sought vllm:num_requests_waiting; not on the page; nearest present: vllm:num_waiting_requests")
}

func TestWhatAPageLacksIsToldWithTheReplica(t *testing.T) {
	w := ownWorld(t)
	w.pod("renamed", nil)
	w.Observer.readings = lackingReadings{}
	obs, err := w.Observer.Observe(t.Context(), vllm, t0)
	if err != nil || len(obs.Replicas) != 1 {
		t.Fatalf("%+v, %v", obs, err)
	}
	if r := obs.Replicas[0]; !strings.Contains(r.Problem, "nearest present: vllm:num_waiting_requests") || r.Cause != scaling.NotOnPage {
		t.Errorf("problem is %q, cause %q", r.Problem, r.Cause)
	}
}

func TestAFrozenPageHasACauseOfItsOwn(t *testing.T) {
	if got := causeOf(store.ErrFrozen); got != scaling.Frozen {
		t.Errorf("cause is %q", got)
	}
	if got := causeOf(errors.New("prometheus says no")); got != "" {
		t.Errorf("cause of what nobody knows is %q", got)
	}
}

func TestTheFirstBlindDecisionIsNoNews(t *testing.T) {
	w := ownWorld(t)
	for i, want := range []int{0, 1, 1} {
		d := decision(t0.Add(time.Duration(i) * 15 * time.Second))
		d.Replicas, d.Blind, d.Reason = d.Current, true, scaling.NoFreshData
		w.record(d, nil)
		if got := len(w.said.Events); got != want {
			t.Errorf("after decision %d: %d events, want %d", i, got, want)
		}
	}
}

func TestUnreadableTargetIsTold(t *testing.T) {
	w := ownWorld(t)
	w.record(decision(t0), nil)
	before := w.status().LastDecision
	delete(w.scales.all, "ml/vllm")
	_, err := w.Observer.Observe(t.Context(), vllm, t0.Add(time.Second))
	w.wantReason(err, TargetNotFound)
	got := w.status()
	want := "Ready=False/TargetNotFound Blind=Unknown/TargetNotFound Conflict=Unknown/TargetNotFound Limited=Unknown/TargetNotFound"
	if diff := cmp.Diff(want, summary(got.Conditions)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, got.LastDecision); diff != "" {
		t.Errorf("the last decision changed (-want +got):\n%s", diff)
	}
}

func TestStatusIsWrittenForNewsOrAfterAPeriod(t *testing.T) {
	w := ownWorld(t)
	for i, step := range []struct {
		at     time.Duration
		change func(*scaling.Decision)
		writes int
	}{
		{0, func(*scaling.Decision) {}, 1},
		{10 * time.Second, func(d *scaling.Decision) { d.Demand = 4.1 }, 0},
		{20 * time.Second, func(d *scaling.Decision) { d.Ready = 3 }, 1},
		{40 * time.Second, func(d *scaling.Decision) { d.Ready, d.Demand = 3, 4.2 }, 0},
		{49 * time.Second, func(d *scaling.Decision) { d.Ready = 3 }, 0},
		{50 * time.Second, func(d *scaling.Decision) { d.Ready = 3 }, 1},
		{51 * time.Second, func(d *scaling.Decision) { d.Ready, d.Reason = 3, scaling.AtMaximum }, 1},
	} {
		d := decision(t0.Add(step.at))
		step.change(&d)
		before := w.autoscalers.updates
		w.record(d, nil)
		w.writeStatuses()
		if got := w.autoscalers.updates - before; got != step.writes {
			t.Errorf("step %d at %v: %d writes, want %d", i, step.at, got, step.writes)
		}
	}
}

func TestFollowerRecordsNothing(t *testing.T) {
	w := ownWorld(t)
	w.leader.lead(false)
	w.record(decision(t0), nil)
	w.writeStatuses()
	if w.autoscalers.updates != 0 || len(w.said.Events) != 0 {
		t.Errorf("%d status writes, %d events; want none", w.autoscalers.updates, len(w.said.Events))
	}
}

func TestNewLeaderGoesOnFromWhatTheOldOneWrote(t *testing.T) {
	w := ownWorld(t)
	w.record(decision(t0), nil)
	w.writeStatuses()
	w.leader.lead(false)
	w.record(decision(t0.Add(time.Minute)), nil)
	since := metav1.NewTime(t0.Add(90 * time.Second)) // the leader of that time saw it break and mend
	meta.FindStatusCondition(w.autoscalers.all[vllm].Status.Conditions, v1alpha1.ConditionReady).LastTransitionTime = since
	w.writeStatuses()
	w.leader.lead(true)
	w.record(decision(t0.Add(2*time.Minute)), nil)
	if got := meta.FindStatusCondition(w.status().Conditions, v1alpha1.ConditionReady).LastTransitionTime; !got.Equal(&since) {
		t.Errorf("ready since %v, want %v as the API server said", got, since)
	}
}

func TestStatusThatWaitsIsNotWrittenAfterTheLeaseIsLost(t *testing.T) {
	w := ownWorld(t)
	w.record(decision(t0), nil)
	w.leader.lead(false)
	w.writeStatuses()
	if w.autoscalers.updates != 0 {
		t.Errorf("%d status writes, want none", w.autoscalers.updates)
	}
}

func TestStaleCopyIsWrittenOverAFreshOne(t *testing.T) {
	w := ownWorld(t)
	w.autoscalers.all[vllm].ResourceVersion = "7" // the informer has not seen this
	w.record(decision(t0), nil)
	w.statuses.next(t.Context())
	if got := w.autoscalers.all[vllm].Status.LastDecision; got == nil || got.Replicas != 5 {
		t.Errorf("last decision %v, want 5 replicas", got)
	}
}

func TestFailedStatusWriteIsRepeatedAtTheNextTick(t *testing.T) {
	w := ownWorld(t)
	w.autoscalers.refuse = func() error { return apierrors.NewInternalError(errors.New("etcd is slow")) }
	w.record(decision(t0), nil)
	w.writeStatuses()
	w.autoscalers.refuse = nil
	w.record(decision(t0.Add(time.Second)), nil)
	w.writeStatuses()
	if w.autoscalers.updates != 1 {
		t.Errorf("%d status writes, want 1", w.autoscalers.updates)
	}
}

func TestScaleTimeIsThatOfTheLastWrite(t *testing.T) {
	w := ownWorld(t)
	w.tick(vllm, t0, 5)
	w.tick(vllm, t0.Add(time.Minute), 5)
	if got := w.status().LastScaleTime; got == nil || !got.Time.Equal(t0) {
		t.Errorf("last scale time %v, want %v", got, t0)
	}
}

func TestEvents(t *testing.T) {
	w := ownWorld(t)
	rival := &Fault{Reason: RivalAutoscaler, Message: "HorizontalPodAutoscaler ml/web scales it too"}
	reason := func(r scaling.Reason) func(*scaling.Decision) {
		return func(d *scaling.Decision) { d.Current, d.Reason = d.Replicas, r }
	}
	for i, step := range []struct {
		at     time.Duration
		change func(*scaling.Decision)
		err    error
		want   string // the event's beginning, empty for none
	}{
		{0, func(*scaling.Decision) {}, nil, "Normal ForecastDemand 3 -> 5 replicas"},
		{10 * time.Second, func(*scaling.Decision) {}, nil, ""}, // the same number again, as in mode Advise
		{20 * time.Second, reason(scaling.DemandMet), nil, ""},  // no news
		{30 * time.Second, reason(scaling.ScaleDownStabilized), nil, ""},
		{70 * time.Second, reason(scaling.ScaleDownStabilized), nil, "Normal ScaleDownStabilized"},
		{80 * time.Second, func(d *scaling.Decision) { d.Replicas = 7 }, nil, "Normal ForecastDemand 3 -> 7 replicas"},
		{90 * time.Second, func(*scaling.Decision) {}, rival, "Warning RivalAutoscaler HorizontalPodAutoscaler ml/web"},
		{200 * time.Second, func(*scaling.Decision) {}, rival, ""},
		{210 * time.Second, reason(scaling.DemandMet), nil, "Normal DemandMet"}, // it is over
		{300 * time.Second, func(d *scaling.Decision) { d.Current, d.Blind, d.Reason = 5, true, scaling.NoFreshData }, nil, "Warning NoFreshData blind, none was seen"},
		{315 * time.Second, func(d *scaling.Decision) { d.Current, d.Blind, d.Reason = 5, true, scaling.NoFreshData }, nil, ""}, // not each tick
		{330 * time.Second, reason(scaling.DemandMet), nil, "Normal DemandMet sees its replicas again"},
		{345 * time.Second, func(d *scaling.Decision) {
			d.Current, d.Blind, d.Reason, d.LastSeen = 5, true, scaling.NoFreshData, t0.Add(330*time.Second)
		}, nil, "Warning NoFreshData blind, last seen " + t0.Add(330*time.Second).Format(time.RFC3339)},
	} {
		d := decision(t0.Add(step.at))
		step.change(&d)
		w.record(d, step.err)
		got := ""
		if len(w.said.Events) > 0 {
			got = <-w.said.Events
		}
		if !strings.HasPrefix(got, step.want) || (step.want == "") != (got == "") {
			t.Errorf("step %d: event %q, want %q", i, got, step.want)
		}
	}
}

func TestShortenCutsBetweenCharacters(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		n    int
		want string
	}{
		"short enough":       {"abc", 3, "abc"},
		"too long":           {"abcdefgh", 6, "abc…"},
		"inside a character": {"abéééé", 6, "ab…"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := shorten(tt.text, tt.n); got != tt.want {
				t.Errorf("shorten(%q, %d) = %q, want %q", tt.text, tt.n, got, tt.want)
			}
		})
	}
}

func TestAStatusSaysWhetherItsHistoryIsKept(t *testing.T) {
	w := ownWorld(t)
	at := t0
	said := func() string {
		at = at.Add(time.Second)
		w.record(judged(at, account(0.5)), nil)
		return w.condition(v1alpha1.ConditionHistoryKept)
	}
	if got := said(); got != "none" {
		t.Errorf("before it is known: %s", got)
	}
	for _, tt := range []struct {
		onDisk bool
		reason error
		want   string
	}{
		{true, nil, "True/OnVolume"}, {false, errors.New("no space left"), "False/VolumeFailed"}, {true, nil, "True/OnVolume"}, {false, nil, "False/NoVolume"},
	} {
		w.Recorder.HistoryKept(tt.onDisk, tt.reason)
		if got := said(); got != tt.want {
			t.Errorf("%v %v: %s, want %s", tt.onDisk, tt.reason, got, tt.want)
		}
	}
}
