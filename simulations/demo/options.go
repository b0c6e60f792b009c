package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/simulations/loadgen"
)

// Options of a run. Start from Default.
type Options struct {
	// Trace is a file of requests; empty means the public trace where it is at hand, else a generated one.
	Trace string
	// Compress divides every time of the trace and of the control loops.
	Compress float64
	// Scale is the share of the trace's requests that are sent.
	Scale float64
	// Duration is how long requests are sent, at most, on the clock on the wall.
	Duration time.Duration
	// Seed decides which requests are left out and how long each replica loads.
	Seed int64
	// Profile names the engine and GPUs that are emulated.
	Profile string
	// LoadTime is the median time that a replica loads, before compression.
	LoadTime time.Duration
	// Min, Max and Initial are numbers of replicas, the same for each policy.
	Min, Max, Initial int
	// Policies are the names of those to compare.
	Policies []string
	// Out is the folder for report.html, summary.json and the logs.
	Out string
	// Service is the binary under test.
	Service string
	// Keep leaves the cluster up after the report, until Ctrl-C.
	Keep bool
}

// slo is what a request must get. It is not compressed: a user's patience is not.
var slo = loadgen.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond}

// loadJitter is the sigma of the lognormal load time.
const loadJitter = 0.1

const (
	// allowance is the time for everything but sending requests: with the default Duration a run ends within 7 minutes.
	allowance = 90 * time.Second
	// tail is how long requests under way may take after the last one was sent.
	tail = 25 * time.Second
	// reserve is kept for the report and for stopping.
	reserve = 5 * time.Second
	// shortest is the least time of sending that is worth a run.
	shortest = 10 * time.Second
)

// Default returns the options of `make demo`.
func Default() Options {
	return Options{
		Compress: 10, Scale: 0.5, Duration: 7*time.Minute - allowance, Seed: 1,
		Profile: "llama-3.1-70b-h100x4", LoadTime: 5 * time.Minute,
		Min: 1, Max: 12, Initial: 6,
		Policies: policyNames(), Out: "out/demo", Service: "bin/preheat",
	}
}

func (o *Options) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Trace, "trace", o.Trace, "file of requests, in any format of pkg/trace (default: the public Azure chat trace where it is at hand, else a generated one)")
	flags.Float64Var(&o.Compress, "compress", o.Compress, "divide all times of the trace and of the control loops by this")
	flags.Float64Var(&o.Scale, "scale", o.Scale, "send this share of the trace's requests; above 1 repeats some")
	flags.DurationVar(&o.Duration, "duration", o.Duration, "send requests for at most this long")
	flags.Int64Var(&o.Seed, "seed", o.Seed, "decides which requests are left out and how long replicas load")
	flags.StringVar(&o.Profile, "profile", o.Profile, fmt.Sprintf("engine and GPUs to emulate, one of %v", replica.ProfileNames()))
	flags.DurationVar(&o.LoadTime, "load-time", o.LoadTime, "median time that a replica loads, before compression")
	flags.IntVar(&o.Min, "min", o.Min, "minimum of replicas of each policy")
	flags.IntVar(&o.Max, "max", o.Max, "maximum of replicas of each policy")
	flags.IntVar(&o.Initial, "initial", o.Initial, "replicas of each policy at the start")
	flags.StringSliceVar(&o.Policies, "policies", o.Policies, "policies to compare")
	flags.StringVar(&o.Out, "out", o.Out, "folder for report.html, summary.json and logs")
	flags.StringVar(&o.Service, "service", o.Service, "binary of Preheat to run")
	flags.BoolVar(&o.Keep, "keep", o.Keep, "leave the cluster up after the report, until Ctrl-C")
}

// Validate reports every fault.
func (o Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !(o.Compress >= 1 && o.Compress <= 1000) {
		fault("--compress is %v, must be from 1 to 1000", o.Compress)
	}
	if !(o.Scale > 0 && o.Scale <= 100) {
		fault("--scale is %v, must be above 0 and at most 100", o.Scale)
	}
	if o.Duration < shortest || o.Duration > 24*time.Hour {
		fault("--duration is %v, must be from %v to 24h", o.Duration, shortest)
	}
	if o.LoadTime < 0 || o.LoadTime > time.Hour {
		fault("--load-time is %v, must be from 0 to 1h", o.LoadTime)
	}
	if o.Min < 1 || o.Max < o.Min || o.Max > 50 || o.Initial < o.Min || o.Initial > o.Max {
		fault("--min %d, --initial %d, --max %d: need 1 <= min <= initial <= max <= 50", o.Min, o.Initial, o.Max)
	}
	if _, err := replica.ProfileNamed(o.Profile); err != nil {
		fault("--profile: %w", err)
	}
	return errors.Join(append(faults, o.validatePolicies())...)
}

func (o Options) validatePolicies() error {
	if len(o.Policies) == 0 {
		return errors.New("--policies is empty")
	}
	for i, name := range o.Policies {
		if !slices.Contains(policyNames(), name) {
			return fmt.Errorf("--policies: no policy %q; known are %v", name, policyNames())
		}
		if slices.Contains(o.Policies[:i], name) {
			return fmt.Errorf("--policies names %q twice", name)
		}
	}
	return nil
}
