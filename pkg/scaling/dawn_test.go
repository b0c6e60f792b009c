package scaling_test

import (
	"strings"
	"testing"
	"time"
)

// A morning is learned from one: the next day a replica is ready when its first request comes, and where none comes it goes
// again.
func TestTheMorningFindsAReplica(t *testing.T) {
	l := zeroLine(t)
	opening := t0.Add(3 * time.Hour)
	for l.now.Before(opening) {
		l.tick(0)
	}
	if l.desired != 0 {
		t.Fatalf("not at zero before the first morning: %s", explain(l.last))
	}
	l.ticks(20, 0.02)
	l.ticks(480, 1)
	for l.now.Before(opening.Add(23 * time.Hour)) {
		l.tick(0)
	}
	l.want(0, "Idle")
	var ordered time.Time
	for l.now.Before(opening.Add(24 * time.Hour)) {
		if l.tick(0); l.desired > 0 && ordered.IsZero() {
			ordered = l.now
			if !strings.Contains(explain(l.last), "on the days before") {
				t.Errorf("why is it woken? %s", explain(l.last))
			}
		}
	}
	if early := opening.Add(24 * time.Hour).Sub(ordered); l.last.Ready != 1 || early < 2*time.Minute || early > 15*time.Minute {
		t.Errorf("ordered %v before the morning, %d ready then", early, l.last.Ready)
	}
	if took := l.until(time.Hour); took < 2*time.Minute {
		t.Errorf("nobody came, and it went after %v", took)
	}
	for l.now.Before(opening.Add(26 * time.Hour)) {
		if l.tick(0); l.desired > 0 {
			t.Fatalf("woken %v after the time: %s", l.now.Sub(opening.Add(24*time.Hour)), explain(l.last))
		}
	}
}
