package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rateUnit is how the value column of a rate file is to be read.
type rateUnit struct {
	column string
	per    time.Duration // zero: a count per period
}

var rateUnits = []rateUnit{
	{"rate_rps", time.Second}, {"req_per_min_mid", time.Minute}, {"count", 0}, {"value", 0},
}

// promptColumn and outputColumn are optional columns of a rate file: the mean sizes of the period's requests.
const (
	promptColumn = "mean_input_tokens"
	outputColumn = "mean_output_tokens"
)

// ReadRatesFile reads a rate file, gzipped or not: numbers separated by white space, one a second; a CSV with a time
// column followed by rate_rps, req_per_min_mid, count or value, of which the last two are requests per period; Azure
// Functions' counts per minute; or the answer of a Prometheus range query, in requests per second. The period is the step
// of the time column. Errors name the file, the line and the column.
func ReadRatesFile(path string) (Rates, error) {
	file, err := os.Open(path)
	if err != nil {
		return Rates{}, fmt.Errorf("read rates: %w", err)
	}
	defer file.Close()
	return ReadRates(file, path)
}

// ReadRates is ReadRatesFile on an open stream; name is used in errors.
func ReadRates(r io.Reader, name string) (Rates, error) {
	in, err := openText(r)
	if err != nil {
		return Rates{}, &Error{File: name, Err: err}
	}
	format := recognise(in.peek(headBytes))
	if format == "" {
		return Rates{}, unknown(in, name)
	}
	return readRates(in, name, format)
}

// readRates reads rates of a known format.
func readRates(in *lines, name string, format Format) (Rates, error) {
	switch format {
	case PerSecond:
		return readRateList(in, name)
	case RateTable:
		return readRateTable(in, name)
	case Functions2019:
		return readMinutes(in, name)
	case Prometheus:
		return readMatrix(in, name)
	default:
		return Rates{}, &Error{File: name, Err: fmt.Errorf("%w of rates: %s holds requests", ErrFormat, format)}
	}
}

// maxPeriods bounds a series in memory: more than two years of seconds.
const maxPeriods = 1 << 26

var errTooLong = fmt.Errorf("a series has at most %d rates", maxPeriods)

func readRateList(in *lines, name string) (Rates, error) {
	out := Rates{Period: time.Second}
	scan := bufio.NewScanner(in)
	scan.Split(bufio.ScanWords)
	for scan.Scan() {
		v, err := parseRate(scan.Bytes())
		if err == nil && len(out.PerSecond) == maxPeriods {
			err = errTooLong
		}
		if err != nil {
			return Rates{}, &Error{File: name, Err: fmt.Errorf("number %d: %w", len(out.PerSecond)+1, err)}
		}
		out.PerSecond = append(out.PerSecond, v)
	}
	if err := scan.Err(); err != nil {
		return Rates{}, &Error{File: name, Err: fmt.Errorf("number %d: %w", len(out.PerSecond)+1, err)}
	}
	if len(out.PerSecond) == 0 {
		return Rates{}, &Error{File: name, Err: errors.New("no rates")}
	}
	return out, nil
}

// maxRate bounds one rate or count, so that sums stay finite.
const maxRate = 1e9

