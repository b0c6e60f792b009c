// Command frontier measures how close to a clairvoyant oracle policies come, on recorded traces that are re-timed and on
// generated workloads, by profiles of replicas and lead times; and sets Preheat beside the bounds that it should keep.
//
//	make frontier
//	make frontier FRONTIER='--quick'
//	make frontier FRONTIER='--cells ^shift --policies preheat,slo-aware --tuned'
//	make frontier FRONTIER='--seed 2 -o json'
//	make frontier FRONTIER=--perturb
//
// Every policy has one configuration for all cells: the objective and the bounds. The oracle's result is kept in
// $PREHEAT_CACHE/frontier or the user's cache directory, since the search for it takes most of the time. The same flags
// give the same figures but for that: an oracle that was found beside more policies may be cheaper, and the cheapest one
// found counts.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/report"
)

// options are what the flags say.
type options struct {
	traces             string
	cells              *regexp.Regexp
	leads              []time.Duration
	profiles, policies []string
	tuned, quick       bool
	seed               uint64
	search             int64
	workers            int
	output             string
	perturb            bool
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "frontier:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "frontier:", err)
		os.Exit(1)
	}
}

// parse reads the flags and reports every fault.
func parse(args []string, aside io.Writer) (options, error) {
	var o options
	var cells, leads, profiles, policies string
	fs := flag.NewFlagSet("frontier", flag.ContinueOnError)
	fs.SetOutput(aside)
	fs.StringVar(&o.traces, "traces", "../shared/traces", "folder of the recorded traces; those that are not there are left out")
	fs.StringVar(&cells, "cells", "", "measure only the cells whose name, as shift/70b/120s, matches this regular expression")
	fs.StringVar(&leads, "leads", "30s,120s,300s", "lead times, comma-separated")
	fs.StringVar(&profiles, "profiles", "llama-3.1-70b-h100x4,llama-3.1-8b-a100", "profiles of replicas, comma-separated")
	fs.StringVar(&policies, "policies", strings.Join(defaultPolicies(), ","), "policies, comma-separated")
	fs.BoolVar(&o.tuned, "tuned", false, "add each policy but Preheat with the setting of its grid that is best on the warm-up part: about ninety runs more a cell")
	fs.BoolVar(&o.quick, "quick", false, "a dozen cells of all classes, on small replicas under 30s and 300s unless --profiles and --leads say otherwise: some minutes")
	fs.BoolVar(&o.perturb, "perturb", false, "measure instead what perturbations do to Preheat, beside the same without a forecast; of the others, --traces, --seed, --workers and -o count")
	fs.Uint64Var(&o.seed, "seed", 1, "decides every draw; other than 1 re-times the traces too: offset, scale and dilation within 0.5 to 2")
	fs.Int64Var(&o.search, "search", 40, "times the requests of a cell that the oracle simulates; 200 finds schedules within 1 % of those of 40")
	fs.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "loads measured at once; figures do not depend on it")
	fs.StringVar(&o.output, "o", "table", "output: table or json")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.profiles, o.policies = list(profiles), list(policies)
	if o.quick {
		given := map[string]bool{}
		fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["profiles"] {
			o.profiles = []string{"llama-3.1-8b-a100"}
		}
		if !given["leads"] {
			leads = "30s,300s"
		}
	}
	return o, errors.Join(o.read(cells, leads), o.validate(fs.Args()))
}

// list splits at commas; nothing is no entry.
func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// read takes the cells and lead times from their text.
func (o *options) read(cells, leads string) error {
	var err error
	if o.cells, err = regexp.Compile(cells); err != nil {
		return fmt.Errorf("--cells: %w", err)
	}
	for _, text := range list(leads) {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > hour {
			return fmt.Errorf("--leads %s: write lead times of up to 1h, as 30s,120s", text)
		}
		o.leads = append(o.leads, d)
	}
	return nil
}

// validate reports every fault that is left.
func (o *options) validate(args []string) error {
	var faults []error
	check := func(ok bool, format string, values ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, values...))
		}
	}
	check(len(args) == 0, "unexpected argument %q: everything is given by flags", args)
	check(o.output == "table" || o.output == "json", "-o %s: must be table or json", o.output)
	check(o.search > 0 && o.search <= 10_000, "--search %d: must be from 1 to 10000", o.search)
	check(o.workers > 0 && o.workers <= 1024, "--workers %d: must be from 1 to 1024", o.workers)
	for _, p := range o.profiles {
		check(slices.Contains(replica.ProfileNames(), p), "--profiles %s: known are %s", p, strings.Join(replica.ProfileNames(), ", "))
	}
	known := compare.Names()
	for i, p := range o.policies {
		check(slices.Contains(known, p) && p != compare.Oracle, "--policies %s: known are %s; the oracle always runs", p, strings.Join(known, ", "))
		check(!slices.Contains(o.policies[:i], p), "--policies %s: is named twice", p)
	}
	check(len(o.profiles) > 0 && len(o.policies) > 0, "name at least one profile and one policy")
	return errors.Join(faults...)
}

// run measures and prints.
func (o *options) run(ctx context.Context, out, aside io.Writer) error {
	dir, err := cacheDir()
	if err != nil {
		return err
	}
	m := &campaign{options: *o, oracles: oracles{dir}, aside: aside}
	if o.perturb {
		return m.perturb(ctx, out)
	}
	return m.frontier(ctx, out)
}

// frontier measures the matrix. What is finished is printed even where the rest is not.
func (m *campaign) frontier(ctx context.Context, out io.Writer) error {
	began := time.Now()
	all := slices.DeleteFunc(loads(), func(l load) bool { return m.quick && !l.quick })
	kept, missing := present(m.traces, all)
	if len(missing) > 0 {
		fmt.Fprintf(m.aside, "frontier: --traces %s lacks %s: what needs them is left out, generated workloads are measured\n", m.traces, strings.Join(missing, ", "))
	}
	part := rows(kept, m.profiles, m.leads, m.cells)
	if len(part) == 0 {
		return errors.New("no cell matches --cells; names are as shift/70b/120s")
	}
	cells, err := m.measure(ctx, part)
	err = errors.Join(err, m.print(out, cells, missing))
	fmt.Fprintf(m.aside, "frontier: %v\n", time.Since(began).Round(time.Second))
	return err
}

// print writes what was found.
func (m *campaign) print(out io.Writer, cells []cell, missing []string) error {
	if m.output == "json" {
		return encode(out, struct {
			Seed    uint64   `json:"seed"`
			Search  int64    `json:"search"`
			Missing []string `json:"missing_traces,omitempty"`
			Cells   []cell   `json:"cells"`
			Summary summary  `json:"summary"`
		}{m.seed, m.search, missing, cells, summarize(cells)})
	}
	m.head(out)
	return write(out, cells)
}

// head says what was measured.
func (m *campaign) head(out io.Writer) {
	slo, small := objective(""), objective("8b")
	fmt.Fprintf(out, "%s of all requests within TTFT %v and TPOT %v (%v of 8B); seed %d; oracle: the best schedule found in %d times the requests\n",
		share(slo.Attainment, true), slo.TTFT, slo.TPOT, small.TPOT, m.seed, m.search)
	if m.seed != 1 {
		fmt.Fprintf(out, "Traces are re-timed by seed %d: offset, scale and dilation.\n", m.seed)
	}
	fmt.Fprintf(out, "The first 35 to 60 %% of each load is served and not scored; %s is never tuned.\n\n", report.Preheat)
}

// encode writes JSON.
func encode(out io.Writer, x any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(x)
}
