package oracle

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// recorded is a problem on a recorded trace; the test is skipped where that is not at hand.
func recorded(t testing.TB, file, profile string, rate float64, initial int32) Problem {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "traces", file)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("recorded traces are not at hand: %v", err)
	}
	p := generated(t, path, profile, initial)
	p.Load = func() (trace.Stream, error) { return trace.Open(path, trace.Options{Rate: rate}) }
	p.Target.Min = 1
	return p
}

// TestAzureConversation searches on an hour of real traffic, within 25 runs.
func TestAzureConversation(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates half a million requests")
	}
	p := recorded(t, "AzureLLMInferenceTrace_conv.csv.gz", "llama-3.1-70b-h100x4", 1, 2)
	r, err := Find(t.Context(), p, Options{Simulations: 25})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v: %.0f GPU-s, bound %.0f", r, r.GPUSeconds, r.Bound)
	if !r.Met || r.Requests != 19366 || r.Missed > 193 {
		t.Errorf("%v: want at most 193 of 19366 requests missed", r)
	}
	// All work without idle time is known to cost 1/1.24 to 1/1.38 of the cheapest schedule on traces like this. It is
	// taken widely here, to notice where something is off.
	if ratio := r.GPUSeconds / r.Bound; ratio < 1.1 || ratio > 1.6 {
		t.Errorf("the schedule costs %.2f times the bound, want 1.1 to 1.6", ratio)
	}
	verify(t, p, r)
}
