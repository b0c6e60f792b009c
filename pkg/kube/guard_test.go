package kube

import (
	"testing"
	"time"
)

func TestGuard(t *testing.T) {
	const coolOff, most = 5 * time.Minute, time.Hour
	type step struct {
		at      time.Duration
		wrote   int32 // written before the value is observed, 0 for none
		value   int32
		foreign bool
		held    bool
	}
	minute := time.Minute
	for name, steps := range map[string][]step{
		"the first value is nobody's fault": {{0, 0, 3, false, false}, {minute, 0, 3, false, false}},
		"our own value is ours":             {{0, 0, 3, false, false}, {minute, 5, 5, false, false}},
		"a value set by hand is respected for the cool-off and no longer": {
			{0, 0, 3, false, false}, {minute, 0, 7, true, true}, {5 * minute, 0, 7, false, true}, {6 * minute, 0, 7, false, false},
		},
		"putting our value back is foreign too": {
			{0, 0, 3, false, false}, {minute, 5, 3, true, true},
		},
		"changing one's mind during the hold starts it anew, and not a longer one": {
			{0, 0, 3, false, false}, {minute, 0, 7, true, true}, {3 * minute, 0, 8, true, true}, {7 * minute, 0, 8, false, true}, {8 * minute, 0, 8, false, false},
		},
		"doing it again after we took over doubles the hold": {
			{0, 0, 3, false, false},
			{minute, 0, 7, true, true},
			{6 * minute, 0, 7, false, false},
			{7 * minute, 4, 7, true, true},
			{16 * minute, 0, 7, false, true},
			{17 * minute, 0, 7, false, false},
		},
		"doing it again days later does not": {
			{0, 0, 3, false, false},
			{minute, 0, 7, true, true},
			{6 * minute, 0, 7, false, false},
			{48 * time.Hour, 4, 9, true, true},
			{48*time.Hour + 5*minute, 0, 9, false, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := guard{coolOff: coolOff, most: most}
			for i, s := range steps {
				if s.wrote != 0 {
					g.wrote(s.wrote)
				}
				now := t0.Add(s.at)
				if got := g.observe(now, s.value); got != s.foreign {
					t.Errorf("step %d: foreign = %v, want %v", i, got, s.foreign)
				}
				if got := g.held(now); got != s.held {
					t.Errorf("step %d: held = %v, want %v", i, got, s.held)
				}
			}
		})
	}
}

func TestGuardHoldIsBounded(t *testing.T) {
	g := guard{coolOff: 5 * time.Minute, most: time.Hour}
	now := t0
	g.observe(now, 3)
	var longest time.Duration
	for range 20 { // a deployment tool that reverts whatever we write, a minute after
		g.wrote(5)
		now = now.Add(time.Minute)
		if !g.observe(now, 3) {
			t.Fatal("revert not noticed")
		}
		longest = max(longest, g.heldUntil.Sub(now))
		now = g.heldUntil
	}
	if longest != time.Hour {
		t.Errorf("longest hold is %v, want exactly the bound of 1h", longest)
	}
}

func TestGuardAcceptsBothOutcomesOfAnUnansweredWrite(t *testing.T) {
	for name, value := range map[string]int32{"it came through": 5, "it did not": 3} {
		t.Run(name, func(t *testing.T) {
			g := guard{coolOff: time.Minute, most: time.Hour}
			g.observe(t0, 3)
			g.attempted(5)
			if g.observe(t0, value) {
				t.Errorf("%d taken for foreign", value)
			}
			if !g.observe(t0, 8-value) {
				t.Errorf("%d not taken for foreign, though the outcome is known by then", 8-value)
			}
		})
	}
}
