package compare

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// ending is a stream that lasts beyond its last request.
type ending struct {
	trace.Stream
	end time.Duration
}

func (e ending) End() (time.Duration, bool) { return e.end, true }

// everySecond is n requests, one a second.
func everySecond(n int) trace.Stream {
	var out []trace.Request
	for i := range n {
		out = append(out, trace.Request{At: time.Duration(i) * time.Second, PromptTokens: 1, OutputTokens: 1})
	}
	return trace.FromSlice(out)
}

func surveyed(t *testing.T, stream trace.Stream) Facts {
	t.Helper()
	f, err := survey(t.Context(), Load{Name: "x", Open: func(uint64) (trace.Stream, error) { return stream, nil }}, 1, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTheIdleEndOfALoadIsPartOfIt(t *testing.T) {
	f := surveyed(t, ending{everySecond(60), 5 * time.Minute})
	if f.Span != 5*time.Minute || f.MeanRate() != 0.2 || f.PeakRate != 1 || f.FirstRate != 0.5 {
		t.Errorf("span %v, mean %v, peak %v, first %v requests/s; want 5m0s, 0.2, 1 and 0.5", f.Span, f.MeanRate(), f.PeakRate, f.FirstRate)
	}
	if diff := cmp.Diff([]int32{60, 0, 0, 0, 0}, f.minutes); diff != "" {
		t.Error(diff)
	}
	if f := surveyed(t, ending{everySecond(200), time.Minute}); f.Span != 199*time.Second {
		t.Errorf("a load whose last request is after its end lasts %v, want 3m19s", f.Span)
	}
}

func TestThePeakIsNeverBelowTheMean(t *testing.T) {
	for _, n := range []int{1, 30, 61, 62, 90, 119, 125, 600} {
		if f := surveyed(t, everySecond(n)); f.PeakRate < f.MeanRate() {
			t.Errorf("%d requests, one a second: peak %v, mean %v requests/s", n, f.PeakRate, f.MeanRate())
		}
	}
}

func TestASearchIsReckonedWithAllThatItKeeps(t *testing.T) {
	memory := func(n int, blocks ...uint64) int64 {
		requests := make([]trace.Request, n)
		for i := range requests {
			requests[i] = trace.Request{At: time.Duration(i) * time.Second, PromptTokens: 600, OutputTokens: 1, Blocks: blocks}
		}
		return (&comparison{extent: surveyed(t, trace.FromSlice(requests))}).searchMemory()
	}
	if short, long := memory(100), memory(10_000); short < runMemory || long < short+24*9900 {
		t.Errorf("%d bytes for a hundred requests, %d for ten thousand", short, long)
	}
	if plain, named := memory(1000), memory(1000, 1, 2, 3); named < plain+3000*8 {
		t.Errorf("%d bytes without prefix blocks, %d with three for each request", plain, named)
	}
}

// TestWhatWrapsALoadTellsItsEnd is of the streams that runs read.
func TestWhatWrapsALoadTellsItsEnd(t *testing.T) {
	load := Load{Name: "x", Open: func(uint64) (trace.Stream, error) { return ending{everySecond(60), 5 * time.Minute}, nil }}
	metered, err := new(Meter).open(t.Context(), load, 1)
	if err != nil {
		t.Fatal(err)
	}
	if end, known := trace.EndOf(metered); end != 5*time.Minute || !known {
		t.Errorf("metered: %v, %v", end, known)
	}
	part, err := begin(load, 2*time.Minute).Open(1)
	if err != nil {
		t.Fatal(err)
	}
	if end, known := trace.EndOf(part); end != 2*time.Minute || !known {
		t.Errorf("the first two minutes end at %v, %v", end, known)
	}
}
