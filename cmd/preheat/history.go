package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/history/series"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// wireSeries makes the service keep the history of demand, under the folder of all that outlives a restart.
func (s *service) wireSeries() error {
	o := series.Options{Leads: s.leads, Changed: s.historyChanged, Log: s.log}
	if s.options.stateDir != "" {
		o.Dir = filepath.Join(s.options.stateDir, "series")
	}
	s.series.keeper, s.series.front = series.NewKeeper(o), s.front
	if err := legacyregistry.Registerer().Register(s.series.keeper); err != nil {
		return fmt.Errorf("register the metrics of the history: %w", err)
	}
	return nil
}

// historyChanged has the statuses tell where the history is kept, which the leader alone knows.
func (s *service) historyChanged(state series.State) {
	if state.Place != series.Elsewhere {
		s.cluster.Recorder.HistoryKept(state.Place == series.OnDisk, state.Reason)
	}
}

// seriesRecorder gathers what was decided in a tick and hands it over at its end, all at once. Its zero value hands over
// nothing.
type seriesRecorder struct {
	keeper *series.Keeper
	front  func(controlloop.TargetID) scaling.Front

	mu   sync.Mutex
	rows map[controlloop.TargetID]series.Row // guarded by mu
}

// Record implements controlloop.Recorder.
func (r *seriesRecorder) Record(_ context.Context, id controlloop.TargetID, d scaling.Decision, _ error) {
	row := rowOf(id, d, r.front(id))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rows == nil {
		r.rows = map[controlloop.TargetID]series.Row{}
	}
	r.rows[id] = row
}

// ticked hands over what was decided since the last tick, among it what was decided out of turn.
func (r *seriesRecorder) ticked(at time.Time) {
	r.mu.Lock()
	rows := make([]series.Row, 0, len(r.rows))
	for _, row := range r.rows {
		rows = append(rows, row)
	}
	clear(r.rows)
	r.mu.Unlock()
	if len(rows) > 0 {
		r.keeper.Put(at, rows)
	}
}

// staleFront is for how long a reading of a gateway or the activator tells of the present.
const staleFront = time.Minute

// rowOf returns what a decision knows of its target. What it does not know is missing: it is not zero.
func rowOf(id controlloop.TargetID, d scaling.Decision, f scaling.Front) series.Row {
	row := series.Row{Target: id}
	set := func(known bool, q series.Quantity, v float64) {
		if known {
			row.Set(q, v)
		}
	}
	tokens, seen := d.Tokens, !d.Blind && len(d.Unseen) == 0
	set(d.DemandKnown, series.Demand, d.Demand)
	set(tokens.Prompt.Known, series.PromptTokens, tokens.Prompt.PerSecond)
	set(tokens.Generation.Known, series.GenerationTokens, tokens.Generation.PerSecond)
	set(seen, series.Waiting, d.Waiting)
	set(seen, series.Running, d.Running)
	set(!f.Time.IsZero() && d.Time.Sub(f.Time) < staleFront, series.Held, f.Held)
	set(d.LeadTime.P50 > 0, series.LeadTimeP50, d.LeadTime.P50.Seconds())
	set(d.LeadTime.P90 > 0, series.LeadTimeP90, d.LeadTime.P90.Seconds())
	set(d.Capacity.Known(), series.Capacity, d.Capacity.PerReplica)
	row.Set(series.Desired, float64(d.Current))
	row.Set(series.Ready, float64(d.Ready))
	return row
}
