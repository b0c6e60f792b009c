package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/pkg/trace/series"
)

// asking is one instant at which a forecast of a series is wanted, in the order of the output.
type asking struct {
	target *forecastTarget
	// name and text are how the series and the instant are called in the output: as in the file that asks.
	name, text string
	// at is the end of the row at which the forecast is made, zero where there can be none.
	at time.Time
}

// ask finds the origins of every series, and returns what was asked in the order of the output.
func (o *forecastOptions) ask(s streams, targets []*forecastTarget) ([]asking, error) {
	var asked []asking
	if o.origins != "" {
		var err error
		if asked, err = readOrigins(s.Err, o.origins, targets); err != nil {
			return nil, err
		}
	}
	for _, t := range targets {
		recorded := t.recorded()
		switch {
		case o.origins != "":
			t.take(asked)
			continue
		case o.every > 0:
			t.origins = ascending(recorded.Every(time.Duration(o.every)))
		default:
			t.origins = ascending(recorded.SecondHalf(ownOrigins))
		}
		for _, at := range t.origins {
			asked = append(asked, asking{t, t.Name, unixText(at), at})
		}
	}
	return asked, nil
}

// take makes the origins of what is asked of the series.
func (t *forecastTarget) take(asked []asking) {
	for _, a := range asked {
		if a.target == t && !a.at.IsZero() {
			t.origins = append(t.origins, a.at)
		}
	}
	t.origins = ascending(t.origins)
}

// ascending sorts instants and takes out what stands there twice.
func ascending(list []time.Time) []time.Time {
	slices.SortFunc(list, time.Time.Compare)
	return slices.CompactFunc(list, time.Time.Equal)
}

// unixText writes an instant as seconds since 1970.
func unixText(at time.Time) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	if ns := at.Nanosecond(); ns != 0 {
		seconds += strings.TrimRight(fmt.Sprintf(".%09d", ns), "0")
	}
	return seconds
}

// originsFile reads a CSV of series,origin_unix.
type originsFile struct {
	path string
	csv  *csv.Reader
	// series and origin are the columns.
	series, origin int
	byName         map[string]*forecastTarget
	strange        map[string]int // rows of series that are not given
	found          map[*forecastTarget]*originFaults
}

// originFaults counts the origins of a series that are not what an origin should be, each with the first of them.
type originFaults struct {
	count                    int
	before, after, off, hole tally
}

type tally struct {
	n     int
	first string
}

func (t *tally) add(text string) {
	if t.n == 0 {
		t.first = text
	}
	t.n++
}

// tell writes a note of how many there are, unless there is none.
func (t *tally) tell(out io.Writer, name string, all int, text string) {
	if t.n > 0 {
		noteOf(out, name, fmt.Sprintf("%d of %d origins, first %s, %s", t.n, all, t.first, text))
	}
}

// readOrigins reads the instants at which forecasts are wanted, those of series that are not given left out with a note.
func readOrigins(notes io.Writer, path string, targets []*forecastTarget) ([]asking, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--origins: %w", err)
	}
	defer file.Close()
	in, err := gunzipped(file)
	if err != nil {
		return nil, &trace.Error{File: path, Err: err}
	}
	f := &originsFile{path: path, csv: csv.NewReader(in), origin: 1, byName: targetsByName(targets), strange: map[string]int{}, found: map[*forecastTarget]*originFaults{}}
	f.csv.FieldsPerRecord, f.csv.TrimLeadingSpace, f.csv.Comment = -1, true, '#'
	asked, err := f.read()
	if err != nil {
		return nil, err
	}
	return asked, f.tell(notes, targets, len(asked))
}

// gunzipped undoes gzip where there is any, and skips a byte order mark.
func gunzipped(in io.Reader) (io.Reader, error) {
	text := bufio.NewReader(in)
	if magic, _ := text.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(text)
		if err != nil {
			return nil, fmt.Errorf("broken gzip: %w", err)
		}
		text = bufio.NewReader(z)
	}
	if mark, _ := text.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = text.Discard(len(mark)) // they have been read
	}
	return text, nil
}

// targetsByName finds a series by any of its names; one that fits two files is the usual one's or nobody's.
func targetsByName(targets []*forecastTarget) map[string]*forecastTarget {
	out := map[string]*forecastTarget{}
	for i := range series.Aliases("") {
		of := map[string][]*forecastTarget{}
		for _, t := range targets {
			name := series.Aliases(t.file)[i]
			of[name] = append(of[name], t)
		}
		for name, ts := range of {
			if out[name] == nil && len(ts) == 1 {
				out[name] = ts[0]
			}
		}
	}
	for _, t := range targets {
		out[t.Name] = t // also of a generated workload
	}
	return out
}

