package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

func newReplay(s streams) *cobra.Command {
	o := newOptions()
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Replay a trace under several policies and the oracle, and compare what they cost and attain",
		Long: "Replay a trace through a simulated cluster of inference engines, once under each policy: Preheat's own planner and\n" +
			"loop, other systems' policies with their documented defaults, and an oracle that knows the future. Every policy\n" +
			"sees only what its real signal path would show it, and all of them meet the same cluster and the same draws.",
		Example: "  # A generated day, the default policies\n" +
			"  preheatctl replay\n\n" +
			"  # Your trace on four H100 a replica, with files and a report to click through\n" +
			"  preheatctl replay --trace requests.csv.gz --profile llama-3.1-70b-h100x4 --lead-time 120s --out replayed\n\n" +
			"  # How slow may loading be, before each policy breaks? Five seeds for intervals of confidence\n" +
			"  preheatctl replay --trace requests.csv.gz --lead-time 30s,120s,300s --seeds 5\n\n" +
			"  # A week, of which the first day is there to learn from and not scored\n" +
			"  preheatctl replay --trace week.csv.gz --warm-up 1d\n\n" +
			"  # The spec that you would apply, against two rivals, as JSON\n" +
			"  preheatctl replay --trace requests.csv.gz -f autoscaler.yaml --policy preheat,hpa-queue,keda,oracle -o json",
		Args: cobra.ArbitraryArgs, // told of with the other faults
	}
	attach(cmd, append(o.groups(), group{"Warm-up", o.warmUpFlags()}, group{"Output", o.outFlags()}))
	completeWith(cmd, "output", o.out.formats)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.given = cmd.Flags().Changed
		if err := o.validate(args); err != nil {
			return err
		}
		return o.replay(cmd.Context(), s, commandLine(cmd))
	}
	return cmd
}

// replay is the command once its flags are known to be good.
func (o *options) replay(ctx context.Context, s streams, command string) error {
	e, err := o.experiment(s)
	if err != nil {
		return err
	}
	dir, err := openOutput(o.out, e)
	if err != nil {
		return err
	}
	outcome, err := o.compare(ctx, s, e, dir.filesOf)
	if err != nil {
		return errors.Join(err, dir.discard())
	}
	o.noteOutsized(outcome.Outsized)
	// The files come first: whoever reads the output may close it after a line. Where they cannot be written, the output is
	// all that is left.
	unwritten := dir.finish(e, outcome, o.labels(e, outcome, command))
	unprinted := o.print(s, e, outcome, command)
	if unwritten != nil {
		return unwritten
	}
	if unprinted != nil {
		return cmp.Or(interrupted(outcome), unprinted)
	}
	dir.tell(o.out.notes(s))
	return interrupted(outcome)
}

// compare runs the experiment, with progress on a terminal.
func (o *options) compare(ctx context.Context, s streams, e compare.Experiment, files func(compare.Key) *score.Files) (compare.Outcome, error) {
	meter := &compare.Meter{}
	if s.Terminal {
		defer show(ctx, s.Err, meter.Read)()
	}
	outcome, err := compare.Run(ctx, e, compare.Tools{Meter: meter, Files: files})
	if err != nil && ctx.Err() != nil {
		return outcome, fmt.Errorf("%w before anything was done", errInterrupted)
	}
	return outcome, err
}

// notes is where sentences go: not between data that a program reads.
func (o outputOptions) notes(s streams) io.Writer {
	if o.format == "table" {
		return s.Out
	}
	return s.Err
}

// print writes the result in the wanted format.
func (o *options) print(s streams, e compare.Experiment, result compare.Outcome, command string) error {
	if o.out.format == "table" {
		return writeTable(s.Out, e, result, o.notes)
	}
	writeNotes(s.Err, o.notes)
	if o.out.format == "csv" {
		return score.WriteCSV(s.Out, result.Cells(), e.SLO)
	}
	var text bytes.Buffer
	if err := result.Summary(e, o.labels(e, result, command)).WriteJSON(&text); err != nil {
		return err
	}
	return writeData(s.Out, o.out.format, text.Bytes())
}
