package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"
)

// explainOptions are what the command line of explain says.
type explainOptions struct {
	name string
	// file holds saved objects, in place of a cluster; empty for a cluster.
	file   string
	all    bool
	format string
	rules  *clientcmd.ClientConfigLoadingRules
	// overrides are what flags say of the connection before the kubeconfig does.
	overrides clientcmd.ConfigOverrides
	timeout   time.Duration
}

var explainFormats = []string{"text", "json", "yaml"}

// newExplain returns the command that tells why a target has the replicas that it has.
func newExplain(s streams) *cobra.Command {
	o := &explainOptions{format: "text", rules: clientcmd.NewDefaultClientConfigLoadingRules(), timeout: 30 * time.Second}
	cmd := &cobra.Command{
		Use:   "explain [NAME]",
		Short: "Tell why a target has the replicas that it has: the last decision, its numbers, and what stands in its way",
		Long: "Read the status of an InferenceAutoscaler and tell in one screen how many replicas are wanted and why, what stands in\n" +
			"the way and what to do about it, the numbers that the decision rests on, what each of its steps asked for, and what an\n" +
			"HPA on queue length would do instead. Without NAME all of the namespace are told of, a line each if there are several.\n\n" +
			"It only reads: what kubectl may get, it may explain. Of a saved object ('kubectl get ia NAME -o yaml'), or of a line of\n" +
			"decisions.jsonl that a replay wrote, -f tells the same without a cluster.",
		Example: "  preheatctl explain vllm -n ml\n  preheatctl explain -A\n" +
			"  kubectl get ia vllm -o yaml | preheatctl explain -f -\n" +
			"  grep preheat replayed/decisions.jsonl | tail -1 | preheatctl explain -f -",
		Args: cobra.MaximumNArgs(1),
	}
	attach(cmd, []group{{"What is told", o.tellFlags()}, {"The cluster", o.clusterFlags()}})
	completeWith(cmd, "output", explainFormats)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.name = append(args, "")[0]
		if err := o.validate(); err != nil {
			return err
		}
		return o.run(cmd.Context(), s, time.Now())
	}
	return cmd
}

func (o *explainOptions) tellFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("tell", pflag.ContinueOnError)
	fs.StringVarP(&o.format, "output", "o", o.format, "How it is told: text, json or yaml")
	fs.BoolVarP(&o.all, "all-namespaces", "A", false, "Tell of all namespaces")
	fs.StringVarP(&o.file, "filename", "f", "", "Saved objects to tell of in place of those in a cluster, YAML or JSON; - for standard input")
	return fs
}

// clusterFlags are those of kubectl, by the same names.
func (o *explainOptions) clusterFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("cluster", pflag.ContinueOnError)
	fs.StringVar(&o.rules.ExplicitPath, "kubeconfig", "", "File that says how to reach the cluster. Absent: $KUBECONFIG, ~/.kube/config, or that of the pod")
	all := clientcmd.RecommendedConfigOverrideFlags("")
	named := clientcmd.ConfigOverrideFlags{CurrentContext: all.CurrentContext}
	named.ContextOverrideFlags.Namespace = all.ContextOverrideFlags.Namespace
	named.ContextOverrideFlags.ClusterName = all.ContextOverrideFlags.ClusterName
	named.ContextOverrideFlags.AuthInfoName = all.ContextOverrideFlags.AuthInfoName
	named.AuthOverrideFlags.Impersonate = all.AuthOverrideFlags.Impersonate
	clientcmd.BindOverrideFlags(&o.overrides, fs, named)
	fs.DurationVar(&o.timeout, "request-timeout", o.timeout, "Longest time to wait for the API server")
	return fs
}

func (o *explainOptions) validate() error {
	var f faults
	f.check(slices.Contains(explainFormats, o.format), "--output %s: must be text, json or yaml", o.format)
	f.check(o.name == "" || !o.all, "--all-namespaces: %s is of one namespace; leave out the flag or the name", o.name)
	f.check(o.name == "" || o.file == "", "-f %s: all of the file is told of; leave out the name %s", o.file, o.name)
	f.check(o.timeout > 0, "--request-timeout %v: must be above 0s", o.timeout)
	return f.err()
}

// run reads, explains and writes.
func (o *explainOptions) run(ctx context.Context, s streams, now time.Time) error {
	if o.file != "" {
		all, err := o.saved(s.In)
		if err != nil {
			return fmt.Errorf("-f %s: %w; give what `kubectl get inferenceautoscalers -o yaml` has written, or - for standard input", o.file, err)
		}
		return o.write(s.Out, all, len(all) == 1)
	}
	all, err := o.live(ctx, now)
	if err != nil {
		return err
	}
	if len(all) == 0 && o.format == "text" {
		fmt.Fprintln(s.Err, "No InferenceAutoscalers found; -n names another namespace, -A takes all")
		return nil
	}
	return o.write(s.Out, all, o.name != "")
}

// write tells of one in full, and of several a line each; single says that one was asked for.
func (o *explainOptions) write(out io.Writer, all []explanation, single bool) error {
	switch {
	case o.format != "text" && single:
		return encode(out, o.format, all[0])
	case o.format != "text":
		return encode(out, o.format, map[string]any{"items": append([]explanation{}, all...)})
	case len(all) == 1:
		_, err := io.WriteString(out, all[0].String())
		return err
	}
	return writeExplanations(out, all)
}
