package trace

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Chat describes a generated chat workload: a daily hump with noise about it,
// bursty arrivals and chat-sized requests.
type Chat struct {
	// Length of the trace.
	Length time.Duration
	// Day is the period of the hump; the trace starts at its lowest point.
	Day time.Duration
	// Low and High are the trough's and the peak's rates in requests per second.
	Low, High float64
	// Burstiness is the coefficient of variation of the gaps between arrivals;
	// 1 is Poisson, real chat services show 1 to 3.
	Burstiness float64
	Seed       int64
}

// DefaultChat is an hour that sees two humps of 2 to 10 requests per second.
func DefaultChat() Chat {
	return Chat{Length: time.Hour, Day: 30 * time.Minute, Low: 2, High: 10, Burstiness: 1.3, Seed: 1}
}

// Validate reports every fault of c at once.
func (c Chat) Validate() error {
	var faults []error
	if c.Length <= 0 || c.Day <= 0 {
		faults = append(faults, fmt.Errorf("length %v and day %v: must be positive", c.Length, c.Day))
	}
	if !(c.Low >= 0) || !(c.High > 0) || c.High < c.Low || c.High > 1e6 {
		faults = append(faults, fmt.Errorf("rates %v to %v: need 0 <= low <= high <= 1e6", c.Low, c.High))
	}
	if !(c.Burstiness >= minCV) || c.Burstiness > maxCV {
		faults = append(faults, fmt.Errorf("burstiness %v: must be between %v and %v", c.Burstiness, minCV, float64(maxCV)))
	}
	return errors.Join(faults...)
}

// chatSteps is the resolution of the generated rate: steps per day.
const chatSteps = 360

// Generate draws the workload.
func (c Chat) Generate() ([]Request, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("generate chat workload: %w", err)
	}
	rates := Rates{Period: max(c.Day/chatSteps, time.Millisecond)}
	level := wander{rng: source(c.Seed, forLevel), spread: 0.1, memory: 1 - 10.0/chatSteps}
	for at := time.Duration(0); at < c.Length; at += rates.Period {
		rates.PerSecond = append(rates.PerSecond, hump(at, c.Day, c.Low, c.High)*level.next())
	}
	o := Options{Arrivals: Arrivals{Process: Gamma, CV: c.Burstiness}, For: c.Length, Seed: c.Seed}
	return Collect(rates.Draw(ChatMix(), o))
}

// hump is a smooth day, lowest at its beginning.
func hump(at, day time.Duration, low, high float64) float64 {
	phase := 2 * math.Pi * at.Seconds() / day.Seconds()
	return low + (high-low)*(1-math.Cos(phase))/2
}

// wander is a factor that wanders about one: an AR(1) process in the logarithm. Spread is its standard deviation, memory
// the correlation of one step with the next.
type wander struct {
	rng            *rand.Rand
	spread, memory float64
	log            float64
}

func (w *wander) next() float64 {
	if w.spread == 0 {
		return 1
	}
	w.log = w.memory*w.log + w.spread*math.Sqrt(1-w.memory*w.memory)*w.rng.NormFloat64()
	return math.Exp(w.log - w.spread*w.spread/2)
}
