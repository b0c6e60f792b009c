package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/kube"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestEachDecisionIsLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	s := &service{log: slog.New(slog.NewTextHandler(&out, nil)), decisions: &controlloop.Decisions{}}
	recorder := s.decisionRecorder()
	id := controlloop.TargetID{Namespace: "ml", Name: "vllm"}
	up := scaling.Decision{Current: 3, Replicas: 5, Reason: scaling.ForecastDemand}
	for _, d := range []scaling.Decision{up, up, up, {Current: 3, Replicas: 6, Reason: scaling.ForecastDemand}, {Current: 6, Replicas: 6, Reason: scaling.DemandMet}} {
		recorder.Record(t.Context(), id, d, nil)
	}
	if n := strings.Count(out.String(), "msg=decision"); n != 3 {
		t.Errorf("%d lines for three decisions:\n%s", n, out.String())
	}
	s.decisions.Keep(nil)
	recorder.Record(t.Context(), id, scaling.Decision{Current: 6, Replicas: 6, Reason: scaling.DemandMet}, nil)
	if n := strings.Count(out.String(), "msg=decision"); n != 4 {
		t.Errorf("a target that was gone is still remembered:\n%s", out.String())
	}
}

func TestEveryConflictOfTheConditionIsOneOfTheMetric(t *testing.T) {
	for _, reason := range []scaling.Reason{kube.RivalAutoscaler, kube.ForeignWrite, kube.SharedPods, kube.WriteFailed, kube.NoAutoscaler} {
		f := &kube.Fault{Reason: reason}
		if isConflict(f) != f.Conflict() {
			t.Errorf("%s: condition says %v", reason, f.Conflict())
		}
	}
	if isConflict(errors.New("timeout")) {
		t.Error("a timeout is no conflict")
	}
}
