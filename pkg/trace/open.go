package trace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// headBytes is how much of a file its format is told from.
const headBytes = 64 << 10

// Trace is an open stream with what is known of it. It is used by one goroutine.
type Trace struct {
	stream Stream
	facts  Facts
	// requests and read tell what a file's readers count; nil where there is none.
	requests *requests
	read     *counter
	// file is nil where none is open.
	file io.Closer
}

// Open opens a file, a folder of ServeGen clients, or the spec of a workload, and re-times it as o says. A file that is
// there goes before a workload of the same name.
func Open(spec string, o Options) (*Trace, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	info, err := os.Stat(spec)
	switch {
	case err == nil && info.IsDir():
		return openFolder(spec, o)
	case err == nil:
		return openFile(spec, o)
	case isWorkload(spec):
		return openWorkload(spec, o)
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("open trace: %w, and no workload: those are %s", err, strings.Join(WorkloadNames(), ", "))
	default:
		return nil, fmt.Errorf("open trace: %w", err)
	}
}

// Next returns the next request. At the end and after an error the file is closed.
func (t *Trace) Next() (Request, error) {
	q, err := t.stream.Next()
	if err != nil {
		t.end(err)
		return Request{}, err
	}
	t.facts.Requests++
	t.facts.PromptTokens += int64(q.PromptTokens)
	t.facts.OutputTokens += int64(q.OutputTokens)
	t.facts.Reached = q.At
	return q, nil
}

// end notes the end and lets go of the file.
func (t *Trace) end(err error) {
	t.Close()
	if !errors.Is(err, io.EOF) {
		return
	}
	t.facts.Ended = true
	end, known := t.End()
	if !known {
		end = t.facts.Reached // a file of requests lasts as long as its last one
	}
	t.facts.Length = end
}

// Facts are what is known so far.
func (t *Trace) Facts() Facts {
	f := t.facts
	if t.requests != nil {
		f.Failed = t.requests.rows.in.dropped()
		f.Notes = t.requests.notes()
	}
	if t.read != nil {
		f.Read = t.read.n
	}
	return f
}

// Close lets go of the file, for a trace that is not read to its end.
func (t *Trace) Close() error {
	if t.file == nil {
		return nil
	}
	file := t.file
	t.file = nil
	return file.Close()
}

// exists says whether a file or folder is there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// opened is an open file whose format is known.
type opened struct {
	path string
	text *lines
	read *counter
	size int64
	// format is that of the file, want what was asked for: empty, a format, or a unit of rates.
	format, want Format
	file         io.Closer
}

func openPath(path string, want Format) (*opened, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open trace: %w", err)
	}
	f := &opened{path: path, read: &counter{in: file}, file: file, want: want}
	if info, err := file.Stat(); err == nil {
		f.size = info.Size()
	}
	if err := f.tell(); err != nil {
		file.Close()
		return nil, err
	}
	return f, nil
}

// tell finds the format unless it was given. A unit of rates tells no format.
func (f *opened) tell() error {
	text, err := openText(f.read)
	if err != nil {
		return &Error{File: f.path, Err: err}
	}
	f.text, f.format = text, f.want
	if _, unit := f.want.forced(); unit || f.want == "" {
		f.format, err = told(text, f.path)
		return err
	}
	return f.format.checkEnds(text, f.path)
}

func openFile(path string, o Options) (*Trace, error) {
	f, err := openPath(path, o.Format)
	if err != nil {
		return nil, err
	}
	var t *Trace
	_, unit := o.Format.forced()
	switch {
	case unit: // whose reader refuses what holds no rates
		t, err = f.rates(o)
	case f.format == ServeGen:
		t, err = f.clients(o)
	case f.format.requests():
		t, err = f.requests(o)
	default:
		t, err = f.rates(o)
	}
	if err != nil {
		f.file.Close()
		return nil, err
	}
	t.facts.Source, t.facts.Format = path, f.format
	return t, nil
}

// requests streams a file of requests.
func (f *opened) requests(o Options) (*Trace, error) {
	in, err := newRequests(f.text, f.path, f.format, o)
	if err != nil {
		return nil, err
	}
	s, err := Reshape(in, o)
	if err != nil {
		return nil, err
	}
	t := &Trace{stream: s, requests: in, read: f.read, file: f.file}
	t.facts.Size, t.facts.Length, t.facts.DrawnSizes = f.size, o.windowed(0), in.mix != nil
	t.facts.Start = o.startOf(in.start)
	return t, nil
}

// rates draws requests from a file of rates.
func (f *opened) rates(o Options) (*Trace, error) {
	defer f.file.Close()
	rates, notes, err := readRates(f.text, f.path, f.format, f.want)
	if err != nil {
		return nil, err
	}
	mix, err := o.mix()
	if err != nil {
		return nil, err
	}
	t, err := drawnTrace(rates, mix, o)
	if err != nil {
		return nil, err
	}
	t.facts.Notes = append(notes, t.facts.Notes...)
	return t, nil
}

// drawnTrace is the trace of a rate series.
func drawnTrace(rates Rates, mix Mix, o Options) (*Trace, error) {
	s, err := Reshape(rates.Draw(mix, o), o.afterDrawing())
	if err != nil {
		return nil, err
	}
	t := &Trace{stream: s}
	t.facts.Expected, t.facts.Length = rates.expected(o), o.windowed(rates.Length())
	t.facts.DrawnTimes, t.facts.DrawnSizes = true, true
	t.facts.Start = o.startOf(rates.Start)
	if n := rates.holes(); n > 0 {
		t.facts.Notes = append(t.facts.Notes, fmt.Sprintf("%d of %d periods have no rate: nothing arrives in them", n, len(rates.PerSecond)))
	}
	return t, nil
}

// afterDrawing is what is left to do once the window and the factor have been applied to rates.
func (o Options) afterDrawing() Options {
	o.From, o.For, o.Rate = 0, 0, 0
	return o
}

// windowed is how long a trace lasts after re-timing; a length of zero is unknown.
func (o Options) windowed(length time.Duration) time.Duration {
	switch {
	case length > 0:
		length = max(0, length-o.From)
		if o.For > 0 {
			length = min(length, o.For)
		}
	case o.For > 0:
		length = o.For // or less: the file may end before
	}
	if o.Compress > 0 {
		length = time.Duration(float64(length) / o.Compress)
	}
	if length > 0 {
		length += o.Offset
	}
	return length
}

// startOf is the date of the stream's zero, given that of the trace's.
func (o Options) startOf(start time.Time) time.Time {
	if start.IsZero() {
		return start
	}
	return start.Add(o.From).Add(-o.Offset)
}

// ReadFile reads the requests of a file in any request format, gzipped or not.
// Errors name the file, the line and the column.
func ReadFile(path string) ([]Request, error) {
	t, err := openRequests(path, Options{})
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return Collect(t)
}

// openRequests opens a file that must hold requests, not rates.
func openRequests(path string, o Options) (*Trace, error) {
	f, err := openPath(path, o.Format)
	if err != nil {
		return nil, err
	}
	t, err := f.requests(o)
	if err != nil {
		f.file.Close()
		return nil, err
	}
	return t, nil
}

// Read is ReadFile on an open stream; name is used in errors.
func Read(r io.Reader, name string) ([]Request, error) {
	f := &opened{path: name, read: &counter{in: r}, file: io.NopCloser(r)}
	if err := f.tell(); err != nil {
		return nil, err
	}
	t, err := f.requests(Options{})
	if err != nil {
		return nil, err
	}
	return Collect(t)
}
