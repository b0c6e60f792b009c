package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// share is a flag for a part of a whole, written 0.99 or 99%.
type share float64

// Set implements pflag.Value.
func (s *share) Set(text string) error {
	digits, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return fmt.Errorf("%q is no share; write for example 0.99 or 99%%", text)
	}
	if percent {
		v /= 100
	}
	*s = share(v)
	return nil
}

// String implements pflag.Value.
func (s *share) String() string { return strconv.FormatFloat(float64(*s), 'g', -1, 64) }

// Type implements pflag.Value.
func (*share) Type() string { return "share" }

// span is a flag for a length of time that may be days, written 90m, 24h or 7d.
type span time.Duration

// Set implements pflag.Value.
func (s *span) Set(text string) error {
	d, err := trace.ParseLength(text)
	*s = span(d)
	return err
}

// String implements pflag.Value.
func (s *span) String() string {
	if *s == 0 {
		return "0" // pflag takes it as no default
	}
	return time.Duration(*s).String()
}

// Type implements pflag.Value.
func (*span) Type() string { return "duration" }

// size is a flag for an amount of memory in bytes, written 512Mi or 2Gi.
type size int64

// Set implements pflag.Value.
func (s *size) Set(text string) error {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return fmt.Errorf("%q is no amount of memory; write for example 512Mi or 2Gi", text)
	}
	*s = size(q.Value())
	return nil
}

// String implements pflag.Value.
func (s *size) String() string { return resource.NewQuantity(int64(*s), resource.BinarySI).String() }

// Type implements pflag.Value.
func (*size) Type() string { return "size" }

// date is a flag for a moment, written as a day or in RFC 3339.
type date time.Time

// Set implements pflag.Value.
func (d *date) Set(text string) error {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			*d = date(t)
			return nil
		}
	}
	return fmt.Errorf("%q is no date; write for example 2026-03-02 or 2026-03-02T08:00:00+01:00", text)
}

// String implements pflag.Value.
func (d *date) String() string {
	if t := time.Time(*d); !t.IsZero() {
		return t.Format(time.RFC3339)
	}
	return ""
}

// Type implements pflag.Value.
func (*date) Type() string { return "date" }