// parseRate accepts what a rate can be, and NaN or nothing for a hole.
func parseRate(field []byte) (float64, error) {
	word := bytes.TrimSpace(field)
	if len(word) == 0 {
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(string(word), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a rate", clip(word))
	}
	if v < 0 || v > maxRate {
		return 0, fmt.Errorf("rate %v: must be between 0 and %v", v, float64(maxRate))
	}
	return v, nil
}

func readRateTable(in *lines, name string) (Rates, error) {
	t, err := openTable(in, name)
	if err != nil {
		return Rates{}, err
	}
	unit, err := rateColumn(t)
	if err != nil {
		return Rates{}, err
	}
	times := &anyClock{}
	var rows []point
	for {
		err := t.next()
		if errors.Is(err, io.EOF) {
			return gridded(name, rows, unit.per, times.dated)
		}
		if err != nil {
			return Rates{}, err
		}
		row, err := ratePoint(t, times, unit)
		if err != nil {
			return Rates{}, err
		}
		switch n := len(rows); {
		case n == maxPeriods:
			return Rates{}, t.fault(0, errTooLong)
		case n > 0 && row.at < rows[n-1].at:
			return Rates{}, t.fault(0, errors.New("earlier than the row before: sort the rows by time"))
		}
		rows = append(rows, row)
	}
}

// gridded is evenRates with the file's name and the date of the first row.
func gridded(name string, rows []point, per time.Duration, dated bool) (Rates, error) {
	out, err := evenRates(rows, per)
	if err != nil {
		return Rates{}, &Error{File: name, Err: err}
	}
	out.Start = dateOf(rows[0].at, dated)
	return out, nil
}

// firstEpoch is where seconds are taken for a date: 1990, beyond any time since the start of a trace.
const firstEpoch = int64(20*365*24*time.Hour) + 1

// dateOf is the date of a time of a file's clock, the zero time where the clock counts from an unknown zero.
func dateOf(at int64, dated bool) time.Time {
	if !dated && at < firstEpoch {
		return time.Time{}
	}
	return time.Unix(0, at).UTC()
}

// timeColumns are the names of a first column that tells the time.
var timeColumns = []string{"timestamp", "time", "period", "date", "datetime", "ts", "t", "t_s", "second", "seconds"}

// rateColumn is the unit of the first column of rates that a header has after a column of time.
func rateColumn(t *table) (rateUnit, error) {
	if !slices.Contains(timeColumns, strings.ToLower(t.header[0])) {
		return rateUnit{}, t.headerFault(fmt.Errorf("%w: the first column is none of time: %s", ErrFormat, strings.Join(timeColumns, ", ")))
	}
	for _, u := range rateUnits {
		if t.column(u.column) > 0 {
			return u, nil
		}
	}
	return rateUnit{}, t.headerFault(fmt.Errorf("%w: no column of rates: rate_rps, req_per_min_mid, count or value", ErrFormat))
}

// ratePoint reads one row.
func ratePoint(t *table, times clock, unit rateUnit) (point, error) {
	at, err := times.read(t.fields[0])
	if err != nil {
		return point{}, t.fault(0, err)
	}
	row := point{at: at}
	for _, c := range []struct {
		name string
		into *float64
	}{{unit.column, &row.value}, {promptColumn, &row.prompt}, {outputColumn, &row.output}} {
		i := t.column(c.name)
		if i < 0 {
			*c.into = math.NaN()
			continue
		}
		if *c.into, err = parseRate(t.fields[i]); err != nil {
			return point{}, t.fault(i, err)
		}
	}
	return row, nil
}

// minuteColumns is how many columns named 1, 2, 3, … a header ends with, where there are at least ten.
func minuteColumns(t *table) int {
	first := t.column("1")
	if first < 1 || len(t.header)-first < 10 {
		return 0
	}
	for i, name := range t.header[first:] {
		if name != strconv.Itoa(i+1) {
			return 0
		}
	}
	return len(t.header) - first
}

// readMinutes reads Azure Functions 2019: a row per function, a column per minute. The load is the sum of all rows.
func readMinutes(in *lines, name string) (Rates, error) {
	t, err := openTable(in, name)
	if err != nil {
		return Rates{}, err
	}
	n := minuteColumns(t)
	if n == 0 {
		return Rates{}, t.headerFault(fmt.Errorf("%w: it does not end with the minutes 1, 2, 3, …", ErrFormat))
	}
	out := Rates{Period: time.Minute, PerSecond: holes(n)}
	for {
		err := t.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return Rates{}, err
		}
		if err := addMinutes(t, out.PerSecond); err != nil {
			return Rates{}, err
		}
	}
}

// addMinutes adds the counts of a row to the sums, per second.
func addMinutes(t *table, sums []float64) error {
	first := len(t.fields) - len(sums)
	for i := range sums {
		v, err := parseRate(t.fields[first+i])
		if err != nil {
			return t.fault(first+i, err)
		}
		sums[i] = plus(sums[i], v/60)
	}
	return nil
}

// plus adds what is there: absent and a value is the value, absent and absent stays absent.
func plus(a, b float64) float64 {
	switch {
	case math.IsNaN(a):
		return b
	case math.IsNaN(b):
		return a
	}
	return a + b
}
