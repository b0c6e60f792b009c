package report

import (
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// weighing records one decision a minute, with these break-evens, and returns the page's run and its columns.
func weighing(list ...scaling.BreakEven) (pageRun, []string) {
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	r := NewRecorder(Options{Policy: Preheat, Lead: time.Minute, Start: start})
	for i, b := range list {
		at := start.Add(time.Duration(i) * time.Minute)
		r.Decided("", scaling.Decision{Time: at, Current: 1, Replicas: 1, Reason: scaling.DemandMet, BreakEven: b}, baseline.Gateway{})
	}
	p := newPage(&Report{Runs: []Run{r.Run()}}, bounds{bins: 3, decisions: 8})
	columns := make([]string, len(p.Columns.list))
	for i, c := range p.Columns.list {
		columns[i] = string(c)
	}
	return p.Runs[0], columns
}

// knownOf are the values of a column that are known.
func knownOf(column string) string {
	var out []string
	for x := range strings.SplitSeq(strings.Trim(column, "[]"), ",") {
		if x != "null" {
			out = append(out, x)
		}
	}
	return strings.Join(out, ",")
}

func TestThePageTellsTheBreakEvenHoweverFewDecisionsItShows(t *testing.T) {
	list := make([]scaling.BreakEven, 100)
	no := scaling.BreakEven{Quiet: 6 * time.Minute, Expected: time.Minute, Load: 2 * time.Minute, Wait: time.Second, Late: 3, Spare: 1}
	list[51], list[52] = no, no
	list[52].Pays = true
	run, columns := weighing(list...)
	if n := len(run.Log.Steps); n > 8 {
		t.Fatalf("%d decisions are shown", n)
	}
	for name, want := range map[string]string{"quiet": "360,360", "expected": "60,60", "load": "120,120", "wait": "1,1", "late": "3,3", "spare": "1,1", "pays": "0,1"} {
		column := columns[run.Log.Columns[name]]
		if got := knownOf(column); got != want {
			t.Errorf("%s: %s, want %s in %s", name, got, want, column)
		}
	}
}

func TestThePageSaysNothingOfABreakEvenThatNobodyWeighed(t *testing.T) {
	run, _ := weighing(make([]scaling.BreakEven, 5)...)
	if _, there := run.Log.Columns["quiet"]; there {
		t.Error("there is a column of silences")
	}
}
