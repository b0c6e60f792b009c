package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/preheat-autoscaler/preheat/pkg/doctor"
)

// Exit codes of doctor beside those of all commands.
const (
	exitProblems   = 1
	exitNotLooked  = 3
	exitSomeUnseen = 4
)

// verdict is an error with an exit code of its own.
type verdict struct {
	error
	code int
}

// Unwrap returns the fault itself.
func (v verdict) Unwrap() error { return v.error }

// doctorOptions are what the command line of doctor says.
type doctorOptions struct {
	// cluster has the flags of the connection.
	cluster explainOptions
	system  string
	strict  bool
	probe   bool
	// profiles is a folder of engine profiles, empty for none of one's own.
	profiles string
	format   string
	timeout  time.Duration
}

var doctorFormats = []string{"table", "json", "yaml"}

// newDoctor returns the command that examines a cluster.
func newDoctor(s streams) *cobra.Command {
	o := &doctorOptions{
		format: "table", system: "preheat-system", timeout: 30 * time.Second,
		cluster: explainOptions{rules: clientcmd.NewDefaultClientConfigLoadingRules(), timeout: 10 * time.Second},
	}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine a cluster from outside in: what is wrong with Preheat, its targets and what they rest on, and what to do",
		Long: "Look at the definitions, the service and its leader, rights, the metrics APIs and their certificate, clocks, and each\n" +
			"InferenceAutoscaler and WarmPool: target, pods, decisions, metrics, lead time, rivals, what zero replicas and a drain need.\n" +
			"One line a finding: ok, warning, problem, or unknown where it could not be looked at, with the right that is lacking.\n" +
			"It only reads, and asks the API server alone; with --probe also the pods and gateways, through the API server's proxy.\n\n" +
			"-o json and yaml: {server, time, summary: {ok, warnings, problems, unknown}, findings: [{check, object, severity, seen,\n" +
			"remedy}]}. Fields and the words of severity and check stay as they are; seen and remedy are for people. check is one of\n" +
			"api-server, clock, crd, service, leader, rights, metrics-api, certificate, autoscalers, target, pods, decision, metrics,\n" +
			"lead-time, rivals, gateway, zero, gate, probe, pools, pool.\n\n" +
			"Exit codes: 0 no problem; 1 problems, with --strict also warnings; 2 a fault of the command line; 3 nothing could be\n" +
			"looked at: no kubeconfig, or no answer; 4 no problem was seen, but something is unknown; 130 interrupted.",
		Example: "  preheatctl doctor -A\n  preheatctl doctor -n ml --probe\n" +
			"  preheatctl doctor -A --strict -o json | jq '.findings[] | select(.severity != \"ok\")'",
		Args: cobra.NoArgs,
	}
	attach(cmd, []group{{"What is examined", o.flags()}, {"The cluster", o.cluster.clusterFlags()}})
	completeWith(cmd, "output", doctorFormats)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.validate(); err != nil {
			return err
		}
		return o.run(cmd.Context(), s)
	}
	return cmd
}

func (o *doctorOptions) flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("examined", pflag.ContinueOnError)
	fs.BoolVarP(&o.cluster.all, "all-namespaces", "A", false, "InferenceAutoscalers and WarmPools of all namespaces, not of the one that -n or the kubeconfig names")
	fs.StringVar(&o.system, "system-namespace", o.system, "Namespace in which Preheat runs")
	fs.BoolVar(&o.probe, "probe", false, "Ask up to ten ready pods of each target, and of its gateway, for their metric page, through the API server's pod proxy")
	fs.StringVar(&o.profiles, "engine-profiles", "", "`Folder` of engine profiles (*.yaml) of your own, which replace those of the same name, as the service's flag; for --probe")
	fs.BoolVar(&o.strict, "strict", false, "Exit with 1 for warnings too")
	fs.StringVarP(&o.format, "output", "o", o.format, "How it is told: table, json or yaml")
	fs.DurationVar(&o.timeout, "timeout", o.timeout, "Longest time for all of it; what is not looked at by then is unknown")
	return fs
}

