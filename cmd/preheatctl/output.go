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

// clear removes the files of a replay before. Where none has been, nothing may be there, unless by --force.
func (o outputOptions) clear() error {
	entries, err := os.ReadDir(o.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if len(entries) > 0 && !o.force && !o.holdsReplay() && !o.holdsRemains(entries) {
		return usageError{fmt.Errorf("--out %s: holds files and no replay that wrote them (%s); name another directory, or give --force to replace those of the same names",
			o.dir, entries[0].Name())}
	}
	for _, e := range entries {
		if !isResult(e) && !isPart(e) {
			continue
		}
		if err := os.Remove(filepath.Join(o.dir, e.Name())); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	return nil
}

// isResult says whether a replay writes a file of that name.
func isResult(e fs.DirEntry) bool { return slices.Contains(written, e.Name()) }

// isPart says whether a file is part of one while a replay goes on.
func isPart(e fs.DirEntry) bool {
	return slices.ContainsFunc(written, func(name string) bool { return strings.HasPrefix(e.Name(), "."+name+".part") })
}

// holdsReplay says whether the directory has a summary that a replay wrote.
func (o outputOptions) holdsReplay() bool {
	data, err := os.ReadFile(filepath.Join(o.dir, score.SummaryFile))
	var s score.Summary
	return err == nil && json.Unmarshal(data, &s) == nil && s.Version > 0 && s.Policies != nil
}

// holdsRemains says whether the directory has what a replay that was killed leaves, and nothing else: parts, and at most
// the empty beginning of a summary.
func (o outputOptions) holdsRemains(entries []fs.DirEntry) bool {
	data, err := os.ReadFile(filepath.Join(o.dir, score.SummaryFile))
	foreign := err == nil && len(data) > 0
	return !foreign && slices.ContainsFunc(entries, isPart) &&
		!slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !isPart(e) && !isResult(e) })
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
