package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
)

// promqlFlags are what the command line says.
type promqlFlags struct {
	selector, profiles string
	by                 []string
	window             time.Duration
}

// newPromQL returns the command that prints an engine's profile as PromQL.
func newPromQL(s streams) *cobra.Command {
	var f promqlFlags
	cmd := &cobra.Command{
		Use:   "promql ENGINE",
		Short: "Print what Preheat reads off an engine as PromQL, one expression for each normalised metric",
		Long: "Promql writes an engine's profile as PromQL, for dashboards, alerts and recording rules. Each expression gives one value\n" +
			"for each pod; those of latencies one for each pod and bucket. What an expression leaves out stands in a comment. The\n" +
			"service itself asks Prometheus for the samples, and needs none of these.",
		Example: "  # Each metric of vLLM, by pod\n" +
			"  preheatctl promql vllm --selector 'namespace=\"ml\"'\n\n" +
			"  # Rates over two minutes, and the 95th percentiles of latencies\n" +
			"  preheatctl promql sglang --window 2m",
		Args: cobra.ExactArgs(1),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.selector, "selector", "", `Label matchers for each selector, as in namespace="ml",pod=~"chat-.*"`)
	fs.StringSliceVar(&f.by, "by", []string{"namespace", "pod"}, "Labels that tell pods apart")
	fs.DurationVar(&f.window, "window", 0, "Make rates of counters, and of latencies the 95th percentile, over this time: four scrape intervals at least")
	fs.StringVar(&f.profiles, "engine-profiles", "", "Folder of engine profiles of your own, as for the service")
	cmd.RunE = func(_ *cobra.Command, args []string) error { return f.run(s, args[0]) }
	return cmd
}

// run prints.
func (f *promqlFlags) run(s streams, engine string) error {
	profiles, err := exposition.Load()
	if f.profiles != "" {
		profiles, err = exposition.Load(os.DirFS(f.profiles))
	}
	if err != nil {
		return fmt.Errorf("--engine-profiles: %w", err)
	}
	p, ok := profiles.Named(engine)
	if !ok {
		return fmt.Errorf("engine %q: want one of %s", engine, strings.Join(profiles.Names(), ", "))
	}
	o := exposition.QueryOptions{Matchers: f.selector, By: f.by}
	if f.window > 0 {
		o.Window = model.Duration(f.window).String()
	}
	for _, q := range p.Queries(o) {
		fmt.Fprintf(s.Out, "# %s\n", q.Name)
		if q.Note != "" {
			fmt.Fprintf(s.Out, "# %s\n", q.Note)
		}
		if q.Expr == "" {
			q.Expr = "# PromQL cannot say it"
		}
		fmt.Fprintf(s.Out, "%s\n\n", q.Expr)
	}
	return nil
}
