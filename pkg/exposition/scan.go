package exposition

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
)

// hashSeed keys the label hashes. It is random per process, so a page cannot be made to collide on purpose.
var hashSeed = maphash.MakeSeed()

// errLine says that a line is not a sample; the caller adds which.
var errLine = errors.New("malformed sample")

var newline = []byte{'\n'}

// cutLine splits off the first line without its end. whole is false where the page stops before the line does.
func cutLine(page []byte) (line, rest []byte, whole bool) {
	line, rest, whole = bytes.Cut(page, newline)
	return trim(line), rest, whole
}

// trim removes blanks and a carriage return from both ends.
func trim(b []byte) []byte {
	b = skipBlanks(b)
	for len(b) > 0 && (isBlank(b[len(b)-1]) || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

func skipBlanks(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// nameByte marks the bytes of metric names; digits are not allowed first.
var nameByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == ':'
	}
	return t
}()

// splitName splits a sample line into its name and what follows it: "{labels} value" or " value". The name may stand
// quoted within the braces ({"a.b",x="y"} 1), then inBraces says that rest goes on inside them.
func splitName(line []byte) (name, rest []byte, inBraces bool, err error) {
	if line[0] == '{' {
		name, rest, err = splitQuotedName(line[1:])
		return name, rest, true, err
	}
	i := 0
	for i < len(line) && nameByte[line[i]] {
		i++
	}
	digitFirst := line[0] >= '0' && line[0] <= '9'
	if i == 0 || digitFirst || i == len(line) || line[i] != '{' && !isBlank(line[i]) {
		return nil, nil, false, errLine
	}
	return line[:i], line[i:], false, nil
}

func splitQuotedName(b []byte) (name, rest []byte, err error) {
	b = skipBlanks(b)
	name, rest, ok := cutQuoted(b)
	if !ok || len(name) == 0 {
		return nil, nil, errLine
	}
	rest = skipBlanks(rest)
	if len(rest) == 0 || rest[0] != ',' && rest[0] != '}' {
		return nil, nil, errLine
	}
	if rest[0] == ',' {
		rest = rest[1:]
	}
	return name, rest, nil
}

// cutQuoted splits off a quoted string, which it returns without the quotes and still escaped.
func cutQuoted(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	b = b[1:]
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '"')
		if i < 0 {
			return nil, nil, false
		}
		end := from + i
		if !escaped(b[:end]) {
			return b[:end], b[end+1:], true
		}
		from = end + 1
	}
}

// escaped reports whether what follows b is escaped: b ends in an odd number of backslashes.
func escaped(b []byte) bool {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// label is one label of a sample, its value still escaped.
type label struct {
	name, value []byte
	// hash covers name and value; 0 for an empty value, which means the same as no label.
	hash uint64
}

// parseLabels appends the labels of "{a="b",c="d"} …" to labels and returns what follows the brace. inBraces says
// that the opening brace has been read.
func parseLabels(labels []label, b []byte, inBraces bool) (_ []label, rest []byte, err error) {
	if !inBraces {
		b = skipBlanks(b)
		if len(b) == 0 || b[0] != '{' {
			return labels, b, nil
		}
		b = b[1:]
	}
	for {
		b = skipBlanks(b)
		if len(b) > 0 && b[0] == '}' {
			return labels, b[1:], nil
		}
		var l label
		if l, b, err = parseLabel(b); err != nil {
			return labels, nil, err
		}
		labels = append(labels, l)
		b = skipBlanks(b)
		switch {
		case len(b) == 0, b[0] != ',' && b[0] != '}':
			return labels, nil, errLine
		case b[0] == ',':
			b = b[1:]
		}
	}
}

// parseLabel reads one a="b" and returns what follows it.
func parseLabel(b []byte) (label, []byte, error) {
	start := b
	name, b, ok := cutLabelName(b)
	if !ok {
		return label{}, nil, errLine
	}
	b = skipBlanks(b)
	if len(b) == 0 || b[0] != '=' {
		return label{}, nil, errLine
	}
	value, rest, ok := cutQuoted(skipBlanks(b[1:]))
	if !ok {
		return label{}, nil, errLine
	}
	l := label{name: name, value: value}
	if len(value) > 0 {
		l.hash = maphash.Bytes(hashSeed, start[:len(start)-len(rest)])
	}
	return l, rest, nil
}

func cutLabelName(b []byte) (name, rest []byte, ok bool) {
	if len(b) > 0 && b[0] == '"' {
		return cutQuoted(b)
	}
	i := 0
	for i < len(b) && nameByte[b[i]] {
		i++
	}
	return b[:i], b[i:], i > 0
}

// parseValue reads the value of a sample from what follows its labels; a timestamp and an exemplar may follow it.
func parseValue(b []byte) (float64, error) {
	b = skipBlanks(b)
	end := 0
	for end < len(b) && !isBlank(b[end]) {
		end++
	}
	if end == len(b) {
		return parseFloat(b)
	}
	v, err := parseFloat(b[:end])
	if err != nil {
		return 0, err
	}
	return v, checkTail(skipBlanks(b[end:]))
}

// checkTail accepts what may follow a value: nothing, a timestamp, an exemplar, or both.
func checkTail(b []byte) error {
	if len(b) == 0 || b[0] == '#' {
		return nil
	}
	stamp := b
	if end := bytes.IndexAny(b, " \t"); end >= 0 {
		stamp = b[:end]
		if after := skipBlanks(b[end:]); len(after) > 0 && after[0] != '#' {
			return errLine
		}
	}
	_, err := parseFloat(stamp)
	return err
}

// parseFloat reads a number as Prometheus does: no hexadecimal, no underscores. What is too large is infinite.
func parseFloat(b []byte) (float64, error) {
	if len(b) == 0 {
		return 0, errLine
	}
	for _, c := range b {
		if c == '_' || c|0x20 == 'x' || c|0x20 == 'p' {
			return 0, errLine
		}
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, errLine
	}
	return v, nil
}

// excerpt shortens a line for an error message.
func excerpt(line []byte) string {
	const most = 60
	if len(line) > most {
		return fmt.Sprintf("%q…", line[:most])
	}
	return fmt.Sprintf("%q", line)
}
