package testbed

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var errNotYet = errors.New("not yet")

func never(context.Context) error { return errNotYet }

// launchShell runs a script from a nursery of its own.
func launchShell(t *testing.T, script string) *process {
	t.Helper()
	n, err := newNursery(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	p, err := n.launch("sh", filepath.Join(t.TempDir(), "sh.log"), exec.Command("/bin/sh", "-c", script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.kill(); err != nil {
			t.Error(err)
		}
		n.close()
	})
	return p
}

func TestAwaitSaysWhyAProcessIsNotReady(t *testing.T) {
	for name, tc := range map[string]struct {
		script  string
		timeout time.Duration
		want    []string
	}{
		"it ended with an error": {
			script: "echo first; echo bad flag >&2; exit 3", timeout: 10 * time.Second,
			want: []string{"sh ended while starting", "exit status 3", "| first\n", "| bad flag"},
		},
		"it ended well, which a daemon must not": {
			script: "exit 0", timeout: 10 * time.Second, want: []string{"sh ended while starting", "exit status 0"},
		},
		"time is up": {
			script: "echo working; exec sleep 60", timeout: 300 * time.Millisecond,
			want: []string{"sh is not ready", "not yet", "deadline exceeded", "| working"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tc.timeout)
			defer cancel()
			err := launchShell(t, tc.script).await(ctx, never)
			if err == nil {
				t.Fatal("await found the process ready")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func TestKillEndsAProcessThatIgnoresSignals(t *testing.T) {
	p := launchShell(t, `trap "" TERM INT; echo up; while :; do sleep 1; done`)
	if err := p.signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if p.ended() {
		t.Fatal("the process did not ignore the signal; the test shows nothing")
	}
	for range 2 { // a process that has ended is no error
		if err := p.kill(); err != nil {
			t.Fatal(err)
		}
	}
	if !p.ended() {
		t.Error("kill returned before the process was gone")
	}
}

func TestAFailedPreparationLeavesNoNursery(t *testing.T) {
	if _, err := newNursery(func() error { return errNotYet }); !errors.Is(err, errNotYet) {
		t.Errorf("newNursery: %v, want the preparation's error", err)
	}
}

func TestTailQuotesWholeLastLines(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		content string
		want    string
	}{
		"a short log is quoted whole":                {"one\ntwo\n", "one\ntwo\n"},
		"an empty log is quoted as it is":            {"", ""},
		"of a long log the line cut through is left": {"0123456789\nabcdefgh\nXYZ\n", "XYZ\n"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, "log")
			if err := os.WriteFile(file, []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := lastBytes(file, 10)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("last 10 bytes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTailOfNoLogSaysSo(t *testing.T) {
	if got := tail(filepath.Join(t.TempDir(), "missing")); !strings.Contains(got, "no log") {
		t.Errorf("tail: %q", got)
	}
}
