package metricsapi

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// The metrics that come from decisions. They exist for InferenceAutoscalers only.
const (
	// Demand is the offered load, in requests per second.
	Demand = "inference_demand_requests_per_second"
	// DemandForecast is an upper quantile of the demand one lead time ahead; its label quantile says which.
	DemandForecast = "inference_demand_forecast_requests_per_second"
	// RecommendedReplicas is the number of replicas that was decided.
	RecommendedReplicas = "inference_recommended_replicas"
	// LeadTime is how long a replica ordered now takes until it serves, in seconds: the 0.9-quantile, or with
	// quantile=0.5 the median.
	LeadTime = "inference_lead_time_seconds"
)

// QuantileLabel is the label of metrics that are a quantile, its value the quantile as a decimal between 0 and 1.
const QuantileLabel = "quantile"

// series is one thing that can be asked: a quantity of pods, or a field of a decision.
type series struct {
	metric string
	// quantile is 0 where the series is none.
	quantile float64
	// measured is of pods; decided is nil then.
	measured store.Quantity
	// decided returns the value and the quantile that it is, false where the decision does not say.
	decided func(*scaling.Decision) (value, quantile float64, ok bool)
	// additive values of several targets may be added up.
	additive bool
}

// labels returns the labels that the series has of its own.
func (s *series) labels() map[string]string {
	if s.quantile == 0 {
		return nil
	}
	return map[string]string{QuantileLabel: strconv.FormatFloat(s.quantile, 'g', -1, 64)}
}

// catalog is all that is served, by metric name. It does not depend on the cluster: discovery is always the same,
// small, and never empty.
type catalog map[string][]series

func newCatalog() catalog {
	c := catalog{}
	for _, q := range store.Quantities() {
		c.add(series{metric: q.Name(), measured: q, additive: q.Aggregation() == store.Sum})
	}
	c.addLatencies()
	c.addDecided()
	return c
}

func (c catalog) add(s series) { c[s.metric] = append(c[s.metric], s) }

// addLatencies adds each latency under its bare name, one series for each quantile.
func (c catalog) addLatencies() {
	quantiles := map[store.Statistic]float64{store.P50: 0.5, store.P90: 0.9, store.P95: 0.95, store.P99: 0.99}
	for l := range signals.NumLatencies {
		for statistic, q := range quantiles {
			if measured, ok := store.LatencyQuantity(l, statistic); ok {
				c.add(series{metric: l.String(), measured: measured, quantile: q})
			}
		}
	}
}

func (c catalog) addDecided() {
	c.add(series{metric: Demand, additive: true, decided: func(d *scaling.Decision) (float64, float64, bool) {
		return d.Demand, 0, d.DemandKnown
	}})
	c.add(series{metric: DemandForecast, decided: func(d *scaling.Decision) (float64, float64, bool) {
		return d.Forecast.Upper, d.Forecast.Quantile, d.Forecast.Known()
	}})
	c.add(series{metric: RecommendedReplicas, additive: true, decided: func(d *scaling.Decision) (float64, float64, bool) {
		return float64(d.Replicas), 0, !d.Blind
	}})
	leadTime := func(of func(*scaling.Decision) time.Duration, q float64) func(*scaling.Decision) (float64, float64, bool) {
		return func(d *scaling.Decision) (float64, float64, bool) {
			return of(d).Seconds(), q, d.LeadTime.Source != ""
		}
	}
	c.add(series{metric: LeadTime, quantile: 0.9, decided: leadTime(func(d *scaling.Decision) time.Duration { return d.LeadTime.P90 }, 0.9)})
	c.add(series{metric: LeadTime, quantile: 0.5, decided: leadTime(func(d *scaling.Decision) time.Duration { return d.LeadTime.P50 }, 0.5)})
}

// names returns the metrics that of selects, in order.
func (c catalog) names(of func(series) bool) []string {
	var names []string
	for name, all := range c {
		if of(all[0]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (s *series) isMeasured() bool { return s.decided == nil }

// defaultSeries is the one that is meant where no quantile is asked for; false where one must be.
func defaultSeries(all []series) (series, bool) {
	return all[0], len(all) == 1 || !all[0].isMeasured()
}

// withQuantile returns the series of a quantile, false where there is none.
func withQuantile(all []series, q float64) (series, bool) {
	for _, s := range all {
		if math.Abs(s.quantile-q) < 1e-9 {
			return s, true
		}
	}
	return series{}, false
}
