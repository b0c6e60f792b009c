package replay

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// faults collects what is wrong with a configuration.
type faults []error

func (f *faults) check(ok bool, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Errorf(format, args...))
	}
}

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	var f faults
	f.check(c.GPUs >= 0 && c.NodeGPUs >= 0, "GPUs %d, NodeGPUs %d: must not be negative", c.GPUs, c.NodeGPUs)
	f.check(c.Router <= PrefixAware, "router %d: is none of LeastOutstanding, RoundRobin and PrefixAware", c.Router)
	f.check(c.MaxOutstanding >= 0 && c.QueueLimit >= 0, "MaxOutstanding %d, QueueLimit %d: must not be negative", c.MaxOutstanding, c.QueueLimit)
	f.check(c.Timeout >= 0 && c.APILag >= 0, "Timeout %v, APILag %v: must not be negative", c.Timeout, c.APILag)
	f.check(c.LostScrapes >= 0 && c.LostScrapes <= 1, "LostScrapes %v: must be a share, 0 to 1", c.LostScrapes)
	f.check(c.CrashesPerHour >= 0 && c.CrashesPerHour <= 3600, "CrashesPerHour %v: must be from 0 to 3600", c.CrashesPerHour)
	c.Lead.Node.check(&f, "Lead.Node")
	c.Lead.Pull.check(&f, "Lead.Pull")
	c.Lead.Load.check(&f, "Lead.Load")
	c.Lead.WarmUp.check(&f, "Lead.WarmUp")
	c.Wake.Standby.check(&f, "Wake of standby")
	c.Wake.Asleep.check(&f, "Wake of sleepers")
	c.checkEvents(&f)
	return errors.Join(f...)
}

// longestPhase bounds a median, so that no sum of drawn times overflows.
const longestPhase = 24 * time.Hour

func (p Phase) check(f *faults, name string) {
	f.check(p.Median >= 0 && p.Median <= longestPhase && p.Sigma >= 0 && p.Sigma <= 2,
		"%s of median %v and sigma %v: need a median up to %v and a sigma from 0 to 2", name, p.Median, p.Sigma, longestPhase)
}

func (c Config) checkEvents(f *faults) {
	last := time.Duration(0)
	for i, e := range c.Events {
		f.check(e.At >= last, "event %d at %v: events must be in order of time", i+1, e.At)
		f.check(e.Kind >= StockChanges && e.Kind <= WakesSlow, "event %d: kind %d is none", i+1, e.Kind)
		f.check(e.Value >= 0 && e.Value < math.MaxInt32, "event %d: value %v must be zero or a positive number", i+1, e.Value)
		f.check(e.Kind != WakesSlow || e.Value > 0 && e.Value <= 1e5, "event %d: factor %v on wake times must be above 0 and at most 100000", i+1, e.Value)
		f.check(e.Kind != LoadsSlow || e.Value > 0 && e.Value <= 1000, "event %d: factor %v on load times must be above 0 and at most 1000", i+1, e.Value)
		f.check(e.Kind != EnginesSlow || e.Value >= 1 && e.Value <= 1000, "event %d: factor %v on the time of steps must be from 1 to 1000", i+1, e.Value)
		last = max(last, e.At)
	}
}

// validateTargets reports every fault of the targets, and of them together with the configuration.
func validateTargets(c Config, targets []Target) error {
	var f faults
	f.check(len(targets) > 0, "no targets: give at least one")
	gpus, names := 0, map[string]bool{}
	for _, t := range targets {
		f.check(t.Name != "" && !names[t.Name], "target %q: give each target a name of its own", t.Name)
		names[t.Name] = true
		t.check(&f)
		gpus += int(t.Initial) * t.Profile.GPUs
	}
	f.check(c.GPUs == 0 || gpus <= c.GPUs, "the initial replicas hold %d GPUs, the stock is %d", gpus, c.GPUs)
	for i, e := range c.Events {
		f.check(e.Target == "" || names[e.Target], "event %d: there is no target %q", i+1, e.Target)
	}
	return errors.Join(f...)
}

func (t Target) check(f *faults) {
	f.check(t.Load != nil && t.Policy != nil, "target %q: needs a Load and a Policy", t.Name)
	f.check(t.Min >= 0 && t.Initial >= 0 && (t.Max == 0 || t.Initial <= t.Max && t.Min <= t.Max),
		"target %q: need Min %d and Initial %d from 0 to Max %d", t.Name, t.Min, t.Initial, t.Max)
	if err := t.Profile.Validate(); err != nil {
		*f = append(*f, fmt.Errorf("target %q: profile %q: %w", t.Name, t.Profile.Name, err))
	}
	if t.Policy == nil {
		return
	}
	p := t.Policy.Path()
	f.check(p.Interval > 0 && p.Scrape >= 0 && p.Lag >= 0 && p.Push >= 0,
		"target %q: policy with interval %v, scrape %v, lag %v, push %v: the interval must be positive, the others not negative", t.Name, p.Interval, p.Scrape, p.Lag, p.Push)
}
