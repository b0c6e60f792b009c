package telemetry

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/preheat-autoscaler/preheat/pkg/apiservice"
	cap "github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

var errRival = errors.New("an HPA scales it")

var llama = controlloop.TargetID{Namespace: "default", Name: "llama"}

func newMetrics(t *testing.T) (*Metrics, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	m, err := New(Options{Registerer: registry, IsConflict: func(err error) bool { return errors.Is(err, errRival) }})
	if err != nil {
		t.Fatal(err)
	}
	return m, registry
}

func full() scaling.Decision {
	return scaling.Decision{
		Time: time.Unix(1000, 0), Current: 2, Replicas: 5, Ready: 2, Starting: 1, Unschedulable: 1,
		Reason: scaling.ForecastDemand, Limited: true, Demand: 7.5, DemandKnown: true,
		Forecast: forecast.Forecast{
			Horizon: 5 * time.Minute, Point: 9, Upper: 12, Quantile: 0.9, Quantiles: []float64{0.5, 0.9},
			Skill:   forecast.Skill{Known: true, Hours: 0.1, Days: 0.2, Seasonal: 0.4, Coverage: []float64{0.48, 0.88}, Bias: -0.01, Due: 40},
			Weights: []forecast.Weight{{Expert: "level", Share: 0.7}, {Expert: "last-value", Share: 0.3}},
		},
		LeadTime: leadtime.Estimate{P50: 2 * time.Minute, P90: 3 * time.Minute, Source: leadtime.Measured},
		Capacity: cap.Estimate{PerReplica: 2.5, Source: cap.Declared},
		Budget:   cap.Account{Known: true, Attained: 0.9942, Wanted: 0.99, Spent: 0.58, Price: 9},
	}
}

