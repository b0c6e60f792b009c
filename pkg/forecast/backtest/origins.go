package backtest

import (
	"math"
	"time"
)

// Divisible parts horizons into those that are whole multiples of the step, in the order given, and those left out.
func Divisible(horizons []time.Duration, step time.Duration) (kept, left []time.Duration) {
	for _, h := range horizons {
		if step > 0 && h > 0 && h%step == 0 {
			kept = append(kept, h)
		} else {
			left = append(left, h)
		}
	}
	return kept, left
}

// Origins are the ends of every stride-th of the rows from index first up to but not including last that are known: an
// origin is the end of a usable row. A stride below 1 is 1.
func (s *Series) Origins(first, last, stride int) []time.Time {
	var out []time.Time
	for i := max(0, first); i < min(last, len(s.Values)); i += max(1, stride) {
		if known(s.Values[i]) {
			out = append(out, s.End(i))
		}
	}
	return out
}

// SecondHalf are origins in the second half of the series: every known row, or most of them spread over it. They are
// spread by the golden ratio, one in each of most equal parts: every minute of the hour takes its turn, also the one at
// which some clock starts its jobs, as it would not at even distances.
func (s *Series) SecondHalf(most int) []time.Time {
	first := len(s.Values) / 2
	n := len(s.Values) - first
	if n <= most {
		return s.Origins(first, len(s.Values), 1)
	}
	var out []time.Time
	for k := range most {
		_, within := math.Modf(float64(k) * math.Phi)
		if i := first + int((float64(k)+within)*float64(n)/float64(most)); known(s.Values[i]) {
			out = append(out, s.End(i))
		}
	}
	return out
}

// Every are origins one interval apart over the whole series: the end of the first known row at or after each whole
// multiple of the interval (UTC). An interval below the step is the step.
func (s *Series) Every(interval time.Duration) []time.Time {
	interval = max(interval, s.Step)
	next := func(t time.Time) time.Time { return t.Truncate(interval).Add(interval) }
	var out []time.Time
	due := next(s.Start)
	for i, v := range s.Values {
		if end := s.End(i); known(v) && !end.Before(due) {
			out, due = append(out, end), next(end)
		}
	}
	return out
}
