package trace

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// perMinute is the mean level of each minute of a workload.
func perMinute(t *testing.T, text string, seed int64) func(minute int) float64 {
	t.Helper()
	s, err := parseSpec(text)
	if err != nil {
		t.Fatal(err)
	}
	rates := s.rates(seed)
	steps := int(time.Minute / rates.Period)
	return func(minute int) float64 {
		sum := 0.0
		for _, v := range rates.PerSecond[minute*steps : (minute+1)*steps] {
			sum += v
		}
		return sum / float64(steps)
	}
}

func TestWorkloadsHaveTheirShapes(t *testing.T) {
	type at struct {
		minute int
		rate   float64
	}
	tests := map[string]struct {
		spec string
		want []at
	}{
		"steady":                             {"steady:rate=50,length=10m,noise=0", []at{{0, 50}, {5, 50}, {9, 50}}},
		"a ramp":                             {"ramp:low=20,high=100,at=5m,over=10m,length=20m,noise=0", []at{{2, 20}, {9, 56}, {17, 100}}},
		"a flash crowd":                      {"flash-crowd:low=20,high=100,at=5m,rise=1s,hold=2m,decay=3m,length=20m,noise=0", []at{{4, 20}, {6, 100}, {9, 55}, {19, 21.3}}},
		"a regime shift":                     {"regime-shift:low=20,high=80,at=5m,length=10m,noise=0", []at{{4, 20}, {5, 80}, {9, 80}}},
		"a shift that falls back":            {"regime-shift:low=20,high=80,at=3m,back=2m,length=10m,noise=0", []at{{2, 20}, {4, 80}, {5, 20}}},
		"a day":                              {"diurnal:low=20,high=100,day=1h,length=1h,noise=0", []at{{0, 20}, {15, 62}, {30, 100}, {59, 20}}},
		"a short day unless told":            {"diurnal:low=20,high=100,length=1h,noise=0", []at{{0, 20}, {30, 100}, {59, 20}}},
		"spikes at the full period":          {"clock-spikes:low=20,high=80,every=10m,width=2m,length=30m,noise=0", []at{{0, 20}, {10, 80}, {11, 80}, {12, 20}, {20, 80}}},
		"an office from Monday at midnight":  {"business-hours:high=50,noise=0", []at{{0, 0}, {180, 0}, {600, 50}, {1260, 0}, {24*60 + 600, 50}}},
		"an office that is closed on sunday": {"business-hours:high=50,noise=0,length=7d", []at{{4*24*60 + 600, 50}, {5*24*60 + 600, 0}, {6*24*60 + 600, 0}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			rate := perMinute(t, tc.spec, 8)
			for _, want := range tc.want {
				if got := rate(want.minute); math.Abs(got-want.rate) > 0.015*want.rate {
					t.Errorf("minute %d: %.1f requests/s, want about %.1f", want.minute, got, want.rate)
				}
			}
		})
	}
}

func TestOnOffIsOnOrOff(t *testing.T) {
	rate := perMinute(t, "on-off:low=0,high=100,on=20m,off=20m,length=50h,noise=0", 4)
	on, off, switching := 0, 0, 0
	for minute := range 3000 {
		switch got := rate(minute); {
		case got == 0:
			off++
		case got > 90 && got < 110:
			on++
		default:
			switching++
		}
	}
	if switching > 300 || !near(float64(on), 1500, 0.35) || !near(float64(off), 1500, 0.35) {
		t.Errorf("%d minutes on, %d off, %d switching, want about half and half, and one in ten switching", on, off, switching)
	}
}

func TestNoiseMovesTheLevelAndKeepsItsMean(t *testing.T) {
	s, err := parseSpec("steady:rate=10,length=5h,noise=0.3")
	if err != nil {
		t.Fatal(err)
	}
	var sum, squares float64
	const seeds = 20
	for seed := range int64(seeds) {
		for _, v := range s.rates(seed).PerSecond {
			sum, squares = sum+v, squares+v*v
		}
	}
	n := float64(seeds * 5 * 3600)
	mean := sum / n
	if deviation := math.Sqrt(squares/n - mean*mean); !near(mean, 10, 0.05) || !near(deviation/mean, 0.3, 0.15) {
		t.Errorf("mean %.2f with a relative spread of %.3f, want 10 and 0.3", mean, deviation/mean)
	}
}

