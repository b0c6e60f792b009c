package forecast

import (
	"testing"
	"time"
)

// A job that starts every hour is no misread counter: its second burst is believed, and all that follow.
func TestABurstOfEveryHourIsBelievedFromTheSecondOn(t *testing.T) {
	const quiet, burst = 0.1, 10.0
	x := newStream(asked(time.Minute, 5))
	x.feed(3*daysOfMinutes, func(i int) float64 {
		if i%60 == 45 {
			return burst
		}
		return quiet
	})
	if rows := 3*daysOfMinutes - 1; x.Seen != rows {
		t.Errorf("%d of %d rows are believed", x.Seen, rows)
	}
}

// One absurd value does not speak for another.
func TestADoubtedValueOfAnotherSizeIsDoubtedToo(t *testing.T) {
	for name, c := range map[string]struct {
		absurd   []float64
		believed int
	}{
		"one":                      {[]float64{1e5}, 0},
		"a far larger one":         {[]float64{1e5, 1e14}, 0},
		"a far smaller one":        {[]float64{1e14, 1e5}, 0},
		"one that is alike":        {[]float64{1e5, 2e5}, 1},
		"alike, some ten rows on":  {[]float64{1e5, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 5e4}, 11},
		"three, each of its scale": {[]float64{1e5, 1e8, 1e11}, 0},
	} {
		x := newStream(asked(time.Minute, 5))
		x.feed(100, noise(seeded(1), 10, 1))
		for _, v := range c.absurd {
			x.feed(1, func(int) float64 { return v })
		}
		if got := x.Seen - 100; got != c.believed {
			t.Errorf("%s: %d of %v are believed, should be %d", name, got, c.absurd, c.believed)
		}
	}
}
