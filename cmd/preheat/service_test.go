package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
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

// still is a target of which nothing can be seen.
type still struct{}

func (still) Observe(_ context.Context, _ controlloop.TargetID, now time.Time) (scaling.Observation, error) {
	return scaling.Observation{Time: now, Desired: 1}, nil
}
func (still) Actuate(context.Context, controlloop.TargetID, scaling.Decision) error { return nil }
func (still) Record(context.Context, controlloop.TargetID, scaling.Decision, error) {}

func TestWhatARestartForgetsIsSaidAndTheRestIsSavedAtTheEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	planner, err := scaling.NewPlanner(scaling.Default())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		dir, says string
		files     int
	}{
		"no folder":                          {"", "no --state-dir: a restart forgets what was learned", 0},
		"a folder":                           {filepath.Join(t.TempDir(), "made"), "", 1},
		"a folder that cannot be written to": {filepath.Join(file, "folder"), "see that --state-dir may be written to", 0},
	} {
		t.Run(name, func(t *testing.T) {
			metrics, err := telemetry.New(telemetry.Options{Registerer: prometheus.NewRegistry(), IsConflict: isConflict})
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			o := newOptions()
			o.stateDir = tt.dir
			s := &service{options: o, log: slog.New(slog.NewTextHandler(&log, nil)), metrics: metrics, loop: controlloop.New(still{}, still{}, still{}, 1)}
			s.wireHistory()
			targets := []controlloop.Target{{ID: controlloop.TargetID{Namespace: "ml", Name: "chat"}, Planner: planner}}
			if err := s.loop.Tick(t.Context(), time.Now(), targets); err != nil {
				t.Fatal(err)
			}
			s.save()
			if !strings.Contains(log.String(), tt.says) {
				t.Errorf("the log does not say %q:\n%s", tt.says, log.String())
			}
			if files, _ := filepath.Glob(filepath.Join(tt.dir, "*.checkpoint")); len(files) != tt.files {
				t.Errorf("%d checkpoints are left, want %d: %v", len(files), tt.files, files)
			}
		})
	}
}
