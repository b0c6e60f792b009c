package trace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// mooncakeRows reads one JSON object a line.
type mooncakeRows struct {
	file  string
	lines *lines
	fast  flatJSON
}

func (r *mooncakeRows) here() *Error { return &Error{File: r.file, Line: r.lines.number} }

// dropped is zero: the format knows no failures.
func (r *mooncakeRows) dropped() int64 { return 0 }

func (r *mooncakeRows) next() (row, error) {
	for {
		line, err := r.lines.next()
		if errors.Is(err, io.EOF) {
			return row{}, io.EOF
		}
		if err != nil {
			return row{}, &Error{File: r.file, Line: r.lines.number, Err: err}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if out, ok := r.fast.row(line); ok {
			return out, nil
		}
		return r.row(line)
	}
}

// notOneList refuses a file that is one JSON value where one a line is wanted.
func notOneList(text *lines, path string) error {
	if !bytes.HasPrefix(bytes.TrimSpace(text.peek(headBytes)), []byte("[")) {
		return nil
	}
	return &Error{File: path, Line: 1, Err: errors.New("it is one JSON list: want JSON lines, one object a line without commas between, as jq -c '.[]' writes them")}
}

// mooncakeLine is a line as it stands; pointers tell what is absent.
type mooncakeLine struct {
	Timestamp *float64 `json:"timestamp"` // milliseconds
	Input     *float64 `json:"input_length"`
	Output    *float64 `json:"output_length"`
	Blocks    []uint64 `json:"hash_ids"`
}

// row reads any JSON, and says what is wrong with it.
func (r *mooncakeRows) row(line []byte) (row, error) {
	var fields mooncakeLine
	if err := json.Unmarshal(line, &fields); err != nil {
		return row{}, r.broken(err)
	}
	out := row{blocks: fields.Blocks}
	var err error
	if out.at, err = required(fields.Timestamp, fromMillis); err != nil {
		return row{}, r.fault("timestamp", err)
	}
	if out.prompt, err = required(fields.Input, wholeTokens); err != nil {
		return row{}, r.fault("input_length", err)
	}
	if out.output, err = required(fields.Output, wholeTokens); err != nil {
		return row{}, r.fault("output_length", err)
	}
	return out, nil
}

// required converts a field that must be there.
func required[T any](v *float64, convert func(float64) (T, error)) (T, error) {
	if v == nil {
		var none T
		return none, errors.New("is required")
	}
	return convert(*v)
}

func fromMillis(v float64) (int64, error) {
	at, err := fromSeconds(v / 1000)
	if err != nil {
		return 0, &farTime{v, time.Millisecond}
	}
	return at, nil
}

func wholeTokens(v float64) (int, error) {
	if v != float64(int(v)) || v < 0 || v > maxTokens {
		return 0, fmt.Errorf("%v is not a whole number of tokens between 0 and %d", v, maxTokens)
	}
	return int(v), nil
}

func (r *mooncakeRows) fault(name string, err error) error {
	place := r.here()
	place.Name, place.Err = name, err
	return place
}

// broken says where in the line the JSON breaks.
func (r *mooncakeRows) broken(err error) error {
	place := r.here()
	place.Err = err
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		place.Column, place.Err = int(syntax.Offset), fmt.Errorf("%w: want JSON lines, one whole object a line", err)
	case errors.As(err, &kind):
		place.Column = int(kind.Offset)
		place.Name, place.Err = wrongKind(kind)
	}
	return place
}
