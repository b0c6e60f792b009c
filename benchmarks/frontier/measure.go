package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// cell is one load on one profile under one lead time.
type cell struct {
	Name    string `json:"cell"`
	Class   class  `json:"class"`
	Profile string `json:"profile"`
	// Lead (seconds) is the median lead time.
	Lead float64 `json:"lead_time_s"`
	// Requests, Span (seconds), of which WarmUp is not scored, and Need, the mean number of busy replicas, are as replayed.
	Requests int     `json:"requests"`
	Span     float64 `json:"span_s"`
	WarmUp   float64 `json:"warm_up_s"`
	Need     float64 `json:"need"`
	// Goal is the attainment asked for.
	Goal     float64   `json:"goal"`
	Oracle   yardstick `json:"oracle"`
	Policies []figure  `json:"policies"`
}

// figure is what a policy made of a cell.
type figure struct {
	Policy string `json:"policy"`
	// Setting is that of a tuned policy.
	Setting    string  `json:"setting,omitempty"`
	Attainment float64 `json:"attainment"`
	GPUHours   float64 `json:"gpu_hours"`
	// Changes are those of the replicas asked for; they are not counted of tuned policies.
	Changes int `json:"changes,omitempty"`
}

// tunedName is the name of a policy's figures once it is tuned.
func tunedName(policy string) string { return policy + " tuned" }

// of is the figure of a policy.
func (c *cell) of(policy string) (figure, bool) {
	i := slices.IndexFunc(c.Policies, func(f figure) bool { return f.Policy == policy })
	if i < 0 {
		return figure{}, false
	}
	return c.Policies[i], true
}

// ratio is a policy's GPU-hours over the oracle's.
func (c *cell) ratio(f figure) float64 { return f.GPUHours / c.Oracle.GPUHours }

// attains says whether a policy meets the objective.
func (c *cell) attains(f figure) bool { return f.Attainment >= c.Goal }

// campaign is what is measured, and with what.
type campaign struct {
	options
	oracles oracles
	aside   io.Writer

	mutex sync.Mutex
	done  int
}

// measure fills the cells of all rows, as many rows at once as there are workers. What is finished is returned with the
// errors of those that are not.
func (m *campaign) measure(ctx context.Context, rows []row) ([]cell, error) {
	total := 0
	for _, r := range rows {
		total += len(r.leads)
	}
	found, failures := make([][]cell, len(rows)), make([]error, len(rows))
	var group errgroup.Group
	group.SetLimit(m.workers)
	for i, r := range rows {
		group.Go(func() error {
			found[i], failures[i] = m.row(ctx, r, total)
			return nil
		})
	}
	_ = group.Wait() // failures has the errors
	if ctx.Err() != nil {
		return slices.Concat(found...), fmt.Errorf("interrupted: %w", ctx.Err())
	}
	return slices.Concat(found...), errors.Join(failures...)
}

// row measures the cells of one.
func (m *campaign) row(ctx context.Context, r row, total int) ([]cell, error) {
	s, err := prepare(r.retimed(m.seed), r.profile, m.traces, m.seed)
	if err != nil {
		return nil, err
	}
	var out []cell
	for _, lead := range r.leads {
		began := time.Now()
		c, err := m.cell(ctx, s, lead)
		if err != nil {
			return out, fmt.Errorf("%s: %w", cellName(r.name, r.profile, lead), err)
		}
		out = append(out, c)
		m.tell(c, total, time.Since(began))
	}
	return out, nil
}

// tell writes a line of progress.
func (m *campaign) tell(c cell, total int, took time.Duration) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.done++
	text := fmt.Sprintf("oracle %s for %.2f GPU-hours", share(c.Oracle.Attainment, c.Oracle.Met), c.Oracle.GPUHours)
	if f, ok := c.of(report.Preheat); ok {
		text += fmt.Sprintf(", preheat %s for %.3f of them", share(f.Attainment, c.attains(f)), c.ratio(f))
	}
	fmt.Fprintf(m.aside, "frontier: %d/%d %s (%d requests, %v): %s\n", m.done, total, c.Name, c.Requests, took.Round(time.Second), text)
}

// cell runs the policies, tunes them where that is asked for, and looks for the oracle where none is known that is as good
// as they are.
func (m *campaign) cell(ctx context.Context, s *subject, lead time.Duration) (cell, error) {
	e := m.experiment(s, lead)
	name := key(s, e)
	known, ok := m.oracles.find(name)
	if !ok {
		e.Policies = append(e.Policies, compare.Oracle)
	}
	out, err := run(ctx, e)
	if err != nil {
		return cell{}, err
	}
	c := cell{
		Name: cellName(s.name, s.profile.Name, lead), Class: s.class, Profile: s.profile.Name, Lead: lead.Seconds(),
		Requests: len(s.requests), Span: s.span.Seconds(), WarmUp: e.WarmUp.Seconds(), Need: s.need, Goal: e.SLO.Attainment,
		Oracle: known, Policies: figures(out),
	}
	if !ok {
		if c.Oracle, err = m.oracles.keep(name, measured(out)); err != nil {
			return cell{}, err
		}
	}
	settings, err := m.tune(ctx, s, e, out, &c)
	if err != nil {
		return cell{}, err
	}
	return c, m.improve(ctx, e, name, settings, &c)
}

