package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree lists the files below a directory.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	out := []string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(dir, path)
			out = append(out, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// in are the detail files of a folder.
func in(folder string) []string {
	return []string{filepath.Join(folder, "decisions.jsonl"), filepath.Join(folder, "requests.csv"), filepath.Join(folder, "timeline.csv")}
}

// brief replays a minute into a directory.
func brief(t *testing.T, dir string, more ...string) {
	t.Helper()
	must(t, append([]string{"replay", "--trace", "steady:length=1m,rate=5", "--policy", "kpa", "--initial", "1", "--max", "5", "--out", dir}, more...)...)
}

func TestWhichRunsHaveFilesIsForTheUserToSay(t *testing.T) {
	join := func(lists ...[]string) []string {
		var out []string
		for _, l := range lists {
			out = append(out, l...)
		}
		return out
	}
	always, dir := []string{"report.html", "summary.json"}, filepath.Join(t.TempDir(), "out")
	top := []string{"decisions.jsonl", "report.html", "requests.csv", "summary.json", "timeline.csv"}
	// One after the other into the same directory: what the one before left there is gone.
	for _, tc := range []struct {
		words string
		want  []string
	}{
		{"all", join(top[:1], in("lead-0.5s/seed-2"), in("lead-0.5s"), top[1:3], in("seed-2"), top[3:])},
		{"leads", join(top[:1], in("lead-0.5s"), top[1:])},
		{"first", top},
		{"none", always},
	} {
		brief(t, dir, "--lead-time", "30s,500ms", "--seeds", "2", "--details", tc.words)
		got := tree(t, dir)
		if len(got) != len(tc.want) {
			t.Errorf("--details %s writes %v, want %v", tc.words, got, tc.want)
		}
		for _, name := range tc.want {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Errorf("--details %s: %v", tc.words, err)
			}
		}
	}
}

// TestAFolderHoldsWhatTheRunAloneWouldHaveLeft holds each folder against a replay of its lead time and seed alone.
func TestAFolderHoldsWhatTheRunAloneWouldHaveLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	brief(t, dir, "--lead-time", "30s,2m", "--seeds", "2", "--details", "all")
	for folder, alone := range map[string][]string{
		"":                 {"--lead-time", "30s", "--seed", "1"},
		"seed-2":           {"--lead-time", "30s", "--seed", "2"},
		"lead-120s":        {"--lead-time", "2m", "--seed", "1"},
		"lead-120s/seed-2": {"--lead-time", "2m", "--seed", "2"},
	} {
		single := filepath.Join(t.TempDir(), "single")
		brief(t, single, alone...)
		for _, name := range detailFiles {
			want, err := os.ReadFile(filepath.Join(single, name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(dir, folder, name))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
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
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
