// Command sensitivity measures what each part of the planner is worth and how much each number in its code matters: it
// builds `make frontier` with a part off, or with a number halved and doubled, and sets the GPU-hours and the attainment of
// each beside those of the planner as it is.
//
//	make sensitivity SENSITIVITY=--list
//	make sensitivity SENSITIVITY='--only ^ablation/'
//	make sensitivity SENSITIVITY='--only ^capacity[.] --cells /8b/'
//	make sensitivity SENSITIVITY='-o json'
//
// The planner's code has no switch for it: every variant is a changed copy of a file, which `go build -overlay` takes in the
// place of the file (DESIGN.md). What was measured of the same program is kept in $PREHEAT_CACHE/sensitivity or the user's
// cache directory, so that an interrupted run goes on where it ended.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
)

// preheat is the policy that is measured.
const preheat = "preheat"

// representative are a dozen cells of all classes, both sizes of replicas and three lead times, each of a second or so.
const representative = `^((azure-hour|goog)/8b/300s|(clock|on-off|code)/8b/30s|(short|twitter)/8b/120s|shift/(8b/300s|70b/120s)|(azure-week|elb)/70b/120s|azure-hour/70b/30s)$`

// options are what the flags say.
type options struct {
	traces, cells string
	only          *regexp.Regexp
	list          bool
	workers       int
	output        string
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sensitivity:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "sensitivity:", err)
		os.Exit(1)
	}
}

// parse reads the flags and reports every fault.
func parse(args []string, aside io.Writer) (options, error) {
	var o options
	var only string
	fs := flag.NewFlagSet("sensitivity", flag.ContinueOnError)
	fs.SetOutput(aside)
	fs.StringVar(&o.traces, "traces", "../shared/traces", "folder of the recorded traces; cells whose trace is not there are left out")
	fs.StringVar(&o.cells, "cells", representative, "measure the cells of make frontier whose name matches this regular expression")
	fs.StringVar(&only, "only", "", "measure only what matches this regular expression: names are as ablation/no-forecast, capacity.usualPrice, forecast.Lane.learn:2.5")
	fs.BoolVar(&o.list, "list", false, "list the ablations and the numbers, with those that are left out and why, and measure nothing")
	fs.IntVar(&o.workers, "workers", max(1, runtime.GOMAXPROCS(0)-1), "loads measured at once, while the next variant is built; figures do not depend on it")
	fs.StringVar(&o.output, "o", "table", "output: table or json")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	var faults []error
	check := func(ok bool, format string, values ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, values...))
		}
	}
	var err error
	o.only, err = regexp.Compile(only)
	check(err == nil, "--only: %w", err)
	_, err = regexp.Compile(o.cells)
	check(err == nil, "--cells: %w", err)
	check(fs.NArg() == 0, "unexpected argument %q: everything is given by flags", fs.Args())
	check(o.output == "table" || o.output == "json", "-o %s: must be table or json", o.output)
	check(o.workers > 0 && o.workers <= 1024, "--workers %d: must be from 1 to 1024", o.workers)
	return o, errors.Join(faults...)
}

// run lists or measures, and prints.
func (o *options) run(ctx context.Context, out, aside io.Writer) error {
	p, err := load(ctx, ".")
	if err != nil {
		return err
	}
	r, variants, err := p.plan(o.only)
	if err != nil {
		return err
	}
	if o.list {
		return o.print(out, r)
	}
	c, clean, err := o.campaign(p, aside)
	if err != nil {
		return err
	}
	defer clean()
	base, effects, err := c.run(ctx, variants)
	if len(base.Cells) == 0 {
		return err
	}
	r.Base = &base
	r.fill(effects)
	return errors.Join(err, o.print(out, r))
}

// campaign measures in a folder that is removed at the end.
func (o *options) campaign(p *program, aside io.Writer) (c *campaign, clean func(), err error) {
	kept, err := cacheDir()
	if err != nil {
		return nil, nil, err
	}
	traces, err := filepath.Abs(o.traces)
	if err != nil {
		return nil, nil, err
	}
	work, err := os.MkdirTemp("", "sensitivity")
	if err != nil {
		return nil, nil, err
	}
	r := &runner{dir: kept, work: work, root: p.root, args: []string{"--traces", traces, "--cells", o.cells, "--workers", fmt.Sprint(o.workers)}}
	build := func(ctx context.Context, n int, with changed) (string, error) {
		binary, dir, err := r.place(n)
		if err != nil {
			return "", err
		}
		return binary, p.build(ctx, with, dir, binary)
	}
	return &campaign{build: build, measure: r.measure, aside: aside}, func() { _ = os.RemoveAll(work) }, nil
}

// cacheDir is the directory of what was measured.
func cacheDir() (string, error) {
	if dir := os.Getenv("PREHEAT_CACHE"); dir != "" {
		return filepath.Join(dir, "sensitivity"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("where results are kept: %w; set PREHEAT_CACHE", err)
	}
	return filepath.Join(dir, "preheat", "sensitivity"), nil
}

// plan is all that is to be measured, with the variants in the order in which the report takes their effects.
func (p *program) plan(only *regexp.Regexp) (*report, []variant, error) {
	r := &report{}
	parts, err := p.planAblations(only, r)
	if err != nil {
		return nil, nil, err
	}
	numbers, err := p.planNumbers(only, r)
	if err != nil {
		return nil, nil, err
	}
	if len(parts)+len(numbers)+len(r.LeftOut) == 0 {
		return nil, nil, errors.New("nothing matches --only; --list has the names")
	}
	return r, append(parts, numbers...), nil
}

// planAblations reports every one that the planner has outgrown.
func (p *program) planAblations(only *regexp.Regexp, r *report) (variants []variant, err error) {
	var stale []error
	for _, a := range ablations {
		name := "ablation/" + a.name
		if !only.MatchString(name) {
			continue
		}
		with, err := p.apply(a)
		stale = append(stale, err)
		r.Ablations = append(r.Ablations, part{Name: a.name, Says: a.says})
		variants = append(variants, variant{name, cmp.Or(a.policy, preheat), with})
	}
	return variants, errors.Join(stale...)
}

func (p *program) planNumbers(only *regexp.Regexp, r *report) (variants []variant, err error) {
	for _, folder := range core {
		found, err := p.numbers(folder)
		if err != nil {
			return nil, err
		}
		for _, n := range found {
			if !only.MatchString(n.Name) {
				continue
			}
			scaled := p.vary(&n)
			if n.LeftOut != "" {
				r.LeftOut = append(r.LeftOut, n)
				continue
			}
			r.Numbers = append(r.Numbers, varied{number: n})
			for i, s := range scales {
				variants = append(variants, variant{fmt.Sprintf("%s %s", n.Name, s), preheat, scaled[i]})
			}
		}
	}
	return variants, nil
}
