package main

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/history/backfill"
	"github.com/preheat-autoscaler/preheat/pkg/history/series"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/prom"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// What a decision does not know has no sample, and what it knows to be zero has one.
func TestHistoryKeepsWhatADecisionKnows(t *testing.T) {
	now, id := time.Now(), controlloop.TargetID{Namespace: "models", Name: "llama"}
	known := scaling.Decision{
		Time: now, Current: 3, Ready: 2, Demand: 0, DemandKnown: true, Waiting: 4, Running: 8,
		LeadTime: leadtime.Estimate{P50: 90 * time.Second, P90: 2 * time.Minute},
		Capacity: capacity.Estimate{PerReplica: 1.5, Source: capacity.Declared},
	}
	known.Tokens.Prompt.TokenRate = scaling.TokenRate{PerSecond: 100, Known: true}
	blind := scaling.Decision{Time: now, Current: 3, Ready: 2, Blind: true, Unseen: []string{"llama-0"}, Waiting: 1, Running: 1}
	for name, tc := range map[string]struct {
		decision scaling.Decision
		front    scaling.Front
		want     map[series.Quantity]float64
	}{
		"all that is known": {known, scaling.Front{Time: now, Held: 7}, map[series.Quantity]float64{
			series.Demand: 0, series.PromptTokens: 100, series.Waiting: 4, series.Running: 8, series.Held: 7,
			series.LeadTimeP50: 90, series.LeadTimeP90: 120, series.Capacity: 1.5, series.Desired: 3, series.Ready: 2,
		}},
		"nothing but replicas": {blind, scaling.Front{Time: now.Add(-time.Hour), Held: 7}, map[series.Quantity]float64{
			series.Desired: 3, series.Ready: 2,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			row := rowOf(id, tc.decision, tc.front)
			for q := series.Demand; q <= series.Ready; q++ {
				got, ok := row.Value(q)
				if want, wanted := tc.want[q]; ok != wanted || got != want {
					t.Errorf("%v is %v, known %v; want %v, known %v", q, got, ok, want, wanted)
				}
			}
		})
	}
}

func TestHistoryIsHandedOverOnceATick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keeper := series.NewKeeper(series.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); keeper.Run(ctx) }()
		r := &seriesRecorder{keeper: keeper, front: func(controlloop.TargetID) scaling.Front { return scaling.Front{} }}
		id := controlloop.TargetID{Namespace: "models", Name: "llama"}
		began := time.Now()
		for n := range 3 {
			for range 2 { // in turn, and once out of turn
				r.Record(ctx, id, scaling.Decision{Time: time.Now(), Ready: int32(n)}, nil)
			}
			r.ticked(time.Now())
			time.Sleep(15 * time.Second)
		}
		r.ticked(time.Now()) // of nothing
		synctest.Wait()
		got, err := keeper.Range(ctx, id, series.Ready, began, time.Now().Add(time.Second), 0)
		if err != nil || len(got) != 3 || got[2].Value != 2 {
			t.Errorf("%v, %v; want three samples", got, err)
		}
		if s := keeper.State(); s.Place != series.OnDisk {
			t.Errorf("%+v", s)
		}
		cancel()
		<-done
	})
}

func TestWhereThePastOfATargetIsFound(t *testing.T) {
	a := &v1alpha1.InferenceAutoscaler{}
	a.Spec.ScaleTargetRef.Kind, a.Spec.ScaleTargetRef.Name, a.Spec.Metrics.Engine = "Deployment", "chat", "sglang"
	id := controlloop.TargetID{Namespace: "ml", Name: "advice"}
	want := backfill.Target{ID: id, Kind: "Deployment", Workload: "chat", Engine: "sglang", Naming: prom.Naming{Namespace: "namespace", Pod: "pod"}}
	if got := pastOf(id, a); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	a.Spec.Metrics.Prometheus = &v1alpha1.PrometheusSource{Labels: v1alpha1.PodLabels{Namespace: "ns", Pod: "kubernetes_pod_name"}}
	want.Naming = prom.Naming{Namespace: "ns", Pod: "kubernetes_pod_name"}
	if got := pastOf(id, a); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
