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
		Use: "profiles", Short: "List the replicas whose speed is known, and where the figures come from", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tMODEL\tGPUS\tKV TOKENS\tSOURCE")
			for _, name := range replica.ProfileNames() {
				p, err := replica.ProfileNamed(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", p.Name, p.Model, p.GPUs, p.KVTokens, p.Source)
			}
			return w.Flush()
		},
	}
}
