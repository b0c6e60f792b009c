package oracle

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// What a search holds, in bytes: a request that is kept, each of its prefix blocks, and what is remembered of a block that
// has been seen (a key in a map that is half full); what is known of one cell: some 60 of the load, 30 of each run that is
// remembered, of the best and of the one that goes on, 50 while it is planned; and the lives, changes and moves of the
// schedules.
const (
	requestBytes = 48
	blockBytes   = 8
	seenBytes    = 24
	cellBytes    = 60 + 30*(remembered+3) + 50
	movesBytes   = 16 << 20

	// mostKept bounds the requests that are held in memory: a million without blocks.
	mostKept = 48 << 20
	// chunk is how many are in one piece.
	chunk = 4096
)

// Memory is what a search holds at most in bytes, for a load of so many requests, with so many prefix blocks between them
// all, that lasts so long; what its run of the moment holds comes on top.
func Memory(requests, blocks int64, span time.Duration) int64 {
	kept := requestBytes*(requests+chunk) + blockBytes*blocks
	if kept > mostKept {
		kept = mostKept + mostSampled
	}
	cells := min(int64(span/time.Second)+1, mostCells)
	return kept + seenBytes*blocks + cellBytes*cells + 2*mostStates + movesBytes
}

// bytesOf is what a request takes that is kept.
func bytesOf(q trace.Request) int64 { return requestBytes + blockBytes*int64(len(q.Blocks)) }
