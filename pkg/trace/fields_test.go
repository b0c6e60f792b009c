package trace

import (
	"math"
	"strconv"
	"testing"
)

// FuzzTimes compares the fast readers of times with the standard library: what they read, it reads alike.
func FuzzTimes(f *testing.F) {
	for _, seed := range []string{
		"2023-11-16 18:15:46.6805900", "2024-02-29T23:59:59Z", "2024-05-12 00:00:00.001163+00:00", "2023-02-29 00:00:00",
		"2024-01-01 24:00:00", "2024-01-01 00:00:00.", "1900-01-01 00:00:00.1234567891", "12.5", "007.25", "9999999999.999999999", ".5", "-3", "1e3",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c stampClock
		for range 2 { // the second time from the day it remembers
			got, ok := c.fast([]byte(text))
			if !ok {
				break
			}
			want, err := parseStamp(text)
			if err != nil || got != want.UnixNano() {
				t.Errorf("%q: %d, the standard library says %v (%v)", text, got, want, err)
			}
		}
		got, err := parseSeconds([]byte(text))
		want, slow := strconv.ParseFloat(text, 64)
		if err == nil && slow == nil && math.Abs(float64(got)/1e9-want) > 1e-6 {
			t.Errorf("%q: %d ns, want %v s", text, got, want)
		}
	})
}

func TestTimesAreExact(t *testing.T) {
	for text, want := range map[string]int64{
		"4.314579": 4_314_579_000, "0.1": 100_000_000, "1700000000.123456789": 1_700_000_000_123_456_789, "3.0000000019": 3_000_000_001,
	} {
		if got, err := parseSeconds([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d ns (%v), want %d", text, got, err, want)
		}
	}
}
