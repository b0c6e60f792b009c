// Package telemetry is what Preheat tells Prometheus about itself: what it saw and decided for each target, whether its
// loop keeps time, who holds its APIServices and how long its certificate lasts.
//
// What is not known has no series; it is never exported as zero. The package only writes numbers down: it must not
// decide, read a clock, or use a registry that it was not given.
package telemetry

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/preheat-autoscaler/preheat/pkg/apiservice"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Options configure Metrics.
type Options struct {
	// Registerer gets all metrics.
	Registerer prometheus.Registerer
	// IsConflict tells the errors of actuation that mean another writer of the target; nil means that none does.
	IsConflict func(error) bool
	// IsLeader reports whether this process may write; nil leaves that out.
	IsLeader func() bool
}

// Metrics are the service's own metrics. They are safe for concurrent use. Metrics is a controlloop.Recorder.
type Metrics struct {
	isConflict func(error) bool

	gauges map[gauge]*prometheus.GaugeVec
	skills skills
	tokens tokens
	// unseen counts the replicas that are not seen, by cause.
	unseen        *family
	decisions     *prometheus.CounterVec
	actuateErrors *prometheus.CounterVec
	observeErrors *prometheus.CounterVec
	checkpoints   *prometheus.CounterVec
	tick, late    prometheus.Histogram
	apiservices   *prometheus.GaugeVec
	certificate   prometheus.Gauge
}

var _ controlloop.Recorder = (*Metrics)(nil)

// gauge names one gauge per target.
type gauge string

const (
	desired          gauge = "preheat_target_desired_replicas"
	ready            gauge = "preheat_target_ready_replicas"
	starting         gauge = "preheat_target_starting_replicas"
	unschedulable    gauge = "preheat_target_unschedulable_replicas"
	recommended      gauge = "preheat_target_recommended_replicas"
	demand           gauge = "preheat_target_demand_requests_per_second"
	forecastPoint    gauge = "preheat_target_forecast_requests_per_second"
	forecastUpper    gauge = "preheat_target_forecast_upper_requests_per_second"
	forecastQuantile gauge = "preheat_target_forecast_quantile_ratio"
	forecastHorizon  gauge = "preheat_target_forecast_horizon_seconds"
	withdrawn        gauge = "preheat_target_forecast_withdrawn"
	leadTimeP50      gauge = "preheat_target_lead_time_p50_seconds"
	leadTimeP90      gauge = "preheat_target_lead_time_p90_seconds"
	capacity         gauge = "preheat_target_replica_capacity_requests_per_second"
	sloWanted        gauge = "preheat_target_slo_wanted_ratio"
	sloAttained      gauge = "preheat_target_slo_attained_ratio"
	budgetSpent      gauge = "preheat_target_error_budget_spent_ratio"
	missPrice        gauge = "preheat_target_miss_price_requests"
	blind            gauge = "preheat_target_blind"
	lastSeen         gauge = "preheat_target_last_seen_timestamp_seconds"
	limited          gauge = "preheat_target_limited"
	conflict         gauge = "preheat_target_conflict"
	unsaved          gauge = "preheat_target_unsaved_seconds"
)

var gaugeHelp = map[gauge]string{
	desired:          "Replicas asked for before the last decision.",
	ready:            "Replicas that serve.",
	starting:         "Replicas that are scheduled, pulling, loading or warming up.",
	unschedulable:    "Replicas that wait for a node or a GPU.",
	recommended:      "Replicas that were decided.",
	demand:           "Offered load.",
	forecastPoint:    "Demand expected one lead time ahead.",
	forecastUpper:    "Upper quantile of the demand one lead time ahead; preheat_target_forecast_quantile_ratio says which.",
	forecastQuantile: "Quantile that the upper forecast is meant to be, 0 to 1.",
	forecastHorizon:  "How far ahead demand is forecast: the lead time.",
	withdrawn:        "1 where the forecast is that of the last value, because the mixture of forecasters does not beat it or too few have come due to tell.",
	leadTimeP50:      "Median time from the order of a replica until it serves.",
	leadTimeP90:      "90th percentile of the time from the order of a replica until it serves.",
	capacity:         "What one replica sustains within its objectives.",
	sloWanted:        "Share of requests that is to be within the objectives, 0 to 1.",
	sloAttained:      "Share of requests within the objectives over the last hours, 0 to 1; what was an hour ago counts half.",
	budgetSpent:      "Share of the misses that the objective allows that there were over the last hours; from 1 on the error budget is spent.",
	missPrice:        "What a missed request is worth to the planner, in requests that a replica serves in the time.",
	blind:            "1 where nothing can be decided for want of fresh data.",
	lastSeen:         "Unix time of the newest reading of a ready replica that told what demand is made of; none before the first.",
	limited:          "1 where a bound, a rate or missing GPUs keep the replicas from what demand needs.",
	conflict:         "1 where another writer scales the target, so that nothing is written.",
	unsaved:          "How much of what was learned of the target a restart would forget now: the time since its last checkpoint, or all of it.",
}

