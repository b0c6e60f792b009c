package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// recorders tell several.
type recorders []controlloop.Recorder

// Record implements controlloop.Recorder.
func (rs recorders) Record(ctx context.Context, id controlloop.TargetID, d scaling.Decision, actuated error) {
	for _, r := range rs {
		r.Record(ctx, id, d, actuated)
	}
}

// watchedObserver tells of each target that could not be observed.
type watchedObserver struct {
	controlloop.Observer
	failed func(controlloop.TargetID)
}

// Observe implements controlloop.Observer.
func (o watchedObserver) Observe(ctx context.Context, id controlloop.TargetID, now time.Time) (scaling.Observation, error) {
	obs, err := o.Observer.Observe(ctx, id, now)
	if err != nil && !errors.Is(err, context.Canceled) { // cancelled: the process ends
		o.failed(id)
	}
	return obs, err
}

// decisionRecorder keeps the newest decisions for the metrics API and logs one line for each change of number or reason.
func (s *service) decisionRecorder() controlloop.Recorder {
	return &decisionLog{log: s.log, decisions: s.decisions}
}

type decisionLog struct {
	log       *slog.Logger
	decisions *controlloop.Decisions
}

// Record implements controlloop.Recorder.
func (l *decisionLog) Record(_ context.Context, id controlloop.TargetID, d scaling.Decision, actuated error) {
	before, known := l.decisions.Latest(id)
	l.decisions.Put(id, d)
	if known && before.Replicas == d.Replicas && before.Reason == d.Reason {
		return
	}
	attrs := []any{
		"target", id.String(), "reason", d.Reason, "from", d.Current, "to", d.Replicas,
		"ready", d.Ready, "starting", d.Starting, "why", d.Message(),
	}
	if actuated != nil {
		attrs = append(attrs, "not-carried-out", actuated)
	}
	l.log.Info("decision", attrs...)
}
