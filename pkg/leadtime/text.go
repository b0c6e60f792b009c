package leadtime

import (
	"fmt"
	"strings"
	"time"
)

// String tells an estimate to a person: "2m1s (P90 2m30s) from 14 starts: scheduling 1 s, image 4 s, load 1m36s".
func (e Estimate) String() string {
	whole := fmt.Sprintf("%s (P90 %s)", readable(e.P50), readable(e.P90))
	switch e.Source {
	case Override:
		return readable(e.P50) + " as the spec says"
	case Prior:
		return whole + " assumed: no start has been seen yet"
	case Measured:
		return fmt.Sprintf("%s from %s: %s", whole, count(e.Samples, "start"), strings.Join(e.parts(), ", "))
	}
	return "unknown"
}

// parts are the phases, each in its words.
func (e Estimate) parts() []string {
	parts := []string{
		"scheduling " + readable(e.Scheduling.P50) + apart(e.Made, e.Nodes, "with a new node"),
		"image " + readable(e.Startup.P50) + apart(e.Pulled, e.Pulls, "where pulled"),
		"load " + readable(e.Loading.P50),
	}
	if e.WarmUp.P50 >= time.Second {
		parts = append(parts, "warm-up "+readable(e.WarmUp.P50))
	}
	if e.Waits > 0 {
		parts = append(parts, fmt.Sprintf("not counting %s without a GPU in %s", readable(e.WithoutGPU.P50), count(e.Waits, "start")))
	}
	return parts
}

// apart tells what a phase takes under a circumstance of its own, if there was one.
func apart(p Phase, n int, when string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s %s, %d of them)", readable(p.P50), when, n)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// readable tells a time in seconds, and minutes where there are any.
func readable(d time.Duration) string {
	if d = d.Round(time.Second); d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	return d.String()
}
