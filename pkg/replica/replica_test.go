package replica

import (
	"errors"
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func at(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// plain is a profile with figures that can be added up by hand: a step takes
// 10 ms, 1 ms per decoding sequence and 0.1 ms per prompt token.
func plain() Profile {
	return Profile{
		Name: "plain", GPUs: 1,
		StepBase: 10, StepPerSequence: 1, PrefillPerToken: 0.1, APIOverhead: 5,
		KVTokens: 1600, BlockSize: 16, MaxNumSeqs: 4, MaxNumBatchedTokens: 100, MaxModelLen: 1000,
		StreamInterval: 2,
	}
}

func newReplica(t *testing.T, p Profile) *Replica {
	t.Helper()
	r, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func submit(t *testing.T, r *Replica, now time.Duration, reqs ...Request) {
	t.Helper()
	for _, q := range reqs {
		if err := r.Submit(now, q); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReplicaTimelines(t *testing.T) {
	type arrival struct {
		ms  float64
		req Request
	}
	tight := plain()
	tight.KVTokens = 64 // four blocks
	costly := plain()
	costly.StepPerContextToken, costly.PrefillPerTokenPair = 0.01, 0.001
	single := plain()
	single.MaxNumSeqs = 1
	tests := map[string]struct {
		profile  Profile
		arrivals []arrival
		want     []Event
	}{
		"one request: overhead, prefill step, decode steps, coalesced progress": {
			profile:  plain(),
			arrivals: []arrival{{0, Request{ID: 1, PromptTokens: 50, OutputTokens: 6}}},
			// Queue at 5; prefill 10+5 ends at 20; then 11 ms a token.
			want: []Event{{at(20), 1, FirstToken, 1}, {at(42), 1, Progress, 2}, {at(64), 1, Progress, 2}, {at(75), 1, Finished, 1}},
		},
		"a single output token finishes with the first": {
			profile:  plain(),
			arrivals: []arrival{{0, Request{ID: 1, PromptTokens: 50, OutputTokens: 1}}},
			want:     []Event{{at(20), 1, FirstToken, 1}, {at(20), 1, Finished, 0}},
		},
		"a prompt beyond the token budget is computed in chunks": {
			profile:  plain(),
			arrivals: []arrival{{0, Request{ID: 1, PromptTokens: 250, OutputTokens: 1}}},
			// 100 + 100 + 50 tokens: 20 + 20 + 15 ms.
			want: []Event{{at(60), 1, FirstToken, 1}, {at(60), 1, Finished, 0}},
		},
		"cached prompt tokens need no prefill, but one is always computed": {
			profile:  plain(),
			arrivals: []arrival{{0, Request{ID: 1, PromptTokens: 250, OutputTokens: 1, CachedTokens: 250}}},
			want:     []Event{{at(15.1), 1, FirstToken, 1}, {at(15.1), 1, Finished, 0}},
		},
		"decodes come first and slow down for another's prefill": {
			profile: plain(),
			arrivals: []arrival{
				{0, Request{ID: 1, PromptTokens: 50, OutputTokens: 4}},
				{16, Request{ID: 2, PromptTokens: 150, OutputTokens: 2}},
			},
			// 1: prefill ends at 20, decodes to 31 alone (2 is queued at 21);
			// step 31: decode + 99 prompt tokens = 10+1+9.9 -> 51.9;
			// step: decode + 51 = 16.1 -> 68.0; then 2 decodes alone: 79.
			want: []Event{
				{at(20), 1, FirstToken, 1},
				{at(51.9), 1, Progress, 2},
				{at(68), 1, Finished, 1},
				{at(68), 2, FirstToken, 1},
				{at(79), 2, Finished, 1},
			},
		},
		"the batch limit makes the second request wait for the first": {
			profile: single,
			arrivals: []arrival{
				{0, Request{ID: 1, PromptTokens: 10, OutputTokens: 3}},
				{1, Request{ID: 2, PromptTokens: 10, OutputTokens: 1}},
			},
			want: []Event{
				{at(16), 1, FirstToken, 1},
				{at(38), 1, Finished, 2},
				{at(49), 2, FirstToken, 1},
				{at(49), 2, Finished, 0},
			},
		},
		"context and attention have their price": {
			profile:  costly,
			arrivals: []arrival{{0, Request{ID: 1, PromptTokens: 60, OutputTokens: 3}}},
			// Prefill 10+6+0.001*60*30 = 17.8; decodes 11.61 and 11.62.
			want: []Event{{at(22.8), 1, FirstToken, 1}, {at(46.03), 1, Finished, 2}},
		},
		"without a free block the newest is evicted and computed again": {
			profile: tight,
			arrivals: []arrival{
				{0, Request{ID: 1, PromptTokens: 31, OutputTokens: 4}},
				{0, Request{ID: 2, PromptTokens: 31, OutputTokens: 4}},
			},
			// Both hold two blocks of four. Prefill 10+6.2 -> 21.2. First decode
			// fills the blocks: 12 -> 33.2. Now each needs a third block: 2 is
			// evicted; 1 decodes alone: 44.2, 55.2 (3 blocks). Then 2 computes
			// 31+2 tokens again, 13.3 -> 68.5 with its third token, and 79.5.
			want: []Event{
				{at(21.2), 1, FirstToken, 1},
				{at(21.2), 2, FirstToken, 1},
				{at(44.2), 1, Progress, 2},
				{at(55.2), 1, Finished, 1},
				{at(68.5), 2, Progress, 2},
				{at(79.5), 2, Finished, 1},
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t, tc.profile)
			var got []Event
			for _, a := range tc.arrivals {
				got = append(got, r.Advance(at(a.ms))...)
				submit(t, r, at(a.ms), a.req)
			}
			got = append(got, r.Advance(at(1000))...)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if s := r.Stats(); s.Running != 0 || s.Waiting != 0 || s.KVUsage != 0 {
				t.Errorf("not empty at the end: %d running, %d waiting, KV %v", s.Running, s.Waiting, s.KVUsage)
			}
		})
	}
}

func TestSubmitRefuses(t *testing.T) {
	small := plain()
	small.KVTokens = 160
	tests := map[string]struct {
		req  Request
		want error
	}{
		"no prompt":                     {Request{ID: 1, OutputTokens: 1}, ErrBadRequest},
		"no output":                     {Request{ID: 1, PromptTokens: 1}, ErrBadRequest},
		"an id in use":                  {Request{ID: 9, PromptTokens: 1, OutputTokens: 1}, ErrBadRequest},
		"more than the model takes":     {Request{ID: 1, PromptTokens: 999, OutputTokens: 2}, ErrTooLong},
		"more than the KV cache takes":  {Request{ID: 1, PromptTokens: 150, OutputTokens: 11}, ErrTooLong},
		"as much as the KV cache takes": {Request{ID: 1, PromptTokens: 150, OutputTokens: 10}, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t, small)
			submit(t, r, 0, Request{ID: 9, PromptTokens: 1, OutputTokens: 1})
			if err := r.Submit(0, tc.req); !errors.Is(err, tc.want) {
				t.Errorf("Submit = %v, want %v", err, tc.want)
			}
		})
	}
}

func TestCancelFreesEverythingInEachPhase(t *testing.T) {
	for name, when := range map[string]float64{"on its way": 1, "in prefill": 6, "decoding": 40} {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t, plain())
			submit(t, r, 0, Request{ID: 1, PromptTokens: 50, OutputTokens: 100})
			r.Advance(at(when))
			if !r.Cancel(1) || r.Cancel(1) {
				t.Fatal("Cancel must succeed exactly once")
			}
			if got := r.Advance(at(5000)); len(got) != 0 {
				t.Errorf("events after cancel: %v", got)
			}
			if s := r.Stats(); s.KVUsage != 0 || s.Running != 0 || s.Cancelled != 1 || r.Inflight() != 0 {
				t.Errorf("left behind: %+v", s)
			}
			submit(t, r, at(5000), Request{ID: 1, PromptTokens: 50, OutputTokens: 1})
			if got := r.Advance(at(6000)); len(got) != 2 || got[0].At != at(5020) {
				t.Errorf("the next request is not served as by a fresh replica: %v", got)
			}
		})
	}
}

