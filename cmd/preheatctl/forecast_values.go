package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// list is a flag for several values, separated by commas or by repeating the flag. The first use replaces the default.
type list[T time.Duration | float64] struct {
	values []T
	set    bool
	parse  func(string) (T, error)
	write  func(T) string
	kind   string
}

// durationList is a flag for lengths of time, written 90s or 5m.
func durationList(values ...time.Duration) list[time.Duration] {
	return list[time.Duration]{values: values, kind: "durations", write: shortly, parse: func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, fmt.Errorf("%q is no duration; write for example 90s or 5m", text)
		}
		return d, nil
	}}
}

// numberList is a flag for numbers.
func numberList(values ...float64) list[float64] {
	write := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	return list[float64]{values: values, kind: "numbers", write: write, parse: func(text string) (float64, error) {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no number; write for example 0.9", text)
		}
		return v, nil
	}}
}

// Set implements pflag.Value.
func (l *list[T]) Set(text string) error {
	if !l.set {
		l.values, l.set = nil, true
	}
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		v, err := l.parse(word)
		if err != nil {
			return err
		}
		l.values = append(l.values, v)
	}
	return nil
}

// String implements pflag.Value.
func (l *list[T]) String() string {
	var words []string
	for _, v := range l.values {
		words = append(words, l.write(v))
	}
	return strings.Join(words, ",")
}

// Type implements pflag.Value.
func (l *list[T]) Type() string { return l.kind }

// tidy sorts and takes out what stands there twice.
func (l *list[T]) tidy() {
	slices.Sort(l.values)
	l.values = slices.Compact(l.values)
}

// shortly writes a duration in its largest whole unit, as 90s, 5m or 1h, or to the millisecond.
func shortly(d time.Duration) string {
	for _, u := range []struct {
		per  time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= u.per && d%u.per == 0 {
			return strconv.FormatInt(int64(d/u.per), 10) + u.name
		}
	}
	return d.Round(time.Millisecond).String()
}
