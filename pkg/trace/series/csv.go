package series

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// timeNames are what a column of time may be called, in lower case.
var timeNames = []string{
	"timestamp_unix", "unix", "unix_time", "unixtime", "epoch", "timestamp", "time", "ts", "t", "t_s", "ds", "date", "datetime", "period", "second", "seconds",
}

// valueName is the column of values where a file has more than two.
const valueName = "value"

// Read reads a CSV of times and values: one column of each, or those called timestamp_unix (or time, date, ts, …) and value
// among others. The header may be left out. Times are seconds since 1970, also fractions, or dates like 2006-01-02
// 15:04:05, in UTC where they name no zone. A value that is empty, NaN, NA or null is unknown; so is one that is negative
// or infinite, with a note. Errors are a *trace.Error with the file's name, the line and the remedy.
func Read(in io.Reader, file string) (*Series, error) {
	t := &table{file: file, csv: newCSV(in)}
	rows, err := t.rows()
	if err != nil {
		return nil, err
	}
	s, err := even(rows)
	if err != nil {
		return nil, &trace.Error{File: file, Err: err}
	}
	s.Name, s.Unit = NameOf(file), t.unit
	s.note(t.negative, "value is", "values are", "negative or infinite: unknown")
	if s.Known() == 0 {
		return nil, &trace.Error{File: file, Err: errors.New("of no row is anything known: its values are all empty, NaN, negative or infinite")}
	}
	return s, nil
}

// newCSV reads any number of fields a line; comments begin with #.
func newCSV(in io.Reader) *csv.Reader {
	r := csv.NewReader(in)
	r.FieldsPerRecord, r.ReuseRecord, r.TrimLeadingSpace, r.Comment = -1, true, true, '#'
	return r
}

// table reads rows from a CSV.
type table struct {
	file string
	csv  *csv.Reader
	// at and value are the columns, columns how many a line has, unit what the values are called.
	at, value, columns int
	unit               string
	// negative counts values that cannot be.
	negative int
}

// rows reads all of them.
func (t *table) rows() ([]row, error) {
	first, err := t.next()
	if errors.Is(err, io.EOF) {
		return nil, &trace.Error{File: t.file, Err: errEmpty}
	}
	if err != nil {
		return nil, err
	}
	header, err := t.layout(first)
	if err != nil {
		return nil, &trace.Error{File: t.file, Line: 1, Err: err}
	}
	var rows []row
	for record := first; ; {
		if !header {
			r, err := t.row(record)
			if err != nil {
				return nil, err
			}
			if rows = append(rows, r); len(rows) > mostRows {
				return nil, t.fault(0, fmt.Errorf("a series has at most %d rows", mostRows))
			}
		}
		header = false
		if record, err = t.next(); errors.Is(err, io.EOF) {
			return rows, t.some(rows)
		} else if err != nil {
			return nil, err
		}
	}
}

// some refuses a file without rows.
func (t *table) some(rows []row) error {
	if len(rows) == 0 {
		return &trace.Error{File: t.file, Err: errors.New("no rows below the header")}
	}
	return nil
}

// next reads a line that has something in it.
func (t *table) next() ([]string, error) {
	record, err := t.csv.Read()
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return nil, &trace.Error{File: t.file, Line: parse.Line, Column: parse.Column, Err: fmt.Errorf("%w (the column counts characters)", parse.Err)}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &trace.Error{File: t.file, Err: err}
	}
	return record, err
}

