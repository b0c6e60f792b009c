package replica

import (
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// roomy is plain with room for prompts of several blocks: 125 KV blocks.
func roomy() Profile {
	p := plain()
	p.KVTokens, p.MaxNumBatchedTokens, p.MaxModelLen, p.StreamInterval = 2000, 2000, 2000, 0
	return p
}

func TestPrefixCacheTimelines(t *testing.T) {
	type arrival struct {
		ms  float64
		req Request
	}
	tests := map[string]struct {
		arrivals      []arrival
		first         []float64 // when each has its first token, ms
		queries, hits uint64
		cached        []uint64 // asked at the end
		want          int
	}{
		"the second finds what the first computed": {
			arrivals: []arrival{
				{0, Request{ID: 1, PromptTokens: 1100, OutputTokens: 1, Blocks: []uint64{7, 8, 9}}},
				{500, Request{ID: 2, PromptTokens: 1100, OutputTokens: 1, Blocks: []uint64{7, 8, 10}}},
			},
			// 10 + 110 ms; then 1100 - 1024 = 76 tokens.
			first: []float64{5 + 120, 505 + 17.6}, queries: 2200, hits: 1024,
			cached: []uint64{7, 8, 9}, want: 2, // the third block is not filled
		},
		"prompts that differ at the start have nothing in common": {
			arrivals: []arrival{
				{0, Request{ID: 1, PromptTokens: 1100, OutputTokens: 1, Blocks: []uint64{7, 8}}},
				{500, Request{ID: 2, PromptTokens: 1100, OutputTokens: 1, Blocks: []uint64{1, 8}}},
			},
			first: []float64{125, 625}, queries: 2200, hits: 0, cached: []uint64{1, 9}, want: 1,
		},
		"what the caller guesses does not count where there are hashes": {
			arrivals: []arrival{{0, Request{ID: 1, PromptTokens: 600, OutputTokens: 1, CachedTokens: 590, Blocks: []uint64{7}}}},
			first:    []float64{5 + 70}, queries: 600, hits: 0, cached: []uint64{7}, want: 1,
		},
		"one token is computed though the whole prompt is known": {
			arrivals: []arrival{
				{0, Request{ID: 1, PromptTokens: 1024, OutputTokens: 1, Blocks: []uint64{7, 8}}},
				{500, Request{ID: 2, PromptTokens: 1024, OutputTokens: 1, Blocks: []uint64{7, 8}}},
			},
			first: []float64{5 + 112.4, 505 + 61.2}, queries: 2048, hits: 512, cached: []uint64{7, 8}, want: 2,
		},
		"what is computed in the same step is shared": {
			arrivals: []arrival{
				{0, Request{ID: 1, PromptTokens: 612, OutputTokens: 1, Blocks: []uint64{7}}},
				{0, Request{ID: 2, PromptTokens: 612, OutputTokens: 1, Blocks: []uint64{7}}},
			},
			first: []float64{5 + 81.2, 5 + 81.2}, queries: 1224, hits: 512, cached: []uint64{7}, want: 1,
		},
		"the least recently used goes when room is needed": {
			// Each leaves 96 of 125 blocks in the cache; the second pushes the
			// first's later blocks out before its beginning.
			arrivals: []arrival{
				{0, Request{ID: 1, PromptTokens: 1536, OutputTokens: 1, Blocks: []uint64{1, 2, 3}}},
				{500, Request{ID: 2, PromptTokens: 900, OutputTokens: 1, Blocks: []uint64{4}}},
			},
			first: []float64{5 + 163.6, 505 + 100}, queries: 2436, hits: 0, cached: []uint64{1, 2, 3}, want: 2,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t, roomy())
			var events []Event
			for _, a := range tc.arrivals {
				events = r.AdvanceTo(at(a.ms), events)
				submit(t, r, at(a.ms), a.req)
			}
			var first []float64
			for _, e := range r.AdvanceTo(at(5000), events) {
				if e.Kind == FirstToken {
					first = append(first, float64(e.At)/float64(time.Millisecond))
				}
			}
			if diff := cmp.Diff(tc.first, first); diff != "" {
				t.Errorf("first tokens, ms (-want +got):\n%s", diff)
			}
			s := r.Stats()
			if s.PrefixCacheQueries != tc.queries || s.PrefixCacheHits != tc.hits {
				t.Errorf("%d hits of %d, want %d of %d", s.PrefixCacheHits, s.PrefixCacheQueries, tc.hits, tc.queries)
			}
			if got := r.Cached(tc.cached); got != tc.want {
				t.Errorf("%d blocks of %v cached, want %d", got, tc.cached, tc.want)
			}
			if s.KVUsage != 0 {
				t.Errorf("KV usage %v of an empty replica", s.KVUsage)
			}
		})
	}
}

