package scenarios_test

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The size of a timeline in characters: at most plotHeight rows of replicas, plotWidth columns of time.
const (
	plotWidth  = 72
	plotHeight = 10
)

// shades are ten levels from nothing to all.
const shades = " .:-=+*#%@"

// bin is what happened in one column.
type bin struct {
	ready, starting float64 // the most
	queued          float64 // the most
	arrived, missed float64
}

// timeline draws replicas over time, ready ones as # and starting ones on top of them as +, and below it demand, the
// gateway's queue and the share of requests that missed an objective, as shades.
func (w *world) timeline(c *command) string {
	j := w.ran(c).journal
	width := j.end/plotWidth + 1
	bins := j.bins(width)
	var out strings.Builder
	out.WriteString(replicas(bins))
	fmt.Fprintf(&out, "         +%s\n          %s\n", strings.Repeat("-", plotWidth), axis(width))
	demand := func(b bin) float64 { return b.arrived / width.Seconds() }
	peak := most(bins, demand)
	fmt.Fprintf(&out, "demand    %s| up to %.1f requests/s\n", shaded(bins, demand, peak), peak)
	queued := func(b bin) float64 { return b.queued }
	if peak := most(bins, queued); peak > 0 {
		fmt.Fprintf(&out, "queue     %s| up to %.0f requests\n", shaded(bins, queued, peak), peak)
	}
	missed := func(b bin) float64 { return b.missed / math.Max(1, b.arrived) }
	if peak := most(bins, missed); peak > 0 {
		fmt.Fprintf(&out, "missed    %s| up to %.1f%% of requests\n", shaded(bins, missed, 1), 100*peak)
	}
	return out.String()
}

// bins sorts what a run told into columns.
func (j *journal) bins(width time.Duration) []bin {
	bins := make([]bin, plotWidth)
	for i, c := range j.censuses {
		until := j.end
		if i+1 < len(j.censuses) {
			until = j.censuses[i+1].At
		}
		for b := c.At / width; b <= until/width; b++ {
			bins[b].ready = max(bins[b].ready, float64(c.Ready))
			bins[b].starting = max(bins[b].starting, float64(c.Ready+c.Starting))
		}
	}
	for _, r := range j.requests {
		b := &bins[r.arrival/width]
		b.arrived++
		if !r.met {
			b.missed++
		}
	}
	for i, g := range j.gateways {
		b := &bins[at(j.decisions[i])/width]
		b.queued = max(b.queued, g.Queued)
	}
	return bins
}

func replicas(bins []bin) string {
	top := most(bins, func(b bin) float64 { return b.starting })
	step := math.Ceil(math.Max(1, top) / plotHeight)
	var out strings.Builder
	for level := math.Ceil(top/step) * step; level > 0; level -= step {
		line := ""
		for _, b := range bins {
			switch {
			case b.ready > level-step:
				line += "#"
			case b.starting > level-step:
				line += "+"
			default:
				line += " "
			}
		}
		fmt.Fprintf(&out, "%8.0f |%s\n", level, strings.TrimRight(line, " "))
	}
	return out.String()
}

// axis is the times below the columns.
func axis(width time.Duration) string {
	line := ""
	for i := 0; i < plotWidth; i += 12 {
		line += fmt.Sprintf("%-12s", (time.Duration(i) * width).Round(time.Second))
	}
	return strings.TrimRight(line, " ")
}

func most(bins []bin, of func(bin) float64) float64 {
	top := 0.0
	for _, b := range bins {
		top = max(top, of(b))
	}
	return top
}

// shaded is a figure of each column as a shade; what is not zero is not blank.
func shaded(bins []bin, of func(bin) float64, top float64) string {
	line := ""
	for _, b := range bins {
		level := int(math.Ceil(of(b) / math.Max(top, 1e-9) * float64(len(shades)-1)))
		line += shades[level : level+1]
	}
	return line
}
