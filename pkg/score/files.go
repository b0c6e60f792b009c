package score

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// The names of the files in the directory of a replay.
const (
	SummaryFile   = "summary.json"
	TimelineFile  = "timeline.csv"
	RequestsFile  = "requests.csv"
	DecisionsFile = "decisions.jsonl"
)

// Files writes the files of several runs that go on at once, so that their rows stand in the order of the runs all the
// same: each run writes parts of its own, and Close puts them together. Only runs that go on hold files open and memory.
//
// Begin and RunFiles' methods may be called from several goroutines, one for each run.
type Files struct {
	dir  string
	kept map[string]bool
	runs []*RunFiles
}

// Create prepares the directory, made where it is missing, for the files of so many runs; of TimelineFile, RequestsFile
// and DecisionsFile only those named are written, all where none is.
func Create(dir string, runs int, names ...string) (*Files, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create output directory: %w", err)
	}
	if len(names) == 0 {
		names = []string{TimelineFile, RequestsFile, DecisionsFile}
	}
	f := &Files{dir: dir, kept: map[string]bool{}, runs: make([]*RunFiles, runs)}
	for _, n := range names {
		f.kept[n] = true
	}
	return f, nil
}

// RunFiles are the parts of one run: a replay.Sink.
type RunFiles struct {
	*Writer
	parts map[string]*os.File
	done  bool
}

// Begin opens the parts of a run, which counts from 0; its rows stand after those of the runs before it. target is the
// one to write where a run has several, start the date of the trace's zero.
func (f *Files) Begin(run int, policy, target string, start time.Time) (*RunFiles, error) {
	r := &RunFiles{parts: map[string]*os.File{}}
	f.runs[run] = r
	for name := range f.kept {
		part, err := os.Create(filepath.Join(f.dir, fmt.Sprintf(".%s.part%d", name, run)))
		if err != nil {
			return nil, fmt.Errorf("begin run of %s: %w", policy, err)
		}
		r.parts[name] = part
	}
	r.Writer = NewWriter(policy, target, start, Streams{
		Timeline: r.part(TimelineFile), Requests: r.part(RequestsFile), Decisions: r.part(DecisionsFile),
	})
	return r, nil
}

// part returns a part as a writer, the nil one where it is not kept.
func (r *RunFiles) part(name string) io.Writer {
	if p, ok := r.parts[name]; ok {
		return p
	}
	return nil
}

// Finish ends a run that went through to its end; nothing may be told afterwards. A run that was not finished leaves no
// rows.
func (r *RunFiles) Finish() error {
	errs := []error{r.Flush()}
	for _, part := range r.parts {
		errs = append(errs, part.Close())
	}
	err := errors.Join(errs...)
	r.done, r.Writer = err == nil, nil
	return err
}

// Close puts the parts of all finished runs together and removes them. No run may be going on.
func (f *Files) Close() error {
	var errs []error
	for _, file := range []struct{ name, header string }{
		{TimelineFile, TimelineHeader}, {RequestsFile, RequestsHeader}, {DecisionsFile, ""},
	} {
		if f.kept[file.name] {
			errs = append(errs, f.join(file.name, file.header))
		}
	}
	return errors.Join(errs...)
}

// join writes one file from its parts.
func (f *Files) join(name, header string) error {
	out, err := os.Create(filepath.Join(f.dir, name))
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = io.WriteString(out, header)
	errs := []error{err}
	for _, r := range f.runs {
		if r != nil {
			errs = append(errs, r.take(name, out))
		}
	}
	if err := errors.Join(append(errs, out.Close())...); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// take moves a part to the end of its file, where the run was finished, and removes it.
func (r *RunFiles) take(name string, out io.Writer) error {
	part, ok := r.parts[name]
	if !ok {
		return nil
	}
	if !r.done {
		part.Close() // of what it holds nothing is taken
		return os.Remove(part.Name())
	}
	whole, err := os.Open(part.Name())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, whole)
	return errors.Join(err, whole.Close(), os.Remove(part.Name()))
}
