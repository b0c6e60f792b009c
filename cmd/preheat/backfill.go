package main

import (
	"context"
	"fmt"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/history/backfill"
	"github.com/preheat-autoscaler/preheat/pkg/history/series"
	"github.com/preheat-autoscaler/preheat/pkg/prom"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// backfillEvery is how often targets are looked for whose past has not been asked for.
const backfillEvery = 15 * time.Second

// wireBackfill prepares asking a Prometheus for what was demanded of targets before they were watched.
func (s *service) wireBackfill(api v1.API, profiles *exposition.Profiles) error {
	length := s.options.prometheus.backfill
	if length == 0 {
		return nil
	}
	s.backfill = backfill.New(backfill.Options{
		API: api, Profiles: profiles, Length: length, Targets: s.pasts, Log: s.log,
		History: s.series.keeper, OnDisk: func() bool { return s.series.keeper.State().Place == series.OnDisk },
		Since: func(id controlloop.TargetID) (time.Time, bool) { return s.loop.Since(id) },
		Teach: func(id controlloop.TargetID, past scaling.Past) bool {
			return s.loop.Teach(id, func(state *scaling.State) {
				if state.Recall(past, time.Now()) {
					s.log.Info("forecasts begin with the past of demand", "target", id.String(), "minutes", len(past.Demand))
				}
			})
		},
	})
	if err := legacyregistry.Registerer().Register(s.backfill); err != nil {
		return fmt.Errorf("register the metrics of backfilling: %w", err)
	}
	return nil
}

// runBackfill asks in the background until ctx ends, where there is a Prometheus.
func (s *service) runBackfill(ctx context.Context) {
	if s.backfill != nil {
		s.backfill.Run(ctx, backfillEvery)
	}
}

// pasts are the targets whose past is asked for.
func (s *service) pasts() (found []backfill.Target) {
	for _, t := range s.cluster.Targets.List() {
		if a, ok := s.cluster.Targets.Autoscaler(t.ID); ok {
			found = append(found, pastOf(t.ID, a))
		}
	}
	return found
}

// pastOf says where the past of a target is found.
func pastOf(id controlloop.TargetID, a *v1alpha1.InferenceAutoscaler) backfill.Target {
	t := backfill.Target{
		ID: id, Kind: a.Spec.ScaleTargetRef.Kind, Workload: a.Spec.ScaleTargetRef.Name, Engine: a.Spec.Metrics.Engine, Naming: prom.Naming{Namespace: "namespace", Pod: "pod"},
	}
	if p := a.Spec.Metrics.Prometheus; p != nil {
		t.Naming = prom.Naming(p.Labels)
	}
	return t
}