func TestCancelInTheQueue(t *testing.T) {
	p := plain()
	p.MaxNumSeqs = 1
	r := newReplica(t, p)
	submit(t, r, 0, Request{ID: 1, PromptTokens: 10, OutputTokens: 3}, Request{ID: 2, PromptTokens: 10, OutputTokens: 3})
	r.Advance(at(10))
	if s := r.Stats(); s.Running != 1 || s.Waiting != 1 {
		t.Fatalf("want one running and one waiting, got %d and %d", s.Running, s.Waiting)
	}
	r.Cancel(2)
	if s := r.Stats(); s.Waiting != 0 {
		t.Errorf("%d still waiting", s.Waiting)
	}
}

// A cancelled request makes the steps of the others shorter: their events come
// earlier than was foreseen.
func TestNextEventIsNotLateAfterACancel(t *testing.T) {
	p := plain()
	p.StreamInterval = 0
	r := newReplica(t, p)
	submit(t, r, 0, Request{ID: 1, PromptTokens: 10, OutputTokens: 90}, Request{ID: 2, PromptTokens: 10, OutputTokens: 30})
	r.Advance(at(100))
	before := r.NextEvent()
	r.Cancel(1)
	for range 100 {
		next := r.NextEvent()
		if early := r.Advance(next - 1); len(early) > 0 {
			t.Fatalf("%v came before the announced %v", early[0], next)
		}
		if events := r.Advance(next); len(events) > 0 {
			if events[0].At >= before {
				t.Errorf("%v is not earlier than with the other, %v", events[0], before)
			}
			return
		}
	}
	t.Error("the other request does not end")
}

