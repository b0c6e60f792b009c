package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"time"
)

// maxPeriods bounds a series in memory: more than two years of seconds.
const maxPeriods = 1 << 26

var errTooLong = fmt.Errorf("a series has at most %d rates", maxPeriods)

// rateList reads numbers separated by white space, one a second.
type rateList struct {
	file string
	// line and column are where the reader is; read is set once a number was read on the line, blank is the first blank
	// line after a number, zero where there is none.
	line, column int
	read         bool
	blank        int
	rates        []float64
}

func readRateList(in *lines, name string) (Rates, error) {
	l := &rateList{file: name, line: 1}
	scan := bufio.NewScanner(in)
	scan.Split(l.split)
	for scan.Scan() {
		if err := l.take(scan.Bytes()); err != nil {
			return Rates{}, err
		}
	}
	if err := scan.Err(); err != nil {
		return Rates{}, l.fault(l.column+1, err)
	}
	if len(l.rates) == 0 {
		return Rates{}, &Error{File: name, Err: errors.New("no rates")}
	}
	return Rates{Period: time.Second, PerSecond: l.rates}, nil
}

// split is a bufio.SplitFunc of words and of the ends of lines. It counts the columns.
func (l *rateList) split(data []byte, atEOF bool) (advance int, token []byte, err error) {
	start := len(data) - len(bytes.TrimLeft(data, " \t\r\v\f"))
	defer func() { l.column += advance }()
	if start == len(data) {
		return start, nil, nil
	}
	length := 1
	if data[start] != '\n' {
		length = bytes.IndexAny(data[start:], " \t\r\v\f\n")
	}
	switch {
	case length >= 0:
	case atEOF:
		length = len(data) - start
	default:
		return start, nil, nil
	}
	return start + length, data[start : start+length], nil
}

// take takes in a number, or the end of a line.
func (l *rateList) take(word []byte) error {
	if word[0] == '\n' {
		if !l.read && len(l.rates) > 0 && l.blank == 0 {
			l.blank = l.line
		}
		l.line, l.column, l.read = l.line+1, 0, false
		return nil
	}
	if l.blank > 0 {
		return &Error{File: l.file, Line: l.blank, Err: errors.New("blank: write NaN for a second without a number, or leave the line out")}
	}
	v, err := parseRate(word)
	if err == nil && len(l.rates) == maxPeriods {
		err = errTooLong
	}
	if err != nil {
		return l.fault(l.column-len(word)+1, err)
	}
	l.rates, l.read = append(l.rates, v), true
	return nil
}

// fault is an error at a column of the present line.
func (l *rateList) fault(column int, err error) error {
	return &Error{File: l.file, Line: l.line, Column: column, Err: fmt.Errorf("number %d: %w", len(l.rates)+1, err)}
}
