package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

func newPolicies(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "policies [NAME]", Short: "List the policies that can be compared, or the source and the knobs of one of them",
		Example: "  preheatctl policies\n  preheatctl policies hpa-running", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return writeKnobs(s.Out, args[0])
			}
			w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tWHAT IT IS")
			for _, d := range compare.Descriptions() {
				fmt.Fprintf(w, "%s\t%s\n", d.Name, d.Summary)
			}
			return w.Flush()
		},
	}
}

// writeKnobs tells of one policy and lists what can be set of it.
func writeKnobs(out io.Writer, policy string) error {
	all := compare.Descriptions()
	i := slices.IndexFunc(all, func(d compare.Description) bool { return d.Name == policy })
	if i < 0 {
		return usageError{fmt.Errorf("unknown policy %q: known are %s", policy, strings.Join(compare.Names(), ", "))}
	}
	fmt.Fprintf(out, "%s: %s\nsource: %s\n\n", policy, all[i].Summary, all[i].Source)
	knobs := compare.AllKnobs(policy)
	if len(knobs) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KNOB\tDEFAULT\tTUNED OVER\tWHAT IT IS")
	for _, k := range knobs {
		fmt.Fprintf(w, "%s\t%v\t%s\t%s\n", k.Name, k.Default, strings.Trim(fmt.Sprint(k.Grid), "[]"), k.Doc)
	}
	return w.Flush()
}

func newWorkloads(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "workloads", Short: "List the workloads that can be generated for --trace, and their settings", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { fmt.Fprint(s.Out, trace.WorkloadHelp()) },
	}
}

func newProfiles(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "profiles [NAME]", Short: "List the replicas whose speed is known, or write one of them as YAML to edit",
		Long: "List the replicas whose speed is known, and where the figures come from. With a name, write that profile as YAML\n" +
			"with every field explained: its unit, its meaning and what it is where a file leaves it out. Save it, put in what\n" +
			"you have measured, and give the file to --profile.",
		Example: "  preheatctl profiles\n  preheatctl profiles llama-3.1-70b-h100x4 > mine.yaml\n" +
			"  preheatctl replay --profile mine.yaml", Args: cobra.MaximumNArgs(1),
		ValidArgs: replica.ProfileNames(),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return writeProfile(s.Out, args[0])
			}
			return listProfiles(s.Out)
		},
	}
}

// writeProfile writes one that is built in.
func writeProfile(out io.Writer, name string) error {
	if !slices.Contains(replica.ProfileNames(), name) {
		return usageError{fmt.Errorf("unknown profile %q: known are %s", name, strings.Join(replica.ProfileNames(), ", "))}
	}
	p, err := replica.ProfileNamed(name)
	if err != nil {
		return err
	}
	return p.WriteYAML(out)
}

func listProfiles(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tMODEL\tGPUS\tKV TOKENS\tSOURCE")
	for _, name := range replica.ProfileNames() {
		p, err := replica.ProfileNamed(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", p.Name, p.Model, p.GPUs, p.KVTokens, p.Source)
	}
	return w.Flush()
}