// New registers all metrics.
func New(opts Options) (*Metrics, error) {
	target := []string{"namespace", "name"}
	m := &Metrics{
		isConflict: opts.IsConflict,
		gauges:     make(map[gauge]*prometheus.GaugeVec, len(gaugeHelp)),
		skills:     newSkills(),
		tokens:     newTokens(),
		unseen: newFamily("preheat_target_unseen_replicas",
			"Ready replicas of whose demand nothing is known, by cause: timeout, refused, no_engine, not_on_page, frozen, stale and others.", "cause"),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "preheat_decisions_total", Help: "Decisions, by reason.",
		}, append(target, "reason")),
		actuateErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "preheat_actuate_errors_total", Help: "Decisions that could not be carried out.",
		}, target),
		observeErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "preheat_observe_errors_total", Help: "Ticks in which not even the replicas could be read, so that nothing was decided.",
		}, target),
		checkpoints: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "preheat_checkpoint_errors_total",
			Help: "Checkpoints of what was learned that could not be written (save) or were not believed (load).",
		}, []string{"operation"}),
		tick: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "preheat_tick_duration_seconds", Help: "Time that one tick over all targets took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		late: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "preheat_tick_lateness_seconds", Help: "Time from when a tick was due until it began.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		apiservices: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "preheat_apiservice_holder", Help: "1 for the one that holds the APIService: Ours, Foreign, Absent or Unknown.",
		},
			[]string{"apiservice", "holder"}),
		certificate: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "preheat_serving_certificate_expiry_timestamp_seconds", Help: "When the serving certificate ends, in Unix time.",
		}),
	}
	for g, help := range gaugeHelp {
		m.gauges[g] = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: string(g), Help: help}, target)
	}
	if m.isConflict == nil {
		m.isConflict = func(error) bool { return false }
	}
	return m, m.register(opts.Registerer, opts.IsLeader)
}

// leader is the gauge that asks who writes: where no process does, none can say so in a status.
func leader(isLeader func() bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "preheat_leader", Help: "1 where this process writes; 0 everywhere means that nothing is carried out.",
	}, func() float64 {
		if isLeader() {
			return 1
		}
		return 0
	})
}

func (m *Metrics) register(registerer prometheus.Registerer, isLeader func() bool) error {
	collectors := []prometheus.Collector{m.decisions, m.actuateErrors, m.observeErrors, m.checkpoints, m.tick, m.late, m.apiservices, m.certificate}
	for _, vec := range m.gauges {
		collectors = append(collectors, vec)
	}
	for _, f := range append(append(m.skills.families(), m.tokens.families()...), m.unseen) {
		collectors = append(collectors, f.vec)
	}
	if isLeader != nil {
		collectors = append(collectors, leader(isLeader))
	}
	for _, c := range collectors {
		if err := registerer.Register(c); err != nil {
			return fmt.Errorf("telemetry: register: %w", err)
		}
	}
	return nil
}

// Record writes a decision down, and what came of it.
func (m *Metrics) Record(_ context.Context, id controlloop.TargetID, d scaling.Decision, actuated error) {
	m.decisions.WithLabelValues(id.Namespace, id.Name, string(d.Reason)).Inc()
	errs := m.actuateErrors.WithLabelValues(id.Namespace, id.Name)
	if actuated != nil {
		errs.Inc()
	}
	t := target{m: m, id: id}
	t.flag(conflict, actuated != nil && m.isConflict(actuated))
	t.replicas(&d)
	t.forecast(&d)
	m.tokens.put(id, d.Tokens)
	t.set(demand, d.Demand, d.DemandKnown)
	t.set(capacity, d.Capacity.PerReplica, d.Capacity.Known())
	t.set(leadTimeP50, d.LeadTime.P50.Seconds(), d.LeadTime.Source != "")
	t.set(leadTimeP90, d.LeadTime.P90.Seconds(), d.LeadTime.Source != "")
	t.budget(&d)
	t.flag(blind, d.Blind)
	t.set(lastSeen, float64(d.LastSeen.Unix()), !d.LastSeen.IsZero())
	m.unseen.put(id, causes(d.Causes))
	t.flag(limited, d.Limited)
}

