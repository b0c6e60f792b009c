package scenarios_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAFileIsTakenApartAndPutTogether(t *testing.T) {
	for name, text := range map[string]string{
		"prose alone":                  "# A title\n\n# More\n",
		"commands that show nothing":   "load 1 for 1m\nslo ttft=2s\n",
		"a command that shows":         "run\n----\nwhat it shows\n  in two lines\n\n# prose\n",
		"one that shows at the end":    "run\n----\nwhat it shows\n",
		"two that show":                "run\n----\na\n\nrun\n----\nb\n\n",
		"a separator in no such place": "# ----\n",
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			for _, e := range parse(text) {
				got.WriteString(e.String())
			}
			if diff := cmp.Diff(strings.TrimRight(text, "\n"), strings.TrimRight(got.String(), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// quiet is a run of ten minutes under a policy that never moves.
const quiet = "cluster lead=1m\nreplicas 2 max=4\nload 1 for 10m\npolicy static-peak replicas=2\nrun\n"

// do plays commands and returns the error of the last one.
func do(t *testing.T, commands string) error {
	t.Helper()
	w := newWorld()
	var err error
	for _, e := range parse(commands) {
		if err != nil {
			t.Fatalf("before the last command: %v", err)
		}
		_, err = perform(w, e.command())
	}
	return err
}

func TestWhatDoesNotHoldIsAnError(t *testing.T) {
	for expectation, want := range map[string]string{
		"expect attainment >= 99%":              "",
		"expect attainment < 99%":               "it is 1",
		"expect attainment < 99% from=1m to=2m": "it is 1",
		"expect attainment < 99% from=1h to=2h": "no request came",
		"expect ready = 2":                      "",
		"expect ready > 2 from=1m to=2m":        "it is 2 at 1m0s",
		"expect ready = 2 from=1h to=2h":        "no moment",
		"expect reason NoFreshData":             "it is DemandMet",
		"expect reason NoFreshData from=1h":     "no decision",
		"expect flapping = 0":                   "",
		"expect flapping == 0":                  "no comparison",
		"expect happiness > 0":                  "no figure",
		"expect cost > 0":                       "no such figure",
		"expect ready = 2 target=other":         "no target",
		"expect ready = 2 form=1m":              "does not take",
		"expect ready =":                        "missing",
		"expect ready = two":                    "not a number",
		"expect ready = 2 from=noon":            "not a time",
	} {
		t.Run(expectation, func(t *testing.T) {
			err := do(t, quiet+expectation)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

func TestWhatMakesNoSenseIsAnError(t *testing.T) {
	for commands, want := range map[string]string{
		"run":                                  "no load",
		"hop":                                  "unknown command",
		"load twice":                           "no such load",
		"load 1 for 1m\nat 1m tea":             "no such event",
		"load 1 for 1m\npolicy none\nrun":      "unknown policy",
		"timeline":                             "nothing was run",
		"profile abacus":                       "abacus",
		"mix soup":                             "soup",
		"cluster router=left":                  "no router",
		"cluster gpu=3":                        "does not take",
		quiet + "decision":                     "say when",
		quiet + "decision at=1h":               "no decision after",
		"load 1 for 1m\nreplicas 9 max=1\nrun": "Max 1",
		"load 1 for 1m\npolicy preheat forecast.quantile=2\nrun": "quantile",
	} {
		t.Run(commands, func(t *testing.T) {
			if err := do(t, commands); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}
