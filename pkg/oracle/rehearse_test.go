package oracle

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

func TestSampleIsSpreadOverTheLoad(t *testing.T) {
	var s sample
	const requests = 2_000_000
	for i := range requests {
		s.take(trace.Request{At: time.Duration(i) * time.Second, PromptTokens: i + 1})
	}
	load := s.load()
	if s.bytes > mostSampled || 4*s.bytes < mostSampled || int64(len(load))*requestBytes != s.bytes {
		t.Errorf("%d requests of %d bytes, want between a quarter and all of %d", len(load), s.bytes, mostSampled)
	}
	perPart, quarters := int(partLength/time.Second), [4]int{}
	for i, q := range load {
		if want := time.Duration(i) * time.Second; q.At != want {
			t.Fatalf("request %d is at %v, want %v: pieces follow each other", i, q.At, want)
		}
		quarters[4*(q.PromptTokens-1)/requests]++
	}
	for i, n := range quarters {
		if diff := n - len(load)/4; diff > 2*perPart || diff < -2*perPart {
			t.Errorf("%d of %d requests are from quarter %d of the load", n, len(load), i+1)
		}
	}
}

func TestSampleThinsAsOneOfTheWhole(t *testing.T) {
	var s sample
	for piece := range 8 {
		s.take(trace.Request{At: time.Duration(piece) * partLength})
	}
	s.thin()
	s.take(trace.Request{At: 9 * partLength}) // odd, and so left out
	s.take(trace.Request{At: 10 * partLength})
	var got []int64
	for _, p := range s.parts {
		got = append(got, p.number)
	}
	if diff := cmp.Diff([]int64{0, 2, 4, 6, 10}, got); diff != "" || s.bytes != 5*requestBytes {
		t.Errorf("%d bytes in pieces %v", s.bytes, got)
	}
}

// TestFindRehearses searches on two days of more requests than are kept: three runs of the whole prove what the sample
// taught.
func TestFindRehearses(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates ten million requests")
	}
	p := generated(t, "diurnal:seed=3,hours=48", "llama-3.1-70b-h100x4", 3)
	r, err := Find(t.Context(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v: %.0f GPU-s, bound %.0f", r, r.GPUSeconds, r.Bound)
	if !r.Met || r.Simulations > provingRuns || r.Simulated > (provingRuns+1)*r.Requests+DefaultRequests/2 {
		t.Errorf("%v: want the objective met within %d runs of the whole", r, provingRuns)
	}
	// With five runs of the whole, and no sample, it was 1.63 times the bound on a day of this load.
	if ratio := r.GPUSeconds / r.Bound; ratio < 1.3 || ratio > 1.8 {
		t.Errorf("the schedule costs %.2f times the bound, want 1.3 to 1.8", ratio)
	}
	verify(t, p, r)
}
