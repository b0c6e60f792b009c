package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

func newTune(s streams) *cobra.Command {
	o := newOptions()
	o.out.formats = []string{"table", "json", "yaml"}
	part := share(0.5)
	cmd := &cobra.Command{
		Use:   "tune",
		Short: "Find each policy's best setting on one part of a trace, and score it on the other",
		Long: "Try a grid of each policy's one or two main knobs, as many settings for every policy, on the first part of a trace,\n" +
			"and score the best of them beside the documented defaults on the rest: what a policy is worth to someone who\n" +
			"tunes it on yesterday and runs it today. The best is the cheapest that meets the objective on the first part.\n" +
			"For the score, each runs through the whole trace and goes on as it would in production, with what it has learned\n" +
			"and the replicas that it has; what counts is the rest. The bounds come from the first part too, unless given.\n\n" +
			"One setting is to serve under every lead time and seed: each is run under all of them, and its attainment and\n" +
			"GPU-hours are the means over these runs. To tune for one lead time, give that one alone.",
		Example: "  # Tune on the first half, score on the second\n" +
			"  preheatctl tune --trace week.csv.gz --profile llama-3.1-70b-h100x4 --policy preheat,hpa-running,slo-aware\n\n" +
			"  # On about the first day of seven, as JSON\n" +
			"  preheatctl tune --trace week.csv.gz --train-share 14% -o json",
		Args: cobra.ArbitraryArgs,
	}
	training := pflag.NewFlagSet("training", pflag.ContinueOnError)
	training.Var(&part, "train-share", "Share of the trace's time to tune on, from its beginning")
	attach(cmd, append([]group{{"Tuning", training}}, o.groups()...))
	completeWith(cmd, "output", o.out.formats)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.given = cmd.Flags().Changed
		if err := o.validateTuning(args, part); err != nil {
			return err
		}
		return o.tune(cmd.Context(), s, float64(part))
	}
	return cmd
}

// validateTuning reports every fault of the flags.
func (o *options) validateTuning(args []string, part share) error {
	var f faults
	f.add(o.validate(args))
	f.check(part > 0 && part < 1, "--train-share %v: must be above 0 and below 1", float64(part))
	return f.err()
}

// tune is the command once its flags are known to be good.
func (o *options) tune(ctx context.Context, s streams, part float64) error {
	e, err := o.experiment(s)
	if err != nil {
		return err
	}
	tunings, err := o.tunings(ctx, s, e, part)
	if err != nil {
		return err
	}
	o.noteOutsized(tunings.Outsized)
	writeNotes(o.out.notes(s), o.notes)
	if err := o.printTunings(s.Out, e, part, tunings); err != nil {
		return err
	}
	if tunings.Incomplete {
		return fmt.Errorf("%w: %s", errInterrupted, strings.Join(tunings.Unfinished, "; "))
	}
	return nil
}

// tunings tunes, with progress on a terminal.
func (o *options) tunings(ctx context.Context, s streams, e compare.Experiment, part float64) (compare.Tuned, error) {
	meter := &compare.Meter{}
	if s.Terminal {
		defer show(ctx, s.Err, meter.Read)()
	}
	tunings, err := compare.Tune(ctx, e, part, meter)
	if err != nil && ctx.Err() != nil {
		return tunings, fmt.Errorf("%w before anything was done", errInterrupted)
	}
	return tunings, err
}

func (o *options) printTunings(out io.Writer, e compare.Experiment, part float64, tunings compare.Tuned) error {
	if o.out.format != "table" {
		return encode(out, o.out.format, struct {
			Trace      string  `json:"trace"`
			TrainShare float64 `json:"train_share"`
			// Leads (seconds) and Seeds are what every figure is the mean over.
			Leads []float64 `json:"lead_times_s"`
			Seeds []uint64  `json:"seeds"`
			compare.Tuned
		}{e.Load.Name, part, leadSeconds(e), e.Seeds, tunings})
	}
	fmt.Fprintf(out, "%s: tuned on the first %s of its time, scored on the rest; objective %s within TTFT %v and TPOT %v\n",
		e.Load.Name, percentText(part), percentText(e.SLO.Attainment), e.SLO.TTFT, e.SLO.TPOT)
	fmt.Fprintf(out, "%s\n\n", meansText(e))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "POLICY\tSETTING\tTRIED\tTUNED: ATTAINED\tGPU-HOURS\tSCORED: ATTAINED\tGPU-HOURS")
	for _, t := range tunings.Policies {
		writeVerdict(w, t.Policy, 1, t.Default)
		if len(t.Trials) > 1 {
			writeVerdict(w, "", len(t.Trials)-1, t.Best)
		}
	}
	if o := tunings.Oracle; o != nil {
		fmt.Fprintf(w, "%s\tperfect foresight\t\t\t\t%s\t%s\n", compare.Oracle, score.Percent(o.Attainment), score.Amount(o.GPUHours))
	}
	return w.Flush()
}

// meansText says what the figures of a tuning are over.
func meansText(e compare.Experiment) string {
	var leads []string
	for _, l := range e.Leads {
		leads = append(leads, l.Whole.String())
	}
	under := fmt.Sprintf("lead time %s; seed %s", strings.Join(leads, ", "), strings.ReplaceAll(strings.Trim(fmt.Sprint(e.Seeds), "[]"), " ", ", "))
	if n := len(e.Leads) * len(e.Seeds); n > 1 {
		return fmt.Sprintf("every figure is the mean over %d runs (%s); one setting is to serve under all of them", n, under)
	}
	return under
}

// leadSeconds are the lead times in seconds.
func leadSeconds(e compare.Experiment) []float64 {
	var out []float64
	for _, l := range e.Leads {
		out = append(out, l.Whole.Seconds())
	}
	return out
}

// writeVerdict writes one line: a setting on both parts.
func writeVerdict(w io.Writer, policy string, tried int, v compare.Verdict) {
	fmt.Fprintf(w, "%s\t%v\t%d\t%s\t%s\t", policy, v.Tuned.Setting, tried, score.Percent(v.Tuned.Attainment), score.Amount(v.Tuned.GPUHours))
	if v.Scored != nil {
		fmt.Fprintf(w, "%s\t%s", score.Percent(v.Scored.Attainment), score.Amount(v.Scored.GPUHours))
	}
	fmt.Fprintln(w)
}
