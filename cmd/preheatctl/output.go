package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// reportFile is the name of the page.
const reportFile = "report.html"

// written are the files of a replay, in the order in which they are told of.
var written = []string{reportFile, score.SummaryFile, score.TimelineFile, score.RequestsFile, score.DecisionsFile}

// output is the directory of a replay; with an empty name nothing is written.
type output struct {
	dir   string
	files *score.Files // nil where nothing is written
}

// openOutput prepares the directory for so many policies: what a replay before left there goes.
func openOutput(o outputOptions, policies int) (*output, error) {
	if o.dir == "" {
		return &output{}, nil
	}
	if err := o.clear(); err != nil {
		return nil, err
	}
	files, err := score.Create(o.dir, policies)
	if err != nil {
		return nil, err
	}
	return &output{dir: o.dir, files: files}, nil
}

// clear removes the files of a replay before. Other people's files are only tolerated beside ours, or by --force.
func (o outputOptions) clear() error {
	entries, err := os.ReadDir(o.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	var ours []string
	for _, e := range entries {
		if isOurs(e.Name()) {
			ours = append(ours, e.Name())
		}
	}
	if len(ours) < len(entries) && !o.force && !o.holdsReplay() {
		return usageError{fmt.Errorf("--out %s: holds other files and no replay; name another directory, or give --force to write there all the same", o.dir)}
	}
	for _, name := range ours {
		if err := os.Remove(filepath.Join(o.dir, name)); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	return nil
}

// isOurs says whether a replay writes a file of that name: one of the results, or a part that one which was killed has
// left.
func isOurs(name string) bool {
	return slices.Contains(written, name) || strings.HasPrefix(name, ".") && strings.Contains(name, ".part")
}

// holdsReplay says whether the directory has a summary that a replay wrote.
func (o outputOptions) holdsReplay() bool {
	data, err := os.ReadFile(filepath.Join(o.dir, score.SummaryFile))
	var s score.Summary
	return err == nil && json.Unmarshal(data, &s) == nil && s.Version > 0 && s.Policies != nil
}

// finish writes everything.
func (d *output) finish(e compare.Experiment, o compare.Outcome, l compare.Labels) error {
	if d.dir == "" {
		return nil
	}
	return errors.Join(
		d.files.Close(),
		d.write(score.SummaryFile, o.Summary(e, l).WriteJSON),
		d.write(reportFile, func(w io.Writer) error { return report.Write(w, o.Report(e, l)) }),
	)
}

// discard leaves nothing behind but an empty directory.
func (d *output) discard() error {
	if d.dir == "" {
		return nil
	}
	return errors.Join(d.files.Close(), outputOptions{dir: d.dir, force: true}.clear())
}

// write makes one file.
func (d *output) write(name string, fill func(io.Writer) error) error {
	file, err := os.Create(filepath.Join(d.dir, name))
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := errors.Join(fill(file), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// tell names the files, the page first.
func (d *output) tell(out io.Writer) {
	if d.dir == "" {
		return
	}
	fmt.Fprintln(out)
	for _, name := range written {
		fmt.Fprintln(out, filepath.Join(d.dir, name))
	}
}
