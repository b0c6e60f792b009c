package main

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// horizons and quantiles are what is forecast, horizons where a series' step divides them.
var (
	horizons  = []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute}
	quantiles = []float64{0.5, 0.9, 0.95, 0.99}
)

// options are the flags.
type options struct {
	traces          string
	only, groups    []string
	without, ablate []string
	every           time.Duration
	most            int
	statistic       forecast.Statistic
	output          string
	workers         int
}

// set takes what is not a plain flag and reports every fault.
func (o *options) set(statistic string, args []string) error {
	o.statistic = forecast.Statistic(statistic)
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(len(args) == 0, "unexpected %q: series are chosen with --only", args)
	check(o.most > 0, "--most %d: must be at least 1", o.most)
	check(o.every >= 0, "--every %v: must not be negative", o.every)
	check(o.workers >= 0, "--workers %d: must not be negative", o.workers)
	check(o.output == "table" || o.output == "json", "-o %q: must be table or json", o.output)
	check(o.output == "table" || len(o.ablate) == 0, "-o json: the ablation is a table only")
	check(slices.Contains([]forecast.Statistic{forecast.Value, forecast.Maximum}, o.statistic),
		"--statistic %q: must be value or max", statistic)
	for _, name := range slices.Concat(o.without, together(strings.Join(o.parts(), "+"))) {
		check(slices.Contains(known(), name), "%q: no expert or stage; there are %s", name, strings.Join(known(), ", "))
	}
	for _, name := range o.groups {
		check(slices.Contains(groupNames(), name), "--group %q: must be one of %s", name, strings.Join(groupNames(), ", "))
	}
	if o.workers == 0 {
		o.workers = runtime.GOMAXPROCS(0)
	}
	return errors.Join(faults...)
}

// wants says whether a series is to be scored.
func (o *options) wants(name string) bool {
	return len(o.only) == 0 || slices.ContainsFunc(o.only, func(part string) bool { return strings.Contains(name, part) })
}

// spec is what is forecast of a series.
func (o *options) spec(s *subject) forecast.Spec {
	kept, _ := backtest.Divisible(horizons, s.Step)
	return forecast.Spec{Step: s.Step, Horizons: kept, Quantiles: quantiles, Statistic: o.statistic, Calendar: s.calendar}
}