// Where the way to the engine takes no time, a step that begins when a request
// arrives does without it, whether or not somebody looked at that time.
func TestArrivalAtAStepBoundary(t *testing.T) {
	p := plain()
	p.APIOverhead = 0
	looks := map[string]func(*Replica){
		"nobody looks":      func(*Replica) {},
		"time is advanced":  func(r *Replica) { r.Advance(at(26)) },
		"the page is asked": func(r *Replica) { r.Advance(at(26)); r.Stats() },
	}
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t, p)
			submit(t, r, 0, Request{ID: 1, PromptTokens: 50, OutputTokens: 20})
			// Prefill ends at 15, tokens follow at 26 and 37: there the second begins.
			look(r)
			submit(t, r, at(26), Request{ID: 2, PromptTokens: 50, OutputTokens: 1})
			for _, e := range r.Advance(at(500)) {
				if e.ID == 2 && e.Kind == FirstToken && e.At != at(37+16) {
					t.Errorf("first token at %v, want %v", e.At, at(53))
				}
			}
		})
	}
}

// workload is a random open-loop load that overruns the replica at times.
func workload(rng *rand.Rand, n int) (times []time.Duration, reqs []Request) {
	now := time.Duration(0)
	for i := range n {
		now += time.Duration(rng.ExpFloat64() * float64(90*time.Millisecond))
		prompt := 1 + rng.Intn(300)
		times = append(times, now)
		reqs = append(reqs, Request{
			ID: uint64(i), PromptTokens: prompt, OutputTokens: 1 + rng.Intn(120), CachedTokens: rng.Intn(2) * rng.Intn(prompt),
		})
	}
	return times, reqs
}

func busy(rng *rand.Rand) Profile {
	p := plain()
	p.StepBase, p.StepPerSequence, p.StepPerContextToken = 1+4*rng.Float64(), rng.Float64(), rng.Float64()*1e-3
	p.PrefillPerToken, p.PrefillPerTokenPair = 0.05*rng.Float64(), 1e-5*rng.Float64()
	p.KVTokens, p.MaxNumSeqs, p.MaxNumBatchedTokens = 600+rng.Intn(2000), 2+rng.Intn(20), 64+rng.Intn(200)
	p.StreamInterval, p.StepsAhead = rng.Intn(6), rng.Intn(2)
	return p
}

