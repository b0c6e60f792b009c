package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
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

// ErrFormat means that a file is in none of the formats this package reads.
var ErrFormat = errors.New("unknown trace format")

// maxTokens bounds a single token count: far above any model's context, and low
// enough that sums cannot overflow.
const maxTokens = 1 << 26

// maxSpan bounds the time between two arrivals, well inside time.Duration.
const maxSpan = 20 * 365 * 24 * time.Hour

// ReadFile reads the requests of a file in any request format, gzipped or not.
// Errors name the file and the line.
func ReadFile(path string) ([]Request, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	defer file.Close()
	return Read(file, path)
}

// Read is ReadFile on an open stream; name is used in errors. It recognises, by
// the first line:
//
//   - Azure LLM inference CSV: TIMESTAMP,ContextTokens,GeneratedTokens, with or
//     without fraction and zone
//   - Mooncake JSONL: {"timestamp": ms, "input_length": n, "output_length": n}
//   - Vidur CSV: arrived_at,num_prefill_tokens,num_decode_tokens (seconds)
//   - BurstGPT CSV of 6 or 8 columns; rows with no response tokens are failed
//     requests and are left out
//
// The first request is at zero and the rest follow in order of time.
func Read(r io.Reader, name string) ([]Request, error) {
	in, err := plainText(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	start, err := in.Peek(1)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: empty", name, ErrFormat)
	}
	var rows []arrival
	if start[0] == '{' {
		rows, err = readLines(in)
	} else {
		rows, err = readCSV(in)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	out, err := fromZero(rows)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// arrival is a request at an absolute time of the trace's own clock.
type arrival struct {
	at             time.Time
	prompt, output int
}

// plainText undoes gzip where it finds its magic number.
func plainText(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReader(r)
	magic, _ := in.Peek(2) // shorter than that: plain, and its reader says what is wrong
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return in, nil
	}
	unzipped, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return bufio.NewReader(unzipped), nil
}

func fromZero(rows []arrival) ([]Request, error) {
	if len(rows) == 0 {
		return nil, errors.New("no requests")
	}
	slices.SortStableFunc(rows, func(a, b arrival) int { return a.at.Compare(b.at) })
	first, last := rows[0].at, rows[len(rows)-1].at
	if last.After(first.Add(maxSpan)) {
		return nil, fmt.Errorf("arrivals from %v to %v are more than %d years apart", first, last, int(maxSpan.Hours()/24/365))
	}
	out := make([]Request, len(rows))
	for i, a := range rows {
		out[i] = Request{At: a.at.Sub(first), PromptTokens: a.prompt, OutputTokens: a.output}
	}
	return out, nil
}

func readLines(in *bufio.Reader) ([]arrival, error) {
	var rows []arrival
	scan := bufio.NewScanner(in)
	scan.Buffer(make([]byte, 64*1024), 16*1024*1024) // a line lists every prefix block of its prompt
	for line := 1; scan.Scan(); line++ {
		if len(strings.TrimSpace(scan.Text())) == 0 {
			continue
		}
		row, err := mooncake(scan.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		rows = append(rows, row)
	}
	return rows, scan.Err()
}

func mooncake(line []byte) (arrival, error) {
	var fields struct {
		Timestamp *float64 `json:"timestamp"`
		Input     *int     `json:"input_length"`
		Output    *int     `json:"output_length"`
	}
	if err := json.Unmarshal(line, &fields); err != nil {
		return arrival{}, err
	}
	if fields.Timestamp == nil || fields.Input == nil || fields.Output == nil {
		return arrival{}, errors.New("timestamp, input_length and output_length are required")
	}
	at, err := fromSeconds(*fields.Timestamp / 1000)
	if err != nil {
		return arrival{}, err
	}
	return arrival{at, *fields.Input, *fields.Output}.checked()
}

// layout says where a CSV format keeps what we need.
type layout struct {
	time, prompt, output string
	parse                func(string) (time.Time, error)
	skipFailed           bool
}

var layouts = []layout{
	{time: "TIMESTAMP", prompt: "ContextTokens", output: "GeneratedTokens", parse: parseStamp},
	{time: "arrived_at", prompt: "num_prefill_tokens", output: "num_decode_tokens", parse: parseSeconds},
	{time: "Timestamp", prompt: "Request tokens", output: "Response tokens", parse: parseSeconds, skipFailed: true},
}

func readCSV(in *bufio.Reader) ([]arrival, error) {
	records := csv.NewReader(in)
	records.ReuseRecord = true
	header, err := records.Read()
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	format, columns, err := recognise(header)
	if err != nil {
		return nil, err
	}
	var rows []arrival
	for {
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err // a csv.ParseError names its line
		}
		line, _ := records.FieldPos(0)
		row, keep, err := format.row(record, columns)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if keep {
			rows = append(rows, row)
		}
	}
}

// recognise finds the layout whose three columns the header has.
func recognise(header []string) (layout, [3]int, error) {
	for _, l := range layouts {
		columns := [3]int{slices.Index(header, l.time), slices.Index(header, l.prompt), slices.Index(header, l.output)}
		if columns[0] >= 0 && columns[1] >= 0 && columns[2] >= 0 {
			return l, columns, nil
		}
	}
	return layout{}, [3]int{}, fmt.Errorf("%w: header %q", ErrFormat, strings.Join(header, ","))
}

func (l layout) row(record []string, columns [3]int) (row arrival, keep bool, err error) {
	if row.at, err = l.parse(record[columns[0]]); err != nil {
		return row, false, err
	}
	if row.prompt, err = strconv.Atoi(record[columns[1]]); err != nil {
		return row, false, fmt.Errorf("%s: %w", l.prompt, err)
	}
	if row.output, err = strconv.Atoi(record[columns[2]]); err != nil {
		return row, false, fmt.Errorf("%s: %w", l.output, err)
	}
	if l.skipFailed && row.output == 0 {
		return row, false, nil
	}
	row, err = row.checked()
	return row, err == nil, err
}

// checked refuses impossible token counts and lifts zero to one: real traces
// hold a few requests that produced nothing.
func (a arrival) checked() (arrival, error) {
	if a.prompt < 0 || a.output < 0 || a.prompt > maxTokens || a.output > maxTokens {
		return a, fmt.Errorf("%d prompt and %d output tokens: must be between 0 and %d", a.prompt, a.output, maxTokens)
	}
	a.prompt, a.output = max(1, a.prompt), max(1, a.output)
	return a, nil
}

func parseStamp(s string) (time.Time, error) {
	// Go reads a fraction after the seconds also where the layout has none.
	for _, l := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04:05-07:00", time.RFC3339} {
		if t, err := time.Parse(l, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q: want 2006-01-02 15:04:05, with or without fraction and zone", s)
}

func parseSeconds(s string) (time.Time, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q: want seconds: %w", s, err)
	}
	return fromSeconds(v)
}

func fromSeconds(v float64) (time.Time, error) {
	if !(math.Abs(v) <= maxSpan.Seconds()*5) { // also refuses NaN
		return time.Time{}, fmt.Errorf("time of %v s is out of range", v)
	}
	whole, fraction := math.Modf(v)
	return time.Unix(int64(whole), int64(math.Round(fraction*1e9))).UTC(), nil
}
