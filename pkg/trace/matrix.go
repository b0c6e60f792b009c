package trace

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
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
	// Values are [seconds, "value"] each, read afterwards: a fault is to have its place.
	Values []json.RawMessage `json:"values"`
}

// promSample is one of the Values.
type promSample struct {
	at    int64 // nanoseconds
	value float64
}

// read reads the pair.
func (s *promSample) read(b []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil || len(pair) != 2 {
		return errors.New("want [seconds, \"value\"]")
	}
	var text string
	if err := json.Unmarshal(pair[1], &text); err != nil {
		return fmt.Errorf("the value %s must be a string", clip(pair[1]))
	}
	var err error
	if s.at, err = parseSeconds(pair[0]); err != nil {
		return err
	}
	s.value, err = parseSample(text)
	return err
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
func readMatrix(in *lines, name string, want Format) (Rates, []string, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxAnswer+1))
	if err != nil {
		return Rates{}, nil, &Error{File: name, Err: err}
	}
	if len(text) > maxAnswer {
		return Rates{}, nil, &Error{File: name, Err: fmt.Errorf("more than %d bytes: query a shorter range or a longer step", maxAnswer)}
	}
	series, err := parseMatrix(text)
	if err != nil {
		return Rates{}, nil, jsonFault(name, text, err)
	}
	all, err := samples(name, text, series)
	if err != nil {
		return Rates{}, nil, err
	}
	out, err := gridded(name, sum(all), want.unitOf(time.Second), true)
	if _, told := want.forced(); told || err != nil {
		return out, nil, err
	}
	return out, []string{perSecondAssumed}, nil
}

// samples reads the samples of all series. A fault has its place, and says which sample of which series it is.
func samples(name string, text []byte, series []promSeries) ([]promSample, error) {
	var out []promSample
	for i, one := range series {
		for j, raw := range one.Values {
			var s promSample
			if err := s.read(raw); err != nil {
				place := &Error{File: name, Err: fmt.Errorf("series %d %s, sample %d %s: %w", i+1, labels(one.Metric), j+1, clip(raw), err)}
				place.Line, place.Column = position(text, sampleAt(text, i, j))
				return nil, place
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// labels writes a series' labels as Prometheus does.
func labels(metric map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(metric)) {
		out = append(out, fmt.Sprintf("%s=%q", name, metric[name]))
	}
	return "{" + strings.Join(out, ",") + "}"
}

// sampleAt is the offset behind the first character of a sample, which the text, read once already, is known to have. Only
// a list named values can be samples: a label of that name is a string.
func sampleAt(text []byte, series, sample int) int64 {
	in := json.NewDecoder(bytes.NewReader(text))
	for named := false; ; {
		token, err := in.Token()
		if err != nil {
			return 0
		}
		if word, ok := token.(json.Delim); named && ok && word == '[' {
			if series--; series < 0 {
				break
			}
		}
		named = token == "values"
	}
	var skipped json.RawMessage
	for range sample {
		if in.Decode(&skipped) != nil {
			return 0
		}
	}
	at := in.InputOffset()
	return at + int64(len(text[at:])-len(bytes.TrimLeft(text[at:], ", \t\r\n"))) + 1
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
func sum(all []promSample) []point {
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
		place.Name, place.Err = wrongKind(kind)
	}
	return place
}

// wrongKind says in JSON's words which field is of the wrong kind, and what is wanted.
func wrongKind(fault *json.UnmarshalTypeError) (field string, err error) {
	var want string
	switch fault.Type.Kind() {
	case reflect.Float64:
		want = "a number"
	case reflect.Uint64:
		want = "a whole number of 64 bits"
	case reflect.Slice:
		want = "a list"
	case reflect.Struct, reflect.Map:
		want = "an object"
	default:
		want = "a string"
	}
	found := strings.Replace(fault.Value, "array", "list", 1)
	return strings.TrimPrefix(fault.Field, "promData."), fmt.Errorf("%s where %s is wanted", found, want)
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
