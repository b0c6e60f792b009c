package main

import (
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// validate reports every fault of the flags at once, each with its flag and what would be right.
func (o *options) validate(args []string) error {
	var f faults
	f.check(len(args) == 0, "unexpected argument %q: everything is given by flags; a trace by --trace", args)
	o.load.validate(&f)
	o.validateZeros(&f)
	o.validateIdle(&f)
	o.cluster.validate(&f)
	o.target.validate(&f, asFlag)
	o.run.validate(&f)
	o.out.validate(&f)
	return f.err()
}

// validateZeros refuses a zero that was written where it stands for absence, and no zero is meant.
func (o *options) validateZeros(f *faults) {
	l := &o.load
	f.check(l.compress != 0 || !o.given("compress"), "--compress 0: must be from 0.001 to 1000000; leave it out to keep the times")
	f.check(l.dilate != 0 || !o.given("dilate"), "--dilate 0: must be from 0.001 to 1000; leave it out to keep the times")
	f.check(l.cv != 0 || !o.given("cv"), "--cv 0: must be from 0.05 to 20; leave it out for a poisson process")
	f.check(l.length != 0 || !o.given("for"), "--for 0: must be above 0s; leave it out to replay to the end")
	f.check(o.run.warmUp != 0 || !o.given("warm-up"), "--warm-up 0: must be above 0s; leave it out to score all of the trace")
}

// validateIdle refuses flags that have no effect without another.
func (o *options) validateIdle(f *faults) {
	c := &o.cluster
	f.check(c.node == 0 || c.nodeGPUs > 0, "--node-time %v: no node has to be provisioned; give --node-gpus, the GPUs on nodes that exist already", c.node)
	f.check(o.out.dir != "" || !o.given("details"), "--details %s: nothing is written; give --out, the directory", o.out.details)
	f.check(o.out.dir != "" || !o.given("force"), "--force: nothing is written; give --out, the directory")
}

func (l *loadOptions) validate(f *faults) {
	f.check(l.format == "" || slices.Contains(trace.Formats(), trace.Format(l.format)), "--format %q: known are %v", l.format, trace.Formats())
	f.check(l.rate > 0 && l.rate <= 1000, "--rate %v: must be above 0 and at most 1000", l.rate)
	f.check(l.compress == 0 || within(l.compress, 1e-3, 1e6), "--compress %v: must be from 0.001 to 1000000", l.compress)
	f.check(l.dilate == 0 || within(l.dilate, 1e-3, 1e3), "--dilate %v: must be from 0.001 to 1000", l.dilate)
	f.check(l.compress == 0 || l.dilate == 0, "--compress and --dilate undo each other: give one of them")
	f.check(l.jitter >= 0 && l.jitter <= time.Hour, "--jitter %v: must be from 0s to 1h", l.jitter)
	if _, err := os.Stat(l.mix); l.mix != "" && err != nil {
		_, err := trace.NamedMix(l.mix)
		f.check(err == nil, "--mix: %v", err)
	}
	f.check(slices.Contains([]string{"", "poisson", "gamma", "weibull"}, l.process), "--process %q: must be poisson, gamma or weibull", l.process)
	f.check(l.cv == 0 || within(l.cv, 0.05, 20), "--cv %v: must be from 0.05 to 20", l.cv)
	f.check(l.cv == 0 || l.process != "poisson", "--cv %v: a poisson process has 1; choose --process gamma or weibull", l.cv)
}

// fits refuses flags that have no effect on this trace.
func (l *loadOptions) fits(trace trace.Facts) error {
	var f faults
	own := "the requests of " + l.source() + " have times of their own; leave it out, or give a trace of rates"
	f.check(l.process == "" || trace.DrawnTimes, "--process %s: %s", l.process, own)
	f.check(l.cv == 0 || trace.DrawnTimes, "--cv %v: %s", l.cv, own)
	f.check(l.mix == "" || trace.DrawnSizes, "--mix %s: the requests of %s have token lengths of their own; leave it out", l.mix, l.source())
	return f.err()
}

// fitsStock refuses a stock of GPUs too small for one replica, or for those that the user wants at the start or always.
func (o *options) fitsStock(p replica.Profile) error {
	var f faults
	held := o.cluster.gpus / max(1, p.GPUs)
	check := func(ok bool, format string, values ...any) { f.check(o.cluster.gpus == 0 || ok, format, values...) }
	check(held >= 1, "--gpus %d: one replica of %s takes %d; give as many, or another --profile", o.cluster.gpus, p.Name, p.GPUs)
	check(held < 1 || o.target.initial <= int32(held), "--initial %d: --gpus %d hold %d replicas of %s; lower the one or raise the other",
		o.target.initial, o.cluster.gpus, held, p.Name)
	check(held < 1 || o.target.min <= int32(held), "%s %d: --gpus %d hold %d replicas of %s; lower the one or raise the other",
		o.origin("min"), o.target.min, o.cluster.gpus, held, p.Name)
	return f.err()
}

// within says whether x is a number from low to high.
func within(x, low, high float64) bool { return x >= low && x <= high }

func (c *clusterOptions) validate(f *faults) {
	f.check(c.profile != "", "--profile: must not be empty; 'preheatctl profiles' lists them")
	f.check(len(c.lead) > 0, "--lead-time: give one or more, as 30s,120s,300s")
	for i, lead := range c.lead {
		f.check(lead >= 0 && lead <= 24*time.Hour, "--lead-time %v: must be from 0s to 24h", lead)
		f.check(!slices.Contains(c.lead[:i], lead), "--lead-time %v: is given twice", lead)
	}
	f.check(within(c.jitter, 0, 2), "--lead-jitter %v: must be from 0 to 2", c.jitter)
	f.check(c.node >= 0 && c.node <= 24*time.Hour, "--node-time %v: must be from 0s to 24h", c.node)
	f.check(c.pull >= 0 && c.pull <= 24*time.Hour, "--pull-time %v: must be from 0s to 24h", c.pull)
	f.check(c.gpus >= 0, "--gpus %d: must not be negative; 0 is no limit", c.gpus)
	f.check(c.nodeGPUs >= 0, "--node-gpus %d: must not be negative; 0 is all", c.nodeGPUs)
	f.check(slices.Contains(routerNames(), c.router), "--router %q: known are %s", c.router, strings.Join(routerNames(), ", "))
	f.check(c.maxOutstanding >= 0, "--max-outstanding %d: must not be negative; 0 is no limit", c.maxOutstanding)
	f.check(c.queueLimit >= 0, "--queue-limit %d: must not be negative; 0 is no limit", c.queueLimit)
	f.check(c.timeout >= 0, "--timeout %v: must not be negative; 0 waits for ever", c.timeout)
	f.check(c.apiLag >= 0 && c.apiLag <= time.Hour, "--api-lag %v: must be from 0s to 1h", c.apiLag)
	f.check(within(float64(c.scrapeLoss), 0, 1), "--scrape-loss %v: must be from 0 to 1", c.scrapeLoss)
	f.check(within(c.crashesPerHour, 0, 1000), "--crashes-per-hour %v: must be from 0 to 1000", c.crashesPerHour)
}

// validate names a value as name does: by its flag, or by the field of the file that it comes from.
func (t *targetOptions) validate(f *faults, name func(flag string) string) {
	f.check(t.ttft > 0 && t.ttft <= time.Hour, "%s %v: must be above 0s and at most 1h", name("slo-ttft"), t.ttft)
	f.check(t.tpot > 0 && t.tpot <= time.Minute, "%s %v: must be above 0s and at most 1m", name("slo-tpot"), t.tpot)
	f.check(t.attainment > 0.5 && t.attainment < 1, "%s %v: must be above 0.5 and below 1, as 0.99 or 99%%", name("slo-attainment"), t.attainment)
	f.check(t.initial >= 0, "--initial %d: must not be negative; without it, there are as many as the first two minutes need", t.initial)
	f.check(t.min >= 0, "%s %d: must not be negative", name("min"), t.min)
	f.check(t.max == 0 || t.max >= max(1, t.min), "%s %d: must be at least one and %s %d; without --max and -f, it is three times what the busiest minute needs",
		name("max"), t.max, name("min"), t.min)
	f.check(t.max == 0 || t.initial <= t.max, "--initial %d: is above %s %d", t.initial, name("max"), t.max)
	f.check(within(t.price, 0, math.MaxFloat64), "--price %v: must not be negative", t.price)
}

// asFlag names a value by its flag.
func asFlag(flag string) string { return "--" + flag }

func (r *runOptions) validate(f *faults) {
	f.check(len(r.policies) > 0, "--policy: name one or more; 'preheatctl policies' lists them")
	for i, name := range r.policies {
		f.check(slices.Contains(compare.Names(), name), "--policy %q: known are %s", name, strings.Join(compare.Names(), ", "))
		f.check(!slices.Contains(r.policies[:i], name), "--policy %q: is named twice", name)
	}
	_, err := r.settings()
	f.add(err)
	f.check(r.warmUp >= 0, "--warm-up %v: must not be negative", &r.warmUp)
	f.check(r.seeds >= 1 && r.seeds <= 1000, "--seeds %d: must be from 1 to 1000", r.seeds)
	f.check(r.seed <= math.MaxUint64-uint64(max(1, r.seeds)-1), "--seed %d: leaves no room for %d seeds; choose a smaller one", r.seed, r.seeds)
	f.check(r.workers >= 1 && r.workers <= 1024, "--workers %d: must be from 1 to 1024", r.workers)
	f.check(r.memory >= 64<<20, "--memory %s: must be at least 64Mi", r.memory.String())
}

func (o *outputOptions) validate(f *faults) {
	f.check(slices.Contains(o.formats, o.format), "--output %s: known are %s", o.format, strings.Join(o.formats, ", "))
	f.check(slices.Contains(detailWords, o.details), "--details %s: known are %s", o.details, strings.Join(detailWords, ", "))
	if info, err := os.Stat(o.dir); o.dir != "" && err == nil {
		f.check(info.IsDir(), "--out %s: is a file; name a directory", o.dir)
	}
}

// routers are the rules by name, in the order of the help.
var routers = []struct {
	name string
	rule replay.Router
}{
	{"least-outstanding", replay.LeastOutstanding}, {"round-robin", replay.RoundRobin}, {"prefix-aware", replay.PrefixAware},
}

func routerNames() []string {
	var names []string
	for _, r := range routers {
		names = append(names, r.name)
	}
	return names
}
