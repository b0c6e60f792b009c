package scenarios_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// expect checks a figure of the whole run, a count of replicas at every moment of a window, or the reasons in one.
func (w *world) expect(c *command) (string, error) {
	t := w.ran(c)
	from, to := t.journal.window(c)
	if what := c.word(1); what == "reason" {
		return "", t.journal.expectReason(scaling.Reason(c.word(2)), from, to)
	} else if count, ok := counts[what]; ok {
		return "", t.journal.expectCount(c, count, from, to)
	}
	if c.pairs["from"] != "" || c.pairs["to"] != "" {
		return "", t.journal.expectAttainment(c, from, to)
	}
	return "", t.expectFigure(c)
}

// expectAttainment checks the share of the requests that came in the window and met both objectives.
func (j *journal) expectAttainment(c *command, from, to time.Duration) error {
	if c.word(1) != "attainment" {
		fail("of a part of a run only the attainment is known")
	}
	var all, met float64
	for _, r := range j.requests {
		if r.arrival >= from && r.arrival < to {
			all++
			if r.met {
				met++
			}
		}
	}
	if all == 0 {
		return fmt.Errorf("no request came between %v and %v", from, to)
	}
	return bounded(met/all, c)
}

func (t *target) expectFigure(c *command) error {
	i := slices.IndexFunc(score.Figures(), func(f score.Figure) bool { return f.Name == c.word(1) })
	if i < 0 {
		fail("there is no figure %q", c.word(1))
	}
	got, ok := score.Figures()[i].Of(t.score)
	if !ok {
		return fmt.Errorf("the run has no such figure")
	}
	return bounded(got, c)
}

// bounded checks a figure against the operator and the bound of a command.
func bounded(got float64, c *command) error {
	if !holds(got, c.word(2), number(c.word(3))) {
		return fmt.Errorf("it is %.4g", got)
	}
	return nil
}

var counts = map[string]func(replay.Census) int32{
	"desired":       func(c replay.Census) int32 { return c.Desired },
	"starting":      func(c replay.Census) int32 { return c.Starting },
	"ready":         func(c replay.Census) int32 { return c.Ready },
	"draining":      func(c replay.Census) int32 { return c.Draining },
	"unschedulable": func(c replay.Census) int32 { return c.Unschedulable },
	"standby":       func(c replay.Census) int32 { return c.Standby },
	"asleep":        func(c replay.Census) int32 { return c.Asleep },
}

// expectCount checks every census that holds at a moment of the window.
func (j *journal) expectCount(c *command, count func(replay.Census) int32, from, to time.Duration) error {
	seen := 0
	for i, x := range j.censuses {
		until := j.end
		if i+1 < len(j.censuses) {
			until = j.censuses[i+1].At
		}
		if x.At >= to || until <= from {
			continue
		}
		seen++
		if n := count(x); !holds(float64(n), c.word(2), number(c.word(3))) {
			return fmt.Errorf("it is %d at %v", n, max(x.At, from).Round(time.Second))
		}
	}
	if seen == 0 {
		return fmt.Errorf("the run has no moment between %v and %v", from, to)
	}
	return nil
}

func (j *journal) expectReason(want scaling.Reason, from, to time.Duration) error {
	seen := 0
	for _, d := range j.decisions {
		if at(d) < from || at(d) > to {
			continue
		}
		if seen++; d.Reason != want {
			return fmt.Errorf("it is %s at %v", d.Reason, at(d))
		}
	}
	if seen == 0 {
		return fmt.Errorf("there was no decision between %v and %v", from, to)
	}
	return nil
}

func holds(got float64, operator string, bound float64) bool {
	switch operator {
	case "<":
		return got < bound
	case "<=":
		return got <= bound
	case ">":
		return got > bound
	case ">=":
		return got >= bound
	case "=":
		return got == bound
	}
	fail("no comparison %q", operator)
	return false
}