// run is compare.Run that must come to its end.
func run(ctx context.Context, e compare.Experiment) (compare.Outcome, error) {
	out, err := compare.Run(ctx, e, compare.Tools{})
	if err == nil && !out.Complete() {
		err = context.Canceled
	}
	return out, err
}

// figures are those of all policies but the oracle.
func figures(out compare.Outcome) []figure {
	var list []figure
	for _, s := range out.Scores {
		if s.Policy != compare.Oracle {
			list = append(list, figure{Policy: s.Policy, Attainment: s.Attained(), GPUHours: s.GPUHours.Total, Changes: s.Scaling.Events()})
		}
	}
	return list
}

// measured is the yardstick that a comparison found.
func measured(out compare.Outcome) yardstick {
	i := slices.IndexFunc(out.Scores, func(s score.Score) bool { return s.Policy == compare.Oracle })
	s, p := out.Scores[i], out.Proofs[0]
	return yardstick{Attainment: s.Attained(), GPUHours: s.GPUHours.Total, Met: p.Met, Bound: p.Bound / 3600, Schedules: p.Simulations}
}

// rivals are the policies of other systems among those that run: what is tuned. Preheat never is.
func rivals(policies []string) []string {
	return slices.DeleteFunc(slices.Clone(policies), func(p string) bool {
		return strings.HasPrefix(p, report.Preheat) || p == compare.Oracle
	})
}

// tune adds the policies with the setting of their grid that is best on the warm-up part, and returns the settings by
// policy. Bounds and start are those that the documented settings had.
func (m *campaign) tune(ctx context.Context, s *subject, e compare.Experiment, out compare.Outcome, c *cell) (map[string]compare.Setting, error) {
	settings := map[string]compare.Setting{}
	e.Policies = rivals(e.Policies)
	if !m.tuned || len(e.Policies) == 0 {
		return settings, nil
	}
	e.Initial, e.Max = out.Initial, out.Max
	got, err := compare.Tune(ctx, e, s.warm, nil)
	if err == nil && got.Incomplete {
		err = context.Canceled
	}
	if err != nil {
		return nil, fmt.Errorf("tune: %w", err)
	}
	for _, t := range got.Policies {
		best := t.Best.Scored
		settings[t.Policy] = best.Setting
		c.Policies = append(c.Policies, figure{Policy: tunedName(t.Policy), Setting: best.Setting.String(), Attainment: best.Attainment, GPUHours: best.GPUHours})
	}
	return settings, nil
}

// improve looks for the oracle anew beside the policies that do better than the one that is known.
func (m *campaign) improve(ctx context.Context, e compare.Experiment, name string, settings map[string]compare.Setting, c *cell) error {
	e.Policies, e.Settings = nil, map[string]compare.Setting{}
	for _, f := range c.Policies {
		did := yardstick{Attainment: f.Attainment, GPUHours: f.GPUHours, Met: c.attains(f)}
		policy, tuned := strings.CutSuffix(f.Policy, tunedName(""))
		if !did.Met || !did.better(c.Oracle) || slices.Contains(e.Policies, policy) {
			continue
		}
		e.Policies = append(e.Policies, policy)
		if tuned {
			e.Settings[policy] = settings[policy]
		}
	}
	if len(e.Policies) == 0 {
		return nil
	}
	e.Policies = append(e.Policies, compare.Oracle)
	out, err := run(ctx, e)
	if err != nil {
		return err
	}
	c.Oracle, err = m.oracles.keep(name, measured(out))
	return err
}

// start is the date of every load's beginning: a Monday.
var start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// leadSpread is the standard deviation of the logarithm of each phase of a start.
const leadSpread = 0.2

// experiment is a cell with the policies that were asked for, one default configuration for all of them.
func (m *campaign) experiment(s *subject, lead time.Duration) compare.Experiment {
	return compare.Experiment{
		Load:    compare.Load{Name: s.name, Open: func(uint64) (trace.Stream, error) { return s.stream(), nil }},
		Profile: s.profile, Cluster: replay.Config{Start: start, Timeout: 5 * time.Minute}, SLO: s.slo,
		Autoscaler: compare.PlainAutoscaler(), Policies: slices.Clone(m.policies), Seeds: []uint64{m.seed},
		Leads: []compare.Lead{compare.LeadOf(lead, leadSpread)}, Initial: -1, Min: 1, Workers: 1,
		WarmUp: s.warmUp(), SearchRequests: m.search * int64(len(s.requests)),
	}
}

// defaultPolicies are Preheat, the same without a forecast, and every other system's.
func defaultPolicies() []string {
	return append([]string{report.Preheat, reactive}, baseline.Names()...)
}

// reactive is Preheat without a forecast.
const reactive = "preheat-reactive"
