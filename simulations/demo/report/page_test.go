package report_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/simulations/demo/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// example is a small run with a bit of everything.
func example() *report.Run {
	demand := []report.Point{{T: 5, V: 10}, {T: 15, V: 20}, {T: 25, V: 40}, {T: 35, V: 30}}
	misses := []report.Bin{{From: 0, To: 20, Arrived: 300}, {From: 20, To: 40, Arrived: 700, Missed: 140, WorstTTFT: 7.25}}
	return &report.Run{
		Settings: report.Settings{
			Trace: "chat <trace>.csv", Compress: 10, Scale: 0.5, Seed: 3, Profile: "big", GPUsPerReplica: 4, LoadTimeSeconds: 30,
			MinReplicas: 2, MaxReplicas: 12, InitialReplicas: 4, TTFTSeconds: 2, TPOTSeconds: 0.1, HPASyncSeconds: 1.5,
			StabilizationSeconds: 30, DecisionIntervalSeconds: 1.5, ScrapeIntervalSeconds: 0.5,
		},
		Length: 40, Offered: demand,
		Machine: report.Machine{Busy: 0.5, Cores: 2, LateP99: 3 * time.Millisecond},
		Policies: []report.Policy{
			{
				Name: "hpa-queue", Title: "HPA on waiting requests", Outcome: report.Outcome{Requests: 1000, Attainment: 0.86, GPUSeconds: 640, P99TTFT: 7},
				Desired: []report.Point{{T: -3, V: 4}, {T: 22, V: 8}}, Ready: []report.Point{{T: -3, V: 4}}, Bins: misses,
			},
			{
				Name: "preheat", Title: "Preheat", Outcome: report.Outcome{Requests: 1000, Attainment: 0.995, GPUSeconds: 700, P99TTFT: 1},
				Desired: []report.Point{{T: -3, V: 4}, {T: 4, V: 7}}, Ready: []report.Point{{T: -3, V: 4}, {T: 34, V: 7}},
				Bins: []report.Bin{{From: 0, To: 40, Arrived: 1000}}, Forecast: []report.Point{{T: 20, V: 35}, {T: 38, V: 36}, {T: 50, V: 99}},
				Capacity: 6, Decisions: []report.Decision{{
					T: 4, From: 4, To: 7, Reason: "ForecastDemand", Text: "36 requests/s are expected & need 7",
					Steps: []string{"observe: 4 ready", "forecast: 36 > 24"},
				}},
			},
		},
	}
}

func render(t *testing.T, run *report.Run) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := run.WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPageIsTheGoldenOne(t *testing.T) {
	got := render(t, example())
	golden := filepath.Join("testdata", "page.html")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run with -update if this is meant:\n%s", diff)
	}
}

func TestPageNeedsNothingElse(t *testing.T) {
	page := string(render(t, example()))
	for _, forbidden := range []string{"http://", "https://", "src=", "<link", "@import", "url(", "<script"} {
		if strings.Contains(page, forbidden) {
			t.Errorf("the page contains %q", forbidden)
		}
	}
}

func TestPageEscapesWhatItShows(t *testing.T) {
	page := string(render(t, example()))
	if strings.Contains(page, "<trace>") || !strings.Contains(page, "chat &lt;trace&gt;.csv") {
		t.Error("the trace's name is not escaped")
	}
	if got := strings.Count(page, "are expected &amp; need 7"); got != 2 { // in the picture and in the log
		t.Errorf("the reason stands escaped %d times, want 2", got)
	}
}

func TestPageOfARunThatWasCutShort(t *testing.T) {
	for name, run := range map[string]*report.Run{
		"no policy at all":  {Machine: report.Machine{Busy: -1}},
		"nothing was sent":  {Length: 0, Policies: []report.Policy{{Name: "preheat", Title: "Preheat"}}},
		"no replica at all": {Length: 10, Offered: []report.Point{{T: 1, V: 5}}, Policies: []report.Policy{{Name: "hpa-queue"}}},
	} {
		t.Run(name, func(t *testing.T) {
			page := string(render(t, run))
			if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") || !strings.Contains(page, "</html>") {
				t.Errorf("the page is broken:\n%s", page)
			}
		})
	}
}
