package score_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// writeRuns writes runs that go on at once, the unfinished ones too, and returns what is in the directory.
func writeRuns(t *testing.T, atOnce int, unfinished map[int]bool, names ...string) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	policies := []string{"preheat", "oracle", "hpa-queue", "keda", "kpa"}
	files, err := score.Create(dir, len(policies), names...)
	if err != nil {
		t.Fatal(err)
	}
	slots := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i, p := range policies {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			run, err := files.Begin(i, p, "", t0)
			if err != nil {
				t.Error(err)
				return
			}
			tell(uint64(i), 2000, run)
			if !unfinished[i] {
				if err := run.Finish(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	return contents(t, dir)
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(text)
	}
	return out
}

func TestRunsAtOnceLeaveTheSameFilesAsOneAfterTheOther(t *testing.T) {
	want := writeRuns(t, 1, nil)
	for range 3 {
		if diff := cmp.Diff(want, writeRuns(t, 5, nil)); diff != "" {
			t.Fatalf("(-one +five):\n%s", diff)
		}
	}
	for name, first := range map[string]string{
		score.TimelineFile: score.TimelineHeader, score.RequestsFile: score.RequestsHeader, score.DecisionsFile: `{"policy":"preheat"`,
	} {
		if text := want[name]; !strings.HasPrefix(text, first) || strings.Count(text, first) > 1 && first[0] != '{' {
			t.Errorf("%s begins with %.80q", name, text)
		}
	}
	if len(want) != 3 {
		t.Errorf("%d files are left", len(want))
	}
}

func TestPoliciesStandInTheirOrder(t *testing.T) {
	var order []string
	for row := range strings.Lines(writeRuns(t, 5, nil)[score.RequestsFile]) {
		policy, _, _ := strings.Cut(row, ",")
		if len(order) == 0 || order[len(order)-1] != policy {
			order = append(order, policy)
		}
	}
	if diff := cmp.Diff([]string{"policy", "preheat", "oracle", "hpa-queue", "keda", "kpa"}, order); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnUnfinishedRunLeavesNoRows(t *testing.T) {
	got := writeRuns(t, 2, map[int]bool{0: true, 3: true})
	for name, text := range got {
		if strings.Contains(text, "preheat") || strings.Contains(text, "keda") || !strings.Contains(text, "oracle") {
			t.Errorf("%s has rows of an unfinished run, or none of a finished one", name)
		}
	}
}

func TestOnlyFilesAskedForAreWritten(t *testing.T) {
	got := writeRuns(t, 2, nil, score.TimelineFile)
	if len(got) != 1 || got[score.TimelineFile] == "" {
		t.Errorf("%d files", len(got))
	}
}

func TestAFinishedRunHoldsNoFileOpen(t *testing.T) {
	held := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("counts what is open by /proc: ", err)
		}
		return len(entries)
	}
	const runs = 40
	files, err := score.Create(t.TempDir(), runs)
	if err != nil {
		t.Fatal(err)
	}
	before := held()
	for i := range runs {
		run, err := files.Begin(i, "kpa", "", t0)
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	if n := held() - before; n >= runs {
		t.Errorf("%d finished runs hold %d files open", runs, n)
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryThatCannotBeMadeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := score.Create(filepath.Join(file, "out"), 1); err == nil || !strings.Contains(err.Error(), "create output directory") {
		t.Errorf("got %v", err)
	}
}
