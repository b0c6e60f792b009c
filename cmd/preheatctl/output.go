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

// detailFiles are the files of a place, in the order in which they are told of; written are those of a directory.
var (
	detailFiles = []string{score.TimelineFile, score.RequestsFile, score.DecisionsFile}
	written     = append([]string{reportFile, score.SummaryFile}, detailFiles...)
)

// output is the directory of a replay; with an empty name nothing is written.
type output struct {
	dir     string
	details []detail
}

// openOutput prepares the directory for an experiment: what a replay before left there goes.
func openOutput(o outputOptions, e compare.Experiment) (*output, error) {
	if o.dir == "" {
		return &output{}, nil
	}
	if err := o.clear(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, fmt.Errorf("--out: %w", err)
	}
	kept, err := openDetails(o.dir, details(o.details), e)
	if err != nil {
		return nil, err
	}
	return &output{dir: o.dir, details: kept}, nil
}

// filesOf is where the rows of a run go, nil for nowhere.
func (d *output) filesOf(k compare.Key) *score.Files {
	for _, x := range d.details {
		if x.place == (place{k.Lead, k.Seed}) {
			return x.Files
		}
	}
	return nil
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
	if err := clearFiles(o.dir, entries); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

// isResult says whether a replay writes a file of that name.
func isResult(e fs.DirEntry) bool { return !e.IsDir() && slices.Contains(written, e.Name()) }

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

// holdsRemains says whether the directory has what a replay that was killed leaves, and nothing else: parts and folders, and
// at most the empty beginning of a summary.
func (o outputOptions) holdsRemains(entries []fs.DirEntry) bool {
	data, err := os.ReadFile(filepath.Join(o.dir, score.SummaryFile))
	foreign := err == nil && len(data) > 0
	begun := func(e fs.DirEntry) bool { return isPart(e) || isFolder(e) }
	return !foreign && slices.ContainsFunc(entries, begun) &&
		!slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !begun(e) && !isResult(e) })
}

// finish writes everything.
func (d *output) finish(e compare.Experiment, o compare.Outcome, l compare.Labels) error {
	if d.dir == "" {
		return nil
	}
	return errors.Join(
		d.close(),
		d.write(score.SummaryFile, o.Summary(e, l).WriteJSON),
		d.write(reportFile, func(w io.Writer) error { return report.Write(w, o.Report(e, l)) }),
	)
}

// discard leaves nothing behind but an empty directory.
func (d *output) discard() error {
	if d.dir == "" {
		return nil
	}
	return errors.Join(d.close(), outputOptions{dir: d.dir, force: true}.clear())
}

// close puts the files of all places together.
func (d *output) close() error {
	var errs []error
	for _, x := range d.details {
		errs = append(errs, x.Close())
	}
	return errors.Join(errs...)
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

// tell names the files, the page first, and the folders.
func (d *output) tell(out io.Writer) {
	if d.dir == "" {
		return
	}
	fmt.Fprintln(out)
	for _, name := range d.names() {
		fmt.Fprintln(out, filepath.Join(d.dir, name))
	}
}

// names are the files of the directory, and those of each folder as a shell would have them.
func (d *output) names() []string {
	names := []string{reportFile, score.SummaryFile}
	for _, x := range d.details {
		if x.folder == "" {
			names = append(names, detailFiles...)
		} else {
			names = append(names, filepath.Join(x.folder, "{"+strings.Join(detailFiles, ",")+"}"))
		}
	}
	return names
}
