package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEngineProfilesAreReadOrTheFaultNamed(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "own.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func(folder string) error {
		o := newOptions()
		if err := o.flags().Parse([]string{"--engine-profiles=" + folder}); err != nil {
			t.Fatal(err)
		}
		_, err := o.profiles()
		return err
	}
	if err := load(""); err != nil {
		t.Errorf("without a folder: %v", err)
	}
	write("name: own\nextends: vllm\nrank: 1\ndetect: {any: [\"own:*\"]}\n")
	if err := load(dir); err != nil {
		t.Errorf("a good profile: %v", err)
	}
	write("name: own\nnonsense: 1\n")
	if err := load(dir); err == nil || !strings.Contains(err.Error(), "--engine-profiles") || !strings.Contains(err.Error(), "own.yaml") {
		t.Errorf("a bad profile: %v", err)
	}
	if err := load(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "--engine-profiles") {
		t.Errorf("no such folder: %v", err)
	}
}
