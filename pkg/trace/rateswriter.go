package trace

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// WriteRates writes a series as a CSV that ReadRates reads: timestamp, rate_rps in requests per second, and the mean sizes
// where they are known. A hole is an empty field. Times are dates where the start has one, else seconds.
func WriteRates(w io.Writer, r Rates) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "timestamp,rate_rps")
	if r.Prompt != nil {
		fmt.Fprintf(out, ",%s,%s", promptColumn, outputColumn)
	}
	fmt.Fprintln(out)
	var line []byte
	for i, rate := range r.PerSecond {
		line = appendNumber(append(r.appendTime(line[:0], i), ','), rate)
		if r.Prompt != nil {
			line = appendNumber(append(line, ','), r.Prompt[i])
			line = appendNumber(append(line, ','), r.Output[i])
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write rates: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write rates: %w", err)
	}
	return nil
}

// appendTime writes when period i begins.
func (r Rates) appendTime(b []byte, i int) []byte {
	at := time.Duration(i) * r.Period
	if r.Start.IsZero() {
		return appendSeconds(b, at)
	}
	return r.Start.Add(at).UTC().AppendFormat(b, time.RFC3339Nano)
}

// appendNumber writes nothing for a hole.
func appendNumber(b []byte, v float64) []byte {
	if math.IsNaN(v) {
		return b
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}
