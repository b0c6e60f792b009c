package trace

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseTokens reads a count of tokens. Some tools write whole numbers as 374.0.
func parseTokens(field []byte) (int, error) {
	if len(field) == 0 || len(field) > 8 {
		return parseTokensSlow(field)
	}
	n := 0
	for _, c := range field {
		digit := c - '0'
		if digit > 9 {
			return parseTokensSlow(field)
		}
		n = n*10 + int(digit)
	}
	if n > maxTokens {
		return parseTokensSlow(field)
	}
	return n, nil
}

func parseTokensSlow(field []byte) (int, error) {
	v, err := strconv.ParseFloat(string(bytes.TrimSpace(field)), 64)
	if err != nil || v != math.Trunc(v) || !(v >= 0 && v <= maxTokens) {
		return 0, fmt.Errorf("%q is not a whole number of tokens between 0 and %d", clip(field), maxTokens)
	}
	return int(v), nil
}

// clip bounds what an error quotes.
func clip(field []byte) []byte { return field[:min(len(field), 80)] }

// clock reads the time column of a format, in nanoseconds since any fixed time.
type clock interface {
	read(field []byte) (int64, error)
}

// secondsClock reads decimal seconds.
type secondsClock struct{}

func (secondsClock) read(field []byte) (int64, error) { return parseSeconds(field) }

// maxSeconds bounds a time in seconds: dates after 1970 as well as times since the start of a trace.
const maxSeconds = int64(5 * maxSpan / time.Second)

// parseSeconds reads decimal seconds exactly, to the nanosecond.
func parseSeconds(field []byte) (int64, error) {
	whole, rest, ok := digits(field, 10)
	if !ok || whole > maxSeconds {
		return parseSecondsSlow(field)
	}
	fraction, ok := parseFraction(rest)
	if !ok {
		return parseSecondsSlow(field)
	}
	return whole*int64(time.Second) + fraction, nil
}

// digits reads from one to most leading digits.
func digits(field []byte, most int) (value int64, rest []byte, ok bool) {
	i := 0
	for i < len(field) && i < most && field[i]-'0' <= 9 {
		value = value*10 + int64(field[i]-'0')
		i++
	}
	return value, field[i:], i > 0
}

// parseFraction reads nothing, or a point and digits, as nanoseconds; what is finer is dropped.
func parseFraction(field []byte) (int64, bool) {
	if len(field) == 0 {
		return 0, true
	}
	nanos, rest, ok := takeFraction(field)
	return nanos, ok && len(rest) == 0
}

// takeFraction reads a point and digits and returns what follows.
func takeFraction(field []byte) (nanos int64, rest []byte, ok bool) {
	if field[0] != '.' {
		return 0, field, false
	}
	unit := int64(time.Second)
	for i, c := range field[1:] {
		digit := c - '0'
		if digit > 9 {
			return nanos, field[1+i:], i > 0
		}
		unit /= 10
		nanos += int64(digit) * unit
	}
	return nanos, nil, len(field) > 1
}

func parseSecondsSlow(field []byte) (int64, error) {
	v, err := strconv.ParseFloat(string(bytes.TrimSpace(field)), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time in seconds", clip(field))
	}
	return fromSeconds(v)
}

// fromSeconds is v seconds in nanoseconds.
func fromSeconds(v float64) (int64, error) {
	if !(math.Abs(v) <= float64(maxSeconds)) { // also refuses NaN
		return 0, &farTime{v, time.Second}
	}
	whole, fraction := math.Modf(v)
	return int64(whole)*int64(time.Second) + int64(math.Round(fraction*1e9)), nil
}

// farTime is a number that is no time in the unit that a format has.
type farTime struct {
	value float64
	unit  time.Duration
}

// timeUnits are those that times are written in, with the names that errors give them.
var timeUnits = []struct {
	unit time.Duration
	name string
}{{time.Second, "seconds"}, {time.Millisecond, "milliseconds"}, {time.Microsecond, "microseconds"}, {time.Nanosecond, "nanoseconds"}}

