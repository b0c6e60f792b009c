package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/preheat-autoscaler/preheat/pkg/telemetry"
)

func TestReadyAfterTheFirstDecisionThatCouldSee(t *testing.T) {
	metrics, err := telemetry.New(telemetry.Options{Registerer: prometheus.NewRegistry(), IsConflict: isConflict})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{log: slog.New(slog.DiscardHandler), metrics: metrics, pulse: &pulse{interval: time.Second}}
	if s.warmed(nil) == nil {
		t.Error("ready at the start")
	}
	now := time.Now()
	s.ticked(now, now, now, 1, nil)
	if s.warmed(nil) == nil {
		t.Error("ready after the tick that only finds out which pods there are")
	}
	s.decided(now, now, now, 1, nil)
	if err := s.warmed(nil); err != nil {
		t.Errorf("not ready after a decision on readings: %v", err)
	}
}
