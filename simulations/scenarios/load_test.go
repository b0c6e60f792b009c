package scenarios_test

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// addLoad appends to the rates of the target, or adds spikes to those that are there.
func (w *world) addLoad(c *command) {
	t := w.current()
	switch {
	case c.are("_", "for", "_"):
		from := number(c.word(1))
		t.extend(c.word(3), func(float64) float64 { return from })
	case c.are("_", "to", "_", "over", "_"):
		from, to := number(c.word(1)), number(c.word(3))
		t.extend(c.word(5), func(x float64) float64 { return from + (to-from)*x })
	case c.are("wave", "_", "to", "_", "over", "_"):
		low, high := number(c.word(2)), number(c.word(4))
		t.extend(c.word(6), func(x float64) float64 { return low + (high-low)*(1-math.Cos(2*math.Pi*x))/2 })
	case c.are("spikes", "of", "_", "for", "_", "every", "_"):
		t.spike(number(c.word(3)), duration(c.word(5)), duration(c.word(7)))
	case c.are("again", "_"):
		once := t.rates
		for range int(number(c.word(2))) {
			t.rates = append(t.rates, once...)
		}
	default:
		fail("no such load")
	}
}

// extend appends the rates of a time, as a function of its share that has passed.
func (t *target) extend(over string, rate func(x float64) float64) {
	n := int(duration(over).Seconds())
	for i := range n {
		t.rates = append(t.rates, rate((float64(i)+0.5)/float64(n)))
	}
}

// spike adds a rate for a while at the end of each period.
func (t *target) spike(rate float64, length, period time.Duration) {
	for i := range t.rates {
		if rest := time.Duration(i) * time.Second % period; rest >= period-length {
			t.rates[i] += rate
		}
	}
}

// stream draws the requests, the same for the same seed.
func (t *target) stream(seed uint64) trace.Stream {
	r := trace.Rates{Start: monday, Period: time.Second, PerSecond: t.rates}
	return r.Draw(t.mix, trace.Options{Seed: int64(seed)})
}

// meanRate is that of the load between two times.
func (t *target) meanRate(from, to time.Duration) float64 {
	first, last := int(from.Seconds()), min(int(math.Ceil(to.Seconds())), len(t.rates))
	if first >= last {
		return 0
	}
	sum := 0.0
	for _, r := range t.rates[first:last] {
		sum += r
	}
	return sum / float64(last-first)
}