// layout finds the columns by the first line, and says whether it is a header.
func (t *table) layout(first []string) (header bool, err error) {
	t.columns, t.value, t.unit = len(first), 1, valueName
	if _, err := parseTime(first[0]); err == nil && len(first) == 2 {
		return false, nil
	}
	names := make([]string, len(first))
	for i, name := range first {
		names[i] = strings.ToLower(strings.TrimSpace(name))
	}
	t.value = slices.Index(names, valueName)
	switch {
	case len(first) < 2:
		return true, fmt.Errorf("line %q has one column: want a time and a value, separated by a comma", clip(strings.Join(first, ",")))
	case len(first) == 2 && t.value != 0:
		t.value = 1
	case t.value < 0:
		return true, fmt.Errorf("%d columns, and none is called %s: want timestamp_unix,value", len(first), valueName)
	default:
		t.at = slices.IndexFunc(names, func(name string) bool { return slices.Contains(timeNames, name) })
	}
	if t.at < 0 {
		return true, fmt.Errorf("of its columns none is of time: want timestamp_unix,value; known are %s", strings.Join(timeNames, ", "))
	}
	t.unit = strings.TrimSpace(first[t.value])
	return true, nil
}

// row makes a row of a line.
func (t *table) row(record []string) (row, error) {
	if len(record) != t.columns {
		return row{}, t.fault(0, fmt.Errorf("%s where the first line has %d", count(len(record), "column", "columns"), t.columns))
	}
	at, err := parseTime(record[t.at])
	if err != nil {
		return row{}, t.fault(t.at+1, err)
	}
	v, err := parseValue(record[t.value])
	if err != nil {
		return row{}, t.fault(t.value+1, err)
	}
	if v < 0 || math.IsInf(v, 0) {
		t.negative++
		v = math.NaN()
	}
	return row{at, v}, nil
}

// fault is an error in a column of the line last read, counted from one; zero is the whole line.
func (t *table) fault(column int, err error) error {
	line, _ := t.csv.FieldPos(0)
	return &trace.Error{File: t.file, Line: line, Column: column, Err: err}
}

// unknowns are the words for a value that is not known, in lower case.
var unknowns = []string{"", "nan", "na", "n/a", "null", "none", "-"}

// parseValue reads a number; NaN where it is not known.
func parseValue(field string) (float64, error) {
	word := strings.TrimSpace(field)
	if v, err := strconv.ParseFloat(word, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return v, nil
	}
	if slices.Contains(unknowns, strings.ToLower(word)) {
		return math.NaN(), nil
	}
	return 0, fmt.Errorf("%q is no value: want a number, or nothing or NaN where it is not known", clip(word))
}

// latest is the end of the times that are read as seconds since 1970: the year 2100.
const latest = 4_102_444_800

// layouts are those of dates, in UTC where they name no zone.
var layouts = []string{
	time.RFC3339, time.DateTime, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 UTC", "2006-01-02T15:04:05",
	"2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly,
}

// parseTime reads seconds since 1970, or a date, in nanoseconds. Seconds are taken to the microsecond, which is what a
// float holds of them.
func parseTime(field string) (int64, error) {
	word := strings.TrimSpace(field)
	if v, err := strconv.ParseFloat(word, 64); err == nil {
		if !(math.Abs(v) <= latest) {
			return 0, fmt.Errorf("time %s is out of range%s: want seconds since 1970, or a date like %s", clip(word), inUnit(v), time.DateTime)
		}
		whole, fraction := math.Modf(v)
		return int64(whole)*int64(time.Second) + int64(math.Round(fraction*1e6))*int64(time.Microsecond), nil
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, word); err == nil && at.Year() >= 1900 && at.Year() <= 2100 {
			return at.UnixNano(), nil
		}
	}
	return 0, fmt.Errorf("%q is no time: want seconds since 1970, or a date like %s", clip(word), time.DateTime)
}

// inUnit says which unit a time looks to be in.
func inUnit(v float64) string {
	for _, u := range []struct {
		name string
		per  float64
	}{{"milliseconds", 1e3}, {"microseconds", 1e6}, {"nanoseconds", 1e9}} {
		if v/u.per > latest/10 && v/u.per <= latest {
			return fmt.Sprintf(", it looks like %s: divide it by %.0f", u.name, u.per)
		}
	}
	return ""
}

// clip bounds what an error quotes.
func clip(text string) string { return text[:min(len(text), 80)] }
