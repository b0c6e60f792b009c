package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// options are what the flags of replay and tune say.
type options struct {
	load    loadOptions
	cluster clusterOptions
	target  targetOptions
	run     runOptions
	out     outputOptions

	// notes are what a reader of the results must know of how the files were taken.
	notes []report.Fact
	// given tells the flags that the user wrote from those that have their default.
	given func(flag string) bool
}

// loadOptions say what is replayed.
type loadOptions struct {
	trace, format    string
	from, length     span
	offset           span
	jitter           time.Duration
	rate             float64
	compress, dilate float64
	mix, process     string
	cv               float64
}

// clusterOptions say where.
type clusterOptions struct {
	profile                    string
	lead                       []time.Duration
	jitter                     float64
	node, pull                 time.Duration
	gpus, nodeGPUs             int
	router                     string
	maxOutstanding, queueLimit int
	timeout, apiLag            time.Duration
	scrapeLoss                 share
	crashesPerHour             float64
	start                      date
}

// targetOptions say what is wanted of the service and what it costs.
type targetOptions struct {
	autoscaler        string
	ttft, tpot        time.Duration
	attainment        share
	initial, min, max int32
	price             float64
}

// runOptions say what is compared and with which means.
type runOptions struct {
	policies []string
	set      []string
	seed     uint64
	seeds    int
	warmUp   span // replay's alone: tune has its first part
	workers  int
	memory   size
}

// outputOptions say where the results go.
type outputOptions struct {
	format  string
	formats []string // that the command writes
	dir     string
	details string
	force   bool
}

// defaultPolicies are the ones that are compared unless others are named: Preheat, one of each family of rivals with its
// documented defaults, and the bounds: what no autoscaling costs, and perfect foresight.
var defaultPolicies = []string{
	"preheat", "preheat-reactive", "hpa-queue", "hpa-running", "keda", "slo-aware", "kpa", "apa", "wva", "dynamo", "static-peak", compare.Oracle,
}

func newOptions() *options {
	return &options{
		load: loadOptions{rate: 1},
		cluster: clusterOptions{
			profile: "llama-3.1-70b-h100x4", lead: []time.Duration{2 * time.Minute}, jitter: 0.2,
			router: "least-outstanding", timeout: 5 * time.Minute,
		},
		target: targetOptions{ttft: 2 * time.Second, tpot: 100 * time.Millisecond, attainment: 0.99},
		run:    runOptions{policies: defaultPolicies, seed: 1, seeds: 1, workers: runtime.GOMAXPROCS(0), memory: 2 << 30},
		out:    outputOptions{format: "table", details: string(leadDetails), formats: []string{"table", "json", "yaml", "csv"}},
		given:  func(string) bool { return false },
	}
}

// note keeps a sentence about the run under a name.
func (o *options) note(name, format string, values ...any) {
	o.notes = append(o.notes, report.Fact{Name: name, Value: fmt.Sprintf(format, values...)})
}

// group is a set of flags that belong together in the help.
type group struct {
	title string
	flags *pflag.FlagSet
}

func (o *options) groups() []group {
	return []group{
		{"What is replayed", o.loadFlags()},
		{"The cluster", o.clusterFlags()},
		{"The service and its objective", o.targetFlags()},
		{"The comparison", o.runFlags()},
	}
}

func (o *options) loadFlags() *pflag.FlagSet {
	fs, l := pflag.NewFlagSet("load", pflag.ContinueOnError), &o.load
	fs.StringVar(&l.trace, "trace", "", "Trace `file`, gzipped or not, of requests (Azure, BurstGPT, Mooncake, Vidur, ServeGen, or "+
		"arrival_s,input_tokens,output_tokens) or of rates (CSV, numbers, Prometheus JSON); or a generated workload: "+
		strings.Join(trace.WorkloadNames(), ", ")+", with settings as in "+
		defaultWorkload+" ('preheatctl workloads')")
	fs.StringVar(&l.format, "format", "", "How the file is to be read, a `name`: "+trace.FormatHelp()+". Absent: by its content")
	fs.Var(&l.from, "from", "Begin this far into the trace, as 90m, 24h or 7d")
	fs.Var(&l.length, "for", "Replay this much of it. Absent: to its end")
	fs.Var(&l.offset, "offset", "Let everything happen this much later")
	fs.DurationVar(&l.jitter, "jitter", 0, "Delay each request by a random time below this; 3s for Mooncake's ticks")
	fs.Float64Var(&l.rate, "rate", l.rate, "Multiply the number of requests")
	fs.Float64Var(&l.compress, "compress", 0, "Divide all times: 10 makes ten minutes one. Absent: as they are")
	fs.Float64Var(&l.dilate, "dilate", 0, "Multiply all times: 2 makes one minute two. Absent: as they are")
	fs.StringVar(&l.mix, "mix", "", "Token `lengths` where the trace has none: "+strings.Join(trace.MixNames(), ", ")+", "+
		"fixed:PROMPT/OUTPUT, or a trace whose lengths are drawn. Absent: chat")
	fs.StringVar(&l.process, "process", "", "Arrivals made from rates, by `process`: poisson, gamma or weibull. Absent: poisson, gamma with --cv")
	fs.Float64Var(&l.cv, "cv", 0, "Coefficient of variation of the times between arrivals made from rates")
	return fs
}