func TestRecord(t *testing.T) {
	m, registry := newMetrics(t)
	m.Record(t.Context(), llama, full(), nil)
	m.Record(t.Context(), llama, full(), errRival)
	want := `
# HELP preheat_actuate_errors_total Decisions that could not be carried out.
# TYPE preheat_actuate_errors_total counter
preheat_actuate_errors_total{name="llama",namespace="default"} 1
# HELP preheat_decisions_total Decisions, by reason.
# TYPE preheat_decisions_total counter
preheat_decisions_total{name="llama",namespace="default",reason="ForecastDemand"} 2
# HELP preheat_target_conflict 1 where another writer scales the target, so that nothing is written.
# TYPE preheat_target_conflict gauge
preheat_target_conflict{name="llama",namespace="default"} 1
# HELP preheat_target_forecast_upper_requests_per_second Upper quantile of the demand one lead time ahead; preheat_target_forecast_quantile_ratio says which.
# TYPE preheat_target_forecast_upper_requests_per_second gauge
preheat_target_forecast_upper_requests_per_second{name="llama",namespace="default"} 12
# HELP preheat_target_lead_time_p90_seconds 90th percentile of the time from the order of a replica until it serves.
# TYPE preheat_target_lead_time_p90_seconds gauge
preheat_target_lead_time_p90_seconds{name="llama",namespace="default"} 180
# HELP preheat_target_recommended_replicas Replicas that were decided.
# TYPE preheat_target_recommended_replicas gauge
preheat_target_recommended_replicas{name="llama",namespace="default"} 5
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"preheat_actuate_errors_total", "preheat_decisions_total", "preheat_target_conflict",
		"preheat_target_forecast_upper_requests_per_second", "preheat_target_lead_time_p90_seconds",
		"preheat_target_recommended_replicas"); err != nil {
		t.Error(err)
	}
}

func TestWhatIsUnknownHasNoSeries(t *testing.T) {
	m, registry := newMetrics(t)
	m.Record(t.Context(), llama, full(), nil)
	m.Record(t.Context(), llama, scaling.Decision{Current: 2, Replicas: 2, Reason: scaling.NoFreshData, Blind: true}, nil)
	for _, name := range []gauge{demand, forecastUpper, forecastHorizon, withdrawn, leadTimeP90, capacity, recommended, sloWanted, sloAttained, budgetSpent, missPrice} {
		if n, err := testutil.GatherAndCount(registry, string(name)); n != 0 || err != nil {
			t.Errorf("%s has %d series (%v), want none", name, n, err)
		}
	}
	if v := testutil.ToFloat64(m.gauges[blind]); v != 1 {
		t.Errorf("blind is %v", v)
	}
}

func TestTheErrorBudgetIsTold(t *testing.T) {
	m, registry := newMetrics(t)
	m.Record(t.Context(), llama, full(), nil)
	want := `
# HELP preheat_target_error_budget_spent_ratio Share of the misses that the objective allows that there were over the last hours; from 1 on the error budget is spent.
# TYPE preheat_target_error_budget_spent_ratio gauge
preheat_target_error_budget_spent_ratio{name="llama",namespace="default"} 0.58
# HELP preheat_target_miss_price_requests What a missed request is worth to the planner, in requests that a replica serves in the time.
# TYPE preheat_target_miss_price_requests gauge
preheat_target_miss_price_requests{name="llama",namespace="default"} 9
# HELP preheat_target_slo_attained_ratio Share of requests within the objectives over the last hours, 0 to 1; what was an hour ago counts half.
# TYPE preheat_target_slo_attained_ratio gauge
preheat_target_slo_attained_ratio{name="llama",namespace="default"} 0.9942
# HELP preheat_target_slo_wanted_ratio Share of requests that is to be within the objectives, 0 to 1.
# TYPE preheat_target_slo_wanted_ratio gauge
preheat_target_slo_wanted_ratio{name="llama",namespace="default"} 0.99
`
	all := []gauge{budgetSpent, missPrice, sloAttained, sloWanted}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), names(all)...); err != nil {
		t.Error(err)
	}
	unjudged := full()
	unjudged.Budget = cap.Account{Wanted: 0.99, Price: 80}
	m.Record(t.Context(), llama, unjudged, nil)
	for g, series := range map[gauge]int{sloWanted: 1, missPrice: 1, sloAttained: 0, budgetSpent: 0} {
		if n, err := testutil.GatherAndCount(registry, string(g)); n != series || err != nil {
			t.Errorf("without a request judged, %s has %d series (%v), want %d", g, n, err, series)
		}
	}
}

func names(all []gauge) []string {
	var out []string
	for _, g := range all {
		out = append(out, string(g))
	}
	return out
}

func TestATargetThatCannotBeObservedIsBlindAndKeepsNoOldNumbers(t *testing.T) {
	m, registry := newMetrics(t)
	m.Record(t.Context(), llama, full(), nil)
	m.Unobserved(llama)
	for g := range gaugeHelp {
		if n, err := testutil.GatherAndCount(registry, string(g)); err != nil || n != 0 && g != blind && g != lastSeen {
			t.Errorf("%s still has %d series (%v) from before", g, n, err)
		}
	}
	if v := testutil.ToFloat64(m.gauges[blind]); v != 1 {
		t.Errorf("blind is %v", v)
	}
	if v := testutil.ToFloat64(m.observeErrors); v != 1 {
		t.Errorf("%v errors are counted", v)
	}
	m.Forget(llama)
	if n, err := testutil.GatherAndCount(registry, "preheat_observe_errors_total"); n != 0 || err != nil {
		t.Errorf("%d series (%v) of a target that is gone", n, err)
	}
}

const skillOfLlama = `
# HELP preheat_target_forecast_bias_ratio Mean of (median forecast - demand that came) / mean demand, over days.
# TYPE preheat_target_forecast_bias_ratio gauge
preheat_target_forecast_bias_ratio{horizon="300",name="llama",namespace="default"} -0.01
# HELP preheat_target_forecast_coverage_ratio Share of due forecasts that were not exceeded, over days, 0 to 1; about the level (the quantile) where the forecast is honest.
# TYPE preheat_target_forecast_coverage_ratio gauge
preheat_target_forecast_coverage_ratio{horizon="300",level="0.5",name="llama",namespace="default"} 0.48
preheat_target_forecast_coverage_ratio{horizon="300",level="0.9",name="llama",namespace="default"} 0.88
# HELP preheat_target_forecast_due Forecasts that have come due since learning began, on which skill, coverage and bias rest.
# TYPE preheat_target_forecast_due gauge
preheat_target_forecast_due{horizon="300",name="llama",namespace="default"} 40
# HELP preheat_target_forecast_skill_ratio 1 - pinball loss of the forecast / that of repeating the last value or that of one season before, over the last hours or days; above 0 the forecast is the better one.
# TYPE preheat_target_forecast_skill_ratio gauge
preheat_target_forecast_skill_ratio{against="last-value",horizon="300",name="llama",namespace="default",over="days"} 0.2
preheat_target_forecast_skill_ratio{against="last-value",horizon="300",name="llama",namespace="default",over="hours"} 0.1
preheat_target_forecast_skill_ratio{against="seasonal-naive",horizon="300",name="llama",namespace="default",over="days"} 0.4
# HELP preheat_target_forecast_weight_ratio Share of a forecaster in the mixture, 0 to 1; the five largest.
# TYPE preheat_target_forecast_weight_ratio gauge
preheat_target_forecast_weight_ratio{expert="last-value",horizon="300",name="llama",namespace="default"} 0.3
preheat_target_forecast_weight_ratio{expert="level",horizon="300",name="llama",namespace="default"} 0.7
`

var skillNames = []string{
	"preheat_target_forecast_bias_ratio", "preheat_target_forecast_coverage_ratio", "preheat_target_forecast_due",
	"preheat_target_forecast_skill_ratio", "preheat_target_forecast_weight_ratio",
}

func TestTheSkillOfAForecastIsTold(t *testing.T) {
	m, registry := newMetrics(t)
	d := full()
	d.Forecast.Horizon = 4 * time.Minute // drifts: what it was for is told no more
	d.Forecast.Weights = []forecast.Weight{{Expert: "gone", Share: 1}}
	m.Record(t.Context(), llama, d, nil)
	m.Record(t.Context(), llama, full(), nil)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(skillOfLlama), skillNames...); err != nil {
		t.Error(err)
	}
	if got := testutil.ToFloat64(m.gauges[withdrawn]); got != 0 {
		t.Errorf("withdrawn is %v", got)
	}
	d = full()
	d.Forecast.Withdrawn, d.Forecast.Skill = "7 of 20", forecast.Skill{Due: 7, Coverage: []float64{0, 0}}
	m.Record(t.Context(), llama, d, nil)
	want := map[string]int{"preheat_target_forecast_due": 1, "preheat_target_forecast_weight_ratio": 2}
	for _, name := range skillNames {
		if n, err := testutil.GatherAndCount(registry, name); n != want[name] || err != nil {
			t.Errorf("too few have come due, and %s has %d series (%v)", name, n, err)
		}
	}
	if got := testutil.ToFloat64(m.gauges[withdrawn]); got != 1 {
		t.Errorf("withdrawn is %v", got)
	}
	m.Unobserved(llama)
	if n, err := testutil.GatherAndCount(registry, skillNames...); n != 0 || err != nil {
		t.Errorf("%d series (%v) of a target that is not seen", n, err)
	}
}

func TestTheSkillOfEveryHorizonIsTold(t *testing.T) {
	m, registry := newMetrics(t)
	var all []judged
	for _, h := range []time.Duration{time.Minute, 90 * time.Second, 30 * time.Minute} {
		weights := make([]forecast.Weight, 20)
		for i := range weights {
			weights[i] = forecast.Weight{Expert: string(rune('a' + i)), Share: 0.05}
		}
		all = append(all, judged{h, []float64{0.9}, forecast.Skill{Known: true, Coverage: []float64{0.9}}, weights})
	}
	m.skills.put(llama, all)
	for name, want := range map[string]int{"preheat_target_forecast_skill_ratio": 6, "preheat_target_forecast_weight_ratio": 15, "preheat_target_forecast_bias_ratio": 3} {
		if n, err := testutil.GatherAndCount(registry, name); n != want || err != nil {
			t.Errorf("%s has %d series (%v), want %d", name, n, err, want)
		}
	}
	m.Forget(llama)
	if n, err := testutil.GatherAndCount(registry, skillNames...); n != 0 || err != nil {
		t.Errorf("%d series (%v) of a target that is gone", n, err)
	}
}

func TestWhatARestartWouldForgetIsTold(t *testing.T) {
	m, registry := newMetrics(t)
	m.Unsaved(llama, 90*time.Second)
	m.Unobserved(llama)
	m.CheckpointFailed("save")
	want := `
# HELP preheat_checkpoint_errors_total Checkpoints of what was learned that could not be written (save) or were not believed (load).
# TYPE preheat_checkpoint_errors_total counter
preheat_checkpoint_errors_total{operation="save"} 1
# HELP preheat_target_unsaved_seconds How much of what was learned of the target a restart would forget now: the time since its last checkpoint, or all of it.
# TYPE preheat_target_unsaved_seconds gauge
preheat_target_unsaved_seconds{name="llama",namespace="default"} 90
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "preheat_checkpoint_errors_total", "preheat_target_unsaved_seconds"); err != nil {
		t.Error(err)
	}
	m.Forget(llama)
	if n, err := testutil.GatherAndCount(registry, "preheat_target_unsaved_seconds"); n != 0 || err != nil {
		t.Errorf("%d series (%v) of a target that is gone", n, err)
	}
}

