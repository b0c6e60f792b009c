package trace

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
)

// promAnswer is what /api/v1/query_range answers. A bare result list is read as well.
type promAnswer struct {
	Status    string    `json:"status"`
	ErrorType string    `json:"errorType"`
	Error     string    `json:"error"`
	Data      *promData `json:"data"`
	promData            // where a tool saved only what is in data
}

type promData struct {
	ResultType string       `json:"resultType"`
	Result     []promSeries `json:"result"`
}

type promSeries struct {
	Metric map[string]string `json:"metric"`
	Values []promSample      `json:"values"`
}

// promSample is [seconds, "value"].
type promSample struct {
	at    int64 // nanoseconds
	value float64
}

// UnmarshalJSON reads the pair.
func (s *promSample) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("sample %s: want [seconds, \"value\"]", clip(b))
	}
	var text string
	if err := json.Unmarshal(pair[1], &text); err != nil {
		return fmt.Errorf("sample %s: the value must be a string: %w", clip(b), err)
	}
	var err error
	if s.at, err = parseSeconds(pair[0]); err != nil {
		return fmt.Errorf("sample %s: %w", clip(b), err)
	}
	if s.value, err = parseSample(text); err != nil {
		return fmt.Errorf("sample %s: %w", clip(b), err)
	}
	return nil
}

// parseSample reads a value; NaN, what Prometheus writes for 0/0 or a stale series, and infinities are absent.
func parseSample(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", clip([]byte(text)))
	}
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return math.NaN(), nil
	}
	if v < 0 || v > maxRate {
		return 0, fmt.Errorf("rate %v: must be between 0 and %v", v, float64(maxRate))
	}
	return v, nil
}

// maxAnswer bounds the JSON read into memory: Prometheus answers at most 11,000 points a series.
const maxAnswer = 256 << 20

// readMatrix reads a range query's answer. Several series are summed.
func readMatrix(in *lines, name string) (Rates, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxAnswer+1))
	if err != nil {
		return Rates{}, &Error{File: name, Err: err}
	}
	if len(text) > maxAnswer {
		return Rates{}, &Error{File: name, Err: fmt.Errorf("more than %d bytes: query a shorter range or a longer step", maxAnswer)}
	}
	series, err := parseMatrix(text)
	if err != nil {
		return Rates{}, jsonFault(name, text, err)
	}
	return gridded(name, sum(series), time.Second, true)
}

func parseMatrix(text []byte) ([]promSeries, error) {
	var answer promAnswer
	if first := slices.IndexFunc(text, func(c byte) bool { return c > ' ' }); first >= 0 && text[first] == '[' {
		return answer.Result, json.Unmarshal(text, &answer.Result)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	data := answer.promData
	if answer.Data != nil {
		data = *answer.Data
	}
	switch {
	case answer.Status == "error" || answer.Error != "":
		return nil, fmt.Errorf("the query failed: %s: %s", answer.ErrorType, answer.Error)
	case data.ResultType != "matrix" && data.ResultType != "":
		return nil, fmt.Errorf("result of type %q: want a matrix, the answer of a range query (/api/v1/query_range)", data.ResultType)
	case len(data.Result) == 0:
		return nil, errors.New("no series in the answer: check the query and its range")
	}
	return data.Result, nil
}

// sum adds the series' samples of equal times; what is absent from one does not make the others absent.
func sum(series []promSeries) []point {
	var all []promSample
	for _, s := range series {
		all = append(all, s.Values...)
	}
	slices.SortStableFunc(all, func(a, b promSample) int { return cmp.Compare(a.at, b.at) })
	var out []point
	for _, s := range all {
		if n := len(out); n > 0 && out[n-1].at == s.at {
			out[n-1].value = plus(out[n-1].value, s.value)
			continue
		}
		out = append(out, point{at: s.at, value: s.value, prompt: math.NaN(), output: math.NaN()})
	}
	return out
}

// jsonFault gives a fault of JSON its line and column.
func jsonFault(name string, text []byte, err error) error {
	place := &Error{File: name, Err: err}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		place.Line, place.Column = position(text, syntax.Offset)
	case errors.As(err, &kind):
		place.Line, place.Column = position(text, kind.Offset)
		place.Name = kind.Field
	}
	return place
}

// position counts lines and characters up to an offset.
func position(text []byte, offset int64) (line, column int) {
	line = 1
	for _, c := range text[:min(offset, int64(len(text)))] {
		column++
		if c == '\n' {
			line, column = line+1, 0
		}
	}
	return line, column
}
