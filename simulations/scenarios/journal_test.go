package scenarios_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/pool"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// journal keeps what a run told of one target.
type journal struct {
	*score.Collector
	name      string
	slo       score.SLO
	requests  []request
	censuses  []replay.Census
	decisions []scaling.Decision
	gateways  []baseline.Gateway
	end       time.Duration
}

// request is what is kept of one.
type request struct {
	arrival time.Duration
	met     bool
}

// Ended implements replay.Sink.
func (j *journal) Ended(r replay.Request) {
	if r.Target == j.name {
		j.Collector.Ended(r)
		j.requests = append(j.requests, request{r.Arrival, j.slo.Judge(r).Both})
	}
}

// Counted implements replay.Sink.
func (j *journal) Counted(c replay.Census) {
	if c.Target == j.name {
		j.Collector.Counted(c)
		j.censuses = append(j.censuses, c)
	}
}

// Decided implements replay.Sink.
func (j *journal) Decided(target string, d scaling.Decision, g baseline.Gateway) {
	if target == j.name {
		j.Collector.Decided(target, d, g)
		j.decisions = append(j.decisions, d)
		j.gateways = append(j.gateways, g)
	}
}

// run plays all targets from the start.
func (w *world) run(*command) (string, error) {
	var sinks replay.Sinks
	var targets []replay.Target
	var ledger *pool.Ledger
	if w.pool != nil {
		ledger = pool.NewLedger(*w.pool)
	}
	for _, t := range w.targets {
		if len(t.rates) == 0 {
			fail("target %s has no load", t.name)
		}
		t.journal = &journal{name: t.name, slo: w.slo, Collector: score.NewCollector(score.Options{
			Policy: t.policy, Target: t.name, Seed: w.cluster.Seed, SLO: w.slo, GPUs: t.profile.GPUs, Start: monday,
		})}
		sinks = append(sinks, t.journal)
		targets = append(targets, replay.Target{
			Name: t.name, Profile: t.profile, Load: t.stream(w.cluster.Seed), Policy: t.pooled(ledger, w.slo),
			Initial: t.initial, Min: t.min, Max: t.max,
		})
	}
	totals, err := replay.Run(context.Background(), w.cluster, targets, sinks)
	if err != nil {
		fail("%v", err)
	}
	var out strings.Builder
	for i, t := range w.targets {
		t.journal.end = totals[i].End
		t.score = t.journal.Score(totals[i])
		out.WriteString(told(t.score, len(w.targets) > 1))
	}
	return out.String(), nil
}

// told is a score for people.
func told(s score.Score, named bool) string {
	who := s.Policy
	if named {
		who += " on " + s.Target
	}
	h, r := s.GPUHours, s.Requests
	text := fmt.Sprintf("%s: %d requests in %v, %.1f%% within the objectives\n", who, r.Arrived, round(s.Duration), 100*s.Attained())
	if n := r.TimedOut + r.Rejected + r.Lost; n > 0 {
		text += fmt.Sprintf("  without an answer: %d timed out, %d rejected, %d lost\n", r.TimedOut, r.Rejected, r.Lost)
	}
	if s.TTFT != nil && s.TPOT != nil {
		text += fmt.Sprintf("  TTFT p50 %s, p99 %s; TPOT p50 %s, p99 %s\n", latency(s.TTFT.P50), latency(s.TTFT.P99), latency(s.TPOT.P50), latency(s.TPOT.P99))
	}
	text += fmt.Sprintf("  %.2f GPU-hours: %.2f running, %.2f idle, %.2f loading, %.2f draining", h.Total, h.Running, h.Idle, h.Loading, h.Draining)
	if h.Warm > 0 {
		text += fmt.Sprintf(", %.2f warm", h.Warm)
	}
	text += "\n"
	text += fmt.Sprintf("  replicas asked for: up %d times, down %d times, flapping %d, at most %d; %d cold starts",
		s.Scaling.Ups, s.Scaling.Downs, s.Scaling.Flapping, s.Replicas.MaxDesired, s.Scaling.ColdStarts)
	if s.Scaling.Crashes > 0 {
		text += fmt.Sprintf(", %d crashes", s.Scaling.Crashes)
	}
	text += "\n"
	if s.Blind > 0 {
		text += fmt.Sprintf("  blind for %v\n", round(s.Blind))
	}
	if s.Unschedulable > 0 {
		text += fmt.Sprintf("  replicas without GPUs for %v\n", round(s.Unschedulable))
	}
	return text
}

func latency(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.0f ms", 1000*seconds)
	}
	return fmt.Sprintf("%.1f s", seconds)
}

// round is a time in whole seconds.
func round(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second)
}
