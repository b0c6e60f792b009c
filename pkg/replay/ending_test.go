package replay_test

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// until is a load that lasts beyond its last request.
type until struct {
	trace.Stream
	end time.Duration
}

func (u until) End() (time.Duration, bool) { return u.end, true }

func TestARunLastsAsLongAsItsLoads(t *testing.T) {
	for name, tc := range map[string]struct {
		loads []trace.Stream
		want  time.Duration
	}{
		"a load that is idle in the end":           {[]trace.Stream{until{chat(0, 60), time.Hour}}, time.Hour},
		"a load without any request":               {[]trace.Stream{until{chat(0, 0), 20 * time.Minute}}, 20 * time.Minute},
		"the longest of several":                   {[]trace.Stream{until{chat(0, 60), time.Hour}, until{chat(0, 60), 2 * time.Hour}, chat(0, 10)}, 2 * time.Hour},
		"an end at which the last request arrives": {[]trace.Stream{until{chat(0, 61), time.Minute}}, 0},
		"an end before the last request":           {[]trace.Stream{until{chat(0, 61), time.Second}}, 0},
		"a load that tells no end":                 {[]trace.Stream{chat(0, 61)}, 0},
	} {
		var targets []replay.Target
		for i, load := range tc.loads {
			targets = append(targets, replay.Target{
				Name: string(rune('a' + i)), Profile: engine(), Load: load, Policy: always(2), Initial: 2,
			})
		}
		j, totals := run(t, replay.Config{}, targets...)
		want := tc.want
		if want == 0 { // as long as the requests take
			for _, r := range j.requests {
				want = max(want, r.Arrival+r.E2E)
			}
		}
		for _, total := range totals {
			if total.End != want || total.Held != 2*want {
				t.Errorf("%s: target %s ends at %v and held replicas for %v, want %v and twice that", name, total.Target, total.End, total.Held, want)
			}
		}
		if last := j.censuses[len(j.censuses)-1]; last.At != want || j.backwards > 0 {
			t.Errorf("%s: the last census is at %v, want %v; %d calls went back in time", name, last.At, want, j.backwards)
		}
	}
}

func TestPoliciesDecideAfterTheLastRequest(t *testing.T) {
	j, totals := run(t, replay.Config{}, replay.Target{
		Name: "x", Profile: engine(), Load: until{chat(0, 60), time.Hour}, Policy: inPhase{steps(map[int]int32{0: 3, 1800: 0}, time.Minute)}, Initial: 3,
	})
	// The policy is asked every 100 ms.
	if held := totals[0].Held; held < 3*30*time.Minute || held > 3*(30*time.Minute+100*time.Millisecond) {
		t.Errorf("three replicas that are given up after half an hour of an hour held GPUs for %v", held)
	}
	if last := j.decisions[len(j.decisions)-1].Time.Sub(start); last >= time.Hour || last < time.Hour-time.Minute {
		t.Errorf("the last decision is at %v of a load of 1h", last)
	}
}
