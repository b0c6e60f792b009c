package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDefaultOptionsAreValid(t *testing.T) {
	o, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), o); diff != "" {
		t.Error(diff)
	}
	if total := o.Duration + allowance; total > 7*time.Minute {
		t.Errorf("a run takes up to %v, which is above 7 minutes", total)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct{ args, want string }{
		"a compression that stretches":     {"--compress=0.5", "--compress is 0.5"},
		"a compression that is no number":  {"--compress=NaN", "--compress is NaN"},
		"a share of nothing":               {"--scale=0", "--scale is 0"},
		"a run of a moment":                {"--duration=1s", "--duration is 1s"},
		"a negative load time":             {"--load-time=-1s", "--load-time is -1s"},
		"zero replicas":                    {"--min=0", "need 1 <= min"},
		"a minimum above the maximum":      {"--min=5 --max=4", "need 1 <= min"},
		"a start outside the bounds":       {"--initial=13", "need 1 <= min"},
		"an unknown profile":               {"--profile=abacus", `no serving profile "abacus"`},
		"an unknown policy":                {"--policies=preheat,luck", `no policy "luck"`},
		"the same policy twice":            {"--policies=preheat,preheat", `"preheat" twice`},
		"no policy":                        {"--policies=", "--policies is empty"},
		"an argument that is no flag":      {"now", `unexpected argument "now"`},
		"several faults, all of them told": {"--scale=0 --compress=0", "--compress is 0, must be from 1 to 1000\n--scale is 0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parse(strings.Fields(test.args), io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestTimesAreCompressedByOneFactor(t *testing.T) {
	tests := map[string]struct {
		compress float64
		want     times
	}{
		"as they are": {1, times{
			HPASync: 15 * time.Second, PolicyPeriod: 15 * time.Second, Stabilization: 5 * time.Minute, DecisionInterval: 15 * time.Second,
			ScrapeInterval: 5 * time.Second, LeadTimePrior: 5 * time.Minute, LoadTime: 5 * time.Minute,
		}},
		"ten times, with whole seconds where the API wants them": {10, times{
			HPASync: 1500 * time.Millisecond, PolicyPeriod: 2 * time.Second, Stabilization: 30 * time.Second, DecisionInterval: 1500 * time.Millisecond,
			ScrapeInterval: 500 * time.Millisecond, LeadTimePrior: 30 * time.Second, LoadTime: 30 * time.Second,
		}},
		"beyond what the service can do": {100, times{
			HPASync: 150 * time.Millisecond, PolicyPeriod: time.Second, Stabilization: 3 * time.Second, DecisionInterval: time.Second,
			ScrapeInterval: 200 * time.Millisecond, LeadTimePrior: 3 * time.Second, LoadTime: 3 * time.Second,
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := Default()
			o.Compress = test.compress
			if diff := cmp.Diff(test.want, o.compressed()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
