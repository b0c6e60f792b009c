package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
)

// TestEveryAblationApplies is what fails when the planner outgrows one: the error says which, and what to do.
func TestEveryAblationApplies(t *testing.T) {
	p := read(t)
	seen := map[string]bool{}
	for _, a := range ablations {
		if seen[a.name] || a.says == "" {
			t.Errorf("%s: is there twice, or says nothing", a.name)
		}
		seen[a.name] = true
		if a.policy != "" && !slices.Contains(compare.Names(), a.policy) {
			t.Errorf("%s: there is no policy %s", a.name, a.policy)
		}
		with, err := p.apply(a)
		if err != nil {
			t.Error(err)
		}
		if (len(with) > 0) == (a.policy != "") {
			t.Errorf("%s: is to be configured or patched, one of the two", a.name)
		}
	}
}

func TestAnAblationThatIsOutgrownIsNamed(t *testing.T) {
	p := with(t, "func (t *T) F(x int) int { return x }\ntype T struct{}")
	for name, tc := range map[string]struct {
		patch patch
		says  string
	}{
		"no function": {patch{"pkg/made", "T.G", ""}, "ablation old: pkg/made has no function T.G any more; adapt its line in benchmarks/sensitivity/ablations.go"},
		"no package":  {patch{"pkg/gone", "F", ""}, "ablation old: there is no package pkg/gone"},
		"no variable": {patch{"pkg/made", "T.F", "return y"}, "ablation old: pkg/made does not compile with another T.F: pkg/made/made.go:5:8: undefined: y; adapt"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.apply(ablation{name: "old", patches: []patch{tc.patch}})
			if err == nil || !strings.HasPrefix(err.Error(), tc.says) {
				t.Errorf("%v, want %s", err, tc.says)
			}
		})
	}
}

func TestAPatchedFunctionIsThereAsItWas(t *testing.T) {
	p := with(t, "// F is told.\nfunc F(x int) (y int) {\n\treturn x\n}\n\nfunc G() {}\n")
	got, err := p.apply(ablation{name: "a", patches: []patch{{"pkg/made", "F", "return 2 * FAsItWas(x)"}, {"pkg/made", "G", "F(1)"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := "package made\n// F is told.\nfunc FAsItWas(x int) (y int) {\n\treturn x\n}\n\nfunc GAsItWas() {}\n\n" +
		"func F(x int) (y int) {\nreturn 2 * FAsItWas(x)\n}\n\nfunc G() {\nF(1)\n}\n"
	if diff := cmp.Diff(want, string(got["pkg/made/made.go"])); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyWhatIsAskedForIsPlanned(t *testing.T) {
	p := read(t)
	for only, want := range map[string][]string{
		"^ablation/(no-forecast|no-widening)$": {"ablation/no-forecast preheat-reactive", "ablation/no-widening preheat"},
		"^capacity.usualPrice$":                {"capacity.usualPrice halved preheat", "capacity.usualPrice doubled preheat"},
	} {
		o, err := parse([]string{"--only", only}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		_, variants, err := p.plan(o.only)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range variants {
			got = append(got, v.name+" "+v.policy)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", only, diff)
		}
	}
	o, err := parse([]string{"--only", "^nothing$"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.plan(o.only); err == nil || !strings.Contains(err.Error(), "--list has the names") {
		t.Errorf("error is %v", err)
	}
}
