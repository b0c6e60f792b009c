package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// in are the detail files of a folder.
func in(folder string) []string {
	return []string{filepath.Join(folder, "decisions.jsonl"), filepath.Join(folder, "requests.csv"), filepath.Join(folder, "timeline.csv")}
}

// names are those of the files below a directory, in order.
func names(t *testing.T, dir string) []string { return slices.Sorted(maps.Keys(contents(t, dir))) }

// brief replays a minute into a directory.
func brief(t *testing.T, dir string, more ...string) {
	t.Helper()
	must(t, append([]string{"replay", "--trace", "steady:length=1m,rate=5", "--policy", "kpa", "--initial", "1", "--max", "5", "--out", dir}, more...)...)
}

func TestWhichRunsHaveFilesIsForTheUserToSay(t *testing.T) {
	dir, always := filepath.Join(t.TempDir(), "out"), []string{"report.html", "summary.json"}
	// One after the other into the same directory: what the one before left there is gone.
	for _, tc := range []struct {
		words string
		want  []string
	}{
		{"all", slices.Concat(always, in(""), in("lead-0.5s"), in("seed-2"), in("lead-0.5s/seed-2"))},
		{"leads", slices.Concat(always, in(""), in("lead-0.5s"))},
		{"first", slices.Concat(always, in(""))},
		{"none", always},
	} {
		brief(t, dir, "--lead-time", "30s,500ms", "--seeds", "2", "--details", tc.words)
		if diff := cmp.Diff(slices.Sorted(slices.Values(tc.want)), names(t, dir)); diff != "" {
			t.Errorf("--details %s (-want +got):\n%s", tc.words, diff)
		}
	}
}

// TestAFolderHoldsWhatTheRunAloneWouldHaveLeft holds each folder against a replay of its lead time and seed alone.
func TestAFolderHoldsWhatTheRunAloneWouldHaveLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	brief(t, dir, "--lead-time", "30s,2m", "--seeds", "2", "--details", "all")
	all := contents(t, dir)
	for folder, alone := range map[string][]string{
		"":                 {"--lead-time", "30s", "--seed", "1"},
		"seed-2":           {"--lead-time", "30s", "--seed", "2"},
		"lead-120s":        {"--lead-time", "2m", "--seed", "1"},
		"lead-120s/seed-2": {"--lead-time", "2m", "--seed", "2"},
	} {
		single := filepath.Join(t.TempDir(), "single")
		brief(t, single, alone...)
		for _, name := range detailFiles {
			want := contents(t, single)[name]
			if diff := cmp.Diff(want, all[filepath.Join(folder, name)]); diff != "" || want == "" {
				t.Errorf("%s of %q (-alone +among others):\n%.600s", name, folder, diff)
			}
		}
	}
}

func TestAFolderOfSomebodyElseStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	brief(t, dir, "--lead-time", "30s,2m")
	for _, name := range []string{"lead-120s/notes.md", "lead-story/notes.md"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), "mine")
	}
	brief(t, dir, "--lead-time", "30s")
	want := []string{"decisions.jsonl", "lead-120s/notes.md", "lead-story/notes.md", "report.html", "requests.csv", "summary.json", "timeline.csv"}
	if diff := cmp.Diff(want, names(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
