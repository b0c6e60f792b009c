package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
)

func TestFaultsOfTheCommandLine(t *testing.T) {
	for name, tc := range map[string]struct {
		args string
		code int
		want []string // parts of the message
	}{
		"an unknown command":            {"replya", exitUsage, []string{`"replya"`, "--help"}},
		"an unknown flag":               {"replay --tarce x", exitUsage, []string{"--tarce"}},
		"no duration":                   {"replay --lead-time soon", exitUsage, []string{"--lead-time"}},
		"an argument":                   {"replay trace.csv", exitUsage, []string{`"trace.csv"`, "--trace"}},
		"a policy that is not there":    {"replay --policy preheat,magic", exitUsage, []string{`--policy "magic"`, "kpa"}},
		"a lead time twice":             {"replay --lead-time 30s,30s", exitUsage, []string{"--lead-time 30s", "twice"}},
		"no trace of that name":         {"replay --trace nowhere.csv", exitFault, []string{"nowhere.csv", "flash-crowd"}},
		"no profile of that name":       {"replay --profile abacus", exitUsage, []string{"--profile abacus", "llama-3.1-8b-h100"}},
		"no InferenceAutoscaler there":  {"replay -f nowhere.yaml", exitFault, []string{"nowhere.yaml"}},
		"a knob that is not there":      {"replay --policy kpa --set kpa.colour=3", exitUsage, []string{"--set kpa.colour=3", "preheatctl policies kpa"}},
		"a knob out of bounds":          {"replay --policy kpa --set kpa.window=1", exitUsage, []string{"--set kpa.window=1", "from 6 to 3600"}},
		"a knob of another policy":      {"replay --policy kpa --set apa.target=1", exitUsage, []string{`"apa"`, "--policy"}},
		"a knob without a number":       {"replay --policy kpa --set kpa.window", exitUsage, []string{"POLICY.KNOB=NUMBER"}},
		"a poisson process with a CV":   {"replay --process poisson --cv 2", exitUsage, []string{"--cv 2", "gamma"}},
		"CSV of a tuning":               {"tune -o csv", exitUsage, []string{"--output csv", "table, json, yaml"}},
		"a format of nobody":            {"replay -o xml", exitUsage, []string{"--output xml", "table, json, yaml, csv"}},
		"times divided by zero":         {"replay --compress 0", exitUsage, []string{"--compress 0", "leave it out"}},
		"times multiplied by zero":      {"replay --dilate 0", exitUsage, []string{"--dilate 0", "leave it out"}},
		"arrivals without variation":    {"replay --cv 0", exitUsage, []string{"--cv 0", "leave it out"}},
		"a mix that is not there":       {"replay --mix novels", exitUsage, []string{`--mix: mix "novels"`, "fixed:PROMPT/OUTPUT"}},
		"a mix of one number":           {"tune --mix fixed:3", exitUsage, []string{"--mix: mix fixed:3"}},
		"a profile to write of nobody":  {"profiles abacus", exitUsage, []string{`"abacus"`, "llama-3.1-8b-h100"}},
		"a workload with a wrong value": {"replay --trace steady:rate=x", exitUsage, []string{"--trace", "rate=x"}},
		"nothing to tune on":            {"tune --train-share 0", exitUsage, []string{"--train-share 0"}},
		"knobs of nobody":               {"policies magic", exitUsage, []string{`"magic"`}},
		"every fault is told at once":   {"replay --rate 0 --gpus -1 --slo-ttft 0s --seeds 0 --output xml", exitUsage, []string{"--rate 0", "--gpus -1", "--slo-ttft 0s", "--seeds 0", "xml"}},
		"faults of all files are, too":  {"replay --trace nowhere.csv --profile abacus -f nowhere.yaml", exitUsage, []string{"nowhere.csv", "abacus", "nowhere.yaml"}},
		"details of nobody":             {"replay --details some", exitUsage, []string{"--details some", "none, first, leads, all"}},
		"a knob twice":                  {"replay --policy kpa --set kpa.window=60 --set kpa.window=90", exitUsage, []string{"--set kpa.window=90", "twice"}},
		"none of the trace":             {"replay --for 0s", exitUsage, []string{"--for 0", "leave it out"}},
		"nodes that nobody needs":       {"replay --node-time 5m", exitUsage, []string{"--node-time 5m", "--node-gpus"}},
		"details without a directory":   {"replay --details all", exitUsage, []string{"--details all", "--out"}},
		"force without a directory":     {"replay --force", exitUsage, []string{"--force", "--out"}},
		"seeds beyond the last":         {"replay --seed 18446744073709551615 --seeds 2", exitUsage, []string{"--seed 18446744073709551615", "2 seeds"}},
		"bounds that cross":             {"replay --min 5 --max 2", exitUsage, []string{"--max 2", "--min 5"}},
		"a stock for half a replica":    {"replay --gpus 2", exitUsage, []string{"--gpus 2", "takes 4", "--profile"}},
		"a stock below the start":       {"replay --gpus 8 --initial 3", exitUsage, []string{"--initial 3", "--gpus 8 hold 2 replicas"}},
		"a stock below the minimum":     {"replay --gpus 8 --min 3", exitUsage, []string{"--min 3", "--gpus 8 hold 2 replicas"}},
		"a workload with a wrong field": {"replay --trace diurnal:height=3", exitUsage, []string{"height"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := call(t.Context(), strings.Fields(tc.args)...)
			if code != tc.code || out != "" {
				t.Errorf("exit %d and output %q, want exit %d and none", code, out, tc.code)
			}
			for _, part := range tc.want {
				if !strings.Contains(errs, part) {
					t.Errorf("message does not mention %q:\n%s", part, errs)
				}
			}
		})
	}
}

func TestAFaultInATraceIsNamedByItsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "requests.csv")
	write(t, path, "arrival_s,input_tokens,output_tokens\n0,100,10\n1,many,10\n")
	code, _, errs := call(t.Context(), "replay", "--trace", path)
	if code != exitFault || !strings.Contains(errs, "requests.csv: line 3, column 2 (input_tokens)") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestAFaultInAMixIsNoneOfTheCommandLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mix.csv")
	write(t, path, "arrival_s,input_tokens,output_tokens\n0,100,10\n1,many,10\n")
	code, _, errs := call(t.Context(), "replay", "--trace", "steady", "--mix", path)
	if code != exitFault || !strings.Contains(errs, "mix.csv: line 3") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestFlagsWithoutEffectOnATraceAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := func(name, text string) string {
		write(t, filepath.Join(dir, name), text)
		return filepath.Join(dir, name)
	}
	requests := path("requests.csv", "arrival_s,input_tokens,output_tokens\n0,100,10\n1,90,10\n2,90,10\n")
	sizeless := path("sizeless.csv", "app,func,end_timestamp,duration\na,f,1.5,0.5\na,f,2.5,0.5\na,f,3.5,0.5\n")
	rates := path("rates.csv", "timestamp,value\n0,30\n60,30\n")
	for name, tc := range map[string]struct {
		trace, flags string
		faults       []string
	}{
		"sizes of a trace that has some": {requests, "--mix code", []string{"--mix code"}},
		"arrivals of a trace":            {requests, "--process gamma --cv 2", []string{"--process gamma", "--cv 2"}},
		"sizes of a trace without":       {sizeless, "--mix code", nil},
		"all of rates":                   {rates, "--mix code --process gamma --cv 2", nil},
		"all of a workload":              {"steady:rate=1,length=1m", "--mix code --process weibull", nil},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"replay", "--trace", tc.trace, "--policy", "static-peak", "--profile", "llama-3.1-8b-h100"}, strings.Fields(tc.flags)...)
			code, _, errs := call(t.Context(), args...)
			if want := map[bool]int{true: 0, false: exitUsage}[tc.faults == nil]; code != want {
				t.Errorf("exit %d, want %d: %s", code, want, errs)
			}
			for _, part := range tc.faults {
				if !strings.Contains(errs, part+": the requests of ") || !strings.Contains(errs, "leave it out") {
					t.Errorf("no word of %s: %s", part, errs)
				}
			}
		})
	}
}

