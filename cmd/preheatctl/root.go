package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
)

// streams are where the program reads and writes.
type streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal says that Err is one, where progress can be shown.
	Terminal bool
}

// newRoot returns the command with all its subcommands.
func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "preheatctl",
		Short: "Replay your own traffic under Preheat, other autoscalers and an oracle, and explain its decisions",
		Long: "preheatctl shows what autoscaling your own traffic costs and what it is worth: it replays a trace through a\n" +
			"simulated cluster of inference engines under the code that Preheat runs in production, under other systems'\n" +
			"policies with their documented defaults, and under an oracle that knows the future. It needs no cluster and no GPU.\n" +
			"Of a cluster that has Preheat, it explains why a target has the replicas that it has, and examines what is wrong. It\n" +
			"tells what Preheat sees on an engine's metric page.\n\n" +
			"Exit codes: 0 done; 1 a fault of a file or of a run; 2 a fault of the command line: a flag, an argument, the name\n" +
			"of a profile or a policy, the settings of a workload or a mix; 130 interrupted, with what was done until then. doctor has more, see its help.",
		Example: "  # A generated day under the default policies\n" +
			"  preheatctl replay\n\n" +
			"  # Your own trace, with a report to click through\n" +
			"  preheatctl replay --trace requests.csv.gz --profile llama-3.1-70b-h100x4 --lead-time 120s --out replayed\n\n" +
			"  # How well your own demand is forecast\n" +
			"  preheatctl forecast --series demand.csv --out forecast\n\n" +
			"  # Why a target has the replicas that it has\n" +
			"  preheatctl explain vllm\n\n" +
			"  # What is wrong with a cluster, and what to do\n" +
			"  preheatctl doctor -A\n\n" +
			"  # What Preheat sees on an engine's metric page\n" +
			"  preheatctl inspect -n ml pod/vllm-0",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.AddCommand(newReplay(s), newTune(s), newForecast(s), newRecord(s), newExplain(s), newDoctor(s), newInspect(s), newPromQL(s), newPolicies(s), newProfiles(s), newWorkloads(s), newVersion(s))
	return root
}

// noteStart returns a flag that is raised when a command begins: an error before that is one of usage.
func noteStart(root *cobra.Command) *bool {
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	return &began
}

func newVersion(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			fmt.Fprintf(s.Out, "preheatctl %s %s/%s %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
		},
	}
}
