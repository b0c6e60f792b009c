package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// found are the names of a package's numbers, each with its value, or why it is left out.
func found(t *testing.T, text string) []string {
	t.Helper()
	p := with(t, text)
	all, err := p.numbers("pkg/made")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range all {
		p.vary(&n)
		line := n.Name + " = " + n.Value
		if n.LeftOut != "" {
			line = n.Name + " left out: " + n.LeftOut
		}
		out = append(out, line)
	}
	return out
}

func TestNumbersAreFoundWhereverTheyAre(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"declared, of any kind": {
			"import \"time\"\nconst (\na, b = 2., 3\nc = 5 * time.Minute\nd = a / 7\ne time.Duration = 90\n)",
			[]string{"made.a = 2.", "made.b = 3", "made.c = 5 * time.Minute", "made.d = a / 7", "made.e = 90"},
		},
		"texts, names and enumerations are none": {"const a, b = \"x\", true\ntype T int\nconst (\nc T = iota\nd\n)", nil},
		"within a function, as wholes": {
			"import \"time\"\ntype T struct{}\nfunc (t *T) F(x float64, d time.Duration) bool {\nconst a = 4\nreturn x > a*0.25 || x < -0.75 || d > 3*time.Minute || x > 0.25\n}",
			[]string{"made.T.F.a = 4", "made.T.F:0.25 = 0.25", "made.T.F:-0.75 = -0.75", "made.T.F:3*time.Minute = 3*time.Minute", "made.T.F:0.25#2 = 0.25"},
		},
		"a table is one": {
			"import \"time\"\nvar a = [...]float64{1, 2.5}\nvar b = []struct{ t time.Duration; x float64 }{{time.Hour, 12}}",
			[]string{"made.a = [...]float64{1, 2.5}", "made.b:time.Hour = time.Hour", "made.b:12 = 12"},
		},
		"what is structure, mathematics or text is none": {
			`import ("fmt"; "math"; "time")
			func f(x float64, d time.Duration, l []float64) string {
				_ = make([]float64, 0, 7)
				_, _ = math.Sqrt(2*math.Pi*x*x/2), 0.5*x-1+float64(time.Hour)*x/3600+float64(d/time.Millisecond)
				_, _ = l[3], d.Round(10*time.Millisecond)
				return fmt.Sprintf("%v", 100*x)
			}`,
			nil,
		},
		"a place in a table is no quantity": {
			"const a, b, c = 1, 0, 2\nvar t = [3]float64{4, 5, 6}\nfunc g(n int) int { return n }\nvar x = t[a] + t[g(c)]",
			[]string{"made.a left out: numbers a place in a table", "made.b left out: nothing has no half", "made.c = 2", "made.t = [3]float64{4, 5, 6}"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, found(t, tc.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatDoesNotCompileIsLeftOut(t *testing.T) {
	got := found(t, "const size = 3\nvar t = [size]float64{1, 2, 3}")
	if !strings.HasPrefix(got[0], "made.size left out: halved it does not compile: pkg/made/made.go:3:") {
		t.Error(got)
	}
}

func TestANumberIsHalvedAndDoubled(t *testing.T) {
	for name, tc := range map[string]struct{ text, halved, doubled string }{
		"real":                       {"const a = 3.", "const a = ((3.) / 2.)", "const a = ((3.) * 2)"},
		"whole and real":             {"const a = 3\nvar x = a * 1.0", "const a = ((3) / 2.)\nvar x = a * 1.0", "const a = ((3) * 2)\nvar x = a * 1.0"},
		"whole where things counted": {"const a = 3\nvar x [a]int", "const a = ((3 + 1) / 2)\nvar x [a]int", "const a = ((3) * 2)\nvar x [a]int"},
		"even":                       {"const a = 4", "const a = ((4) / 2)", "const a = ((4) * 2)"},
		"of a type":                  {"const a int = 5", "const a int = ((5 + 1) / 2)", "const a int = ((5) * 2)"},
		"real of a type":             {"const a float64 = 5", "const a float64 = ((5) / 2.)", "const a float64 = ((5) * 2)"},
		"a span of time":             {"import \"time\"\nconst a = 5 * time.Second", "import \"time\"\nconst a = ((5 * time.Second) / 2)", "import \"time\"\nconst a = ((5 * time.Second) * 2)"},
		"a table":                    {"var a = []float64{1, 2}", "var a = []float64{((1) / 2.), ((2) / 2.)}", "var a = []float64{((1) * 2), ((2) * 2)}"},
		"a sum":                      {"const a, b = b + 3, 4", "const a, b = ((b + 3) / 2.), 4", "const a, b = ((b + 3) * 2), 4"},
	} {
		t.Run(name, func(t *testing.T) {
			p := with(t, tc.text)
			all, err := p.numbers("pkg/made")
			if err != nil {
				t.Fatal(err)
			}
			scaled := p.vary(&all[0])
			for i, want := range []string{tc.halved, tc.doubled} {
				if diff := cmp.Diff("package made\n"+want, string(scaled[i]["pkg/made/made.go"])); diff != "" {
					t.Errorf("%s: %s", scales[i], diff)
				}
			}
		})
	}
}

func TestOfAShareTheRestIsHalvedAndDoubled(t *testing.T) {
	x := place{share: true}
	for s, want := range map[scale]string{halved: "(1 - ((1 - (1-0.1)) / 2.))", doubled: "(1 - ((1 - (1-0.1)) * 2))"} {
		if got := x.scaled("1-0.1", s, false); got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
}

// TestTheReasonsAreOfNumbersThatThereAre finds those that the planner has outgrown.
func TestTheReasonsAreOfNumbersThatThereAre(t *testing.T) {
	p := read(t)
	var names []string
	for _, folder := range core {
		all, err := p.numbers(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range all {
			names = append(names, n.Name)
		}
	}
	for _, name := range slices.Concat(slices.Sorted(maps.Keys(noChoice)), shares) {
		if !slices.Contains(names, name) {
			t.Errorf("noChoice or shares in constants.go: there is no number %s any more: take it out, or rename it", name)
		}
	}
	if !slices.Contains(names, "capacity.usualPrice") || len(names) < 100 {
		t.Errorf("of %d numbers none is the usual price of a miss", len(names))
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			t.Errorf("two numbers are called %s", name)
		}
	}
}
