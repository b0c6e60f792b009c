package scaling

import (
	"slices"
	"time"
)

const (
	// shortestNight is how long a silence has to be for its end to be looked for at the same time of later days, nightsKept
	// for how long that is remembered.
	shortestNight = 30 * time.Minute
	nightsKept    = 8 * 24 * time.Hour
	// sameWeekday is what a day a week ago weighs, where any other day of the week weighs 1; dawnPrior is what it weighs that
	// the silence goes on.
	sameWeekday, dawnPrior = 5., 0.5
	// likely is how likely the end of a silence must be for a replica to be ordered for it, longestVigil how long before.
	likely       = 0.5
	longestVigil = 30 * time.Minute
)

// Night is a long silence that has ended.
type Night struct{ Began, Ended time.Time }

// rest takes in that nothing, or something, has come up to now, of which the last tick was so long ago.
func (i *Silences) rest(now time.Time, elapsed time.Duration, quiet, came bool) {
	if elapsed > 2*shortestIdle {
		i.Night = time.Time{} // nobody listened
	}
	switch {
	case came && !i.Night.IsZero():
		if now.Sub(i.Night) >= shortestNight {
			kept := slices.DeleteFunc(slices.Clone(i.Nights), func(n Night) bool { return now.Sub(n.Ended) > nightsKept })
			i.Nights = append(kept, Night{i.Night, now})
		}
		i.Night = time.Time{}
	case quiet && !came && i.Night.IsZero():
		i.Night = now
	}
}

// dawn is how much later than now a silence ended on a day before, and what that day weighs.
type dawn struct {
	after  time.Duration
	weight float64
}

// dawns are those of the days before that were as silent at this time.
func (i *Silences) dawns(now time.Time) (all []dawn) {
	for day := 1; day <= 7; day++ {
		then, weight := now.Add(time.Duration(-24*day)*time.Hour), 1.
		if day == 7 {
			weight = sameWeekday
		}
		for _, n := range i.Nights {
			if !n.Began.After(then) && n.Ended.After(then) {
				all = append(all, dawn{n.Ended.Sub(then), weight})
			}
		}
	}
	return all
}

// ends is how likely it is that a silence ends within a time from so much later than now, by the days before.
func ends(all []dawn, from, within time.Duration) float64 {
	ended, silent := 0., dawnPrior
	for _, d := range all {
		silent += d.weight
		if d.after >= from && d.after <= from+within {
			ended += d.weight
		}
	}
	return ended / silent
}

// foreseeable is how likely it is that a silence ends at a time that is known from the days before.
func (i *Silences) foreseeable(now time.Time, within time.Duration) float64 {
	all, best := i.dawns(now), 0.
	for _, d := range all {
		best = max(best, ends(all, d.after, within))
	}
	if best < likely {
		return 0
	}
	return best
}

// vigil is for how long a replica may wait for those who come as long as they would for it, from when it is ordered.
func (t *tick) vigil() time.Duration {
	lead := t.decision.LeadTime.P50
	return t.horizon() + min(time.Duration(t.state.Silences.late(lead)*float64(lead)), longestVigil)
}

// awaits reports whether the silence is likely to end soon, as it did on the days before: soon enough that a replica that is
// ordered now would wait no longer for those who come than these would for it. They may be later by one lead time.
func (t *tick) awaits(quiet time.Duration) bool {
	c, lead := t.planner.config, t.decision.LeadTime.P50
	if c.Forecast.Disabled || c.Capacity.TTFT <= 0 || lead <= c.Capacity.TTFT {
		return false
	}
	p := ends(t.state.Silences.dawns(t.obs.Time.Add(-lead)), 0, lead+t.vigil())
	if p < likely {
		return false
	}
	t.step("zero", 1, "nothing has come for %v, but on the days before the silence ended within %v of this time in %.0f%% of cases: one is to be ready",
		quiet.Round(time.Second), t.vigil().Round(time.Second), 100*p)
	return true
}
