package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/simulations/demo/ledger"
	"github.com/preheat-autoscaler/preheat/simulations/demo/report"
	"github.com/preheat-autoscaler/preheat/simulations/loadgen"
)

const (
	offeredBin = 5.0 // seconds
	missBin    = 2.0 // seconds
)

// report writes what the run showed and returns the path of summary.json.
func (d *demo) report() (string, error) {
	run, err := d.result()
	if err != nil {
		return "", err
	}
	d.console.print("\n")
	if err := run.WriteTable(d.console.out); err != nil {
		return "", err
	}
	d.console.print("\n" + run.Reading() + "\n")
	if doubt := run.Doubt(); doubt != "" {
		d.console.print(doubt + "\n")
	}
	if err := writeFile(d.reportFile(), run.WriteHTML); err != nil {
		return "", err
	}
	if err := writeFile(d.summaryFile(), run.Summary().WriteJSON); err != nil {
		return "", err
	}
	d.console.print("picture: " + shown(d.reportFile()) + "\n")
	return shown(d.summaryFile()), nil
}

// shown is a path as short as it can be from the working directory.
func shown(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if short, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return errors.Join(write(file), file.Close())
}

// result puts together all that was noted.
func (d *demo) result() (*report.Run, error) {
	end := length(d.requests)
	run := &report.Run{Settings: d.settings(), Length: end.Seconds(), Machine: d.machine.result()}
	due := make([]report.Arrival, len(d.requests))
	for i, q := range d.requests {
		due[i].T = q.At.Seconds()
	}
	run.Offered = report.Rate(report.BinUp(due, run.Length, offeredBin))
	for _, l := range d.lanes {
		p, err := d.policyResult(l, end)
		if err != nil {
			return nil, fmt.Errorf("result of %s: %w", l.policy.Name, err)
		}
		run.Policies = append(run.Policies, p)
		run.Machine.LateP99 = max(run.Machine.LateP99, lateness(l.driver.Records(), d.requests))
	}
	return run, nil
}

func (d *demo) policyResult(l *lane, end time.Duration) (report.Policy, error) {
	records := l.driver.Records()
	sum, err := loadgen.Summarize(records, slo)
	if err != nil {
		return report.Policy{}, err
	}
	stop := d.started.Add(end)
	p := report.Policy{
		Name: l.policy.Name, Title: l.policy.Title,
		Outcome: report.Outcome{
			Requests: sum.Requests, Errors: sum.Errors, Attainment: sum.Attainment,
			P50TTFT: sum.TTFTP50.Seconds(), P99TTFT: sum.TTFTP99.Seconds(),
			GPUSeconds:  math.Round(l.books.GPUSeconds(d.profile.GPUs, d.started, stop)),
			ScaleEvents: l.books.ScaleEvents(d.started, stop),
		},
		Desired: d.points(l.books.Desired()), Ready: d.points(l.books.Ready()),
		Bins: report.BinUp(arrivals(records), end.Seconds(), missBin),
	}
	if l.policy.Metric == "" {
		d.addDiary(&p, &l.diary)
	}
	return p, nil
}

// addDiary adds what only Preheat says of itself.
func (d *demo) addDiary(p *report.Policy, notes *diary) {
	notes.mu.Lock()
	defer notes.mu.Unlock()
	p.Capacity = notes.capacity
	for _, f := range notes.forecasts {
		p.Forecast = append(p.Forecast, report.Point{T: d.since(f.at), V: f.value})
	}
	for _, e := range notes.decisions {
		e.T = d.since(e.at)
		p.Decisions = append(p.Decisions, e.Decision)
	}
}

func (d *demo) since(t time.Time) float64 { return t.Sub(d.started).Seconds() }

func (d *demo) points(steps []ledger.Step) []report.Point {
	out := make([]report.Point, len(steps))
	for i, s := range steps {
		out[i] = report.Point{T: d.since(s.At), V: float64(s.Value)}
	}
	return out
}

func arrivals(records []loadgen.Record) []report.Arrival {
	out := make([]report.Arrival, len(records))
	for i, r := range records {
		out[i] = report.Arrival{T: r.Arrival.Seconds(), TTFT: r.TTFT.Seconds(), Missed: !slo.Met(r)}
		if r.TTFT == 0 {
			out[i].TTFT = r.E2E.Seconds()
		}
	}
	return out
}

// lateness is how far behind the trace requests were sent, the 99th percentile. Requests are sent in order, so the n-th
// to arrive is the n-th of the trace.
func lateness(records []loadgen.Record, requests []trace.Request) time.Duration {
	sent := make([]time.Duration, len(records))
	for i, r := range records {
		sent[i] = r.Arrival
	}
	slices.Sort(sent)
	n := min(len(sent), len(requests))
	if n == 0 {
		return 0
	}
	for i := range n {
		sent[i] -= requests[i].At
	}
	slices.Sort(sent[:n])
	return sent[(n*99+99)/100-1].Round(10 * time.Microsecond)
}

func (d *demo) settings() report.Settings {
	o, t := d.options, d.times
	return report.Settings{
		Trace: d.source, Compress: o.Compress, Scale: o.Scale, DurationSeconds: length(d.requests).Seconds(), Seed: o.Seed,
		Profile: o.Profile, GPUsPerReplica: d.profile.GPUs, LoadTimeSeconds: t.LoadTime.Seconds(), LoadJitter: loadJitter,
		MinReplicas: o.Min, MaxReplicas: o.Max, InitialReplicas: o.Initial,
		TTFTSeconds: slo.TTFT.Seconds(), TPOTSeconds: slo.TPOT.Seconds(),
		HPASyncSeconds: t.HPASync.Seconds(), StabilizationSeconds: t.Stabilization.Seconds(),
		DecisionIntervalSeconds: t.DecisionInterval.Seconds(), ScrapeIntervalSeconds: t.ScrapeInterval.Seconds(),
	}
}
