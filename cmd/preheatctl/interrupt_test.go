package main

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// asProgram is the variable of the environment under which the test's own binary is the program.
const asProgram = "PREHEATCTL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestASignalLeavesWhatIsDone ends a process of its own as Ctrl-C does, once the second of its runs has begun.
func TestASignalLeavesWhatIsDone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	program := exec.CommandContext(t.Context(), os.Args[0], "replay", "--trace", "steady:rate=30,length=4h",
		"--policy", "static-mean,preheat,hpa-running,oracle", "--workers", "1", "--lead-time", "30s,2m", "--out", dir)
	program.Env = append(os.Environ(), asProgram+"=1")
	var out, errs bytes.Buffer
	program.Stdout, program.Stderr = &out, &errs
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer program.Process.Kill()
	await(t, filepath.Join(dir, "."+score.RequestsFile+".part1"))
	if err := program.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	program.Wait() // the exit code tells
	if code := program.ProcessState.ExitCode(); code != exitInterrupted {
		t.Fatalf("exit %d, want %d: %s", code, exitInterrupted, errs.String())
	}
	s := readSummary(t, dir)
	if got := slices.Sorted(maps.Keys(s.Policies)); !s.Incomplete || len(s.Unfinished) != 7 || !slices.Equal(got, []string{"static-mean"}) {
		t.Errorf("incomplete %v, %d unfinished, policies %v; want static-mean alone", s.Incomplete, len(s.Unfinished), got)
	}
	want := "7 of 8 runs are missing: preheat (lead time 30s, seed 1), hpa-running (lead time 30s, seed 1), " +
		"oracle (lead time 30s, seed 1), static-mean (lead time 2m0s, seed 1) and 3 more"
	if errs.String() != "preheatctl: interrupted: "+want+"\n" {
		t.Errorf("standard error says %q", errs.String())
	}
	for name, text := range map[string]string{"the table": out.String(), "the report": contents(t, dir)[reportFile], "the summary": contents(t, dir)[score.SummaryFile]} {
		if !strings.Contains(text, "the replay was interrupted; "+want) {
			t.Errorf("%s does not say what is missing", name)
		}
	}
}

// await waits for a file, within what a slow machine takes.
func await(t *testing.T, path string) {
	t.Helper()
	for range 1200 {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s did not come within a minute", path)
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	key := func(policy string, seed uint64) compare.Key {
		return compare.Key{Policy: policy, Lead: time.Minute, Seed: seed}
	}
	cut := []compare.Proof{{Key: key("oracle", 1), CutShort: true}, {Key: key("oracle", 2)}}
	for name, tc := range map[string]struct {
		outcome compare.Outcome
		want    string
	}{
		"nothing": {compare.Outcome{Scores: make([]score.Score, 3), Proofs: cut[1:]}, ""},
		"one run": {
			compare.Outcome{Scores: make([]score.Score, 2), Unfinished: []compare.Key{key("kpa", 3)}},
			"1 of 3 runs are missing: kpa (lead time 1m0s, seed 3)",
		},
		"the end of a search": {
			compare.Outcome{Scores: make([]score.Score, 2), Proofs: cut},
			"cut short and with the best schedule found until then: oracle (lead time 1m0s, seed 1)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := missing(tc.outcome); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if err := interrupted(tc.outcome); (err == nil) != (tc.want == "") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
