package main

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

func TestRecovery(t *testing.T) {
	const m = time.Minute
	for name, tc := range map[string]struct {
		// bad are the minutes of sixty in which half of the ten requests miss.
		bad  []int
		at   time.Duration
		want time.Duration
		back bool
	}{
		"nothing happened":                             {nil, 20 * m, 0, true},
		"what went before does not count":              {[]int{5, 19}, 20 * m, 0, true},
		"the last window with the minute in it":        {[]int{22}, 20 * m, 12 * m, true},
		"the minute it began in is not looked at":      {[]int{20}, 20*m + time.Second, 0, true},
		"the last of several":                          {[]int{22, 40}, 20 * m, 30 * m, true},
		"never within the run":                         {[]int{22, 55}, 20 * m, 40 * m, false},
		"a run that ends well as the window leaves it": {[]int{49}, 20 * m, 39 * m, true},
	} {
		t.Run(name, func(t *testing.T) {
			x := &ticks{slo: score.SLO{TTFT: time.Second, TPOT: time.Second, Attainment: 0.99}}
			for i := range 60 {
				x.all, x.good = append(x.all, 10), append(x.good, 10)
				for _, b := range tc.bad {
					if b == i {
						x.good[i] = 5
					}
				}
			}
			if got, back := x.recovery(tc.at); got != tc.want || back != tc.back {
				t.Errorf("%v, recovered %v; want %v, %v", got, back, tc.want, tc.back)
			}
		})
	}
}

func TestTicksCountWhatAttains(t *testing.T) {
	x := &ticks{slo: score.SLO{TTFT: time.Second, TPOT: 50 * time.Millisecond, Attainment: 0.99}}
	good := replay.Request{Arrival: 90 * time.Second, OutputTokens: 10, TTFT: time.Second, TPOT: 50 * time.Millisecond, Outcome: replay.Completed}
	slow, lost := good, good
	slow.TTFT++
	lost.Outcome = replay.Lost
	for _, r := range []replay.Request{good, slow, lost} {
		x.Ended(r)
	}
	if len(x.all) != 2 || x.all[0] != 0 || x.all[1] != 3 || x.good[1] != 1 {
		t.Errorf("%v of which %v attain", x.all, x.good)
	}
}
