package compare

import (
	"context"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// countdown is a context that the caller ends after so many looks at it.
type countdown struct {
	context.Context
	left int
}

// Err implements context.Context.
func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// searching is a comparison of the oracle alone, on ten minutes of which two are crowded.
func searching(t *testing.T) (*comparison, *run) {
	t.Helper()
	profile, err := replica.ProfileNamed("llama-3.1-70b-h100x4")
	if err != nil {
		t.Fatal(err)
	}
	load := Load{Name: "crowd", Open: func(seed uint64) (trace.Stream, error) {
		return trace.Open("flash-crowd:length=10m,low=2,high=12,at=4m", trace.Options{Seed: int64(seed), Mix: "fixed:1000/200"})
	}}
	e := &Experiment{
		Load: load, Profile: profile, Policies: []string{Oracle}, Seeds: []uint64{1}, Initial: 1, Min: 1, Max: 5,
		Leads: []Lead{{Whole: time.Minute, Phases: replay.Lead{Load: replay.Phase{Median: time.Minute}}}},
		SLO:   score.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond, Attainment: 0.99},
	}
	facts, err := survey(t.Context(), load, 1, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	c := &comparison{Experiment: e, Tools: Tools{Meter: &Meter{}}, knowledge: e.know(facts), extent: facts, runs: e.runs()}
	return c, c.runs[0]
}

func TestASearchThatIsCutShortGivesItsBestSoFar(t *testing.T) {
	c, whole := searching(t)
	if err := c.search(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	c, r := searching(t)
	if err := c.search(&countdown{t.Context(), 60}, r); err != nil {
		t.Fatal(err)
	}
	if !r.done || r.score.Requests.Arrived != uint64(c.extent.Requests) {
		t.Fatalf("done %v, %d of %d requests were scored", r.done, r.score.Requests.Arrived, c.extent.Requests)
	}
	if n := r.proof.Simulations; !r.proof.CutShort || n == 0 || n >= whole.proof.Simulations || whole.proof.CutShort {
		t.Errorf("cut short %v after %d runs, of %d where it was not (%v)", r.proof.CutShort, n, whole.proof.Simulations, whole.proof.CutShort)
	}
	o := c.outcome()
	if o.Complete() || len(o.Unfinished) != 0 || len(o.CutShort()) != 1 || o.CutShort()[0] != r.Key {
		t.Errorf("complete %v, unfinished %v, cut short %v", o.Complete(), o.Unfinished, o.CutShort())
	}
	s := o.Summary(*c.Experiment, Labels{})
	if !s.Incomplete || len(s.CutShort) != 1 || s.CutShort[0] != "oracle (lead time 1m0s, seed 1)" {
		t.Errorf("the summary says incomplete %v, cut short %v", s.Incomplete, s.CutShort)
	}
}

func TestASearchThatFoundNothingIsNoResult(t *testing.T) {
	c, r := searching(t)
	if err := c.search(&countdown{t.Context(), 0}, r); err == nil || r.done {
		t.Errorf("done %v, error %v", r.done, err)
	}
}
