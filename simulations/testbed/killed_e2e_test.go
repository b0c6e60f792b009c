//go:build e2e && linux

package testbed_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

// victimEnv makes this test binary start a cluster (or a box), print its run directory and wait to be killed.
const victimEnv = "PREHEAT_TESTBED_VICTIM"

// TestVictim is not a test of its own but the program that TestNothingOutlivesAKilledProgram kills.
func TestVictim(t *testing.T) {
	kind := os.Getenv(victimEnv)
	if kind == "" {
		t.Skip("it runs as the child of TestNothingOutlivesAKilledProgram")
	}
	var c *testbed.Cluster
	if kind == "box" {
		c = startBox(t, testbed.BoxOptions{}).Cluster
	} else {
		c = startCluster(t, testbed.Options{})
	}
	fmt.Println("\nrun directory:" + c.RunDir)
	time.Sleep(2 * time.Minute)
	t.Fatal("nobody killed the victim")
}

func TestNothingOutlivesAKilledProgram(t *testing.T) {
	for kind, canRun := range map[string]func() error{
		"cluster": testbed.CanRun,
		"box":     testbed.CanRunBox,
	} {
		t.Run(kind, func(t *testing.T) {
			if err := canRun(); err != nil {
				t.Skip(err)
			}
			victim, runDir := startVictim(t, kind)
			defer os.RemoveAll(runDir) // nobody is left to do it
			if n := len(processesMentioning(t, runDir)); n < 5 {
				t.Fatalf("%d processes before the kill, want at least five", n)
			}
			if err := victim.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			victim.Wait() // its error is that it was killed
			eventually(t, 10*time.Second, func(context.Context) string {
				if left := processesMentioning(t, runDir); len(left) > 0 {
					return fmt.Sprintf("processes are left: %v", left)
				}
				return ""
			})
			if kind == "box" {
				checkSweep(t)
			}
		})
	}
}

// checkSweep checks that the next box removes the groups of one whose program was killed.
func checkSweep(t *testing.T) {
	t.Helper()
	eventually(t, 5*time.Second, func(context.Context) string {
		if len(deadBoxes(t)) == 0 { // its first process may take a moment to end
			return "the killed box left no groups, so this shows nothing"
		}
		return ""
	})
	eventually(t, 5*time.Second, func(context.Context) string {
		if err := testbed.SweepDeadBoxes(); err != nil {
			return err.Error()
		}
		if left := deadBoxes(t); len(left) > 0 {
			return fmt.Sprintf("groups are left: %v", left)
		}
		return ""
	})
}

// deadBoxes lists the groups of boxes whose first process is gone.
func deadBoxes(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(cgroupsNamed(t, "preheat-box-*"), func(group string) bool {
		_, pid, _ := strings.Cut(filepath.Base(group), "preheat-box-")
		_, err := os.Stat("/proc/" + pid)
		return err == nil
	})
}

// startVictim starts this binary again as a victim and returns it with the run directory of its cluster.
func startVictim(t *testing.T, kind string) (victim *exec.Cmd, runDir string) {
	t.Helper()
	victim = exec.Command(os.Args[0], "-test.run=^TestVictim$", "-test.v")
	victim.Env = append(os.Environ(), victimEnv+"="+kind)
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if dir, ok := strings.CutPrefix(lines.Text(), "run directory:"); ok {
			return victim, dir
		}
		said = append(said, lines.Text())
	}
	t.Fatalf("the victim did not start (%v): %s", victim.Wait(), strings.Join(said, "\n"))
	return nil, ""
}
