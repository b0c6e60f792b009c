package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlagsAreCheckedAllAtOnce(t *testing.T) {
	_, err := parse(strings.Fields("--only ( --cells ( --workers 0 -o xml more"), io.Discard)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"--only", "--cells", "--workers 0", "-o xml", "more"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
}

func TestAnEffectIsOverTheSameCells(t *testing.T) {
	base := stand([]figure{
		{Cell: "a", Ratio: 2, Attainment: 0.98, Goal: 0.99, hours: 10}, {Cell: "b", Ratio: 8, Attainment: 1, Goal: 0.99, hours: 20},
	})
	if want := (standing{Mean: 4, Attainment: 0.99, Below: 1, Cells: base.Cells}); !cmp.Equal(want, base, near, cmp.AllowUnexported(figure{})) {
		t.Errorf("%+v", base)
	}
	for name, tc := range map[string]struct {
		of   []figure
		want effect
	}{
		"unchanged":                  {base.Cells, effect{Ratio: 1, Below: 1, Same: true}},
		"dearer and better":          {[]figure{{Cell: "b", Attainment: 1, Goal: 0.99, hours: 20}, {Cell: "a", Attainment: 0.99, Goal: 0.99, hours: 40}}, effect{Ratio: 2, Attainment: 0.005}},
		"another oracle changes not": {[]figure{{Cell: "a", Ratio: 9, Attainment: 0.98, Goal: 0.99, hours: 10}, base.Cells[1]}, effect{Ratio: 1, Below: 1, Same: true}},
		"a cell is missing":          {base.Cells[:1], effect{Failure: "b was not measured"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, base.against(tc.of), near); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheLargestEffectsComeFirstAndAreMarked(t *testing.T) {
	base := stand([]figure{{Cell: "a", Ratio: 1.25, Attainment: 0.995, Goal: 0.99, hours: 5}})
	r := &report{
		Base: &base, Ablations: []part{{Name: "little", Says: "hardly less"}, {Name: "much", Says: "nothing"}},
		Numbers: []varied{
			{number: number{Name: "idle", File: "a.go", Line: 1, Value: "1"}},
			{number: number{Name: "cheap", File: "a.go", Line: 2, Value: "2"}},
			{number: number{Name: "odd", File: "a.go", Line: 3, Value: "3"}},
			{number: number{Name: "late", File: "a.go", Line: 4, Value: "4"}},
		},
		LeftOut: []number{{Name: "place"}},
	}
	r.fill([]effect{
		{Ratio: 1.01},
		{Ratio: 1.5, Attainment: -0.02, Below: 1},
		{Ratio: 1, Same: true},
		{Ratio: 1, Same: true},
		{Ratio: 0.96, Attainment: 0.001},
		{Ratio: 1.02},
		{Failure: "panic: odd\nat"},
		{Ratio: 1.005},
		{Ratio: 1.0299},
	})
	var out bytes.Buffer
	if err := (&options{output: "table"}).print(&out, r); err != nil {
		t.Fatal(err)
	}
	want := `As it is, over 1 cells: geometric mean of GPU-hours 1.250 of the oracle's, mean attainment 99.50%, 0 below the objective
RATIO is the geometric mean over that, ! where it differs by more than 3 %, = where nothing changed at all; ATTAINED is in points

ABLATION  INSTEAD      RATIO   ATTAINED  BELOW
much      nothing      1.500!  -2.00     1
little    hardly less  1.010   +0.00     0

NUMBER  FILE    VALUE  HALVED: RATIO  ATTAINED  BELOW  DOUBLED: RATIO  ATTAINED  BELOW
cheap   a.go:2  2      0.960!         +0.10     0      1.020           +0.00     0
late    a.go:4  4      1.030          +0.00     0      -                         
odd     a.go:3  3      fails                           1.005           +0.00     0
idle    a.go:1  1      1.000=         +0.00     0      1.000=          +0.00     0

3 of 4 numbers were measured halved and doubled: 1 move the geometric mean by more than 3 %, 1 change nothing in these cells; 1 are left out (--list says why)
To be learned instead, or to be given a reason: cheap
FAILS: odd halved: panic: odd
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	if err := (&options{output: "json"}).print(&out, r); err != nil || !strings.Contains(out.String(), `"constant": "cheap"`) {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestTheListSaysWhatIsLeftOutAndWhy(t *testing.T) {
	r := &report{Ablations: []part{{Name: "a", Says: "b"}}, Numbers: []varied{{number: number{Name: "n", File: "f.go", Line: 7, Value: strings.Repeat("x", 40)}}}, LeftOut: []number{{Name: "l", LeftOut: "because"}}}
	var out bytes.Buffer
	if err := (&options{output: "table"}).print(&out, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 ABLATIONS", "ablation/a", "1 NUMBERS", "f.go:7", strings.Repeat("x", 31) + "…", "1 LEFT OUT", "because"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not say %q:\n%s", want, out.String())
		}
	}
}
