package main

import (
	"context"
	"log/slog"
	"sync"

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

// decisionRecorder keeps the newest decisions for the metrics API and logs one line for each change of number or reason.
func (s *service) decisionRecorder() controlloop.Recorder {
	return &decisionLog{log: s.log, decisions: s.decisions}
}

type decisionLog struct {
	log       *slog.Logger
	decisions *controlloop.Decisions
	said      sync.Map // controlloop.TargetID → scaling.Reason
}

// Record implements controlloop.Recorder.
func (l *decisionLog) Record(_ context.Context, id controlloop.TargetID, d scaling.Decision, actuated error) {
	l.decisions.Put(id, d)
	before, _ := l.said.Swap(id, d.Reason)
	if d.Replicas == d.Current && before == d.Reason {
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