func (o *options) clusterFlags() *pflag.FlagSet {
	fs, c := pflag.NewFlagSet("cluster", pflag.ContinueOnError), &o.cluster
	fs.StringVar(&c.profile, "profile", c.profile, "Speed of a replica: a `name` of 'preheatctl profiles', or a YAML file of the same fields, "+
		"which 'preheatctl profiles NAME' writes with every field explained")
	fs.DurationSliceVar(&c.lead, "lead-time", c.lead, "Median time (`durations`) from ordering a replica until it serves, 80 % of it loading, 20 % warming up. "+
		"Several, as in 30s,120s,300s: each is replayed")
	fs.Float64Var(&c.jitter, "lead-jitter", c.jitter, "Standard deviation of the logarithm of each phase of the lead time")
	fs.DurationVar(&c.node, "node-time", 0, "Median time to provision a node, on top, where none has room (see --node-gpus)")
	fs.DurationVar(&c.pull, "pull-time", 0, "Median time to pull the image, on top")
	fs.IntVar(&c.gpus, "gpus", 0, "GPUs in stock; replicas beyond wait. 0: no limit")
	fs.IntVar(&c.nodeGPUs, "node-gpus", 0, "GPUs on nodes that exist already. 0: all")
	fs.StringVar(&c.router, "router", c.router, "Which replica takes a request, by `rule`: "+strings.Join(routerNames(), ", "))
	fs.IntVar(&c.maxOutstanding, "max-outstanding", 0, "Requests let into one replica at once; the gateway holds the rest. 0: no limit")
	fs.IntVar(&c.queueLimit, "queue-limit", 0, "Requests that the gateway holds; what comes beyond is rejected. 0: no limit")
	fs.DurationVar(&c.timeout, "timeout", c.timeout, "Longest wait of a request for its first token. 0: for ever")
	fs.DurationVar(&c.apiLag, "api-lag", 0, "Time from a decision until the replicas asked for change")
	fs.Var(&c.scrapeLoss, "scrape-loss", "Share of readings that fail")
	fs.Float64Var(&c.crashesPerHour, "crashes-per-hour", 0, "Rate at which each ready replica crashes and loads anew")
	fs.Var(&c.start, "start", "Date of the trace's beginning, for policies that know the hour. Absent: the trace's own, or Monday 2024-01-01")
	return fs
}

func (o *options) targetFlags() *pflag.FlagSet {
	fs, t := pflag.NewFlagSet("target", pflag.ContinueOnError), &o.target
	fs.StringVarP(&t.autoscaler, "filename", "f", "", "InferenceAutoscaler `file` that Preheat's policies follow; bounds and objective too, unless flags say "+
		"otherwise. Whatever its mode, it is replayed as Own. -: standard input. Absent: the defaults of its fields")
	fs.DurationVar(&t.ttft, "slo-ttft", t.ttft, "Longest time to first token of a good request")
	fs.DurationVar(&t.tpot, "slo-tpot", t.tpot, "Longest mean time per output token of a good request")
	fs.Var(&t.attainment, "slo-attainment", "Share of requests that must be good, as 0.99 or 99%")
	fs.Int32Var(&t.initial, "initial", 0, "Replicas that are ready at the start, for every policy. Absent: what the first two minutes need")
	fs.Int32Var(&t.min, "min", 1, "Fewest replicas any policy may ask for. With 0, what holds requests then is simulated; live it is spec.activator")
	fs.Int32Var(&t.max, "max", 0, "Most replicas any policy may ask for. Absent: three times what the busiest minute needs")
	fs.Float64Var(&t.price, "price", 0, "Price of a GPU-hour, in any currency; adds a column of cost")
	return fs
}

func (o *options) runFlags() *pflag.FlagSet {
	fs, r := pflag.NewFlagSet("run", pflag.ContinueOnError), &o.run
	fs.StringSliceVar(&r.policies, "policy", r.policies, "Policies to compare, a `list`; 'preheatctl policies' tells of them")
	fs.StringArrayVar(&r.set, "set", nil, "Set a `knob` of a policy, as hpa-running.target=24; may be repeated. 'preheatctl policies hpa-running' lists them")
	fs.Uint64Var(&r.seed, "seed", r.seed, "Decides every random draw: the same seed gives the same files")
	fs.IntVar(&r.seeds, "seeds", r.seeds, "Number of seeds, from --seed on; with three or more, intervals of confidence are over them")
	fs.IntVar(&r.workers, "workers", r.workers, "Runs at once, at most; results do not depend on it")
	fs.Var(&r.memory, "memory", "Bound of the memory of all runs together; fewer run at once where it is too small")
	fs.StringVarP(&o.out.format, "output", "o", o.out.format, "Output as a `format`: "+strings.Join(o.out.formats, ", "))
	return fs
}

// warmUpFlags are replay's alone: tune scores what follows its first part.
func (o *options) warmUpFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("warm-up", pflag.ContinueOnError)
	fs.Var(&o.run.warmUp, "warm-up", "Serve this much of the trace first without scoring it, as 90m, 24h or 7d: policies learn from it, and attainment, cost and the oracle's are those "+
		"of what follows. The files of --out show it all the same")
	return fs
}

// outFlags are replay's alone: tune writes no files.
func (o *options) outFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("out", pflag.ContinueOnError)
	fs.StringVar(&o.out.dir, "out", "", "Write summary.json, timeline.csv, requests.csv, decisions.jsonl and report.html into this `directory`")
	fs.StringVar(&o.out.details, "details", o.out.details, "Which `runs` have timeline.csv, requests.csv and decisions.jsonl: none; first, those of the first lead time and seed; "+
		"leads, those of every lead time under the first seed, the others in folders of DIRECTORY as lead-120s; all, those of other seeds too, as seed-2 and lead-120s/seed-2")
	fs.BoolVar(&o.out.force, "force", false, "Write into --out even where it holds files that no replay wrote")
	return fs
}
