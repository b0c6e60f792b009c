package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// variant is the planner with something changed.
type variant struct {
	name string
	// policy is what is measured of it.
	policy string
	with   changed
}

// campaign measures variants, building the next one while one runs.
type campaign struct {
	// build returns the file of a program with some files changed, measure its figures under a policy.
	build   func(ctx context.Context, number int, with changed) (string, error)
	measure func(ctx context.Context, binary, policy string) ([]figure, error)
	aside   io.Writer
}

// built is a variant with its program.
type built struct {
	variant
	binary string
	err    error
}

// run measures the planner as it is and every variant: the effects are in the order of the variants, as far as it came.
func (c *campaign) run(ctx context.Context, variants []variant) (standing, []effect, error) {
	base, err := c.base(ctx)
	if err != nil {
		return standing{}, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	next := make(chan built)
	go c.buildAll(ctx, variants, next)
	defer func() { // no build outlives this
		cancel()
		for range next {
			continue
		}
	}()
	began := time.Now()
	var effects []effect
	for b := range next {
		at := time.Now()
		e := c.effect(ctx, &base, b)
		if ctx.Err() != nil {
			break
		}
		effects = append(effects, e)
		c.tell(b.name, e, len(effects), len(variants), at, began)
	}
	if len(effects) < len(variants) {
		return base, effects, fmt.Errorf("interrupted after %d of %d variants; what was measured is kept for the next time", len(effects), len(variants))
	}
	return base, effects, nil
}

// base is the planner as it is.
func (c *campaign) base(ctx context.Context) (standing, error) {
	binary, err := c.build(ctx, 0, nil)
	if err != nil {
		return standing{}, fmt.Errorf("the planner as it is: %w", err)
	}
	all, err := c.measure(ctx, binary, preheat)
	if err != nil {
		return standing{}, fmt.Errorf("the planner as it is: %w", err)
	}
	if len(all) == 0 {
		return standing{}, errors.New("the oracle meets the objective in no cell: choose others with --cells")
	}
	s := stand(all)
	fmt.Fprintf(c.aside, "sensitivity: as it is: geometric mean %.3f of the oracle's GPU-hours, attainment %.2f%%, %d of %d cells below the objective\n",
		s.Mean, 100*s.Attainment, s.Below, len(all))
	return s, nil
}

// buildAll builds variants one after another, each when the one before has been taken.
func (c *campaign) buildAll(ctx context.Context, variants []variant, next chan<- built) {
	defer close(next)
	for i, v := range variants {
		binary, err := c.build(ctx, i+1, v.with)
		select {
		case next <- built{v, binary, err}:
		case <-ctx.Done():
			return
		}
	}
}

// effect measures a variant. One that does not build or run has none.
func (c *campaign) effect(ctx context.Context, base *standing, b built) effect {
	if b.err != nil {
		return effect{Failure: b.err.Error()}
	}
	all, err := c.measure(ctx, b.binary, b.policy)
	if err != nil {
		return effect{Failure: err.Error()}
	}
	return base.against(all)
}

// tell writes a line of progress.
func (c *campaign) tell(name string, e effect, done, all int, at, began time.Time) {
	left := time.Since(began) / time.Duration(done) * time.Duration(all-done)
	fmt.Fprintf(c.aside, "sensitivity: %d/%d %s: %s (%v; %v left)\n", done, all, name, e, time.Since(at).Round(time.Second), left.Round(time.Second))
}

// String is for progress.
func (e effect) String() string {
	if e.Failure != "" {
		return "fails: " + firstLine(e.Failure)
	}
	return fmt.Sprintf("%.3f, attainment %+.2f points, %d below", e.Ratio, 100*e.Attainment, e.Below)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// runner runs programs, and remembers what they said.
type runner struct {
	// dir keeps results by program and flags; work is a folder for what is built.
	dir, work string
	// root is where programs run, args their flags but for the policy.
	root string
	args []string
}

// place is the file and the folder of the n-th program; two are in use at once.
func (r *runner) place(n int) (binary, dir string, err error) {
	dir = filepath.Join(r.work, fmt.Sprint(n%2))
	return filepath.Join(dir, "frontier"), dir, os.MkdirAll(dir, 0o755)
}

// patience is how long a variant may take: one that never ends is a failure, not the end of the campaign.
const patience = 10 * time.Minute

// measure runs a program, unless the same one ran before.
func (r *runner) measure(ctx context.Context, binary, policy string) ([]figure, error) {
	args := append([]string{"--policies", policy}, r.args...)
	key, err := r.key(binary, args)
	if err != nil {
		return nil, err
	}
	kept := filepath.Join(r.dir, key+".json")
	data, err := os.ReadFile(kept)
	if err != nil {
		if data, err = r.run(ctx, binary, args); err != nil {
			return nil, err
		}
		if err := keep(kept, data); err != nil {
			return nil, err
		}
	}
	var o outcome
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it", kept, err)
	}
	return o.figures()
}

// run runs a program to its end.
func (r *runner) run(ctx context.Context, binary string, args []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(args, "-o", "json")...)
	var out, problem bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.root, &out, &problem
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", complaint(problem.String()), err)
	}
	return out.Bytes(), nil
}

// complaint is the line in which a program says what is wrong: of a panic the first, else the last.
func complaint(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for _, l := range lines {
		if strings.HasPrefix(l, "panic:") {
			return l
		}
	}
	return lines[len(lines)-1]
}

// key is that of a program with its flags.
func (r *runner) key(binary string, args []string) (string, error) {
	f, err := os.Open(binary)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	fmt.Fprint(sum, args)
	return fmt.Sprintf("%x", sum.Sum(nil)[:12]), nil
}

// keep writes a file whole or not at all.
func keep(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	part := name + ".part"
	if err := os.WriteFile(part, data, 0o600); err != nil {
		return err
	}
	return os.Rename(part, name)
}
