package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// planner is the program as it is, read once.
var planner = sync.OnceValues(func() (*program, error) { return load(context.Background(), "../..") })

// read returns the program as it is.
func read(t *testing.T) *program {
	t.Helper()
	p, err := planner()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// with is the program with one package more, of one file.
func with(t *testing.T, text string) *program {
	t.Helper()
	p := *read(t)
	p.texts = changed{"pkg/made/made.go": []byte("package made\n" + text)}
	p.packages = map[string]*unit{"pkg/made": {path: "example.com/made", folder: "pkg/made", files: []string{"pkg/made/made.go"}}}
	return &p
}

// TestAVariantIsAProgramOfItsOwn builds, which shows too that the same source makes the same program, in any folder.
func TestAVariantIsAProgramOfItsOwn(t *testing.T) {
	p := read(t)
	price := p.texts["pkg/capacity/budget.go"]
	other := changed{"pkg/capacity/budget.go": append(slices.Clone(price), "\nfunc init() { println(1) }\n"...)}
	var programs [][]byte
	for _, with := range []changed{nil, nil, other} {
		dir := t.TempDir()
		to := filepath.Join(dir, "frontier")
		if err := p.build(t.Context(), with, dir, to); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		programs = append(programs, data)
	}
	if !bytes.Equal(programs[0], programs[1]) {
		t.Error("the same source makes two programs")
	}
	if bytes.Equal(programs[0], programs[2]) {
		t.Error("another source makes the same program")
	}
	wrong := changed{"pkg/capacity/budget.go": append(slices.Clone(price), "\nvar unheard = of\n"...)}
	err := p.build(t.Context(), wrong, t.TempDir(), filepath.Join(t.TempDir(), "x"))
	if err == nil || !regexp.MustCompile(`^go build: pkg_capacity_budget.go:\d+:\d+: undefined: of`).MatchString(err.Error()) {
		t.Errorf("error is %v", err)
	}
}

func TestWhatIsEditedMeanwhileIsNotBuilt(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	folder := filepath.Join(root, "pkg", "made")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"made.go", "new.go"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("package edited"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := with(t, "")
	p.root = root
	list, err := p.overlay(nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(folder, "FOLDER", dir, "DIR").Replace(string(data))
	if diff := cmp.Diff(`{"Replace":{"FOLDER/made.go":"DIR/pkg_made_made.go","FOLDER/new.go":""}}`, text); diff != "" {
		t.Error(diff)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "pkg_made_made.go"))
	if err != nil || string(kept) != "package made\n" {
		t.Errorf("%q, %v", kept, err)
	}
}
