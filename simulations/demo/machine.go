package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/preheat-autoscaler/preheat/simulations/demo/report"
)

// fullyBusy is the share of a second's time of all cores from which latencies are the machine's and not the engine's.
const fullyBusy = 0.97

// machine watches how busy the machine is. It knows nothing where there is no /proc/stat.
type machine struct {
	last, first ticks
	seconds     int
	full        int
}

// ticks is time of all cores together, in the kernel's unit.
type ticks struct{ busy, all uint64 }

// look takes note of the time since the last look.
func (m *machine) look() {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return
	}
	now, err := parseStat(string(text))
	if err != nil {
		return
	}
	if m.first == (ticks{}) {
		m.first, m.last = now, now
		return
	}
	m.seconds++
	if now.since(m.last) >= fullyBusy {
		m.full++
	}
	m.last = now
}

// parseStat reads the line of all cores: user, nice, system, idle, iowait, irq, softirq, steal and time of guests,
// which user has already.
func parseStat(text string) (ticks, error) {
	var v [8]uint64
	line, _, _ := strings.Cut(text, "\n")
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]); err != nil {
		return ticks{}, fmt.Errorf("parse /proc/stat: %w", err)
	}
	var t ticks
	for i, n := range v {
		t.all += n
		if i != 3 && i != 4 {
			t.busy += n
		}
	}
	return t, nil
}

// since is the share of time that was busy after an earlier moment, 0 if there was none.
func (t ticks) since(earlier ticks) float64 {
	if t.all <= earlier.all || t.busy < earlier.busy {
		return 0
	}
	return float64(t.busy-earlier.busy) / float64(t.all-earlier.all)
}

// result sums up what was seen.
func (m *machine) result() report.Machine {
	out := report.Machine{Busy: -1, Cores: runtime.NumCPU()}
	if m.seconds > 0 {
		out.Busy, out.Saturated = m.last.since(m.first), float64(m.full)/float64(m.seconds)
	}
	return out
}
