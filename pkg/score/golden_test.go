package score_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/score"
)

var update = flag.Bool("update", false, "write the golden files anew")

// comparison is two policies and the oracle under two lead times and three seeds.
func comparison() []score.Cell {
	return compared([]string{"preheat", "oracle", "hpa-queue"}, 3, 30*time.Second, 2*time.Minute)
}

func compared(policies []string, seeds uint64, leads ...time.Duration) []score.Cell {
	var scores []score.Score
	for i, policy := range policies {
		for seed := range seeds {
			for _, lead := range leads {
				o := options(policy)
				o.Seed, o.LeadTime = seed+1, lead
				c := score.NewCollector(o)
				scores = append(scores, c.Score(tell(10*uint64(i)+seed, 100+int(lead.Seconds()), c)))
			}
		}
	}
	return score.Compare(scores, "oracle")
}

func summary() score.Summary {
	cells := compared([]string{"preheat", "oracle"}, score.FewestSeeds, 2*time.Minute)
	return score.Summary{
		Command:  "preheatctl replay --trace day.csv",
		Settings: map[string]string{"profile": "llama-3.1-8b-h100", "timeout": "30s"},
		Trace:    score.Trace{Name: "day.csv", Requests: 220, Duration: 220, MeanRate: 1},
		SLO:      slo.Objectives(), Seeds: []uint64{1, 2, 3}, LeadTimes: []float64{120}, Oracle: "oracle",
		Policies: score.ByPolicy(cells, slo), Sweep: score.Sweep(cells, slo),
		Frontier: score.Frontier([]score.Point{cells[0].Point("120s"), cells[1].Point("120s")}),
	}
}

func TestWhatIsWritten(t *testing.T) {
	for file, write := range map[string]func(*bytes.Buffer) error{
		"summary.json":   func(b *bytes.Buffer) error { return summary().WriteJSON(b) },
		"comparison.csv": func(b *bytes.Buffer) error { return score.WriteCSV(b, comparison(), slo) },
		"table.txt":      func(b *bytes.Buffer) error { return score.WriteTable(b, comparison(), slo) },
		"one-seed.txt": func(b *bytes.Buffer) error {
			return score.WriteTable(b, score.Compare(comparison()[0].Runs[:1], ""), slo)
		},
		"sweep.txt": func(b *bytes.Buffer) error {
			return score.WriteSweep(b, score.Sweep(comparison(), score.SLO{Attainment: 0.15}))
		},
	} {
		t.Run(file, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", file)
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("run with -update to accept (-want +got):\n%s", diff)
			}
		})
	}
}

func TestASummaryReadsBackAsItWas(t *testing.T) {
	var text bytes.Buffer
	if err := summary().WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got score.Summary
	d := json.NewDecoder(bytes.NewReader(text.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := got.WriteJSON(&again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text.String(), again.String()); diff != "" || got.Version != score.Version {
		t.Errorf("version %d (-want +got):\n%s", got.Version, diff)
	}
}

func TestTablesFitATerminal(t *testing.T) {
	cells := comparison()
	for i := range cells {
		cells[i].Policy += strings.Repeat("x", 20)
	}
	var text bytes.Buffer
	if err := score.WriteTable(&text, cells, slo); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(rows) != len(cells)+1 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		if len(row) > score.TableWidth || strings.ContainsFunc(row, func(r rune) bool { return r > '~' || r < ' ' }) {
			t.Errorf("%d columns: %q", len(row), row)
		}
	}
	for _, head := range []string{"POLICY", "ATTAINED", "GPU-HOURS", "ORACLE"} {
		if !strings.Contains(rows[0], head) {
			t.Errorf("%s was left out of %q", head, rows[0])
		}
	}
}