func TestForgetRemovesOnlyThatTarget(t *testing.T) {
	m, registry := newMetrics(t)
	other := controlloop.TargetID{Namespace: "default", Name: "qwen"}
	m.Record(t.Context(), llama, full(), nil)
	one, err := testutil.GatherAndCount(registry)
	if err != nil {
		t.Fatal(err)
	}
	m.Record(t.Context(), other, full(), nil)
	m.Forget(other)
	if n, err := testutil.GatherAndCount(registry); n != one || err != nil {
		t.Errorf("%d series (%v) after a target came and went, want the %d from before", n, err, one)
	}
}

func TestHouseMetrics(t *testing.T) {
	m, registry := newMetrics(t)
	m.Ticked(20*time.Millisecond, -time.Millisecond)
	m.CertificateExpiry(time.Unix(1234, 0))
	m.APIServices(apiservice.Report{{Name: "v1beta1.external.metrics.k8s.io", Holder: apiservice.Ours}})
	m.APIServices(apiservice.Report{{Name: "v1beta1.external.metrics.k8s.io", Holder: apiservice.Foreign}})
	want := `
# HELP preheat_apiservice_holder 1 for the one that holds the APIService: Ours, Foreign, Absent or Unknown.
# TYPE preheat_apiservice_holder gauge
preheat_apiservice_holder{apiservice="v1beta1.external.metrics.k8s.io",holder="Absent"} 0
preheat_apiservice_holder{apiservice="v1beta1.external.metrics.k8s.io",holder="Foreign"} 1
preheat_apiservice_holder{apiservice="v1beta1.external.metrics.k8s.io",holder="Ours"} 0
preheat_apiservice_holder{apiservice="v1beta1.external.metrics.k8s.io",holder="Unknown"} 0
# HELP preheat_serving_certificate_expiry_timestamp_seconds When the serving certificate ends, in Unix time.
# TYPE preheat_serving_certificate_expiry_timestamp_seconds gauge
preheat_serving_certificate_expiry_timestamp_seconds 1234
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"preheat_apiservice_holder", "preheat_serving_certificate_expiry_timestamp_seconds"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry, "preheat_tick_duration_seconds", "preheat_tick_lateness_seconds"); n != 2 || err != nil {
		t.Errorf("%d tick histograms (%v), want 2", n, err)
	}
}

func TestWhoWritesIsTold(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	leads := false
	if _, err := New(Options{Registerer: registry, IsLeader: func() bool { return leads }}); err != nil {
		t.Fatal(err)
	}
	for _, leads = range []bool{false, true} {
		want := "# HELP preheat_leader 1 where this process writes; 0 everywhere means that nothing is carried out.\n# TYPE preheat_leader gauge\npreheat_leader 0\n"
		if leads {
			want = strings.Replace(want, "preheat_leader 0", "preheat_leader 1", 1)
		}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "preheat_leader"); err != nil {
			t.Error(err)
		}
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	m, registry := newMetrics(t)
	m.Record(t.Context(), llama, full(), errRival)
	m.Ticked(time.Second, time.Second)
	m.CertificateExpiry(time.Unix(1234, 0))
	m.APIServices(apiservice.Report{{Name: "v1beta1.external.metrics.k8s.io", Holder: apiservice.Ours}})
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "preheat_") {
			t.Errorf("%s has not our prefix", f.GetName())
		}
	}
}

func TestNewSaysWhenARegistryIsTaken(t *testing.T) {
	_, registry := newMetrics(t)
	if _, err := New(Options{Registerer: registry}); err == nil {
		t.Error("two sets of metrics in one registry")
	}
}
