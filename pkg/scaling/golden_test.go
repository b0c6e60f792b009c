package scaling_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Scenarios are told in testdata/*.txt; beside each, in *.golden, stands how the planner explains what it decides.
func TestScenariosExplainThemselves(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text))
			golden := strings.TrimSuffix(file, ".txt") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run with -update to accept (-want +got):\n%s", diff)
			}
		})
	}
}

// play goes through a scenario, one command a line, and returns it with what was decided.
func play(t *testing.T, text string) string {
	var out strings.Builder
	var l *line
	for n, command := range strings.Split(strings.TrimSpace(text), "\n") {
		if strings.HasPrefix(command, "#") {
			fmt.Fprintln(&out, command)
			continue
		}
		words := append(strings.Fields(command), "", "")
		number := func(i int) float64 {
			x, err := strconv.ParseFloat(words[i], 64)
			if err != nil {
				t.Fatalf("line %d, %q: %v", n+1, command, err)
			}
			return x
		}
		switch words[0] {
		case "start":
			l = newLine(t, config(), int(number(1)))
		case "load": // requests/s, ticks
			l.ticks(int(number(2)), number(1))
		case "follow", "leave":
			l.follow = words[0] == "follow"
		case "scale":
			l.scale(int32(number(1)))
		case "unschedulable":
			for range int(number(1)) {
				l.add(scaling.Unschedulable, l.now)
				l.desired++
			}
		case "schedule":
			for _, p := range l.pods {
				if p.Phase == scaling.Unschedulable {
					p.Phase, p.Scheduled, p.Started = scaling.Starting, l.now, l.now
				}
			}
		case "freeze", "thaw":
			for _, p := range l.pods {
				if words[1] == "all" || words[1] == p.Name {
					p.frozen = words[0] == "freeze"
				}
			}
		case "show":
			fmt.Fprintf(&out, "%v: %s\n", l.now.Sub(t0), told(l.last))
			continue
		default:
			t.Fatalf("line %d: unknown command %q", n+1, command)
		}
		fmt.Fprintf(&out, "> %s\n", command)
	}
	return out.String()
}

// told is a decision for people.
func told(d scaling.Decision) string {
	s := fmt.Sprintf("%d -> %d %s", d.Current, d.Replicas, d.Reason)
	if d.Blind {
		s += " (blind)"
	}
	if d.Limited {
		s += fmt.Sprintf(" (limited, %d needed)", d.Needed)
	}
	for _, x := range d.Steps {
		s += fmt.Sprintf("\n    %-14s %3d  %s", x.Stage, x.Replicas, x.Text)
	}
	return s
}
