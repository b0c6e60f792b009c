package compare

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// Labels are what the caller knows of an experiment besides its result.
type Labels struct {
	// Title heads the page. Command makes the same results again; Version is that of the program.
	Title, Command, Version string
	// Currency is what prices are in, may be empty.
	Currency string
	// Settings are what the experiment was run with, by name, for files; Facts are the same for people, in order.
	Settings map[string]string
	Facts    []report.Fact
}

// Cells sets the policies beside each other, and beside the oracle where it was run.
func (o *Outcome) Cells() []score.Cell { return score.Compare(o.Scores, Oracle) }

// Summary is the outcome as it stands in summary.json.
func (o *Outcome) Summary(e Experiment, l Labels) score.Summary {
	cells := o.Cells()
	s := score.Summary{
		Command: l.Command, Settings: l.Settings, Trace: o.trace(e.Load.Name), SLO: e.SLO.Objectives(),
		Seeds: e.Seeds, Policies: score.ByPolicy(cells, e.SLO), Frontier: frontier(cells), Incomplete: !o.Complete(),
	}
	for _, lead := range e.Leads {
		s.LeadTimes = append(s.LeadTimes, lead.Whole.Seconds())
	}
	for _, x := range o.Scores {
		if x.Policy == Oracle {
			s.Oracle = Oracle
		}
	}
	s.Unfinished, s.CutShort = names(o.Unfinished), names(o.CutShort())
	if len(e.Leads) > 1 {
		s.Sweep = score.Sweep(cells, e.SLO)
	}
	return s
}

func (o *Outcome) trace(name string) score.Trace {
	return score.Trace{
		Name: name, Requests: uint64(o.Facts.Requests), Duration: o.Facts.Span.Seconds(),
		MeanRate: o.Facts.MeanRate(), PeakRate: o.Facts.PeakRate,
		MeanInputTokens: o.Facts.MeanPrompt, MeanOutputTokens: o.Facts.MeanOutput,
	}
}

// frontier is where each policy but the oracle stands, by its lead time.
func frontier(cells []score.Cell) []score.Point {
	var points []score.Point
	for _, c := range cells {
		if c.Policy != Oracle {
			points = append(points, c.Point("lead time "+seconds(c.LeadTime).String()))
		}
	}
	return score.Frontier(points)
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

// Report is the outcome as the page shows it.
func (o *Outcome) Report(e Experiment, l Labels) report.Report {
	r := report.Report{
		Title: l.Title, Command: l.Command, Version: l.Version, Currency: l.Currency, Setup: l.Facts,
		Trace: o.trace(e.Load.Name), SLO: e.SLO, Cells: o.Cells(), Runs: o.Pictures, Titles: map[string]string{}, Missing: o.Missing(),
	}
	for _, d := range Descriptions() {
		r.Titles[d.Name] = d.Summary
	}
	return r
}
