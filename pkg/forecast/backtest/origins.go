package backtest

import "time"

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

// SecondHalf are origins in the second half of the series, every row or thinned evenly to at most most of them.
func (s *Series) SecondHalf(most int) []time.Time {
	half := len(s.Values) / 2
	return s.Origins(half, len(s.Values), s.stride(len(s.Values)-half, most))
}

// Every are origins one interval apart over the whole series, on whole multiples of the interval of a day (UTC).
// An interval below the step is the step.
func (s *Series) Every(interval time.Duration) []time.Time {
	var out []time.Time
	var due time.Time
	for i, v := range s.Values {
		if end := s.End(i); known(v) && !end.Before(due) {
			out = append(out, end)
			due = end.Truncate(max(interval, s.Step)).Add(max(interval, s.Step))
		}
	}
	return out
}

// stride is the least that leaves at most most of n rows and has no factor in common with the rows of a day: every minute
// of the hour takes its turn, also the one at which some clock starts its jobs.
func (s *Series) stride(n, most int) int {
	day := max(1, int(24*time.Hour/s.Step))
	stride := max(1, (n+most-1)/max(1, most))
	for commonFactor(stride, day) > 1 {
		stride++
	}
	return stride
}

// commonFactor is the greatest common divisor.
func commonFactor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
