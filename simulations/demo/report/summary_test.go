package report_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/simulations/demo/report"
)

func policy(name string, attainment, gpuSeconds float64) report.Policy {
	return report.Policy{Name: name, Outcome: report.Outcome{
		Requests: 1000, Errors: 2, Attainment: attainment, P50TTFT: 0.25, P99TTFT: 3.5, GPUSeconds: gpuSeconds, ScaleEvents: 7,
	}}
}

func TestReading(t *testing.T) {
	const rule = " (better is: more attained for at most 1.1 times the GPU-seconds, or as much, within 0.2 points, for fewer)."
	tests := map[string]struct {
		policies []report.Policy
		want     string
	}{
		"it beats both": {
			[]report.Policy{policy("hpa-queue", 0.80, 1000), policy("hpa-running", 0.95, 2000), policy("preheat", 0.99, 1050)},
			"Preheat attained 99.00 %, 19.00 points more than hpa-queue for 1.05 times its GPU-seconds and " +
				"4.00 points more than hpa-running for 0.53 times its GPU-seconds; it was better than hpa-queue and hpa-running" + rule,
		},
		"it attains more, but for too much": {
			[]report.Policy{policy("hpa-queue", 0.80, 1000), policy("preheat", 0.99, 1101)},
			"Preheat attained 99.00 %, 19.00 points more than hpa-queue for 1.10 times its GPU-seconds; it was not better than hpa-queue" + rule,
		},
		"it attains less, and costs more": {
			[]report.Policy{policy("hpa-queue", 0.99, 1000), policy("hpa-running", 0.70, 1000), policy("preheat", 0.90, 1050)},
			"Preheat attained 90.00 %, 9.00 points less than hpa-queue for 1.05 times its GPU-seconds and " +
				"20.00 points more than hpa-running for 1.05 times its GPU-seconds; it was better than hpa-running and not better than hpa-queue" + rule,
		},
		"it attains the same for the same": {
			[]report.Policy{policy("hpa-queue", 0.99, 1000), policy("preheat", 0.99, 1000)},
			"Preheat attained 99.00 %, the same as hpa-queue for 1.00 times its GPU-seconds; it was not better than hpa-queue" + rule,
		},
		"a rival that cost nothing is no divisor": {
			[]report.Policy{policy("hpa-queue", 0.5, 0), policy("preheat", 0.6, 10)},
			"Preheat attained 60.00 %, 10.00 points more than hpa-queue; it was not better than hpa-queue" + rule,
		},
		"there is no rival": {
			[]report.Policy{policy("preheat", 0.99, 1000)},
			"There is nothing to compare: preheat attained 99.00 % for 1000 GPU-seconds.",
		},
		"nothing ran": {nil, "There is nothing to compare: no policy ran."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			run := report.Run{Policies: test.policies}
			if diff := cmp.Diff(test.want, run.Reading()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBeats(t *testing.T) {
	rival := report.Outcome{Attainment: 0.95, GPUSeconds: 1000}
	tests := map[string]struct {
		attainment, gpuSeconds float64
		want                   bool
	}{
		"more for the same":                         {0.96, 1000, true},
		"more for a tenth above":                    {0.96, 1100, true},
		"more for above a tenth above":              {0.99, 1101, false},
		"0.1 points less for fewer":                 {0.949, 999, true},
		"0.3 points less for far fewer":             {0.947, 100, false},
		"the same for the same":                     {0.95, 1000, false},
		"0.1 points less for as many":               {0.949, 1000, false},
		"more for fewer, which is what it is about": {0.99, 800, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := report.Outcome{Attainment: test.attainment, GPUSeconds: test.gpuSeconds}
			if got := o.Beats(rival); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestDoubt(t *testing.T) {
	tests := map[string]struct {
		machine report.Machine
		want    string // part of the text; empty: no doubt
	}{
		"an idle machine":                       {report.Machine{Busy: 0.4, Saturated: 0.02, Cores: 2}, ""},
		"a machine of which nothing is known":   {report.Machine{Busy: -1, Saturated: 1, LateP99: time.Millisecond}, ""},
		"cores that are full much of the time":  {report.Machine{Busy: 0.9, Saturated: 0.5, Cores: 2}, "2 cores were fully busy in 50 %"},
		"a driver that cannot keep up":          {report.Machine{Busy: 0.4, LateP99: 2 * time.Second}, "fell behind the trace by 2.00 s"},
		"unknown cores, a driver left far back": {report.Machine{Busy: -1, LateP99: 300 * time.Millisecond}, "fell behind the trace by 0.30 s"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			run := report.Run{Machine: test.machine}
			got := run.Doubt()
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q in it", got, test.want)
			}
		})
	}
}

func TestSummaryHasTheKeysThatAreJudged(t *testing.T) {
	run := report.Run{
		Policies: []report.Policy{policy("hpa-queue", 0.8, 100), policy("hpa-running", 0.9, 200), policy("preheat", 0.99, 150)},
		Machine:  report.Machine{Busy: 0.5, LateP99: 2 * time.Millisecond},
		Settings: report.Settings{Trace: "a.csv", Seed: 7},
	}
	var text strings.Builder
	if err := run.Summary().WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got map[string]map[string]any
	if err := json.Unmarshal([]byte(text.String()), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"requests": 1000.0, "errors": 2.0, "attainment": 0.99, "p50_ttft_s": 0.25, "p99_ttft_s": 3.5, "gpu_seconds": 150.0, "scale_events": 7.0,
	}
	if diff := cmp.Diff(want, got["policies"]["preheat"]); diff != "" {
		t.Error(diff)
	}
	if len(got) != 2 || len(got["policies"]) != 3 {
		t.Errorf("got keys %v, want policies (3) and settings", got)
	}
	if busy, seed := got["settings"]["machine_busy"], got["settings"]["seed"]; busy != 0.5 || seed != 7.0 {
		t.Errorf("got machine_busy %v and seed %v", busy, seed)
	}
}

func TestTable(t *testing.T) {
	run := report.Run{Policies: []report.Policy{policy("hpa-queue", 0.8, 100), policy("preheat", 0.9876, 150)}}
	var got strings.Builder
	if err := run.WriteTable(&got); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"     policy  requests  errors  SLO attained  TTFT p50  TTFT p99  GPU-seconds  scale events\n" +
		"  hpa-queue      1000       2       80.00 %    0.25 s    3.50 s          100             7\n" +
		"    preheat      1000       2       98.76 %    0.25 s    3.50 s          150             7\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestBinUp(t *testing.T) {
	arrivals := []report.Arrival{{T: -1}, {T: 0, TTFT: 1}, {T: 1.9, TTFT: 3, Missed: true}, {T: 2, TTFT: 0.5}, {T: 4.5, Missed: true}, {T: 5}}
	want := []report.Bin{
		{From: 0, To: 2, Arrived: 2, Missed: 1, WorstTTFT: 3},
		{From: 2, To: 4, Arrived: 1, WorstTTFT: 0.5},
		{From: 4, To: 5, Arrived: 2, Missed: 1},
	}
	bins := report.BinUp(arrivals, 5, 2)
	if diff := cmp.Diff(want, bins); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]report.Point{{T: 1, V: 1}, {T: 3, V: 0.5}, {T: 4.5, V: 2}}, report.Rate(bins)); diff != "" {
		t.Error(diff)
	}
	if got := report.BinUp(arrivals, 0, 2); got != nil {
		t.Errorf("a run of no length has bins: %v", got)
	}
}