// read reads all rows. Where the first one is a header, it says which columns are series and origin_unix.
func (f *originsFile) read() ([]asking, error) {
	var asked []asking
	for first := true; ; first = false {
		record, err := f.csv.Read()
		if errors.Is(err, io.EOF) {
			return asked, nil
		}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, &trace.Error{File: f.path, Line: parse.Line, Err: parse.Err}
		}
		if err != nil {
			return nil, &trace.Error{File: f.path, Err: err}
		}
		if first {
			header, err := f.layout(slices.Clone(record))
			if err != nil {
				return nil, f.fault(0, err)
			}
			if header {
				continue
			}
		}
		if len(record) <= max(f.series, f.origin) {
			return nil, f.fault(0, fmt.Errorf("%d columns: want series,origin_unix", len(record)))
		}
		text := strings.TrimSpace(record[f.origin])
		at, err := originTime(text)
		if err != nil {
			return nil, f.fault(f.origin+1, err)
		}
		if a, ok := f.asking(strings.TrimSpace(record[f.series]), text, at); ok {
			asked = append(asked, a)
		}
	}
}

// layout finds the columns by the first row, and says whether it is a header.
func (f *originsFile) layout(first []string) (header bool, err error) {
	for i, name := range first {
		first[i] = strings.ToLower(strings.TrimSpace(name))
	}
	if s, o := slices.Index(first, "series"), slices.Index(first, "origin_unix"); s >= 0 && o >= 0 {
		f.series, f.origin = s, o
		return true, nil
	}
	if len(first) == 2 {
		if _, err := strconv.ParseFloat(first[1], 64); err == nil {
			return false, nil
		}
	}
	return true, fmt.Errorf("header %q: want series,origin_unix", strings.Join(first, ","))
}

// fault is an error in a column of the row last read, counted from one; zero is the whole row.
func (f *originsFile) fault(column int, err error) error {
	line, _ := f.csv.FieldPos(0)
	return &trace.Error{File: f.path, Line: line, Column: column, Err: err}
}

// originTime reads seconds since 1970.
func originTime(text string) (time.Time, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time: want seconds since 1970", text)
	}
	const latest = 4_102_444_800 // the year 2100
	if !(math.Abs(v) <= latest) {
		return time.Time{}, fmt.Errorf("time %s is out of range: want seconds since 1970, not milliseconds", text)
	}
	whole, fraction := math.Modf(v)
	return time.Unix(int64(whole), int64(math.Round(fraction*1e6))*int64(time.Microsecond)).UTC(), nil
}

// asking is what is asked of a series that is given.
func (f *originsFile) asking(name, text string, at time.Time) (asking, bool) {
	t := f.byName[name]
	if t == nil {
		f.strange[name]++
		return asking{}, false
	}
	if f.found[t] == nil {
		f.found[t] = &originFaults{}
	}
	return asking{t, name, text, f.found[t].place(t, text, at)}, true
}

// latestAfter is how long after the end of a series it is still forecast: by then nothing recent is known of it.
const latestAfter = 7 * 24 * time.Hour

// place is the end of the row at which a forecast is made that is asked for at an instant: the last that ends at or before
// it. It is zero where there is none, and where the series has long ended.
func (f *originFaults) place(t *forecastTarget, text string, at time.Time) time.Time {
	f.count++
	near := at.Add(t.Step / 1000) // times that are rounded are no times within a row
	i := int(math.Floor(float64(near.Sub(t.Start))/float64(t.Step))) - 1
	first := slices.IndexFunc(t.Values, func(v float64) bool { return !math.IsNaN(v) })
	end := t.EndOf(i)
	switch {
	case i < first || first < 0:
		f.before.add(text)
		return time.Time{}
	case at.Sub(t.End()) > latestAfter:
		f.after.add(text)
		return time.Time{}
	case i >= len(t.Values) || math.IsNaN(t.Values[i]):
		f.hole.add(text)
	}
	if at.Sub(end) > t.Step/1000 {
		f.off.add(text)
	}
	return end
}

// tell notes what is odd about the origins. It is an error where none of them is of a series that is given.
func (f *originsFile) tell(notes io.Writer, targets []*forecastTarget, asked int) error {
	strangers := 0
	for _, n := range f.strange {
		strangers += n
	}
	if asked == 0 {
		var known []string
		for _, t := range targets {
			known = append(known, t.Name)
		}
		return &trace.Error{File: f.path, Err: fmt.Errorf("none of its rows is of a series that is given: %s", strings.Join(known, ", "))}
	}
	if strangers > 0 {
		rows := "1 row is"
		if strangers > 1 {
			rows = fmt.Sprintf("%d rows are", strangers)
		}
		noteOf(notes, f.path, rows+" of series that are not given: left out")
	}
	for _, t := range targets {
		x := f.found[t]
		if x == nil {
			noteOf(notes, t.Name, "has no origin in "+f.path)
			continue
		}
		x.before.tell(notes, t.Name, x.count, "lie before the end of the first row of which something is known: no forecast")
		x.after.tell(notes, t.Name, x.count, "lie more than a week after the end of the last row: no forecast")
		x.hole.tell(notes, t.Name, x.count, "are the end of a row of which nothing is known: forecast from those before")
		x.off.tell(notes, t.Name, x.count, fmt.Sprintf("lie within a row of %s: forecast at the end of the row before, from which the horizon counts", shortly(t.Step)))
	}
	return nil
}
