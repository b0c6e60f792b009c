package forecast

import (
	"math"
	"testing"
	"time"
)

// An outage of half a day is no night. What lasts for longer than a day is the new normal.
func TestAnOutageIsLearnedWhenItHasLastedADay(t *testing.T) {
	x := newStream(asked(time.Minute, 5))
	x.feed(3*daysOfMinutes, func(int) float64 { return 50 })
	nothing := func(int) float64 { return 0 }
	x.feed(12*60, nothing)
	for minute, mean := range x.Day.Mean {
		if mean != 50 {
			t.Fatalf("half a day of nothing is learned: %v at minute %d of the day", mean, minute)
		}
	}
	x.feed(36*60, nothing)
	for minute, mean := range x.Day.Mean {
		if mean > 40 {
			t.Fatalf("two days of nothing are not learned: %v at minute %d of the day", mean, minute)
		}
	}
}

// The largest of the few rows that are known of a time is not the largest of that time.
func TestAMaximumNeedsFourInFiveOfItsRows(t *testing.T) {
	for _, known := range []int{3, 15, 23, 24, 30} {
		s := asked(time.Minute, 30)
		s.Statistic = Maximum
		x := newStream(s)
		x.feed(daysOfMinutes, func(i int) float64 {
			if i%30 >= known {
				return math.NaN()
			}
			return 10
		})
		if due, want := x.Lanes[0].Skill.Due > 0, known >= 24; due != want {
			t.Errorf("where %d of 30 rows are known, %d forecasts of their maximum are scored", known, x.Lanes[0].Skill.Due)
		}
	}
}

// Forecasts far ahead are scored at long strides, each for all the rows of one. Together they may be more than memory has.
func TestGrowthIsFiniteAtAnyStride(t *testing.T) {
	for _, stride := range []float64{1, 400, regressionMemory / 2, regressionMemory, 10 * regressionMemory} {
		l := Lane{Rows: 5 * int(stride), Stride: int(stride)}
		r := newRegression(0.9)
		x := [numFeatures]float64{1}
		for range 500 {
			if r.learn(0.9, &x, 1, 0.9, &l, stride); math.IsInf(r.Growth, 0) || math.IsNaN(r.Growth) || r.Growth < 1 {
				t.Fatalf("stride %v: growth %v after %d forecasts", stride, r.Growth, r.Count)
			}
		}
		for i, c := range r.Coefficients[0] {
			if math.IsNaN(c) || math.IsInf(c, 0) {
				t.Errorf("stride %v: coefficient %d is %v", stride, i, c)
			}
		}
	}
}

// Forecasts from neighbouring rows tell the same: what thirty horizons have shown is skill.
func TestSkillIsNotKnownBeforeThirtyHorizons(t *testing.T) {
	for _, rows := range []int{1, 10, 60, 180} {
		x := newStream(asked(time.Minute, rows))
		first := 0
		x.follow(35*rows+30, noise(seeded(6), 10, 1), func(row int, p []Prediction) {
			if p[0].Skill.Known && first == 0 {
				first = row + 1
			}
		})
		if first < 30*rows || first > 34*rows+20 {
			t.Errorf("%d rows ahead: skill is known after %d rows, should be after %d", rows, first, 31*rows)
		}
	}
}
