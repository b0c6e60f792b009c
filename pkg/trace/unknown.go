package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// unknown says what a file begins with that is in no format, and what would make it one.
func unknown(text *lines, path string) error {
	head := text.peek(headBytes)
	if text.err != nil && !errors.Is(text.err, io.EOF) {
		return &Error{File: path, Err: text.err}
	}
	if len(bytes.TrimSpace(head)) == 0 {
		return &Error{File: path, Err: fmt.Errorf("%w: empty", ErrFormat)}
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return &Error{File: path, Line: 1, Err: fmt.Errorf("%w: it begins with %q; %s", ErrFormat, clip(line), remedy(line))}
}

// remedy is what to do about a file with such a first line.
func remedy(line []byte) string {
	switch {
	case bytes.HasPrefix(line, gzipMagic):
		return "it is zipped twice: unzip it once"
	case bytes.HasPrefix(line, []byte("\xff\xfe")), bytes.HasPrefix(line, []byte("\xfe\xff")):
		return "it is in UTF-16: save it in UTF-8"
	case loneReturns(line):
		return returnsRemedy
	}
	for _, separator := range []string{";", "\t"} {
		if f := recogniseHeader(bytes.ReplaceAll(line, []byte(separator), []byte(","))); f != "" {
			return fmt.Sprintf("it would be %s were its columns separated by commas and not by %q", f, separator)
		}
	}
	if l, missing := nearest(line); len(missing) > 0 {
		return fmt.Sprintf("of %s, which has the columns %s, it lacks %s", l.format, joined(l.names()), joined(missing))
	}
	return "known are " + joined(Formats())
}

// nearest is the format of which a header has at least two columns and lacks fewest, with those that it lacks.
func nearest(line []byte) (best layout, missing []string) {
	t := header(line)
	for _, l := range layouts {
		names := l.names()
		lacks := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return t.column(n) >= 0 })
		if len(names)-len(lacks) >= 2 && (missing == nil || len(lacks) < len(missing)) {
			best, missing = l, lacks
		}
	}
	return best, missing
}

// header is a table of which only the header has been read; it has no columns where the line is broken.
func header(line []byte) *table {
	t := &table{lines: &lines{}}
	if t.split(bytes.TrimSuffix(line, []byte("\r"))) != nil {
		return t
	}
	for _, f := range t.fields {
		t.header = append(t.header, strings.TrimSpace(string(f)))
	}
	return t
}
