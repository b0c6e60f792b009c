package trace

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// table reads a CSV line by line. Fields are valid until the next line.
type table struct {
	file   string
	lines  *lines
	header []string
	fields [][]byte
}

// openTable reads the header.
func openTable(l *lines, file string) (*table, error) {
	t := &table{file: file, lines: l}
	line, err := l.next()
	if errors.Is(err, io.EOF) {
		return nil, &Error{File: file, Err: fmt.Errorf("%w: empty", ErrFormat)}
	}
	if err != nil {
		return nil, &Error{File: file, Err: err}
	}
	if err := t.split(line); err != nil {
		return nil, err
	}
	for _, f := range t.fields {
		t.header = append(t.header, strings.TrimSpace(string(f)))
	}
	return t, nil
}

// column is the index of a column of the header, negative where there is none.
func (t *table) column(name string) int {
	return slices.IndexFunc(t.header, func(h string) bool { return strings.EqualFold(h, name) })
}

// once refuses a header in which one of the names, as far as it has them, stands twice.
func (t *table) once(names ...string) error {
	for _, name := range names {
		first := t.column(name)
		for i := first + 1; first >= 0 && i < len(t.header); i++ {
			if strings.EqualFold(t.header[i], name) {
				return &Error{
					File: t.file, Line: 1, Column: i + 1, Name: t.header[i],
					Err: fmt.Errorf("column %d (%s) has this name too: rename or remove the one that does not count", first+1, t.header[first]),
				}
			}
		}
	}
	return nil
}

// next reads the fields of the next row into t.fields.
func (t *table) next() error {
	for {
		line, err := t.lines.next()
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		if err != nil {
			return &Error{File: t.file, Line: t.lines.number, Err: err}
		}
		if len(line) == 0 {
			continue
		}
		if err := t.split(line); err != nil {
			return err
		}
		if len(t.fields) != len(t.header) {
			return &Error{
				File: t.file, Line: t.lines.number, Column: min(len(t.fields), len(t.header)) + 1,
				Err: fmt.Errorf("%d columns where the header has %d", len(t.fields), len(t.header)),
			}
		}
		return nil
	}
}

// split cuts a line at its commas.
func (t *table) split(line []byte) error {
	t.fields = t.fields[:0]
	if bytes.IndexByte(line, '"') >= 0 {
		return t.splitQuoted(line)
	}
	for {
		i := bytes.IndexByte(line, ',')
		if i < 0 {
			t.fields = append(t.fields, line)
			return nil
		}
		t.fields = append(t.fields, line[:i])
		line = line[i+1:]
	}
}

// splitQuoted reads a line with quotes, in which commas can be part of a field; a field ends on its line.
func (t *table) splitQuoted(line []byte) error {
	record, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil {
		place := &Error{File: t.file, Line: t.lines.number, Err: err}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			place.Column, place.Err = parse.Column, fmt.Errorf("%w (the column counts characters)", parse.Err)
		}
		return place
	}
	for _, field := range record {
		t.fields = append(t.fields, []byte(field))
	}
	return nil
}

// fault says that a column of the row last read is wrong.
func (t *table) fault(column int, err error) error {
	return &Error{File: t.file, Line: t.lines.number, Column: column + 1, Name: t.header[column], Err: err}
}

// headerFault says that the header is wrong.
func (t *table) headerFault(err error) error {
	return &Error{File: t.file, Line: 1, Err: fmt.Errorf("header %q: %w", clip([]byte(strings.Join(t.header, ","))), err)}
}

// layout says where a CSV format keeps what we need.
type layout struct {
	format Format
	// time, prompt and output are columns; prompt and output are empty where the format has no sizes.
	time, prompt, output string
	// lasted is a column of seconds to take off the time, for formats that stamp the end.
	lasted string
	// blocks is an optional column of prefix blocks.
	blocks string
	dated  bool
	// failures marks requests without output as failures, which are left out.
	failures bool
}

var layouts = []layout{
	{format: Plain, time: "arrival_s", prompt: "input_tokens", output: "output_tokens", blocks: blocksColumn},
	{format: AzureLLM, time: "TIMESTAMP", prompt: "ContextTokens", output: "GeneratedTokens", dated: true},
	{format: Vidur, time: "arrived_at", prompt: "num_prefill_tokens", output: "num_decode_tokens"},
	{format: BurstGPT, time: "Timestamp", prompt: "Request tokens", output: "Response tokens", failures: true},
	{format: Functions2021, time: "end_timestamp", lasted: "duration"},
}

// names are the columns that a layout needs.
func (l layout) names() []string {
	names := []string{l.time, l.prompt, l.output, l.lasted}
	return slices.DeleteFunc(names, func(n string) bool { return n == "" })
}

// fits says whether a header has all that the layout needs.
func (l layout) fits(t *table) bool {
	for _, name := range l.names() {
		if t.column(name) < 0 {
			return false
		}
	}
	return true
}

// tableRows reads requests from a CSV.
type tableRows struct {
	*table
	layout
	clock clock
	// at and the others are indices of columns, negative where the layout has none.
	at, prompt, output, lasted, blocks int
	failed                             int64
}

func newTableRows(t *table, l layout) *tableRows {
	r := &tableRows{table: t, layout: l, clock: secondsClock{}, at: t.column(l.time), prompt: -1, output: -1, lasted: -1, blocks: -1}
	if l.dated {
		r.clock = &stampClock{}
	}
	if l.prompt != "" {
		r.prompt, r.output = t.column(l.prompt), t.column(l.output)
	}
	if l.lasted != "" {
		r.lasted = t.column(l.lasted)
	}
	if l.blocks != "" {
		r.blocks = t.column(l.blocks)
	}
	return r
}

func (r *tableRows) here() *Error   { return &Error{File: r.file, Line: r.lines.number} }
func (r *tableRows) dropped() int64 { return r.failed }

func (r *tableRows) next() (row, error) {
	for {
		if err := r.table.next(); err != nil {
			return row{}, err
		}
		out, err := r.row()
		if err != nil {
			return row{}, err
		}
		if r.failures && out.output == 0 {
			r.failed++
			continue
		}
		return out, nil
	}
}

// row makes a row of the fields last read.
func (r *tableRows) row() (row, error) {
	out := row{prompt: -1, output: -1}
	var err error
	if out.at, err = r.clock.read(r.fields[r.at]); err != nil {
		return out, r.fault(r.at, err)
	}
	if r.prompt >= 0 {
		if out.prompt, err = parseTokens(r.fields[r.prompt]); err != nil {
			return out, r.fault(r.prompt, err)
		}
		if out.output, err = parseTokens(r.fields[r.output]); err != nil {
			return out, r.fault(r.output, err)
		}
	}
	return r.extras(out)
}

// extras reads the columns that only some formats have.
func (r *tableRows) extras(out row) (row, error) {
	if r.lasted >= 0 {
		lasted, err := parseSeconds(r.fields[r.lasted])
		if err != nil {
			return out, r.fault(r.lasted, err)
		}
		out.at -= lasted
	}
	if r.blocks >= 0 {
		blocks, err := parseBlocks(r.fields[r.blocks])
		if err != nil {
			return out, r.fault(r.blocks, err)
		}
		out.blocks = blocks
	}
	return out, nil
}
