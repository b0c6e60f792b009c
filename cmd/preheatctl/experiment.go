package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// experiment turns the flags and the files that they name into what is run. It reports the faults of all files at once.
func (o *options) experiment(s streams) (compare.Experiment, error) {
	profile, profileErr := o.profile()
	ia, autoscalerErr := o.autoscaler(s.In)
	facts, traceErr := o.load.peek(o.run.seed)
	if err := errors.Join(profileErr, autoscalerErr, traceErr); err != nil {
		return compare.Experiment{}, err
	}
	if err := errors.Join(o.follow(ia), o.load.fits(facts), o.fitsStock(profile)); err != nil {
		return compare.Experiment{}, err
	}
	o.noteSpec(ia)
	if o.load.trace == "" {
		fmt.Fprintf(s.Err, "No --trace was given: replaying the generated workload %q. 'preheatctl replay --help' says what can be read.\n", defaultWorkload)
	}
	for _, note := range facts.Notes {
		fmt.Fprintln(s.Err, "Note:", note)
	}
	settings, err := o.run.settings()
	if err != nil {
		return compare.Experiment{}, err
	}
	return compare.Experiment{
		Load: o.load.load(), Profile: profile, Cluster: o.cluster.config(facts.Start),
		SLO:   score.SLO{TTFT: o.target.ttft, TPOT: o.target.tpot, Attainment: float64(o.target.attainment)},
		Price: o.target.price, Autoscaler: ia, Policies: o.run.policies, Settings: settings, Seeds: o.run.list(), Leads: o.cluster.leads(),
		Initial: o.initial(), Min: o.target.min, Max: o.target.max, WarmUp: time.Duration(o.run.warmUp),
		Workers: o.run.workers, Memory: int64(o.run.memory),
	}, nil
}

// noteSpec notes where Preheat's policies do otherwise than the spec says.
func (o *options) noteSpec(ia *v1alpha1.InferenceAutoscaler) {
	if !slices.ContainsFunc(o.run.policies, func(name string) bool { return strings.HasPrefix(name, report.Preheat) }) {
		return
	}
	if mode := ia.Spec.Mode; mode != v1alpha1.ModeOwn {
		o.note("mode", "%s is replayed as %s: Preheat's policies set the replicas themselves, and no HorizontalPodAutoscaler stands beside them",
			mode, v1alpha1.ModeOwn)
	}
	if ia.Spec.Paused {
		o.note("paused", "spec.paused is set, so that Preheat's policies hold the replicas of the start throughout; take it out to replay what they would do")
	}
	if o.target.min == 0 {
		o.note("no replicas", "policies may go down to zero, Preheat too, since the simulated gateway holds requests, as spec.activator does live")
	}
}

// noteOutsized notes the requests that are lost whatever a policy does.
func (o *options) noteOutsized(x compare.Outsized) {
	if x.Requests > 0 {
		o.note("too long", "every replica rejects %s requests that have more than %s tokens, the profile's %s; under every policy they miss the objective",
			thousands(x.Requests), thousands(int64(x.Tokens)), x.Field)
	}
}

// initial is negative unless the user asked for a number.
func (o *options) initial() int32 {
	if !o.given("initial") {
		return -1
	}
	return o.target.initial
}

// list is the seeds, one after another.
func (r *runOptions) list() []uint64 {
	var seeds []uint64
	for i := range uint64(r.seeds) {
		seeds = append(seeds, r.seed+i)
	}
	return seeds
}

// settings are those of --set, by policy and knob.
func (r *runOptions) settings() (map[string]compare.Setting, error) {
	var f faults
	out := map[string]compare.Setting{}
	for _, text := range r.set {
		key, value, _ := strings.Cut(text, "=")
		policy, knob, _ := strings.Cut(key, ".")
		v, err := strconv.ParseFloat(value, 64)
		i := slices.IndexFunc(compare.AllKnobs(policy), func(k baseline.Knob) bool { return k.Name == knob })
		switch {
		case err != nil:
			f.check(false, "--set %s: write POLICY.KNOB=NUMBER, as hpa-running.target=24", text)
			continue
		case !slices.Contains(r.policies, policy):
			f.check(false, "--set %s: policy %q is not among those of --policy", text, policy)
			continue
		case i < 0:
			f.check(false, "--set %s: %s has no knob %q; 'preheatctl policies %s' lists them", text, policy, knob, policy)
			continue
		}
		k := compare.AllKnobs(policy)[i]
		f.check(v >= k.Low && v <= k.High, "--set %s: must be from %v to %v: %s", text, k.Low, k.High, k.Doc)
		if out[policy] == nil {
			out[policy] = compare.Setting{}
		}
		_, twice := out[policy][knob]
		f.check(!twice, "--set %s: %s is set twice", text, key)
		out[policy][knob] = v
	}
	return out, f.err()
}

// profile takes one by its name, or reads the file of that name and notes what the file leaves out.
func (o *options) profile() (replica.Profile, error) {
	name := o.cluster.profile
	if slices.Contains(replica.ProfileNames(), name) {
		return replica.ProfileNamed(name)
	}
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return replica.Profile{}, usageError{fmt.Errorf("--profile %s: neither a file nor a profile; known are %s; 'preheatctl profiles NAME' writes one of them to edit",
			name, strings.Join(replica.ProfileNames(), ", "))}
	}
	if err != nil {
		return replica.Profile{}, fmt.Errorf("read profile: %w", err)
	}
	if assumed := replica.Assumed(data); len(assumed) > 0 {
		o.note("assumed of the profile", "%s leaves out, and so is taken: %s", filepath.Base(name), strings.Join(assumed, "; "))
	}
	return replica.ReadProfile(bytes.NewReader(data), name)
}

// config is the cluster around the replicas. start is the trace's own date, zero where it has none.
func (c *clusterOptions) config(start time.Time) replay.Config {
	if given := time.Time(c.start); !given.IsZero() {
		start = given
	}
	if start.IsZero() {
		start = monday
	}
	cfg := replay.Config{
		Start: start, GPUs: c.gpus, NodeGPUs: c.nodeGPUs, MaxOutstanding: c.maxOutstanding,
		QueueLimit: c.queueLimit, Timeout: c.timeout, APILag: c.apiLag,
		LostScrapes: float64(c.scrapeLoss), CrashesPerHour: c.crashesPerHour,
	}
	for _, r := range routers {
		if r.name == c.router {
			cfg.Router = r.rule
		}
	}
	return cfg
}

// leads are the lead times by phase.
func (c *clusterOptions) leads() []compare.Lead {
	var out []compare.Lead
	for _, whole := range c.lead {
		lead := compare.LeadOf(whole, c.jitter)
		lead.Phases.Node, lead.Phases.Pull = replay.Phase{Median: c.node, Sigma: c.jitter}, replay.Phase{Median: c.pull, Sigma: c.jitter}
		out = append(out, lead)
	}
	return out
}