// conversations is a load of growing prompts that begin alike, with the hashes
// of their blocks.
func conversations(rng *rand.Rand, n int) (times []time.Duration, reqs []Request) {
	now := time.Duration(0)
	for i := range n {
		now += time.Duration(rng.ExpFloat64() * float64(250*time.Millisecond))
		talk, prompt := rng.Intn(6), 1+rng.Intn(3000)
		q := Request{ID: uint64(i), PromptTokens: prompt, OutputTokens: 1 + rng.Intn(200)}
		for b := range 1 + prompt/PrefixBlock {
			q.Blocks = append(q.Blocks, uint64(100*talk+b))
		}
		times, reqs = append(times, now), append(reqs, q)
	}
	return times, reqs
}

// spacious is busy with room for the prompts of conversations.
func spacious(rng *rand.Rand) Profile {
	p := busy(rng)
	p.KVTokens, p.MaxNumBatchedTokens, p.MaxModelLen = 3500+rng.Intn(12000), 64+rng.Intn(1500), 4000
	p.PrefillPerToken /= 4
	return p
}

func mixture(rng *rand.Rand) Profile {
	p := busy(rng)
	p.ExpertStep, p.ExpertShare = 10*rng.Float64(), 0.01+0.2*rng.Float64()
	return p
}