// Unobserved writes down that a target could not be observed, so that nothing was decided: it is blind, and what was
// known of it is known no more.
func (m *Metrics) Unobserved(id controlloop.TargetID) {
	m.observeErrors.WithLabelValues(id.Namespace, id.Name).Inc()
	t := target{m: m, id: id}
	for g := range m.gauges {
		if g != unsaved && g != lastSeen { // what was learned and seen is known all the same
			t.set(g, 0, false)
		}
	}
	m.skills.put(id, nil)
	m.tokens.put(id, scaling.Tokens{})
	m.unseen.put(id, nil)
	t.flag(blind, true)
}

// causes counts why replicas are not seen.
func causes(all []scaling.Cause) []point {
	counts := map[scaling.Cause]float64{}
	for _, c := range all {
		counts[c]++
	}
	var points []point
	for c, n := range counts {
		points = append(points, point{[]string{string(c)}, n})
	}
	return points
}

// target writes the gauges of one target.
type target struct {
	m  *Metrics
	id controlloop.TargetID
}

// set sets a gauge, or removes its series where the value is not known.
func (t target) set(g gauge, v float64, known bool) {
	if known {
		t.m.gauges[g].WithLabelValues(t.id.Namespace, t.id.Name).Set(v)
		return
	}
	t.m.gauges[g].DeleteLabelValues(t.id.Namespace, t.id.Name)
}

func (t target) flag(g gauge, on bool) {
	v := 0.0
	if on {
		v = 1
	}
	t.set(g, v, true)
}

func (t target) replicas(d *scaling.Decision) {
	t.set(desired, float64(d.Current), true)
	t.set(ready, float64(d.Ready), true)
	t.set(starting, float64(d.Starting), true)
	t.set(unschedulable, float64(d.Unschedulable), true)
	t.set(recommended, float64(d.Replicas), !d.Blind)
}

func (t target) forecast(d *scaling.Decision) {
	f := d.Forecast
	t.set(forecastPoint, f.Point, f.Known())
	t.set(forecastUpper, f.Upper, f.Known())
	t.set(forecastQuantile, f.Quantile, f.Known())
	t.set(forecastHorizon, f.Horizon.Seconds(), f.Known())
	if !f.Known() {
		t.set(withdrawn, 0, false)
		t.m.skills.put(t.id, nil)
		return
	}
	t.flag(withdrawn, f.Withdrawn != "")
	t.m.skills.put(t.id, []judged{{f.Horizon, f.Quantiles, f.Skill, f.Weights}})
}

// budget tells nothing where nothing was decided on demand, and of requests nothing where none was judged.
func (t target) budget(d *scaling.Decision) {
	a := d.Budget
	t.set(sloWanted, a.Wanted, a.Wanted > 0)
	t.set(missPrice, a.Price, a.Wanted > 0)
	t.set(sloAttained, a.Attained, a.Known)
	t.set(budgetSpent, a.Spent, a.Known)
}

// Forget removes all series of a target that is gone.
func (m *Metrics) Forget(id controlloop.TargetID) {
	of := prometheus.Labels{"namespace": id.Namespace, "name": id.Name}
	m.decisions.DeletePartialMatch(of)
	m.actuateErrors.DeletePartialMatch(of)
	m.observeErrors.DeletePartialMatch(of)
	for _, vec := range m.gauges {
		vec.DeletePartialMatch(of)
	}
	m.skills.put(id, nil)
	m.tokens.put(id, scaling.Tokens{})
	m.unseen.put(id, nil)
}

// Unsaved writes down how much of what was learned of a target a restart would forget.
func (m *Metrics) Unsaved(id controlloop.TargetID, d time.Duration) {
	target{m: m, id: id}.set(unsaved, d.Seconds(), true)
}

// CheckpointFailed counts a checkpoint that could not be written ("save") or was not believed ("load").
func (m *Metrics) CheckpointFailed(operation string) {
	m.checkpoints.WithLabelValues(operation).Inc()
}

// Ticked writes down how long a tick took, and how long after it was due it began.
func (m *Metrics) Ticked(took, late time.Duration) {
	m.tick.Observe(took.Seconds())
	m.late.Observe(max(0, late).Seconds())
}

// APIServices writes down who holds the APIServices.
func (m *Metrics) APIServices(report apiservice.Report) {
	for _, reg := range report {
		for _, holder := range []apiservice.Holder{apiservice.Ours, apiservice.Foreign, apiservice.Absent, apiservice.Unknown} {
			v := 0.0
			if reg.Holder == holder {
				v = 1
			}
			m.apiservices.WithLabelValues(reg.Name, string(holder)).Set(v)
		}
	}
}

// CertificateExpiry writes down when the serving certificate ends.
func (m *Metrics) CertificateExpiry(notAfter time.Time) {
	m.certificate.Set(float64(notAfter.Unix()))
}
