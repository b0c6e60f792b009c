package trace

import (
	"errors"
	"io"
	"time"
)

// Facts are what is known of a trace so far: counts run with the stream.
type Facts struct {
	// Source is the file, folder or spec.
	Source string
	Format Format
	// Start is the date of the stream's zero; the zero time where the trace tells no dates.
	Start time.Time
	// Requests were yielded so far; Failed rows were left out because they record failures. Ended is set when these are
	// all.
	Requests, Failed int64
	Ended            bool
	// Expected is about how many requests the whole has, zero where only reading tells.
	Expected int64
	// Length is how long the whole lasts, zero where only reading tells; Reached is the time of the request last yielded.
	Length, Reached time.Duration
	// PromptTokens and OutputTokens are sums over the requests yielded so far.
	PromptTokens, OutputTokens int64
	// Read and Size are bytes of the file, compressed as it is; zero where there is none.
	Read, Size int64
	// DrawnTimes says that arrivals are drawn from rates, by Options.Arrivals; DrawnSizes that sizes, at least some, are drawn
	// from Options.Mix.
	DrawnTimes, DrawnSizes bool
	// Notes say in words what a reader should know of how the requests came about.
	Notes []string
}

// Rate is the mean rate of the requests so far, in requests per second; zero before the second one.
func (f Facts) Rate() float64 {
	span := f.Reached
	if f.Ended && f.Length > span {
		span = f.Length
	}
	if span <= 0 {
		return 0
	}
	return float64(f.Requests) / span.Seconds()
}

// MeanTokens are the mean sizes of the requests so far, zero before the first one.
func (f Facts) MeanTokens() (prompt, output float64) {
	if f.Requests == 0 {
		return 0, 0
	}
	return float64(f.PromptTokens) / float64(f.Requests), float64(f.OutputTokens) / float64(f.Requests)
}

// Progress is the share of the trace that was read, 0 to 1: of its time where its length is known, else of its bytes.
// The reader runs ahead of the stream by what it holds to put requests in order.
func (f Facts) Progress() float64 {
	switch {
	case f.Ended:
		return 1
	case f.Length > 0:
		return min(1, float64(f.Reached)/float64(f.Length))
	case f.Size > 0:
		return min(1, float64(f.Read)/float64(f.Size))
	}
	return 0
}

// Survey reads a whole trace once and says what it holds.
func Survey(spec string, o Options) (Facts, error) {
	t, err := Open(spec, o)
	if err != nil {
		return Facts{}, err
	}
	defer t.Close()
	for {
		_, err := t.Next()
		if errors.Is(err, io.EOF) {
			return t.Facts(), nil
		}
		if err != nil {
			return Facts{}, err
		}
	}
}