// Error says which unit the number looks to be in, and which is wanted.
func (f *farTime) Error() string {
	wanted, looks := "", ""
	for _, u := range timeUnits {
		if u.unit == f.unit {
			wanted = u.name
		}
		since := f.value * u.unit.Seconds()
		if u.unit < f.unit && since >= time.Duration(firstEpoch).Seconds() && since <= float64(maxSeconds) {
			looks = fmt.Sprintf("it looks like %s since 1970, divide it by %d; ", u.name, f.unit/u.unit)
		}
	}
	return fmt.Sprintf("time %s is out of range: %s%s are wanted, since the start or since 1970", decimal(f.value), looks, wanted)
}

// decimal writes a number as a file would have it.
func decimal(v float64) string {
	if math.Abs(v) < 1e20 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// stampClock reads dates with a time of day, in UTC where they name no zone. It remembers the last day it saw, because
// consecutive rows share it.
type stampClock struct {
	day   [len("2006-01-02")]byte
	nanos int64
}

func (c *stampClock) read(field []byte) (int64, error) {
	if at, ok := c.fast(field); ok {
		return at, nil
	}
	at, err := parseStamp(strings.TrimSpace(string(field)))
	if err != nil {
		return 0, err
	}
	return at.UnixNano(), nil
}

// fast reads 2006-01-02 15:04:05[.999999999][Z|+00:00] and leaves everything else to the slow way.
func (c *stampClock) fast(field []byte) (int64, bool) {
	if len(field) < len("2006-01-02 15:04:05") || (field[10] != ' ' && field[10] != 'T') {
		return 0, false
	}
	if !bytes.Equal(field[:10], c.day[:]) && !c.turn(field[:10]) {
		return 0, false
	}
	seconds, ok := timeOfDay(field[11:19])
	if !ok {
		return 0, false
	}
	fraction, rest, ok := int64(0), field[19:], true
	if len(rest) > 0 && rest[0] == '.' {
		fraction, rest, ok = takeFraction(rest)
	}
	if !ok || (len(rest) > 0 && string(rest) != "Z" && string(rest) != "+00:00") {
		return 0, false
	}
	return c.nanos + seconds*int64(time.Second) + fraction, true
}

// turn moves to another day.
func (c *stampClock) turn(day []byte) bool {
	at, err := time.Parse(time.DateOnly, string(day))
	if err != nil || !plausible(at) {
		return false
	}
	copy(c.day[:], day)
	c.nanos = at.UnixNano()
	return true
}

// timeOfDay reads 15:04:05 in seconds.
func timeOfDay(s []byte) (int64, bool) {
	if s[2] != ':' || s[5] != ':' {
		return 0, false
	}
	h, hOK := twoDigits(s[0:2])
	m, mOK := twoDigits(s[3:5])
	sec, sOK := twoDigits(s[6:8])
	return h*3600 + m*60 + sec, hOK && mOK && sOK && h < 24 && m < 60 && sec < 60
}

func twoDigits(s []byte) (int64, bool) {
	a, b := s[0]-'0', s[1]-'0'
	return int64(a)*10 + int64(b), a <= 9 && b <= 9
}

// stampLayouts are tried in turn. Go reads a fraction after the seconds also where the layout has none.
var stampLayouts = []string{
	"2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05-07", "2006-01-02 15:04:05 UTC",
	"2006-01-02T15:04:05", time.RFC3339, "2006-01-02 15:04", time.DateOnly,
}

var errStamp = errors.New("want 2006-01-02 15:04:05, with or without fraction and zone, between 1900 and 2100")

func parseStamp(s string) (time.Time, error) {
	for _, layout := range stampLayouts {
		if at, err := time.Parse(layout, s); err == nil && plausible(at) {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q: %w", clip([]byte(s)), errStamp)
}

// plausible keeps dates within what nanoseconds in 64 bits can hold the differences of.
func plausible(at time.Time) bool { return at.Year() >= 1900 && at.Year() <= 2100 }

// anyClock reads seconds or dates, for formats that come with both.
type anyClock struct {
	stamps stampClock
	// dated is set once a date has been read.
	dated bool
}

func (c *anyClock) read(field []byte) (int64, error) {
	at, err := parseSeconds(field)
	if err == nil {
		return at, nil
	}
	if far, ok := errors.AsType[*farTime](err); ok {
		return 0, fmt.Errorf("%w, or dates like 2006-01-02 15:04:05", far)
	}
	at, err = c.stamps.read(field)
	c.dated = c.dated || err == nil
	return at, err
}
