package score

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// zeroTaker follows what becomes of a target that may be without a replica.
type zeroTaker struct {
	waits firstTokens
	// weighed is what the last decision's break-even said: nothing, no or yes.
	weighed       verdict
	refused, paid int
}

type verdict uint8

const (
	unasked verdict = iota
	refused
	agreed
)

// ended takes a request.
func (z *zeroTaker) ended(r replay.Request) {
	if r.Unready {
		z.waits.take(r)
	}
}

// decided takes what a decision was weighed by. What goes on being said counts once.
func (z *zeroTaker) decided(b *scaling.BreakEven) {
	now := unasked
	switch {
	case b.Weighed() && b.Pays:
		now = agreed
	case b.Weighed():
		now = refused
	}
	if now == refused && z.weighed != refused {
		z.refused++
	}
	if now == agreed && z.weighed != agreed {
		z.paid++
	}
	z.weighed = now
}

// score sums up, for a target that was vacant for so long.
func (z *zeroTaker) score(t replay.Total, vacant time.Duration, gpus float64) *Zero {
	return &Zero{
		Seconds: vacant.Seconds(), Saved: vacant.Hours() * gpus, Wakes: t.Wakes, Foreseen: t.Foreseen, Needless: t.Needless,
		Requests: z.waits.had.Count() + z.waits.vain, Wait: z.waits.latency(), Refused: z.refused, Paid: z.paid,
	}
}

// zeroFigures are those of targets that may be without a replica.
func zeroFigures() []Figure {
	of := func(name string, value func(*Zero) float64) Figure {
		return Figure{name, func(s Score) (float64, bool) {
			if s.Zero == nil {
				return 0, false
			}
			return value(s.Zero), true
		}}
	}
	wait := func(s Score) *Latency {
		if s.Zero == nil {
			return nil
		}
		return s.Zero.Wait
	}
	return []Figure{
		of("zero_s", func(z *Zero) float64 { return z.Seconds }),
		of("zero_gpu_hours_saved", func(z *Zero) float64 { return z.Saved }),
		of("zero_wakes", func(z *Zero) float64 { return float64(z.Wakes) }),
		of("zero_foreseen", func(z *Zero) float64 { return float64(z.Foreseen) }),
		of("zero_needless", func(z *Zero) float64 { return float64(z.Needless) }),
		of("zero_requests", func(z *Zero) float64 { return float64(z.Requests) }),
		{"zero_wait_p50_s", p50(wait)},
		{"zero_wait_p99_s", p99(wait)},
		{"zero_wait_max_s", distribution(wait).figure(func(l Latency) float64 { return l.Max })},
		of("zero_refused", func(z *Zero) float64 { return float64(z.Refused) }),
		of("zero_paid", func(z *Zero) float64 { return float64(z.Paid) }),
	}
}

// MayBeZero reports whether any of the cells is of a target that may be without a replica.
func MayBeZero(cells []Cell) bool {
	return slices.ContainsFunc(cells, func(c Cell) bool { _, ok := c.Value("zero_s"); return ok })
}

// WriteZero writes what it was worth to be without a replica, one line a cell as WriteTable does.
func WriteZero(w io.Writer, cells []Cell) error {
	cs := []column[Cell]{
		{head: "POLICY", left: true, cell: func(c Cell) string { return c.Policy }},
		{head: "TARGET", left: true, cell: func(c Cell) string { return c.Target }},
	}
	if severalLeadTimes(cells) {
		cs = append(cs, column[Cell]{head: "LEAD", cell: func(c Cell) string { return duration(c.LeadTime) }})
	}
	cs = append(cs,
		column[Cell]{head: "AT-ZERO", cell: mean("zero_s", func(s float64) string { return fmt.Sprintf("%.1fh", s/3600) })},
		column[Cell]{head: "SAVED", cell: mean("zero_gpu_hours_saved", Amount)},
		column[Cell]{head: "WAKES", cell: mean("zero_wakes", tally)},
		column[Cell]{head: "FORESEEN", cell: foreseen},
		column[Cell]{head: "NEEDLESS", cell: mean("zero_needless", tally)},
		column[Cell]{head: "WAITED", cell: mean("zero_requests", tally)},
		column[Cell]{head: "WAIT-P50", cell: mean("zero_wait_p50_s", duration)},
		column[Cell]{head: "WAIT-P99", cell: mean("zero_wait_p99_s", duration)},
		column[Cell]{head: "LONGEST", cell: mean("zero_wait_max_s", duration)},
		column[Cell]{head: "PAID", cell: weighed("zero_paid")},
		column[Cell]{head: "REFUSED", cell: weighed("zero_refused")},
	)
	if _, err := io.WriteString(w, render(cs, cells)); err != nil {
		return fmt.Errorf("write table of zero: %w", err)
	}
	return nil
}

// foreseen is the share of wakes that the first request found ready, of those after or before which one came.
func foreseen(c Cell) string {
	n, _ := c.Value("zero_foreseen")
	needless, _ := c.Value("zero_needless")
	all, ok := c.Value("zero_wakes")
	if !ok || all <= needless {
		return ""
	}
	return fmt.Sprintf("%.0f%%", 100*n/(all-needless))
}

// weighed writes a count of break-evens, empty of a policy that weighs none.
func weighed(figure string) func(Cell) string {
	return func(c Cell) string {
		paid, _ := c.Value("zero_paid")
		no, ok := c.Value("zero_refused")
		if !ok || paid+no == 0 {
			return ""
		}
		return mean(figure, tally)(c)
	}
}
