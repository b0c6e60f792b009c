package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// near compares figures.
var near = cmp.Comparer(func(x, y float64) bool { return math.Abs(x-y) < 1e-9 })

// fake builds a program of a variant's number, and measures that many GPU-hours.
func fake(aside io.Writer) *campaign {
	return &campaign{
		build: func(_ context.Context, n int, _ changed) (string, error) { return fmt.Sprint(n), nil },
		measure: func(_ context.Context, binary, policy string) ([]figure, error) {
			hours := 10 + float64(binary[0]-'0')
			return []figure{{Cell: policy, Ratio: hours / 10, Attainment: 0.995, Goal: 0.99, hours: hours}}, nil
		},
		aside: aside,
	}
}

func two() []variant {
	return []variant{{name: "one", policy: preheat}, {name: "two", policy: preheat}}
}

func TestEffectsAreInTheOrderOfVariants(t *testing.T) {
	var aside bytes.Buffer
	base, effects, err := fake(&aside).run(t.Context(), two())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]effect{{Ratio: 1.1}, {Ratio: 1.2}}, effects, near); diff != "" || base.Mean != 1 {
		t.Errorf("mean %v: %s", base.Mean, diff)
	}
	for _, want := range []string{"as it is: geometric mean 1.000", "1/2 one: 1.100, attainment +0.00 points, 0 below", "2/2 two", "left)"} {
		if !strings.Contains(aside.String(), want) {
			t.Errorf("progress does not say %q:\n%s", want, aside.String())
		}
	}
}

func TestAVariantThatFailsIsOneOfMany(t *testing.T) {
	c := fake(io.Discard)
	build, measure := c.build, c.measure
	c.build = func(ctx context.Context, n int, with changed) (string, error) {
		if n == 1 {
			return "", errors.New("does not build")
		}
		return build(ctx, n, with)
	}
	c.measure = func(ctx context.Context, binary, policy string) ([]figure, error) {
		if binary == "2" {
			return nil, errors.New("panics")
		}
		return measure(ctx, binary, policy)
	}
	_, effects, err := c.run(t.Context(), append(two(), variant{name: "three", policy: preheat}))
	if diff := cmp.Diff([]effect{{Failure: "does not build"}, {Failure: "panics"}, {Ratio: 1.3}}, effects, near); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
}

func TestAnInterruptionKeepsWhatIsMeasured(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := fake(io.Discard)
	measure := c.measure
	c.measure = func(ctx context.Context, binary, policy string) ([]figure, error) {
		if binary == "2" {
			cancel()
			return nil, ctx.Err()
		}
		return measure(ctx, binary, policy)
	}
	_, effects, err := c.run(ctx, two())
	if len(effects) != 1 || err == nil || !strings.Contains(err.Error(), "interrupted after 1 of 2") {
		t.Errorf("%v, %v", effects, err)
	}
}

func TestWithoutABaseNothingIsMeasured(t *testing.T) {
	c := fake(io.Discard)
	c.measure = func(context.Context, string, string) ([]figure, error) { return nil, nil }
	if _, _, err := c.run(t.Context(), two()); err == nil || !strings.Contains(err.Error(), "--cells") {
		t.Errorf("error is %v", err)
	}
}

// script is a program that prints what frontier would, and notes each time that it runs.
func script(t *testing.T, dir, body string) string {
	t.Helper()
	name := filepath.Join(dir, "program")
	if err := os.WriteFile(name, []byte("#!/bin/sh\necho \"$@\" >> ran\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAProgramRunsOnceForTheSameFlags(t *testing.T) {
	dir := t.TempDir()
	r := &runner{dir: filepath.Join(dir, "kept"), root: dir, args: []string{"--cells", "x"}}
	program := script(t, dir, `echo '{"cells":[
		{"cell":"a","goal":0.99,"oracle":{"gpu_hours":4,"met":true},"policies":[{"attainment":0.98,"gpu_hours":6}]},
		{"cell":"b","goal":0.99,"oracle":{"gpu_hours":4,"met":false},"policies":[{"attainment":0.9,"gpu_hours":1}]}]}'`)
	for _, policy := range []string{"preheat", "preheat", "preheat-reactive"} {
		got, err := r.measure(t.Context(), program, policy)
		if err != nil {
			t.Fatal(err)
		}
		want := []figure{{Cell: "a", Ratio: 1.5, Attainment: 0.98, Goal: 0.99, hours: 6}}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(figure{})); diff != "" {
			t.Error(diff)
		}
	}
	ran, err := os.ReadFile(filepath.Join(dir, "ran"))
	want := "--policies preheat --cells x -o json\n--policies preheat-reactive --cells x -o json\n"
	if diff := cmp.Diff(want, string(ran)); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
}

func TestAPanicIsTold(t *testing.T) {
	dir := t.TempDir()
	r := &runner{dir: dir, root: dir}
	program := script(t, dir, "echo 'goroutine 1' >&2; echo 'panic: index out of range' >&2; echo 'exit' >&2; exit 2")
	if _, err := r.measure(t.Context(), program, "preheat"); err == nil || !strings.HasPrefix(err.Error(), "panic: index out of range: ") {
		t.Errorf("error is %v", err)
	}
}
