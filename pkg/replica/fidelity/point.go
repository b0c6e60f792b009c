package fidelity

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Point is a measured run of one engine under a known load.
type Point struct {
	// Run and Stage name the run; Model is the published name, GPU the kind,
	// TP how many of them one engine used.
	Run, Model, GPU string
	TP, Stage       int
	// Rate is in requests/s, Prompt and Output in tokens of a request. Where
	// Clients are told, each of them sends its next request when the one before
	// has ended, and Rate is zero.
	Rate, Prompt, Output float64
	Clients              int
	// ComputedShare of the prompt tokens are not in the prefix cache; zero where
	// that is not told.
	ComputedShare float64
	// KVTokens, MaxNumSeqs and MaxNumBatchedTokens are the engine's limits; zero
	// where they are not told.
	KVTokens, MaxNumSeqs, MaxNumBatchedTokens int
	// Measured has what came out.
	Measured Latencies
}

// Latencies are means in milliseconds; zero where not told.
type Latencies struct{ TTFT, ITL, E2E float64 }

// columns are what a file of points has at least. Where there is no column gpu it
// was H100; where there is a column computed_share, it says of each run which
// share of the prompt tokens the prefix cache did not supply.
var columns = []string{"exp", "model", "tp", "stage", "rate", "inp", "out", "kv_tokens", "max_seqs", "mbt", "ttft_mean", "itl", "e2e"}

// ReadPoints reads CSV with a header line; other columns than those it knows
// are ignored. Rows without a rate are left out, and so are rows of a whole
// run (stage -1) whose stages are there.
func ReadPoints(r io.Reader, name string) ([]Point, error) {
	rows := csv.NewReader(r)
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("read %s: header: %w", name, err)
	}
	at := map[string]int{}
	for i, column := range header {
		at[strings.TrimSpace(column)] = i
	}
	for _, column := range columns {
		if _, ok := at[column]; !ok {
			return nil, fmt.Errorf("read %s: no column %q; needed are %s", name, column, strings.Join(columns, ","))
		}
	}
	var out []Point
	for {
		fields, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return withoutTotals(out), nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		line, _ := rows.FieldPos(0)
		p, err := point(record{fields, at})
		if err != nil {
			return nil, fmt.Errorf("read %s: line %d: %w", name, line, err)
		}
		if p.Rate > 0 {
			out = append(out, p)
		}
	}
}

// withoutTotals drops the rows of whole runs whose stages are there.
func withoutTotals(points []Point) []Point {
	staged := map[string]bool{}
	for _, p := range points {
		if p.Stage >= 0 {
			staged[p.Run] = true
		}
	}
	return slices.DeleteFunc(points, func(p Point) bool { return p.Stage < 0 && staged[p.Run] })
}

// record is one line and the places of its columns.
type record struct {
	fields []string
	at     map[string]int
}

func (r record) text(column string) string {
	i, ok := r.at[column]
	if !ok {
		return ""
	}
	return strings.TrimSpace(r.fields[i])
}

// number is zero where the field is empty.
func (r record) number(column string, fault *error) float64 {
	text := r.text(column)
	if text == "" || *fault != nil {
		return 0
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		*fault = fmt.Errorf("column %s: %q is not a number", column, text)
	}
	return v
}

func point(r record) (Point, error) {
	var fault error
	n := func(column string) float64 { return r.number(column, &fault) }
	p := Point{
		Run: r.text("exp"), Model: r.text("model"), GPU: r.text("gpu"), TP: int(n("tp")), Stage: int(n("stage")),
		Rate: n("rate"), Prompt: n("inp"), Output: n("out"),
		KVTokens: int(n("kv_tokens")), MaxNumSeqs: int(n("max_seqs")), MaxNumBatchedTokens: int(n("mbt")),
		ComputedShare: n("computed_share"),
		Measured:      Latencies{TTFT: n("ttft_mean"), ITL: n("itl"), E2E: n("e2e")},
	}
	if p.GPU == "" {
		p.GPU = "H100"
	}
	if fault == nil && (p.TP < 1 || p.Prompt < 1 || p.Output < 1) {
		fault = fmt.Errorf("tp %d, inp %v, out %v: each must be at least 1", p.TP, p.Prompt, p.Output)
	}
	if fault == nil && !(p.ComputedShare >= 0 && p.ComputedShare <= 1) {
		fault = fmt.Errorf("computed_share %v: must be from 0 to 1", p.ComputedShare)
	}
	return p, fault
}
