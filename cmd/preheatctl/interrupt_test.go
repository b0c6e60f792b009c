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
	report, err := os.ReadFile(filepath.Join(dir, reportFile))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\ninterrupted: "+want+"\n") || !strings.Contains(string(report), "The replay was interrupted: "+want+".") {
		t.Errorf("the table or the report does not say what is missing:\n%s", out.String())
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