func TestReplicaAgreesWithItsTwin(t *testing.T) {
	type load func(*rand.Rand, int) ([]time.Duration, []Request)
	tests := map[string]struct {
		profile func(*rand.Rand) Profile
		load    load
	}{
		"overrun at times, with evictions":      {busy, workload},
		"a mixture of experts":                  {mixture, workload},
		"prompts that begin alike, with hashes": {spacious, conversations},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for seed := range int64(40) {
				rng := rand.New(rand.NewSource(seed))
				p := tc.profile(rng)
				times, reqs := tc.load(rng, 120)
				compareWithTwin(t, rng, p, times, reqs)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func compareWithTwin(t *testing.T, rng *rand.Rand, p Profile, times []time.Duration, reqs []Request) {
	t.Helper()
	r, twin := newReplica(t, p), newTwin(p)
	var got []Event
	for i := range reqs {
		// Advance in uneven bites and look now and then: the result must not
		// depend on it.
		got = append(got, r.Advance(times[i]-time.Duration(rng.Intn(50))*time.Millisecond)...)
		switch rng.Intn(6) {
		case 0:
			r.Stats()
		case 1:
			r.Cached(reqs[i].Blocks)
		case 2:
			got = r.AdvanceTo(times[i], got)
		}
		submit(t, r, times[i], reqs[i])
		twin.submit(times[i], reqs[i])
	}
	got = r.AdvanceTo(times[len(times)-1]+time.Hour, got)
	if diff := cmp.Diff(twin.finish(), got); diff != "" {
		t.Fatalf("events (-twin +replica):\n%s", diff)
	}
	type counts struct{ preemptions, steps, tokens, queries, hits uint64 }
	s := r.Stats()
	if diff := cmp.Diff(
		counts{twin.preemptions, twin.steps, twin.tokens, uint64(twin.queries), uint64(twin.hits)},
		counts{s.Preemptions, s.Steps, s.GenerationTokens, s.PrefixCacheQueries, s.PrefixCacheHits},
		cmp.AllowUnexported(counts{}),
	); diff != "" {
		t.Errorf("counters (-twin +replica):\n%s", diff)
	}
	if s.ITL.Count() != twin.itl.Count() || math.Abs(s.ITL.Sum-twin.itl.Sum) > 1e-6 {
		t.Errorf("ITL n=%d sum=%v, twin n=%d sum=%v", s.ITL.Count(), s.ITL.Sum, twin.itl.Count(), twin.itl.Sum)
	}
	if diff := cmp.Diff(twin.itl.Counts, s.ITL.Counts); diff != "" {
		t.Errorf("ITL buckets (-twin +replica):\n%s", diff)
	}
	if s.KVUsage != 0 || r.kv.used(r.step) != 0 || r.cache.inUse != 0 {
		t.Errorf("left behind: usage %v, ledger %d, cache %d", s.KVUsage, r.kv.used(r.step), r.cache.inUse)
	}
}

// What the comparison with the twin is meant to cover must occur in it.
func TestTwinRunsIncludeEvictionsHitsAndLosses(t *testing.T) {
	var evictions, hits, evictionsWithHashes uint64
	lost := 0
	for seed := range int64(40) {
		rng := rand.New(rand.NewSource(seed))
		times, reqs := workload(rng, 120)
		r := newReplica(t, busy(rng))
		serve(t, r, times, reqs)
		evictions += r.Stats().Preemptions

		times, reqs = conversations(rng, 120)
		r = newReplica(t, spacious(rng))
		serve(t, r, times, reqs)
		s := r.Stats()
		hits += s.PrefixCacheHits
		evictionsWithHashes += s.Preemptions
		for _, q := range reqs {
			lost += q.PromptTokens/PrefixBlock - r.Cached(q.Blocks[:q.PromptTokens/PrefixBlock])
		}
	}
	for what, n := range map[string]uint64{
		"evictions": evictions, "prefix cache hits": hits / PrefixBlock,
		"evictions of hashed prompts": evictionsWithHashes, "blocks lost from the prefix cache": uint64(lost),
	} {
		if n < 100 {
			t.Errorf("only %d %s: the comparison with the twin no longer covers them", n, what)
		}
	}
}

func serve(t *testing.T, r *Replica, times []time.Duration, reqs []Request) {
	t.Helper()
	for i := range reqs {
		submit(t, r, times[i], reqs[i])
	}
	r.Advance(times[len(times)-1] + time.Hour)
}

func TestReplicaConserves(t *testing.T) {
	for seed := range int64(20) {
		rng := rand.New(rand.NewSource(1000 + seed))
		p := busy(rng)
		times, reqs := workload(rng, 200)
		r := newReplica(t, p)
		tokens, finished := map[uint64]int{}, map[uint64]int{}
		last := time.Duration(0)
		look := func(events []Event) {
			for _, e := range events {
				if e.At < last {
					t.Fatalf("seed %d: time runs backwards: %v after %v", seed, e, last)
				}
				last = e.At
				tokens[e.ID] += e.Tokens
				if e.Kind == Finished {
					finished[e.ID]++
				}
			}
			if u := r.Stats().KVUsage; u < 0 || u > 1 {
				t.Fatalf("seed %d: KV usage %v", seed, u)
			}
		}
		for i := range reqs {
			look(r.Advance(times[i]))
			submit(t, r, times[i], reqs[i])
		}
		for next := r.NextEvent(); next != Never; next = r.NextEvent() {
			look(r.Advance(next))
		}
		for _, q := range reqs {
			if finished[q.ID] != 1 || tokens[q.ID] != q.OutputTokens {
				t.Fatalf("seed %d: request %d finished %d times with %d of %d tokens", seed, q.ID, finished[q.ID], tokens[q.ID], q.OutputTokens)
			}
		}
		s := r.Stats()
		if s.Finished != uint64(len(reqs)) || s.TTFT.Count() != s.Finished || s.E2E.Count() != s.Finished {
			t.Errorf("seed %d: counters disagree: %d finished, %d TTFT, %d E2E", seed, s.Finished, s.TTFT.Count(), s.E2E.Count())
		}
		if s.ITL.Count()+s.Finished != s.GenerationTokens {
			t.Errorf("seed %d: %d gaps + %d first tokens != %d tokens", seed, s.ITL.Count(), s.Finished, s.GenerationTokens)
		}
	}
}

// NextEvent must never be later than the event it announces.
func TestNextEventIsNeverLate(t *testing.T) {
	for seed := range int64(20) {
		rng := rand.New(rand.NewSource(2000 + seed))
		p := busy(rng)
		times, reqs := workload(rng, 100)
		r := newReplica(t, p)
		for i := range reqs {
			for {
				next := r.NextEvent()
				if next > times[i] {
					break
				}
				if early := r.Advance(next - 1); len(early) > 0 {
					t.Fatalf("seed %d: %v came before the announced %v", seed, early[0], next)
				}
				r.Advance(next)
			}
			if late := r.Advance(times[i]); len(late) > 0 {
				t.Fatalf("seed %d: %v was not announced", seed, late[0])
			}
			submit(t, r, times[i], reqs[i])
		}
	}
}

// Nothing finishes before NextFinish, whatever is submitted meanwhile, unless it is
// what was submitted; and where there is room for all, it takes few looks.
func TestNextFinishIsNeverLate(t *testing.T) {
	looks, ends := 0, 0
	for seed := range int64(40) {
		rng := rand.New(rand.NewSource(3000 + seed))
		profile, load := busy, workload
		if seed%2 == 1 {
			profile, load = spacious, conversations
		}
		p := profile(rng)
		p.StreamInterval = 0
		times, reqs := load(rng, 150)
		calm := seed%4 == 2
		if calm {
			for i := range times {
				times[i] *= 20
			}
		}
		r := newReplica(t, p)
		bound := Never
		finished := func(until time.Duration) (n int) {
			for _, e := range r.Advance(until) {
				if e.Kind == Finished {
					n++
				}
			}
			return n
		}
		look := func(until time.Duration) {
			if n := finished(until - 1); n > 0 {
				t.Fatalf("seed %d: %d finished before the bound %v", seed, n, until)
			}
			if calm {
				looks++
			}
			ends += finished(until)
			bound = r.NextFinish()
		}
		for i := range reqs {
			for bound <= times[i] {
				look(bound)
			}
			submit(t, r, times[i], reqs[i])
			bound = min(bound, times[i]+at((p.APIOverhead+p.StepBase*float64(reqs[i].OutputTokens))*(1-1e-6)))
		}
		for bound < Never {
			look(bound)
		}
	}
	if ends != 40*150 || looks > 3*10*150 {
		t.Errorf("%d of %d requests finished, 1500 of them in %d looks", ends, 40*150, looks)
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	p := plain()
	p.StepBase, p.KVTokens, p.MaxNumBatchedTokens, p.PrefillPerToken = math.NaN(), 1, 4, -1
	err := p.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{"step_base_ms", "kv_tokens", "max_num_batched_tokens", "prefill_per_token_ms"} {
		if !slices.ContainsFunc(unwrap(err), func(e error) bool { return len(e.Error()) > len(field) && e.Error()[:len(field)] == field }) {
			t.Errorf("%s is not reported in: %v", field, err)
		}
	}
}

func unwrap(err error) []error { return err.(interface{ Unwrap() []error }).Unwrap() }

func TestHistogram(t *testing.T) {
	h := NewHistogram([]float64{1, 2})
	h.Observe(1, 2)
	h.Observe(1.5, 1)
	h.Observe(7, 3)
	c := h.Clone()
	h.Observe(0, 1)
	if diff := cmp.Diff(Histogram{Bounds: []float64{1, 2}, Counts: []uint64{2, 1, 3}, Sum: 24.5}, c); diff != "" {
		t.Errorf("bounds are inclusive and a clone is independent (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]float64{1, 2, 5, 10, 20, 50, 100}, TokenBounds(150)); diff != "" {
		t.Errorf("TokenBounds (-want +got):\n%s", diff)
	}
}

// BenchmarkReplica is one replica at about 70 % load for a minute of its time,
// with and without streaming events.
func BenchmarkReplica(b *testing.B) {
	for name, interval := range map[string]int{"interval=0": 0, "interval=8": 8} {
		b.Run(name, func(b *testing.B) {
			p, err := ProfileNamed("llama-3.1-70b-h100x4")
			if err != nil {
				b.Fatal(err)
			}
			p.StreamInterval = interval
			for b.Loop() {
				rng := rand.New(rand.NewSource(1))
				r, err := New(p)
				if err != nil {
					b.Fatal(err)
				}
				now := time.Duration(0)
				for id := uint64(0); now < time.Minute; id++ {
					now += time.Duration(rng.ExpFloat64() / 5.5 * 1e9)
					r.Advance(now)
					if err := r.Submit(now, Request{ID: id, PromptTokens: 1 + rng.Intn(2000), OutputTokens: 1 + rng.Intn(400)}); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(60*float64(b.N)/b.Elapsed().Seconds(), "simulated-s/s")
		})
	}
}