func TestAFaultOfTheSpecIsNamedByItsField(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ia.yaml")
	write(t, path, manifest)
	code, _, errs := call(t.Context(), "replay", "-f", path, "--min", "9")
	if code != exitUsage || !strings.Contains(errs, "spec.maxReplicas of "+path+" 7: must be at least one and --min 9") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// parsed are the options that a replay with these flags has.
func parsed(t *testing.T, args ...string) *options {
	t.Helper()
	o := newOptions()
	fs := pflag.NewFlagSet("replay", pflag.ContinueOnError)
	for _, g := range append(o.groups(), group{"Output", o.outFlags()}) {
		fs.AddFlagSet(g.flags)
	}
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	o.given = fs.Changed
	return o
}

const manifest = `apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm}
---
apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: vllm, namespace: ml}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}
  mode: Own
  minReplicas: 2
  maxReplicas: 7
  slo: {ttft: 800ms, attainment: 95%}
`

func TestFlagsGoBeforeTheSpec(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ia.yaml")
	write(t, path, manifest)
	o := parsed(t, "-f", path, "--max", "5")
	ia, err := o.autoscaler(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.follow(ia); err != nil {
		t.Fatal(err)
	}
	got := o.target
	want := targetOptions{autoscaler: path, ttft: 800 * time.Millisecond, tpot: 100 * time.Millisecond, attainment: 0.95, min: 2, max: 5}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(targetOptions{})); diff != "" {
		t.Error(diff)
	}
}

func TestASpecThatNoClusterWouldTake(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"a field of the future":       {manifest + "  magic: true\n", "magic"},
		"bounds that cross":           {strings.Replace(manifest, "minReplicas: 2", "minReplicas: 9", 1), "maxReplicas must be at least minReplicas"},
		"no InferenceAutoscaler":      {"kind: Deployment\n", "0 documents of kind InferenceAutoscaler"},
		"two of them":                 {manifest + "---\n" + manifest, "2 documents of kind InferenceAutoscaler"},
		"text that is not YAML":       {"{", "ia.yaml"},
		"an empty file":               {"", "0 documents"},
		"a percentage without a sign": {strings.Replace(manifest, "95%", "95", 1), "attainment"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ia.yaml")
			write(t, path, tc.text)
			code, _, errs := call(t.Context(), "replay", "-f", path, "--trace", "steady:length=1m")
			if code != exitFault || !strings.Contains(errs, tc.want) || !strings.Contains(errs, "ia.yaml") {
				t.Errorf("exit %d, want one that mentions %q and the file: %s", code, tc.want, errs)
			}
		})
	}
}

func TestALeadTimeIsLoadingAndWarmingUp(t *testing.T) {
	o := parsed(t, "--lead-time", "100s,5m", "--lead-jitter", "0.3", "--pull-time", "1m")
	leads := o.cluster.leads()
	if len(leads) != 2 || leads[1].Whole != 5*time.Minute {
		t.Fatalf("%+v", leads)
	}
	p := leads[0].Phases
	if p.Load.Median != 80*time.Second || p.WarmUp.Median != 20*time.Second || p.Pull.Median != time.Minute || p.Node.Median != 0 || p.Load.Sigma != 0.3 {
		t.Errorf("%+v", p)
	}
}

