package trace

import (
	"errors"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"time"
)

// Options re-time and re-scale a trace. The zero value changes nothing.
type Options struct {
	// From and For cut a window out of the trace, in the trace's own time; a
	// zero For means to the end. The window starts at zero afterwards.
	From, For time.Duration
	// Rate multiplies the number of requests: below one by leaving some out at
	// random, above one by repeating some up to 30 s later. Zero means 1.
	Rate float64
	// Compress divides all times: 10 replays ten minutes in one, at ten times
	// the rate. Zero means 1.
	Compress float64
	// Seed decides every random choice.
	Seed int64
}

// Validate reports every fault of o at once.
func (o Options) Validate() error {
	var faults []error
	if o.From < 0 || o.For < 0 {
		faults = append(faults, fmt.Errorf("window from %v for %v: must not be negative", o.From, o.For))
	}
	if o.Rate < 0 || o.Rate > 1000 || math.IsNaN(o.Rate) {
		faults = append(faults, fmt.Errorf("rate factor %v: must be between 0 and 1000", o.Rate))
	}
	if o.Compress != 0 && (!(o.Compress >= 1e-3) || o.Compress > 1e6) {
		faults = append(faults, fmt.Errorf("compression %v: must be between 0.001 and 1e6", o.Compress))
	}
	return errors.Join(faults...)
}

// Apply returns what o makes of the requests, which must be in order of time
// and stay as they are.
func Apply(requests []Request, o Options) ([]Request, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("trace options: %w", err)
	}
	out := scale(window(requests, o.From, o.For), o.Rate, rand.New(rand.NewSource(o.Seed)))
	if o.Compress > 0 {
		for i := range out {
			out[i].At = time.Duration(float64(out[i].At) / o.Compress)
		}
	}
	return out, nil
}

func window(requests []Request, from, length time.Duration) []Request {
	var out []Request
	for _, q := range requests {
		if q.At < from || (length > 0 && q.At-from >= length) {
			continue
		}
		q.At -= from
		out = append(out, q)
	}
	return out
}

// copySpread is how far a repeated request may fall behind the original. More
// load from more clients is smoother from second to second, while its trend over
// minutes is the same; copies close together would make one client's burst a
// burst of all.
const copySpread = 30 * time.Second

func scale(requests []Request, factor float64, rng *rand.Rand) []Request {
	if factor == 0 || factor == 1 {
		return requests
	}
	whole, fraction := math.Modf(factor)
	var out []Request
	for _, q := range requests {
		n := int(whole)
		if rng.Float64() < fraction {
			n++
		}
		for i := range n {
			again := q
			if i > 0 {
				again.At += time.Duration(rng.Int63n(int64(copySpread)))
			}
			out = append(out, again)
		}
	}
	slices.SortStableFunc(out, func(a, b Request) int { return int(a.At - b.At) })
	return out
}

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
	if !(c.Burstiness > 0.05) || c.Burstiness > 20 {
		faults = append(faults, fmt.Errorf("burstiness %v: must be between 0.05 and 20", c.Burstiness))
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
	rng := rand.New(rand.NewSource(c.Seed))
	rates := Rates{Period: max(c.Day/chatSteps, time.Millisecond)}
	// The level wanders about the hump: an AR(1) process in the logarithm with
	// 10 % spread and a memory of a tenth of the day.
	const spread, memory = 0.1, 1 - 10.0/chatSteps
	wander := 0.0
	for at := time.Duration(0); at < c.Length; at += rates.Period {
		phase := 2 * math.Pi * at.Seconds() / c.Day.Seconds()
		level := c.Low + (c.High-c.Low)*(1-math.Cos(phase))/2
		wander = memory*wander + spread*math.Sqrt(1-memory*memory)*rng.NormFloat64()
		rates.PerSecond = append(rates.PerSecond, level*math.Exp(wander))
	}
	return window(draw(rates, rng, ChatMix(), c.Burstiness), 0, c.Length), nil
}
