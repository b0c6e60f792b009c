package scenarios_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// window reads the pairs from and to; without them it is the whole run.
func (j *journal) window(c *command) (from, to time.Duration) {
	to = j.end
	c.duration("from", &from)
	c.duration("to", &to)
	return from, to
}

// at is the time of a decision since the start.
func at(d scaling.Decision) time.Duration { return d.Time.Sub(monday).Round(time.Second) }

// decisions shows those that changed the replicas asked for, with the last step that did.
func (w *world) decisions(c *command) string {
	j := w.ran(c).journal
	from, to := j.window(c)
	var out strings.Builder
	for _, d := range j.decisions {
		if t := at(d); t >= from && t <= to && d.Replicas != d.Current {
			fmt.Fprintf(&out, "%7v %3d -> %-3d %s%s\n", t, d.Current, d.Replicas, d.Reason, because(d))
		}
	}
	if out.Len() == 0 {
		return "no change\n"
	}
	return out.String()
}

// because is the step that made the number what it is.
func because(d scaling.Decision) string {
	for _, s := range d.Steps {
		if s.Replicas == d.Replicas {
			return "; " + s.String()
		}
	}
	return ""
}

// decision shows the first one at or after a time.
func (w *world) decision(c *command) string {
	j := w.ran(c).journal
	d := j.decisionAt(c)
	var out strings.Builder
	fmt.Fprintf(&out, "%v: %d -> %d %s", at(d), d.Current, d.Replicas, d.Reason)
	if d.Blind {
		out.WriteString(" (blind)")
	}
	if d.Limited {
		fmt.Fprintf(&out, " (limited, %d needed)", d.Needed)
	}
	out.WriteString("\n")
	for _, s := range d.Steps {
		number := "-"
		if s.Replicas >= 0 {
			number = fmt.Sprint(s.Replicas)
		}
		fmt.Fprintf(&out, "  %-13s %2s  %s\n", s.Stage, number, s.Text)
	}
	for _, u := range d.Unseen {
		fmt.Fprintf(&out, "  unseen: %s\n", u)
	}
	return out.String()
}

func (j *journal) decisionAt(c *command) scaling.Decision {
	when := time.Duration(-1)
	c.duration("at", &when)
	if when < 0 {
		fail("say when: at=12m")
	}
	for _, d := range j.decisions {
		if at(d) >= when {
			return d
		}
	}
	fail("there was no decision after %v", when)
	return scaling.Decision{}
}

// forecast shows what a decision expected of demand, and what came.
func (w *world) forecast(c *command) string {
	t := w.ran(c)
	d := t.journal.decisionAt(c)
	f := d.Forecast
	if !f.Known() {
		return fmt.Sprintf("%v: no forecast\n", at(d))
	}
	due := at(d) + f.Horizon
	came := t.meanRate(due-15*time.Second, due+15*time.Second)
	return fmt.Sprintf("%v: %.1f requests/s now; %.1f expected at %v, %.0f%% quantile %.1f, by %s; the load then was %.1f\n",
		at(d), d.Demand, f.Point, due.Round(time.Second), 100*f.Quantile, f.Upper, f.Model, came)
}