func TestTheCommandLineInFilesIsWhatMatters(t *testing.T) {
	for name, tc := range map[string]struct{ args, want string }{
		"nothing but defaults":           {"", "preheatctl replay"},
		"where files go does not matter": {"--out x --details all --workers 1 --force --memory 1Gi -o json", "preheatctl replay"},
		"lists and shares":               {"--lead-time 30s,2m --slo-attainment 99%", "preheatctl replay --lead-time 30s,2m0s --slo-attainment 0.99"},
		"what a shell would split":       {"--trace my'trace.csv", `preheatctl replay --trace 'my'\''trace.csv'`},
	} {
		t.Run(name, func(t *testing.T) {
			root := newRoot(streams{})
			cmd, _, err := root.Find([]string{"replay"})
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.ParseFlags(strings.Fields(tc.args)); err != nil {
				t.Fatal(err)
			}
			if got := commandLine(cmd); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestProgressSaysHowFarHowFastHowLong(t *testing.T) {
	for name, tc := range map[string]struct {
		progress compare.Progress
		elapsed  time.Duration
		want     string
	}{
		"while the trace is read": {compare.Progress{Done: 12345}, time.Second, "reading the trace: 12,345 requests"},
		"too early for a rate":    {compare.Progress{Done: 100, Total: 1000, Runs: 10}, time.Second / 2, " 10 %  0 of 10 runs  100 of 1,000 requests"},
		"half-way":                {compare.Progress{Done: 2e6, Total: 4e6, Runs: 10, RunsDone: 5}, 4 * time.Second, " 50 %  5 of 10 runs  2,000,000 of 4,000,000 requests  500,000/s  4s left"},
		"more than was expected":  {compare.Progress{Done: 110, Total: 100, Runs: 1}, 2 * time.Second, "100 %  0 of 1 runs  110 of 100 requests  55/s  0s left"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, progressText(tc.progress, tc.elapsed)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestForeignFilesAreNotOverwritten(t *testing.T) {
	for name, tc := range map[string]struct {
		before map[string]string
		force  bool
		after  []string // nil: refused
	}{
		"an empty directory":                 {map[string]string{}, false, []string{}},
		"somebody else's files":              {map[string]string{"thesis.tex": ""}, false, nil},
		"somebody else's, but by force":      {map[string]string{"thesis.tex": "", "report.html": ""}, true, []string{"thesis.tex"}},
		"a replay before":                    {map[string]string{"summary.json": `{"version":1,"policies":{}}`, "report.html": "", "requests.csv": ""}, false, []string{}},
		"a replay before, with notes beside": {map[string]string{"summary.json": `{"version":1,"policies":{}}`, "notes.md": ""}, false, []string{"notes.md"}},
		"a summary of something else":        {map[string]string{"summary.json": `{"sales":3}`, "notes.md": ""}, false, nil},
		"a replay that was killed":           {map[string]string{".requests.csv.part0": "", "summary.json": ""}, false, []string{}},
		"one killed before its first row":    {map[string]string{"lead-30s/.requests.csv.part0": ""}, false, []string{}},
		"one killed beside somebody's files": {map[string]string{".requests.csv.part0": "", "thesis.tex": ""}, false, nil},
		"a summary of something else alone":  {map[string]string{"summary.json": `{"sales":3}`}, false, nil},
		"one with a version of its own":      {map[string]string{"summary.json": `{"version":2,"sales":3}`}, false, nil},
		"a trace of the name of a result":    {map[string]string{"requests.csv": "arrival_s\n"}, false, nil},
		"the same by force":                  {map[string]string{"requests.csv": "arrival_s\n"}, true, []string{}},
		"a dot file that is no part":         {map[string]string{".departures.part1": ""}, true, []string{".departures.part1"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range tc.before {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, file), text)
			}
			err := outputOptions{dir: dir, force: tc.force}.clear()
			if (err == nil) != (tc.after != nil) {
				t.Fatalf("error is %v", err)
			}
			if err != nil {
				return
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			names := []string{}
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if diff := cmp.Diff(tc.after, names); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestListsNameEverything(t *testing.T) {
	policies := must(t, "policies")
	for _, d := range compare.Descriptions() {
		if d.Summary == "" || d.Source == "" || !strings.Contains(policies, d.Name+" ") {
			t.Errorf("policy %q: summary %q, source %q", d.Name, d.Summary, d.Source)
		}
	}
	if out := must(t, "profiles"); !strings.Contains(out, "llama-3.1-70b-h100x4") {
		t.Errorf("no profiles in %q", out)
	}
	if out := must(t, "policies", "kpa"); !strings.Contains(out, "panic-threshold") || !strings.Contains(out, "knative/serving") {
		t.Errorf("no knobs or no source in %q", out)
	}
	if out := must(t, "workloads"); !strings.Contains(out, "flash-crowd") {
		t.Errorf("no workloads in %q", out)
	}
	if out := must(t, "version"); !strings.HasPrefix(out, "preheatctl dev ") {
		t.Errorf("version %q", out)
	}
}

func TestAProfileCanBeWrittenEditedAndReplayed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	text := must(t, "profiles", "llama-3.1-8b-h100")
	write(t, path, text)
	replayed := func(profile string) string {
		return must(t, "replay", "--trace", "steady:length=1m", "--policy", "static-mean", "--profile", profile)
	}
	if diff := cmp.Diff(replayed("llama-3.1-8b-h100"), replayed(path)); diff != "" {
		t.Errorf("the profile as it was written (-built in +written):\n%s", diff)
	}
	write(t, path, strings.Replace(text, "\ngpus: 1\n", "\ngpus: 3\n", 1))
	if out := replayed(path); !strings.Contains(out, "llama-3.1-8b-h100: 3 GPUs a replica") || strings.Contains(out, "assumed") {
		t.Errorf("the profile as it was edited:\n%s", out)
	}
}

func TestWhatAProfileLeavesOutIsNoted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	write(t, path, "step_base_ms: 7\nprefill_per_token_ms: 0.03\nkv_tokens: 400000\n")
	args := []string{"replay", "--trace", "steady:length=1m", "--policy", "static-mean", "--profile", path}
	const want = "mine.yaml leaves out, and so is taken: gpus 1; step_per_sequence_ms 0"
	if out := must(t, args...); !strings.Contains(out, want) {
		t.Errorf("not told:\n%s", out)
	}
	code, out, errs := call(t.Context(), append(args, "-o", "json")...)
	if code != exitOK || !strings.Contains(errs, want) || !strings.Contains(out, want) {
		t.Errorf("exit %d; told neither on standard error nor among the settings:\n%s%s", code, errs, out)
	}
}

func TestWherePreheatDoesOtherwiseThanItsSpecIsNoted(t *testing.T) {
	const asOwn, keepsOne, holds = "is replayed as Own", "as spec.activator does live", "hold the replicas of the start"
	with := func(mode string) string { return strings.Replace(manifest, "mode: Own", mode, 1) }
	for name, tc := range map[string]struct {
		text, args string
		want       []string
	}{
		"Own and a replica at least":      {manifest, "--policy preheat", nil},
		"Floor":                           {with("mode: Floor"), "--policy preheat", []string{"mode: Floor " + asOwn}},
		"no mode, which is Advise":        {with(""), "--policy preheat-reactive", []string{"mode: Advise " + asOwn}},
		"zero of the spec":                {strings.Replace(manifest, "minReplicas: 2", "minReplicas: 0", 1), "--policy preheat", []string{keepsOne}},
		"zero of a flag":                  {manifest, "--policy preheat --min 0", []string{keepsOne}},
		"paused":                          {manifest + "  paused: true\n", "--policy preheat", []string{holds}},
		"nothing of Preheat is replayed":  {with("mode: Floor"), "--policy kpa --min 0", nil},
		"Floor beside rivals, and a zero": {with("mode: Floor"), "--policy kpa,preheat --min 0", []string{asOwn, keepsOne}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "ia.yaml")
			write(t, path, tc.text)
			args := append([]string{"replay", "-f", path, "--trace", "steady:length=1m", "--out", filepath.Join(dir, "out")}, strings.Fields(tc.args)...)
			out := must(t, args...)
			summary := contents(t, filepath.Join(dir, "out"))["summary.json"]
			for _, part := range tc.want {
				_, ofSummary, _ := strings.Cut(part, ": ")
				if !strings.Contains(out, part) || !strings.Contains(summary, ofSummary) {
					t.Errorf("the output or the summary lacks %q:\n%s", part, out)
				}
			}
			if n := strings.Count(out, asOwn) + strings.Count(out, keepsOne) + strings.Count(out, holds); n != len(tc.want) {
				t.Errorf("%d notes, want %d:\n%s", n, len(tc.want), out)
			}
		})
	}
}

func TestRequestsThatNoReplicaCanHoldAreNoted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "requests.csv")
	write(t, path, "arrival_s,input_tokens,output_tokens\n0,100,10\n1,131073,10\n2,200000,10\n90,100,10\n")
	for _, command := range []string{"replay", "tune"} {
		t.Run(command, func(t *testing.T) {
			out := must(t, command, "--trace", path, "--policy", "kpa")
			if want := "rejects 2 requests that have more than 131,072 tokens, the profile's max_model_len"; !strings.Contains(out, want) {
				t.Errorf("%q is missing:\n%s", want, out)
			}
		})
	}
}

func TestHelpOffersTheFormatsThatACommandWrites(t *testing.T) {
	for command, want := range map[string]string{"replay": "table, json, yaml, csv", "tune": "table, json, yaml"} {
		if out := must(t, command, "--help"); !strings.Contains(out, "Output as a format: "+want+" (default") {
			t.Errorf("%s --help does not offer %s:\n%s", command, want, out)
		}
	}
}
