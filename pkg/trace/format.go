package trace

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Format names how a file is written.
type Format string

// The formats. The package's documentation says what each looks like.
const (
	AzureLLM      Format = "azure-llm"
	BurstGPT      Format = "burstgpt"
	Mooncake      Format = "mooncake"
	Vidur         Format = "vidur"
	Plain         Format = "plain"
	Functions2021 Format = "functions-2021"
	ServeGen      Format = "servegen"
	RateTable     Format = "rates"
	PerSecond     Format = "per-second"
	Functions2019 Format = "functions-2019"
	Prometheus    Format = "prometheus"
	// RatesPerSecond and CountsPerPeriod are any format of rates, whose numbers are requests per second or per period
	// whatever the file calls them.
	RatesPerSecond  Format = "rates-per-second"
	CountsPerPeriod Format = "counts-per-period"
	// Workload is the format of a generated workload; no file has it.
	Workload Format = "workload"
)

// Formats are those that a file can have.
func Formats() []Format {
	return []Format{
		AzureLLM, BurstGPT, Mooncake, Vidur, Plain, Functions2021, ServeGen, RateTable, PerSecond, Functions2019, Prometheus,
		RatesPerSecond, CountsPerPeriod,
	}
}

// FormatHelp lists the formats in a sentence, and says what those are that are units.
func FormatHelp() string {
	return fmt.Sprintf("%s. %s and %s are any of rates, in that unit whatever the file calls its numbers",
		joined(Formats()), RatesPerSecond, CountsPerPeriod)
}

func (f Format) validate() error {
	if f == "" || slices.Contains(Formats(), f) {
		return nil
	}
	return fmt.Errorf("format %q: want one of %s", string(f), joined(Formats()))
}

// joined lists words for an error.
func joined[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

// requests says whether the format holds single requests rather than rates.
func (f Format) requests() bool {
	return slices.Contains([]Format{AzureLLM, BurstGPT, Mooncake, Vidur, Plain, Functions2021}, f)
}

// tarMagic stands at tarMagicAt in the first header of a tar archive.
const (
	tarMagic   = "ustar"
	tarMagicAt = 257
)

// told is the format that a text is recognised as, or why it can be none.
func told(text *lines, path string) (Format, error) {
	f := recognise(text.peek(headBytes))
	if f == "" {
		return "", unknown(text, path)
	}
	return f, f.checkEnds(text, path)
}

// checkEnds refuses lines that end as none do here, in formats that are made of lines; in the others such an end is a
// blank like any.
func (f Format) checkEnds(text *lines, path string) error {
	if f == PerSecond || f == Prometheus || !loneReturns(text.peek(headBytes)) {
		return nil
	}
	return &Error{File: path, Line: 1, Err: errors.New(returnsRemedy)}
}

// returnsRemedy is what to do about lines that end in a carriage return alone.
const returnsRemedy = `its lines end in a carriage return alone: write them with newlines, as tr '\r' '\n' does`

// loneReturns says whether there are carriage returns between texts, and no newline.
func loneReturns(head []byte) bool {
	head = bytes.TrimSpace(head)
	return bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0
}

// recognise tells the format from the first bytes of the unzipped text; empty where it is none.
func recognise(head []byte) Format {
	if len(head) > tarMagicAt && bytes.HasPrefix(head[tarMagicAt:], []byte(tarMagic)) {
		return ServeGen
	}
	text := bytes.TrimLeft(head, " \t\r\n")
	if len(text) == 0 {
		return ""
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	switch {
	case text[0] == '{' || text[0] == '[':
		return recogniseJSON(text)
	case numeric(line) && bytes.Count(line, []byte(",")) == clientColumns-1:
		return ServeGen
	case numeric(line) && bytes.IndexByte(line, ',') < 0:
		return PerSecond
	}
	return recogniseHeader(line)
}

// recogniseJSON tells one answer of Prometheus from lines of requests.
func recogniseJSON(text []byte) Format {
	for _, field := range []string{`"input_length"`, `"output_length"`, `"hash_ids"`} {
		if bytes.Contains(text, []byte(field)) {
			return Mooncake
		}
	}
	for _, field := range []string{`"resultType"`, `"values"`, `"status"`, `"metric"`} {
		if bytes.Contains(text, []byte(field)) {
			return Prometheus
		}
	}
	if text[0] == '{' {
		return Mooncake // whose reader says what is missing
	}
	return ""
}

// numeric says whether a line begins with a number, NaN included.
func numeric(line []byte) bool {
	word := line[:len(line)-len(bytes.TrimLeft(line, "+-.0123456789eENa"))]
	return len(word) > 0 && bytes.ContainsAny(word, "0123456789N") && (word[0] <= '9' || bytes.HasPrefix(word, []byte("NaN")))
}

// recogniseHeader tells a CSV by its columns.
func recogniseHeader(line []byte) Format {
	t := header(line)
	if len(t.header) == 0 {
		return ""
	}
	for _, l := range layouts {
		if l.fits(t) {
			return l.format
		}
	}
	if minuteColumns(t) > 0 {
		return Functions2019
	}
	if _, err := rateColumn(t); !errors.Is(err, ErrFormat) {
		return RateTable // whose reader refuses columns of one name
	}
	return ""
}
