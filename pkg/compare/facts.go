package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// minute is the bin in which the rate of a load is kept.
const minute = time.Minute

// Facts are what a first reading of a load tells. They cost nothing that grows with its requests, only four bytes a
// minute.
type Facts struct {
	// Requests is their number, Span how long the load lasts: to its end where it tells one (trace.Ending), else to the last
	// arrival.
	Requests int64
	Span     time.Duration
	// MeanPrompt and MeanOutput are mean tokens of a request.
	MeanPrompt, MeanOutput float64
	// PeakRate is the rate in the busiest minute, no less than the mean; FirstRate that of the first two minutes. Both are in
	// requests per second.
	PeakRate, FirstRate float64

	// minutes are the requests that arrived in each, blocks the prefix blocks that they name.
	minutes []int32
	blocks  int64
}

// MeanRate is in requests per second, over a minute at least.
func (f Facts) MeanRate() float64 { return float64(f.Requests) / max(f.Span, minute).Seconds() }

// Mix is the mean request, as the capacity of a replica depends on it.
func (f Facts) Mix() replica.Mix {
	return replica.Mix{PromptTokens: f.MeanPrompt, OutputTokens: f.MeanOutput}
}

// survey reads a load once, as the seed draws it. tell is called with the number of requests read so far, every few thousand of them.
func survey(ctx context.Context, load Load, seed uint64, tell func(int64)) (Facts, error) {
	stream, err := load.Open(seed)
	if err != nil {
		return Facts{}, err
	}
	defer closeStream(stream)
	var f Facts
	var prompt, output int64
	for {
		q, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Facts{}, err
		}
		f.count(q)
		prompt, output = prompt+int64(q.PromptTokens), output+int64(q.OutputTokens)
		if f.Requests%progressStep != 0 {
			continue
		}
		if tell(f.Requests); ctx.Err() != nil {
			return Facts{}, ctx.Err()
		}
	}
	if f.Requests == 0 {
		return Facts{}, fmt.Errorf("%s: no requests; widen the window or raise the rate", load.Name)
	}
	if end, known := trace.EndOf(stream); known {
		f.last(end)
	}
	f.finish(prompt, output)
	return f, nil
}

func (f *Facts) count(q trace.Request) {
	bin := int(q.At / minute)
	for len(f.minutes) <= bin {
		f.minutes = append(f.minutes, 0)
	}
	f.minutes[bin]++
	f.blocks += int64(len(q.Blocks))
	f.Requests++
	f.Span = q.At
}

// last makes the load last until its end: nothing arrives in the minutes after the last request, which is known and not
// absent.
func (f *Facts) last(end time.Duration) {
	f.Span = max(f.Span, end)
	for time.Duration(len(f.minutes))*minute < f.Span {
		f.minutes = append(f.minutes, 0)
	}
}

func (f *Facts) finish(prompt, output int64) {
	f.MeanPrompt, f.MeanOutput = float64(prompt)/float64(f.Requests), float64(output)/float64(f.Requests)
	var peak, first int32
	for i, m := range f.minutes {
		peak = max(peak, m)
		if i < 2 {
			first += m
		}
	}
	// The last minute may be a part of one, and a load of some minutes lie across their bounds.
	f.PeakRate = max(float64(peak)/minute.Seconds(), f.MeanRate())
	f.FirstRate = float64(first) / min(2*minute, time.Duration(len(f.minutes))*minute).Seconds()
}
