package replay_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

func TestRouters(t *testing.T) {
	long, short := 3000, 10
	request := func(second, output int, blocks ...uint64) trace.Request {
		return trace.Request{At: time.Duration(second) * time.Second, PromptTokens: 2100, OutputTokens: output, Blocks: blocks}
	}
	a, b := []uint64{1, 2, 3, 4}, []uint64{9, 8, 7, 6}
	cases := map[string]struct {
		router replay.Router
		load   listed
		want   []int32 // replica by request
	}{
		"the least outstanding takes it, among equals the one that has waited longest": {
			replay.LeastOutstanding,
			listed{request(0, long), request(1, short), request(5, short), request(9, long), request(10, short), request(14, short)},
			[]int32{0, 1, 2, 1, 2, 2},
		},
		"in turn, however busy": {
			replay.RoundRobin,
			listed{request(0, long), request(1, short), request(5, short), request(9, long), request(10, short), request(14, short)},
			[]int32{0, 1, 2, 0, 1, 2},
		},
		"to the prefix": {
			replay.PrefixAware,
			listed{request(0, short, a...), request(5, short, b...), request(10, short, a...), request(15, short, b...), request(20, short, a...), request(25, short)},
			[]int32{0, 1, 0, 1, 0, 2},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			j, _ := run(t, replay.Config{Router: c.router}, replay.Target{Name: "chat", Profile: engine(), Load: &c.load, Policy: always(3), Initial: 3})
			got := make([]int32, len(j.requests))
			for _, r := range j.requests {
				got[r.ID-1] = r.Replica
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("replicas by request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOfTwoWithThePrefixTheLessBusyTakesIt(t *testing.T) {
	blocks := []uint64{1, 2, 3, 4}
	var l listed
	send := func(at time.Duration, output int) {
		l = append(l, trace.Request{At: at, PromptTokens: 2100, OutputTokens: output, Blocks: blocks})
	}
	for i := range 10 { // nine for the first replica, and one for the second
		send(time.Duration(i)*400*time.Millisecond, []int{4000, 500, 4000, 500, 500, 500, 4000, 500, 500, 4000}[i])
	}
	send(25*time.Second, 10)
	j, _ := run(t, replay.Config{Router: replay.PrefixAware}, replay.Target{Name: "chat", Profile: engine(), Load: &l, Policy: always(3), Initial: 3})
	replicas := map[uint64]int32{}
	held := map[int32]int{}
	for _, r := range j.requests {
		replicas[r.ID] = r.Replica
		if r.ID < 11 && r.Arrival+r.E2E > 25*time.Second {
			held[r.Replica]++
		}
	}
	if held[0] <= held[1] || held[1] == 0 || held[2] > 0 {
		t.Fatalf("requests in flight %v: the test tests nothing", held)
	}
	if replicas[11] != 1 {
		t.Errorf("replica %d took it, in flight were %v", replicas[11], held)
	}
}

func TestAPrefixIsNotWorthAnyQueue(t *testing.T) {
	blocks := []uint64{1, 2, 3, 4}
	var l listed
	for i := range 30 {
		l = append(l, trace.Request{At: time.Duration(i) * 100 * time.Millisecond, PromptTokens: 2100, OutputTokens: 2000, Blocks: blocks})
	}
	j, _ := run(t, replay.Config{Router: replay.PrefixAware}, replay.Target{Name: "chat", Profile: engine(), Load: &l, Policy: always(2), Initial: 2})
	taken := map[int32]int{}
	for _, r := range j.requests {
		taken[r.Replica]++
	}
	if taken[0] < taken[1] || taken[0] > taken[1]+9 {
		t.Errorf("requests by replica: %v, want the first to have more, but at most nine", taken)
	}
}

func TestPrefixesSpareTime(t *testing.T) {
	mean := func(router replay.Router) (sum time.Duration) {
		l := load(3, 10, 2000)
		l.shared = 4
		j, _ := run(t, replay.Config{Router: router}, replay.Target{Name: "chat", Profile: engine(), Load: l, Policy: always(4), Initial: 4})
		for _, r := range j.requests {
			sum += r.TTFT / time.Duration(len(j.requests))
		}
		return sum
	}
	aware, least := mean(replay.PrefixAware), mean(replay.LeastOutstanding)
	if aware >= least {
		t.Errorf("mean TTFT %v by prefix, %v by load", aware, least)
	}
	t.Logf("mean TTFT %v by prefix, %v by load", aware, least)
}
