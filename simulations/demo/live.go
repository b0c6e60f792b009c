package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/preheat-autoscaler/preheat/simulations/demo/ledger"
	"github.com/preheat-autoscaler/preheat/simulations/loadgen"
)

// rateWindow is what the offered rate is averaged over.
const rateWindow = 10 * time.Second

// status is one line of the live table.
type status struct {
	policy         string
	asked, ready   int
	waiting        string
	attained, cost string
	reason         string
}

// show draws the live table, or now and then plain lines where there is no terminal.
func (d *demo) show(n int) {
	at := time.Since(d.started)
	if !d.console.terminal {
		if n%plainEvery == 0 {
			d.console.say("%s", d.plain(at))
		}
		return
	}
	d.console.redraw(d.table(at))
}

// table is the live table for a terminal.
func (d *demo) table(at time.Duration) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%s of %s, %.1f requests/s offered to each\n", at.Round(time.Second), length(d.requests).Round(time.Second), d.offered(at))
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "policy\tasked\tready\twaiting\tattained\tGPU-seconds\treason")
	for _, l := range d.lanes {
		s := d.status(l, at)
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\t%s\n", s.policy, s.asked, s.ready, s.waiting, s.attained, s.cost, s.reason)
	}
	_ = w.Flush() // writes to memory
	return out.String()
}

// plain is the table on one line.
func (d *demo) plain(at time.Duration) string {
	parts := []string{fmt.Sprintf("%v: %.1f requests/s", at.Round(time.Second), d.offered(at))}
	for _, l := range d.lanes {
		s := d.status(l, at)
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %d/%d ready, %s waiting, %s, %s GPU-s %s", s.policy, s.ready, s.asked, s.waiting, s.attained, s.cost, s.reason)))
	}
	return strings.Join(parts, " | ")
}

func (d *demo) status(l *lane, at time.Duration) status {
	seen := l.diary.glance()
	s := status{policy: l.policy.Name, ready: l.books.Count(ledger.Serving), waiting: "?", attained: "-"}
	if desired := l.books.Desired(); len(desired) > 0 {
		s.asked = desired[len(desired)-1].Value
	}
	if seen.known {
		s.waiting = fmt.Sprintf("%.0f", seen.waiting+float64(l.router.Stats().Waiting))
	}
	if sum, err := loadgen.Summarize(l.driver.Records(), slo); err == nil {
		s.attained = fmt.Sprintf("%.2f %%", 100*sum.Attainment)
	}
	s.cost = fmt.Sprintf("%.0f", l.books.GPUSeconds(d.profile.GPUs, d.started, d.started.Add(min(at, length(d.requests)))))
	if l.policy.Metric == "" {
		s.reason = seen.reason
	}
	return s
}

// offered is the rate of arrivals lately, in requests per second.
func (d *demo) offered(at time.Duration) float64 {
	from := max(0, at-rateWindow)
	n := 0
	for _, q := range d.requests {
		if q.At > from && q.At <= at {
			n++
		}
	}
	return float64(n) / max(at-from, time.Second).Seconds()
}
