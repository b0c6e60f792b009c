package trace

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Options say how a trace is read, drawn and re-timed. The zero value reads what it recognises, draws Poisson arrivals of
// chat-sized requests where only rates are known, and changes nothing.
type Options struct {
	// Format is how to read a file; empty: by its content.
	Format Format
	// KeepOffset keeps the time before the first request, which otherwise is at zero: times then count from the file's
	// own zero, and dates from the midnight (UTC) before the first request. Rates begin with their first period anyway.
	KeepOffset bool

	// Arrivals is the process by which rates become requests. ServeGen's clients have their own.
	Arrivals Arrivals
	// Mix draws sizes where the trace has none: a name of MixNames, fixed:PROMPT/OUTPUT, or the path of a request trace
	// whose pairs are drawn. Empty: chat.
	Mix string

	// Jitter moves each request by a random time below it. Mooncake's arrivals, quantised to ticks of 3 s, are spread
	// evenly over their tick by 3 s; without, each tick is a burst that the real service did not have.
	Jitter time.Duration
	// From and For cut a window out of the trace, in the trace's own time; a
	// zero For means to the end. The window starts at zero afterwards.
	From, For time.Duration
	// Rate multiplies the number of requests: below one by leaving some out at
	// random, above one by repeating some up to 30 s later. Of rates, the rates
	// are multiplied. Zero means 1.
	Rate float64
	// Compress divides all times: 10 replays ten minutes in one, at ten times
	// the rate. Zero means 1.
	Compress float64
	// Offset is added to all times in the end.
	Offset time.Duration
	// Seed decides every random choice.
	Seed int64
}

// Validate reports every fault of o at once.
func (o Options) Validate() error {
	faults := []error{o.validateTimes()}
	if o.Rate < 0 || o.Rate > 1000 || math.IsNaN(o.Rate) {
		faults = append(faults, fmt.Errorf("rate factor %v: must be between 0 and 1000", o.Rate))
	}
	if o.Compress != 0 && (!(o.Compress >= 1e-3) || o.Compress > 1e6) {
		faults = append(faults, fmt.Errorf("compression %v: must be between 0.001 and 1e6", o.Compress))
	}
	faults = append(faults, o.Arrivals.validate(), o.Format.validate())
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("trace options: %w", err)
	}
	return nil
}

func (o Options) validateTimes() error {
	var faults []error
	if o.From < 0 || o.For < 0 {
		faults = append(faults, fmt.Errorf("window from %v for %v: must not be negative", o.From, o.For))
	}
	if o.Jitter < 0 || o.Jitter > time.Hour {
		faults = append(faults, fmt.Errorf("jitter %v: must be between 0 and 1h", o.Jitter))
	}
	if o.Offset < 0 || o.Offset > maxSpan {
		faults = append(faults, fmt.Errorf("offset %v: must be between 0 and %v", o.Offset, maxSpan))
	}
	return errors.Join(faults...)
}
