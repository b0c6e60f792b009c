package series

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// usualStep is the length of the rows that requests, and rates finer than that, are made into.
const usualStep = time.Minute

// headBytes is how much of a file tells what it is.
const headBytes = 64 << 10

// Options say how a file is made into a series.
type Options struct {
	// Step is the length of a row; zero is the file's own for a CSV and for rates, and a minute of requests and of rates
	// finer than that.
	Step time.Duration
	// Of is what rows of a trace count; empty is Requests. A CSV of values has that alone.
	Of Quantity
}

// Open reads a file, gzipped or not: a CSV as Read does; or a trace, or the spec of a generated workload, as package trace
// does, of which a row is the mean rate of what the options say. A step that is not the file's must be a whole multiple of
// it, and a row is the mean of those in it. Errors name the file, and the line where there is one.
func Open(path string, o Options) (*Series, error) {
	file, err := os.Open(path)
	if err != nil {
		if s, err := openTrace(path, o); err == nil || !errors.Is(err, os.ErrNotExist) {
			return s, err
		}
		return nil, fmt.Errorf("open series: %w", err)
	}
	defer file.Close()
	text, err := unzipped(file)
	if err != nil {
		return nil, &trace.Error{File: path, Err: err}
	}
	head, _ := text.Peek(headBytes) // shorter than that, or broken: its reader says so
	if _, end := text.Peek(1); errors.Is(end, io.EOF) && len(head) == 0 {
		return nil, &trace.Error{File: path, Err: errEmpty}
	}
	if err := separated(head); err != nil {
		return nil, &trace.Error{File: path, Line: 1, Err: err}
	}
	if !isTable(head) {
		return openTrace(path, o)
	}
	if o.Of.tokens() {
		return nil, &trace.Error{File: path, Err: errOneQuantity}
	}
	s, err := Read(text, path)
	if err != nil {
		return nil, err
	}
	return s.stepped(path, o.Step)
}

// errEmpty is the error of a file of no bytes.
var errEmpty = errors.New("is empty: want a CSV of timestamp_unix,value, or a trace")

// unzipped undoes gzip where it finds its magic number, and skips a byte order mark.
func unzipped(in io.Reader) (*bufio.Reader, error) {
	text := bufio.NewReaderSize(in, headBytes)
	if magic, _ := text.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(text)
		if err != nil {
			return nil, fmt.Errorf("broken gzip: %w", err)
		}
		text = bufio.NewReaderSize(gunzip{z}, headBytes)
	}
	if mark, _ := text.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = text.Discard(len(mark)) // they have been read
	}
	return text, nil
}

// gunzip says what is wrong with what it unzips.
type gunzip struct{ in io.Reader }

// Read implements io.Reader.
func (g gunzip) Read(p []byte) (int, error) {
	n, err := g.in.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a Reader's end is io.EOF itself
		err = fmt.Errorf("broken gzip: %w; was the file copied whole?", err)
	}
	return n, err
}

// isTable says whether a file is one for Read and not a trace: its first line has two columns and its first row a time and
// a value in them, or its header has a time and a column called value.
func isTable(head []byte) bool {
	in := newCSV(bytes.NewReader(head))
	first, err := in.Read()
	if err != nil || len(first) < 2 {
		return false
	}
	if isRow(first) {
		return true
	}
	var names []string
	for _, name := range first {
		names = append(names, strings.ToLower(strings.TrimSpace(name)))
	}
	if slices.Contains(names, valueName) && slices.ContainsFunc(names, func(n string) bool { return slices.Contains(timeNames, n) }) {
		return true
	}
	if len(first) == 2 && slices.Contains(names, valueName) {
		return true // whose reader says what is wrong with its times
	}
	second, err := in.Read()
	return (errors.Is(err, io.EOF) || isRow(second)) && len(first) == 2 && slices.Contains(timeNames, names[0])
}

// separated refuses what would be a table were its columns separated by commas.
func separated(head []byte) error {
	if isTable(head) {
		return nil
	}
	for _, other := range []string{";", "\t"} {
		if isTable(bytes.ReplaceAll(head, []byte(other), []byte(","))) {
			return fmt.Errorf("its columns are separated by %q: separate them by commas", other)
		}
	}
	return nil
}

// isRow says whether fields are a time and a value.
func isRow(fields []string) bool {
	if len(fields) != 2 {
		return false
	}
	_, noTime := parseTime(fields[0])
	_, noValue := parseValue(fields[1])
	return noTime == nil && noValue == nil
}

// openTrace reads what package trace reads.
func openTrace(path string, o Options) (*Series, error) {
	rates, err := trace.ReadRatesFile(path)
	if errors.Is(err, trace.ErrFormat) || isFolder(path) || errors.Is(err, os.ErrNotExist) {
		s, err := countRequests(path, o)
		if errors.Is(err, trace.ErrFormat) {
			err = fmt.Errorf("%w; a series is a CSV of timestamp_unix,value", err)
		}
		return s, err
	}
	if err != nil {
		return nil, err
	}
	values, err := o.Of.rates(&rates)
	if err != nil {
		return nil, &trace.Error{File: path, Err: err}
	}
	s := &Series{Name: NameOf(path), Start: rates.Start, Step: rates.Period, Values: values, Unit: o.Of.unit()}
	if s.Start.IsZero() {
		s.Start = time.Unix(0, 0).UTC()
	}
	step := o.Step
	if step == 0 && s.Step < usualStep && usualStep%s.Step == 0 {
		step = usualStep
	}
	if s.Known() == 0 {
		return nil, &trace.Error{File: path, Err: errors.New("of no row is anything known")}
	}
	return s.stepped(path, step)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
