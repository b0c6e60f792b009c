package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// The page tells of the command that makes it again, with files that have no flag once, and of every series.
func TestThePageOfAForecast(t *testing.T) {
	dir := t.TempDir()
	a := table(t, filepath.Join(dir, "a.csv"), 60, waves(400, 1))
	b := table(t, filepath.Join(dir, "b.csv"), 300, waves(400, 2))
	out := filepath.Join(dir, "out")
	must(t, "forecast", "--series", a, b, "--every", "1h", "--statistic", "max", "--time-zone", "Europe/Berlin", "--holidays", "2026-12-25", "--out", out)
	page := contents(t, out)[reportFile]
	command := "preheatctl forecast --series " + a + " --time-zone Europe/Berlin --holidays 2026-12-25 --every 1h0m0s --statistic max " + b
	for _, want := range []string{
		"Forecast of a, b", command, "the largest demand until the horizon", `"zone":"Europe/Berlin"`, `"name":"a"`, `"name":"b"`, "one every 1h", "2026-12-25",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
