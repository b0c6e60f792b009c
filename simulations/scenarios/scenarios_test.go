package scenarios_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write anew what the scenarios show")

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 14 {
		t.Fatalf("%d scenarios: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, file, string(text))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(string(text), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("run with -rewrite to accept (-want +got):\n%s", diff)
			}
		})
	}
}

// play goes through a file and returns it with what its commands show now. What is expected and does not hold, and what
// makes no sense, is an error of the test.
func play(t *testing.T, file, text string) string {
	t.Helper()
	var out strings.Builder
	w := newWorld()
	entries := parse(text)
	for i, e := range entries {
		if !e.prose() {
			shown, err := perform(w, e.command())
			e.shown = shown
			if err != nil {
				t.Errorf("%s:%d: %s: %v", file, e.line, e.text, err)
			}
			if errors.As(err, new(fault)) {
				out.WriteString(e.String())
				break
			}
		}
		out.WriteString(e.String())
		if e.shown != "" && i+1 < len(entries) && entries[i+1].text != "" {
			out.WriteString("\n") // where what is shown ends
		}
	}
	return out.String()
}

// perform carries out one command.
func perform(w *world, c *command) (shown string, err error) {
	defer func() {
		if f, ok := recover().(fault); ok {
			err = f
		}
	}()
	do, ok := commands[c.words[0]]
	if !ok {
		return "", fault{fmt.Errorf("unknown command %q", c.words[0])}
	}
	shown, err = do(w, c)
	c.end()
	return shown, err
}

var commands = map[string]func(*world, *command) (string, error){
	"cluster":   silent((*world).setCluster),
	"slo":       silent((*world).setSLO),
	"at":        silent((*world).schedule),
	"target":    silent((*world).setTarget),
	"pool":      silent((*world).setPool),
	"priority":  silent((*world).setPriority),
	"profile":   silent((*world).setProfile),
	"mix":       silent((*world).setMix),
	"replicas":  silent((*world).setReplicas),
	"load":      silent((*world).addLoad),
	"policy":    silent((*world).setPolicy),
	"run":       (*world).run,
	"timeline":  showing((*world).timeline),
	"decisions": showing((*world).decisions),
	"decision":  showing((*world).decision),
	"forecast":  showing((*world).forecast),
	"expect":    (*world).expect,
}

func silent(do func(*world, *command)) func(*world, *command) (string, error) {
	return func(w *world, c *command) (string, error) {
		do(w, c)
		return "", nil
	}
}

func showing(do func(*world, *command) string) func(*world, *command) (string, error) {
	return func(w *world, c *command) (string, error) { return do(w, c), nil }
}
