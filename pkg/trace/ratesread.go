package trace

import (
	"bytes"
	"cmp"
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

// promptColumn and outputColumn are optional columns of a rate file: the mean sizes of the period's requests.
const (
	promptColumn = "mean_input_tokens"
	outputColumn = "mean_output_tokens"
)

// ReadRatesFile reads a rate file, gzipped or not: numbers separated by white space, one a second; a CSV with a time
// column followed by rate_rps, req_per_min_mid, count or value, of which the last two are whole requests per period; Azure
// Functions' counts per minute; or the answer of a Prometheus range query, in requests per second. The period is the step
// of the time column. Errors name the file, the line and the column. Open, which takes a format, can be told another unit.
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
	format, err := told(in, name)
	if err != nil {
		return Rates{}, err
	}
	rates, _, err := readRates(in, name, format, "")
	return rates, err
}

// readRates reads rates of a known layout, in the unit that want says, if it says one. The notes tell what was assumed.
func readRates(in *lines, name string, layout, want Format) (rates Rates, notes []string, err error) {
	switch layout {
	case PerSecond:
		rates, err = readRateList(in, name) // of periods of a second, so that both units are the same
	case RateTable:
		return readRateTable(in, name, want)
	case Functions2019:
		rates, err = readMinutes(in, name, want.unitOf(time.Minute))
	case Prometheus:
		return readMatrix(in, name, want)
	default:
		err = &Error{File: name, Err: fmt.Errorf("%w of rates: %s holds requests", ErrFormat, layout)}
	}
	return rates, nil, err
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

// rateTable reads a CSV of rates.
type rateTable struct {
	*table
	times anyClock
	unit  rateUnit
	// guessed is set where only custom says what the unit is.
	guessed bool
	rows    []point
}

func readRateTable(in *lines, name string, want Format) (Rates, []string, error) {
	t, err := openTable(in, name)
	if err != nil {
		return Rates{}, nil, err
	}
	r := &rateTable{table: t}
	if r.unit, err = rateColumn(t); err != nil {
		return Rates{}, nil, err
	}
	_, told := want.forced()
	r.guessed = r.unit.column == valueColumn && !told
	r.unit.per = want.unitOf(r.unit.per)
	if err := r.read(); err != nil {
		return Rates{}, nil, err
	}
	out, err := gridded(name, r.rows, r.unit.per, r.times.dated)
	if err != nil {
		return Rates{}, nil, err
	}
	return out, r.notes(out.Period), nil
}

// notes tell what was assumed of the rows.
func (r *rateTable) notes(period time.Duration) []string {
	var out []string
	if r.guessed {
		out = append(out, assumed(period))
	}
	repeated := 0
	for i, row := range r.rows[1:] {
		if row.at == r.rows[i].at {
			repeated++
		}
	}
	if repeated > 0 {
		out = append(out, fmt.Sprintf("%d rows have the time of the row before: the last of them counts", repeated))
	}
	return out
}

// read reads all rows.
func (r *rateTable) read() error {
	for {
		err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		row, err := r.point()
		if err != nil {
			return err
		}
		switch n := len(r.rows); {
		case n == maxPeriods:
			return r.fault(0, errTooLong)
		case n > 0 && row.at < r.rows[n-1].at:
			return r.fault(0, errors.New("earlier than the row before: sort the rows by time"))
		}
		r.rows = append(r.rows, row)
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
			return u, t.once(t.header[0], u.column, promptColumn, outputColumn)
		}
	}
	return rateUnit{}, t.headerFault(fmt.Errorf("%w: no column of rates: rate_rps, req_per_min_mid, count or value", ErrFormat))
}

// point makes a point of the row last read.
func (r *rateTable) point() (point, error) {
	at, err := r.times.read(r.fields[0])
	if err != nil {
		return point{}, r.fault(0, err)
	}
	row := point{at: at}
	for _, c := range []struct {
		name string
		into *float64
	}{{r.unit.column, &row.value}, {promptColumn, &row.prompt}, {outputColumn, &row.output}} {
		i := r.column(c.name)
		if i < 0 {
			*c.into = math.NaN()
			continue
		}
		if *c.into, err = parseRate(r.fields[i]); err != nil {
			return point{}, r.fault(i, err)
		}
	}
	if r.guessed {
		if err := checkCount(row.value); err != nil {
			return point{}, r.fault(r.column(r.unit.column), err)
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

// readMinutes reads Azure Functions 2019: a row per function, a column per minute. The load is the sum of all rows. The
// numbers are requests per the given time, zero for the period.
func readMinutes(in *lines, name string, per time.Duration) (Rates, error) {
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
		if err := addMinutes(t, out.PerSecond, cmp.Or(per, time.Minute)); err != nil {
			return Rates{}, err
		}
	}
}

// addMinutes adds the numbers of a row, requests per the given time, to the sums, per second.
func addMinutes(t *table, sums []float64, per time.Duration) error {
	first := len(t.fields) - len(sums)
	for i := range sums {
		v, err := parseRate(t.fields[first+i])
		if err != nil {
			return t.fault(first+i, err)
		}
		sums[i] = plus(sums[i], v/per.Seconds())
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
