package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

func TestTheKeyNamesAllThatAnOracleDependsOn(t *testing.T) {
	fresh := func() (*subject, compare.Experiment) {
		s := &subject{load: crowd(), arrivals: arrivals{[]trace.Request{{At: 1, PromptTokens: 2, OutputTokens: 3}}, time.Hour}}
		s.profile.Name, s.slo = small, objective(small)
		m := &campaign{options: options{seed: 1, search: 40, policies: []string{"preheat"}}}
		return s, m.experiment(s, time.Minute)
	}
	s, e := fresh()
	first := key(s, e)
	for name, change := range map[string]func(*subject, *compare.Experiment){
		"a request":     func(s *subject, _ *compare.Experiment) { s.requests[0].At++ },
		"the profile":   func(_ *subject, e *compare.Experiment) { e.Profile.StepBase++ },
		"the objective": func(_ *subject, e *compare.Experiment) { e.SLO.TPOT++ },
		"the lead time": func(_ *subject, e *compare.Experiment) { e.Leads[0].Phases.Load.Median++ },
		"the seed":      func(_ *subject, e *compare.Experiment) { e.Seeds = []uint64{2} },
		"the warm-up":   func(_ *subject, e *compare.Experiment) { e.WarmUp++ },
		"the budget":    func(_ *subject, e *compare.Experiment) { e.SearchRequests++ },
		"the cluster":   func(_ *subject, e *compare.Experiment) { e.Cluster.GPUs++ },
		"a bound":       func(_ *subject, e *compare.Experiment) { e.Max++ },
	} {
		s, e := fresh()
		change(s, &e)
		if key(s, e) == first {
			t.Errorf("%s changes nothing", name)
		}
	}
	s, e = fresh()
	e.Policies = []string{"hpa-queue"}
	if key(s, e) != first {
		t.Error("the other policies are none of it")
	}
}

func TestTheBestOracleIsKept(t *testing.T) {
	o := oracles{filepath.Join(t.TempDir(), "new")}
	if _, ok := o.find("x"); ok {
		t.Fatal("something is kept in a directory that is not there")
	}
	miss, dear, cheap := yardstick{Attainment: 0.9, GPUHours: 1}, yardstick{Met: true, GPUHours: 9}, yardstick{Met: true, GPUHours: 8}
	for _, step := range []struct{ put, want yardstick }{{miss, miss}, {dear, dear}, {cheap, cheap}, {dear, cheap}, {miss, cheap}} {
		got, err := o.keep("x", step.put)
		if err != nil {
			t.Fatal(err)
		}
		kept, _ := o.find("x")
		if got != step.want || kept != step.want {
			t.Errorf("after %+v: returned %+v, kept %+v", step.put, got, kept)
		}
	}
	files, err := os.ReadDir(o.dir)
	if err != nil || len(files) != 1 {
		t.Errorf("%v, %v: want the one file and no parts", files, err)
	}
}

func TestARuinedFileIsNoOracle(t *testing.T) {
	o := oracles{t.TempDir()}
	if err := os.WriteFile(o.path("x"), []byte(`{"met":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := o.find("x"); ok {
		t.Error("half of a file was taken")
	}
}

func TestTheCacheIsWhereTheUserWantsIt(t *testing.T) {
	t.Setenv("PREHEAT_CACHE", "/somewhere")
	got, err := cacheDir()
	if diff := cmp.Diff("/somewhere/frontier", got); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
}