// A shared block counts once: three prompts of 1100 tokens do not fit the cache
// of 2000 by themselves, but they do where they have 1024 tokens in common.
func TestSharedBlocksCountOnce(t *testing.T) {
	r := newReplica(t, roomy())
	for id := range uint64(3) {
		submit(t, r, 0, Request{ID: id, PromptTokens: 1100, OutputTokens: 50, Blocks: []uint64{7, 8}})
	}
	r.Advance(at(300))
	s := r.Stats()
	if s.Running != 3 || s.Waiting != 0 {
		t.Errorf("%d run and %d wait, want all three to run", s.Running, s.Waiting)
	}
	// 64 blocks of the common part, and 5 each of 76 to 80 tokens.
	if want := float64(64+3*5) / 125; s.KVUsage < want || s.KVUsage > want+3.0/125 {
		t.Errorf("KV usage %v, want %v or a little more", s.KVUsage, want)
	}
}

func TestBlocksAreIgnoredWhereTheyDoNotFitTheBlockSize(t *testing.T) {
	p := roomy()
	p.BlockSize, p.KVTokens = 1024, 4096
	r := newReplica(t, p)
	submit(t, r, 0, Request{ID: 1, PromptTokens: 1100, OutputTokens: 1, Blocks: []uint64{7, 8}})
	r.Advance(at(1000))
	if got := r.Cached([]uint64{7, 8}); got != 0 {
		t.Errorf("%d blocks cached", got)
	}
}

// Whatever is cancelled whenever, the others end and nothing is left behind.
func TestCancelAtRandomLeavesNothingBehind(t *testing.T) {
	for seed := range int64(30) {
		rng := rand.New(rand.NewSource(seed))
		times, reqs := conversations(rng, 150)
		r := newReplica(t, spacious(rng))
		finished, cancelled := map[uint64]bool{}, map[uint64]bool{}
		look := func(events []Event) {
			for _, e := range events {
				if cancelled[e.ID] {
					t.Fatalf("seed %d: %v after its request was cancelled", seed, e)
				}
				if e.Kind == Finished {
					finished[e.ID] = true
				}
			}
		}
		for i := range reqs {
			look(r.Advance(times[i]))
			submit(t, r, times[i], reqs[i])
			id := uint64(max(0, i-rng.Intn(6)))
			was := !finished[id] && !cancelled[id]
			if rng.Intn(3) == 0 && r.Cancel(id) {
				if !was {
					t.Fatalf("seed %d: request %d was cancelled after its end", seed, id)
				}
				cancelled[id] = true
			}
			if u := r.Stats().KVUsage; u < 0 || u > 1 {
				t.Fatalf("seed %d: KV usage %v", seed, u)
			}
		}
		for next := r.NextEvent(); next != Never; next = r.NextEvent() {
			look(r.Advance(next))
		}
		if len(finished)+len(cancelled) != len(reqs) || len(cancelled) < 10 {
			t.Errorf("seed %d: %d finished and %d cancelled of %d", seed, len(finished), len(cancelled), len(reqs))
		}
		if r.Inflight() != 0 || r.running.length+r.waiting.length+r.arriving.length != 0 || r.kv.used(r.step) != 0 || r.cache.inUse != 0 {
			t.Errorf("seed %d: left behind: %d in flight, ledger %d, cache %d", seed, r.Inflight(), r.kv.used(r.step), r.cache.inUse)
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	p := roomy()
	r := newReplica(t, p)
	now := time.Duration(0)
	var events []Event
	var stats Stats
	id := uint64(0)
	blocks := [][]uint64{{1, 2}, {1, 3}, {4}}
	serve := func() {
		for range 20 {
			now += 80 * time.Millisecond
			events = r.AdvanceTo(now, events[:0])
			id++
			err := r.Submit(now, Request{ID: id, PromptTokens: 600 + int(id%7)*90, OutputTokens: 20, Blocks: blocks[id%3]})
			if err != nil {
				t.Fatal(err)
			}
		}
		r.StatsInto(&stats)
	}
	for range 200 {
		serve()
	}
	if stats.Finished < 100 {
		t.Fatalf("only %d requests finished", stats.Finished)
	}
	now += time.Hour
	r.AdvanceTo(now, nil)
	serve()
	// What is left over is a map that grows now and then.
	if n := testing.AllocsPerRun(100, serve); n > 0.5 {
		t.Errorf("%v allocations for 20 requests", n)
	}
}
