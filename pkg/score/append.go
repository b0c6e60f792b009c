package score

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// appendSeconds appends a time in seconds, exact to the nanosecond and without trailing zeros.
func appendSeconds(b []byte, d time.Duration) []byte {
	if d < 0 {
		b, d = append(b, '-'), -d
	}
	b = appendInt(b, int64(d/time.Second))
	if rest := uint64(d % time.Second); rest > 0 {
		b = appendDecimals(b, rest, 9)
	}
	return b
}

// appendMicros appends a time in seconds, rounded up to the microsecond, so that a reader who compares it with an
// objective of whole microseconds comes to the same verdict; a negative time is none, and nothing is appended.
func appendMicros(b []byte, d time.Duration) []byte {
	if d < 0 {
		return b
	}
	us := (uint64(d) + 999) / 1000
	b = strconv.AppendUint(b, us/1e6, 10)
	if rest := us % 1e6; rest > 0 {
		b = appendDecimals(b, rest, 6)
	}
	return b
}

// appendDecimals appends the point and a fraction of width digits, its trailing zeros left out.
func appendDecimals(b []byte, fraction uint64, width int) []byte {
	b = append(b, ".000000000"[:1+width]...)
	for i := len(b); fraction > 0; fraction /= 10 {
		i--
		b[i] = byte('0' + fraction%10)
	}
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

// appendFloat appends a JSON number; the caller has seen to it that it is finite.
func appendFloat(b []byte, x float64) []byte { return strconv.AppendFloat(b, x, 'g', -1, 64) }

// finite reports whether a number can stand in JSON.
func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// appendJSON appends a JSON string.
func appendJSON(b []byte, s string) []byte {
	if plain(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	text, _ := json.Marshal(s) // a string has no error
	return append(b, text...)
}

// plain reports whether a string needs no escape in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// csvField quotes a field of CSV where it needs that.
func csvField(s string) string {
	if !strings.ContainsAny(s, ",\"\r\n") {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}