func TestEveryWorkloadRunsAsItIs(t *testing.T) {
	for _, name := range WorkloadNames() {
		in, err := Open(name, Options{Seed: 1})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := Collect(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		inOrder(t, got)
		f := in.Facts()
		if f.Format != Workload || f.Progress() != 1 || !near(float64(f.Requests), float64(f.Expected), 0.05) || f.Reached >= f.Length {
			t.Errorf("%s: %+v with %d requests", name, f, len(got))
		}
		if !strings.Contains(WorkloadHelp(), name+": ") {
			t.Errorf("the help does not describe %s", name)
		}
	}
}

func TestTheSpecGoesBeforeTheOptions(t *testing.T) {
	a := collect(t, "steady:length=5m,seed=7,mix=fixed:9/9,cv=2", Options{Seed: 1, Mix: "rag"})
	b := collect(t, "steady:length=5m,mix=fixed:9/9", Options{Seed: 7, Arrivals: Arrivals{Process: Gamma, CV: 2}})
	if !equal(a, b) || a[0].PromptTokens != 9 {
		t.Error("seed, mix and process in the spec differ from those in the options")
	}
}

func TestSpecErrorsNameTheKeyAndTheKnownOnes(t *testing.T) {
	tests := map[string][]string{
		"steady:speed=3":                    {"steady", `"speed"`, "rate", "seed", "hours"},
		"steady:rate":                       {`"rate"`, "KEY=VALUE"},
		"steady:rate=fast":                  {"rate=fast", "requests per second"},
		"steady:rate=-1":                    {"rate=-1", "between 0"},
		"steady:rate=NaN":                   {"rate=NaN"},
		"steady:rate=1,rate=2":              {`"rate"`, "twice"},
		"ramp:low=9,high=3":                 {"low=9", "high=3"},
		"ramp:over=0s":                      {"over", "above zero"},
		"steady:length=0s":                  {"length"},
		"steady:length=1y":                  {"length=1y", "7d"},
		"steady:length=500d":                {"length=500d"},
		"steady:length=1h,hours=2":          {"length and hours"},
		"steady:hours=-1":                   {"hours=-1"},
		"steady:noise=3":                    {"noise=3", "between 0 and 1"},
		"steady:seed=1.5":                   {"seed=1.5", "whole number"},
		"steady:process=pareto":             {"pareto", "weibull"},
		"steady:cv=2,process=poisson":       {"cv 2", "Poisson"},
		"steady:mix=poem":                   {"poem", "chat"},
		"steady:rate=x,over=1h,length=soon": {"rate=x", `"over"`, "length=soon"},
	}
	for spec, wants := range tests {
		_, err := Open(spec, Options{})
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", spec, err, want)
			}
		}
	}
}

func TestNeitherFileNorWorkload(t *testing.T) {
	_, err := Open("diurnl:hours=3", Options{})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "diurnal") {
		t.Errorf("%v must be of a file that is not there, and name the workloads", err)
	}
	if _, err := Open("steady", Options{Format: Plain}); err == nil {
		t.Error("a workload takes a format")
	}
}

func TestAFileGoesBeforeAWorkloadOfItsName(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("steady", []byte("arrival_s,input_tokens,output_tokens\n3,1,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, "steady", Options{}); len(got) != 1 {
		t.Errorf("%d requests, want the file's", len(got))
	}
}

// FuzzSpec checks that no spec panics, and that what is accepted can be drawn from.
func FuzzSpec(f *testing.F) {
	for _, seed := range []string{"steady", "diurnal:hours=24,low=2,high=20,seed=1", "on-off:on=1s,off=1s,length=1m", "ramp:over=1ns,length=1m", "x:,,=,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSpec(text)
		if err != nil || s.length > time.Hour {
			return
		}
		for i, v := range s.rates(1).PerSecond {
			if !(v >= 0) || math.IsInf(v, 0) {
				t.Fatalf("%q: rate %v in step %d", text, v, i)
			}
		}
	})
}