func (o *doctorOptions) validate() error {
	var f faults
	f.check(slices.Contains(doctorFormats, o.format), "--output %s: must be table, json or yaml", o.format)
	f.check(o.timeout > 0, "--timeout %v: must be above 0s", o.timeout)
	f.check(o.cluster.timeout > 0, "--request-timeout %v: must be above 0s", o.cluster.timeout)
	f.check(o.system != "", "--system-namespace: must not be empty")
	return f.err()
}

// run examines and writes.
func (o *doctorOptions) run(ctx context.Context, s streams) error {
	profiles, err := loadProfiles(o.profiles)
	if err != nil {
		return err
	}
	cluster, namespace, err := connect(&o.cluster)
	if err != nil {
		return verdict{err, exitNotLooked}
	}
	options := doctor.Options{Namespace: namespace, System: o.system, Probe: o.probe, Profiles: profiles, Timeout: o.timeout}
	wipe := func() {}
	if s.Terminal {
		options.Progress, wipe = doctorProgress(s.Err)
	}
	report, err := doctor.Examine(ctx, cluster, options)
	wipe()
	if ctx.Err() != nil {
		return fmt.Errorf("%w: the examination is not complete", errInterrupted)
	}
	if err != nil {
		return verdict{fmt.Errorf("%w; check --kubeconfig, --context and --timeout", err), exitNotLooked}
	}
	if err := o.write(s.Out, report); err != nil {
		return err
	}
	return o.judge(report.Summary)
}

// connect reads the kubeconfig; the namespace is empty for all.
func connect(o *explainOptions) (doctor.Cluster, string, error) {
	loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(o.rules, &o.overrides)
	namespace, _, err := loaded.Namespace()
	if err != nil {
		return doctor.Cluster{}, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	config, err := loaded.ClientConfig()
	if err != nil {
		return doctor.Cluster{}, "", fmt.Errorf("read the kubeconfig: %w; give --kubeconfig or --context", err)
	}
	config.Timeout, config.UserAgent = o.timeout, "preheatctl/"+version
	if o.all {
		namespace = metav1.NamespaceAll
	}
	cluster, err := doctor.Connect(config)
	return cluster, namespace, err
}

// doctorProgress draws how far it is on one line, which wipe removes.
func doctorProgress(out io.Writer) (progress func(done, total int), wipe func()) {
	lines := make(chan string)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for line := range lines {
			fmt.Fprint(out, "\r"+line)
		}
		fmt.Fprint(out, "\r"+strings.Repeat(" ", 40)+"\r")
	}()
	return func(done, total int) { lines <- fmt.Sprintf("%d of %d checks", done, total) },
		func() { close(lines); <-ended }
}

// write tells the report.
func (o *doctorOptions) write(out io.Writer, r doctor.Report) error {
	if o.format != "table" {
		return encode(out, o.format, r)
	}
	return writeFindings(out, r)
}

// writeFindings writes a line each, with the remedy below, and a line of sums.
func writeFindings(out io.Writer, r doctor.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEVERITY\tCHECK\tOBJECT\tSEEN")
	for _, f := range r.Findings {
		seen := f.Seen
		if f.Remedy != "" {
			seen += " → " + f.Remedy
		}
		object := f.Object
		if object == "" {
			object = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Severity, f.Check, object, seen)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	n := r.Summary
	_, err := fmt.Fprintf(out, "\n%d problems, %d warnings, %d unknown, %d ok\n", n.Problems, n.Warnings, n.Unknown, n.OK)
	return err
}

// judge turns the sums into an exit code.
func (o *doctorOptions) judge(n doctor.Summary) error {
	switch {
	case n.Problems > 0:
		return verdict{fmt.Errorf("%d problems", n.Problems), exitProblems}
	case o.strict && n.Warnings > 0:
		return verdict{fmt.Errorf("%d warnings, with --strict", n.Warnings), exitProblems}
	case n.Unknown > 0:
		return verdict{errors.New("no problem was seen, but not everything could be looked at"), exitSomeUnseen}
	}
	return nil
}
