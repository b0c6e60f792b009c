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
		Forecast: forecast.Forecast{Horizon: 5 * time.Minute, Point: 9, Upper: 12, Quantile: 0.9, Skill: 0.2, SkillKnown: true, Coverage: 0.88, Errors: 40},
		LeadTime: leadtime.Estimate{P50: 2 * time.Minute, P90: 3 * time.Minute, Source: leadtime.Measured},
		Capacity: cap.Estimate{PerReplica: 2.5, Source: cap.Declared},
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
	for _, name := range []gauge{demand, forecastUpper, forecastSkill, leadTimeP90, capacity, recommended} {
		if n, err := testutil.GatherAndCount(registry, string(name)); n != 0 || err != nil {
			t.Errorf("%s has %d series (%v), want none", name, n, err)
		}
	}
	if v := testutil.ToFloat64(m.gauges[blind]); v != 1 {
		t.Errorf("blind is %v", v)
	}
}

func TestATargetThatCannotBeObservedIsBlindAndKeepsNoOldNumbers(t *testing.T) {
	m, registry := newMetrics(t)
	m.Record(t.Context(), llama, full(), nil)
	m.Unobserved(llama)
	for g := range gaugeHelp {
		if n, err := testutil.GatherAndCount(registry, string(g)); err != nil || n != 0 && g != blind {
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
