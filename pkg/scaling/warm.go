package scaling

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/capacity"
)

// growth is by which factor a warm replica that has yet to be loaded must be worth more than it costs: it is not let go of
// for every change of the forecast.
const growth = 1.25

// missedLoading is what a loading that a warm replica would have spared counts, in its own cost: who waits for it pays too.
const missedLoading = 2

// present are the warm replicas that exist.
func (t *tick) present() Warm { return Warm{t.obs.Count(Standby), t.obs.Count(Asleep)} }

// All is how many there are.
func (w Warm) All() int32 { return w.Standby + w.Asleep }

// reserve is what present warm replicas are for who plans those that serve.
func (t *tick) reserve() capacity.Reserve {
	c, w := t.planner.config.Warm, t.present()
	standby, asleep := min(w.Standby, c.Standby.Max), min(w.Asleep, c.Asleep.Max)
	switch {
	case asleep > 0:
		return capacity.Reserve{Replicas: float64(standby + asleep), Late: t.late(Asleep)}
	case standby > 0:
		return capacity.Reserve{Replicas: float64(standby), Late: t.late(Standby)}
	}
	return capacity.Reserve{}
}

// spared is the part of the reserve that may take the place of some that serve: what costs as much as they do is no saving.
func (t *tick) spared() capacity.Reserve {
	c, w, r := t.planner.config.Warm, t.present(), t.reserve()
	if c.Standby.Price >= 1 {
		r.Replicas -= float64(min(w.Standby, c.Standby.Max))
	}
	if c.Asleep.Price >= 1 {
		r.Replicas -= float64(min(w.Asleep, c.Asleep.Max))
	}
	return r
}

// late is the share of the time that a new replica takes for which one of a tier is late too: both are ordered within a tick
// and seen to serve within another.
func (t *tick) late(p Phase) float64 {
	return min(1, t.delay(p).Seconds()/(t.decision.LeadTime.P50+2*t.planner.config.Forecast.Step).Seconds())
}

// delay is the time from when a replica of a tier is needed until it is seen to serve.
func (t *tick) delay(p Phase) time.Duration {
	return t.wakeTime(p) + 2*t.planner.config.Forecast.Step
}

// comeback is how long a replica that is let go of now takes until it serves again: it is no loading where it goes to a tier
// that costs less than to serve.
func (t *tick) comeback() time.Duration {
	c, w, back := t.planner.config.Warm, t.present(), t.decision.LeadTime.P50
	if c.Standby.Price < 1 && w.Standby < c.Standby.Max {
		back = min(back, t.delay(Standby))
	}
	if c.Asleep.Price < 1 && w.Asleep < c.Asleep.Max {
		back = min(back, t.delay(Asleep))
	}
	return back
}

// awake is how many replicas present demand and its backlog need of those that there are, warm ones too: these help sooner
// than new ones, so that a backlog is worked off sooner and less of it has come by then.
func (t *tick) awake(s capacity.Staffing, now, reactive float64) float64 {
	reserve := t.reserve()
	if reserve.Replicas == 0 {
		return reactive
	}
	within := time.Duration(reserve.Late * float64(t.decision.LeadTime.P50+2*t.planner.config.Forecast.Step))
	backlog := t.backlogWithin(now, within.Seconds())
	busy := (now + backlog/math.Max(within.Seconds(), shortestTick.Seconds())) / t.decision.Capacity.PerReplica
	n := math.Min(s.Plan(certain(busy)).Replicas, float64(t.obs.Desired)+reserve.Replicas)
	if n <= reactive {
		return reactive
	}
	t.step("wake", ceil(n), "%.0f requests would be too many in %v, when one of %.0f warm replicas that is woken now is seen to serve: %.0f",
		backlog, within.Round(time.Second), reserve.Replicas, n)
	return n
}

// warm decides which replicas there are to be beside those that serve.
func (t *tick) warm() {
	d, c := &t.decision, t.planner.config.Warm
	defer func() { t.state.Warm = d.Warm }()
	if !c.allowed() && t.existing() == 0 {
		return
	}
	if t.staffing == nil {
		d.Warm = t.claim(value{}, t.standing().less(max(0, d.Replicas-d.Current)).atLeast(c))
		if d.Warm != (Warm{}) {
			t.step("warm", -1, "%d on standby and %d asleep are kept: nobody knows what they are worth at present", d.Warm.Standby, d.Warm.Asleep)
		}
		return
	}
	v := t.value()
	worth := v.best(c)
	kept, back := t.keptWarm(worth)
	number := max(worth, kept)
	d.Warm = t.affordable(t.claim(v, c.fill(number).atLeast(c)))
	t.tell(v, worth, kept, back)
}

// existing is how many replicas exist beside those asked for that are warm, or are on their way to be as was wanted last: what
// they hold has to be finished first, or they have to load.
func (t *tick) existing() int32 {
	present := t.present().All()
	others := int32(len(t.obs.Replicas)) - t.obs.Count(Unschedulable) - t.obs.Desired
	return max(present, min(t.state.Warm.All(), others))
}

// standing are the warm replicas that there are or will be if nothing changes.
func (t *tick) standing() Warm {
	if t.existing() > t.present().All() {
		return t.state.Warm
	}
	return t.present()
}

// less is what is left once so many were woken, those on standby first.
func (w Warm) less(woken int32) Warm {
	standby := min(w.Standby, woken)
	return Warm{w.Standby - standby, max(0, w.Asleep-(woken-standby))}
}

// atLeast has those too that are wanted whatever they are worth.
func (w Warm) atLeast(c Tiers) Warm {
	return Warm{max(w.Standby, c.Standby.Min), max(w.Asleep, c.Asleep.Min)}
}

// fill takes a number of replicas into the tiers, the cheapest first.
func (w Tiers) fill(n int32) Warm {
	if w.Standby.Price < w.Asleep.Price {
		standby := min(n, w.Standby.Max)
		return Warm{standby, min(n-standby, w.Asleep.Max)}
	}
	asleep := min(n, w.Asleep.Max)
	return Warm{min(n-asleep, w.Standby.Max), asleep}
}

// affordable is what of warm replicas fits beside those that serve into the GPUs that the target may hold. Where nobody
// knows what a replica holds there are no more than there were.
func (t *tick) affordable(w Warm) Warm {
	c, each, present := t.planner.config.Warm, float64(t.obs.GPUsPerReplica), t.present()
	if c.GPUs == 0 {
		return w
	}
	if each <= 0 {
		return Warm{min(w.Standby, present.Standby), min(w.Asleep, present.Asleep)}
	}
	fits := func(left, share float64, n int32) int32 {
		if share <= 0 {
			return n
		}
		return max(0, min(n, int32(math.Floor(left/(share*each)+1e-9))))
	}
	left := float64(c.GPUs) - each*float64(t.decision.Replicas)
	w.Asleep = fits(left, c.Asleep.GPUs, w.Asleep)
	w.Standby = fits(left-float64(w.Asleep)*c.Asleep.GPUs*each, c.Standby.GPUs, w.Standby)
	return w
}

// value is what warm replicas beyond those that serve are worth, in serving replicas.
type value struct {
	// of has the worth of the first k together, beginning with none, where they would not be late at all; late is the share
	// of it that a tier loses.
	of            []float64
	standby, late float64
	// present is how many exist, or serve and are let go of.
	present int32
}

// value is what warm replicas are worth: the misses of the time that a new one takes to load, and the loading, each by the
// probability with which they are needed within one.
func (t *tick) value() value {
	d, c, s := &t.decision, t.planner.config.Warm, t.staffing
	room := c.Standby.Max + c.Asleep.Max
	v := value{of: make([]float64, room+1), standby: t.late(Standby), late: t.late(Asleep), present: d.Current + t.existing() - d.Replicas}
	if t.believed() && d.Capacity.Known() {
		loads, n := t.ahead(), float64(d.Replicas)
		missed := s.Missed(loads, n)
		needs := make([]float64, len(loads))
		for i := range loads {
			needs[i] = s.Plan(loads[i : i+1]).Replicas
		}
		for k := range v.of {
			v.of[k] = s.Price * (missed - s.Missed(loads, n+float64(k)))
			for i, load := range loads {
				v.of[k] += load.Probability * math.Min(float64(k), math.Max(0, needs[i]-n))
			}
		}
	}
	t.afterSilence(&v)
	return v
}

// afterSilence takes into account that a silence may end, as its like have: the first request finds one replica, and does
// not wait for a load.
func (t *tick) afterSilence(v *value) {
	d, since := &t.decision, t.state.Silence.Since
	if d.Replicas > 0 || since.IsZero() || len(v.of) < 2 || !(d.Capacity.PerReplica > 0) {
		return
	}
	remaining := t.state.Silences.remaining(t.obs.Time.Sub(since))
	wait := d.Budget.Price * t.state.Silences.Opening * d.LeadTime.P50.Seconds() / d.Capacity.PerReplica
	first := (d.LeadTime.P50.Seconds() + wait) / math.Max(remaining.Seconds(), 1)
	for k := 1; k < len(v.of); k++ {
		v.of[k] = math.Max(v.of[k], first)
	}
}

// cheapest is the cheapest tier that is allowed.
func (w Tiers) cheapest() Tier {
	if w.fill(1).Asleep > 0 {
		return w.Asleep
	}
	return w.Standby
}

// net is what so many replicas are worth beyond their price, by the tiers that they fill.
func (v value) net(c Tiers, k int32) float64 {
	sum, before := 0., Warm{}
	for i := int32(1); i <= k; i++ {
		now := c.fill(i)
		price, late := c.Asleep.Price, v.late
		if now.Standby > before.Standby {
			price, late = c.Standby.Price, v.standby
		}
		if i > v.present {
			price *= growth
		}
		sum += (1-late)*(v.of[i]-v.of[i-1]) - price
		before = now
	}
	return sum
}

// best is the number of replicas that is worth most beyond its price.
func (v value) best(c Tiers) int32 {
	best, most := int32(0), 1e-9
	for k := int32(1); int(k) < len(v.of); k++ {
		if net := v.net(c, k); net > most {
			best, most = k, net
		}
	}
	return best
}

// keptWarm is how many warm replicas are kept of those that exist because they were needed, or were worth their price, not
// long ago, as long as it has paid to keep one (ski rental, as for those that serve). Back is for how long that is. Where
// something is not seen, and where nobody has watched for so long, all are kept.
func (t *tick) keptWarm(worth int32) (kept int32, back time.Duration) {
	d, now := &t.decision, t.obs.Time
	exist := max(0, d.Current+t.existing()-d.Replicas)
	t.state.Levels = t.state.Levels.Append(sampleOf(now, d.Replicas+worth), longestPeriod)
	if len(t.sight.unseen)+len(t.sight.lost) > 0 || t.sight.news == 0 && t.sight.ready > 0 {
		return exist, 0
	}
	longest, loading := t.longestRest()
	back = time.Duration(t.state.Rests.worth(missedLoading*loading) * float64(longest))
	dear := d.Replicas > 0 && t.planner.config.Warm.cheapest().Price >= 1 // those that are worth keeping serve
	if dear {
		back = 0
	}
	if now.Sub(t.state.Since) < max(back, t.planner.config.Window) {
		return exist, 0 // nobody knows what was needed before
	}
	if dear {
		return 0, 0
	}
	most, _ := t.state.Levels.Since(now.Add(-max(back, d.LeadTime.P50/2))).Max()
	needed, _ := t.state.Wanted.Since(latest(now.Add(-back), t.state.Watched)).Max()
	return max(0, min(exist, int32(math.Max(most, needed))-d.Replicas)), back
}

// longestRest is for how long a replica is kept warm at the most: until that has cost what it costs to load it, which is
// loading times as much where the time is cut short.
func (t *tick) longestRest() (longest time.Duration, loading float64) {
	load := max(t.decision.LeadTime.P50, shortestKeep).Seconds()
	price := math.Max(t.planner.config.Warm.cheapest().Price, 1e-3)
	longest = time.Duration(math.Min(load/price, (longestPeriod-shortestKeep).Seconds()) * float64(time.Second))
	return longest, load / (price * longest.Seconds())
}

// learnRests learns how soon replicas that may have rested were needed again.
func (t *tick) learnRests(wanted int32) {
	if t.planner.config.Warm.allowed() {
		longest, _ := t.longestRest()
		t.state.Rests.learn(t.state.Wanted.Since(t.state.Watched), sampleOf(t.obs.Time, wanted), longest)
	}
}

func latest(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare) }

// parked reports whether the last replica is let go of into a tier during a silence that is too short to load it again
// afterwards: on standby it costs no more than if it served, asleep it costs less by what it takes to wake it.
func (t *tick) parked(quiet time.Duration) bool {
	d, c := &t.decision, t.planner.config.Warm
	first := c.fill(1)
	if first == (Warm{}) {
		return false
	}
	phase, tier := Asleep, c.Asleep
	if first.Standby > 0 {
		phase, tier = Standby, c.Standby
	}
	wake, remaining := t.wakeTime(phase), t.state.Silences.remaining(quiet)
	missed := t.state.Silences.Opening * wake.Seconds()
	wait := time.Duration(d.Budget.Price * missed / d.Capacity.PerReplica * float64(time.Second))
	saved := time.Duration((1 - tier.Price) * float64(remaining))
	if saved < 0 || saved > 0 && saved < wake+wait {
		return false
	}
	t.step("zero", 0, "but one that is %s costs %.2g times as much as one that serves and serves again in %v: it goes there",
		words[phase], tier.Price, wake.Round(100*time.Millisecond))
	return true
}

// words are what people call the tiers.
var words = map[Phase]string{Standby: "on standby", Asleep: "asleep"}

// tell says how many warm replicas there are to be, what they cost and save, and why there are no more.
func (t *tick) tell(v value, worth, kept int32, back time.Duration) {
	d, c := &t.decision, t.planner.config.Warm
	for _, p := range [...]Phase{Standby, Asleep} {
		tier, n := c.tier(p), d.Warm.of(p)
		if tier.Max == 0 {
			continue
		}
		wake := t.wakeTime(p)
		text := fmt.Sprintf("%d of at most %d, for %.2f replica-hours an hour; each serves in %v, %v sooner than a new one", n, tier.Max,
			float64(n)*tier.Price, wake.Round(100*time.Millisecond), max(0, t.decision.LeadTime.P50-wake).Round(time.Second))
		if kept > worth && back > 0 {
			text += fmt.Sprintf("; %d warm ones stay, since as many more were needed within the last %v, and it has paid to keep them for so long", kept, back.Round(time.Second))
		}
		if tier.Min > 0 {
			text += fmt.Sprintf("; %d are always kept", tier.Min)
		}
		if n < tier.Max {
			text += "; " + t.whyNoMore(v, p, tier, max(worth, kept))
		}
		t.step(strings.ToLower(string(p)), -1, "%s", text)
	}
}

// of is the number of a tier.
func (w Warm) of(p Phase) int32 {
	if p == Standby {
		return w.Standby
	}
	return w.Asleep
}

// whyNoMore says what one more of a tier would be worth beside so many warm ones.
func (t *tick) whyNoMore(v value, p Phase, tier Tier, number int32) string {
	switch short := t.decision.Warm.All() < number; {
	case short && t.obs.Share != nil:
		return "neither its share nor the GPUs that it may hold have room for more"
	case short:
		return fmt.Sprintf("more would hold more than the %d GPUs that all may hold", t.planner.config.Warm.GPUs)
	}
	if int(number)+1 >= len(v.of) {
		return "no more are worth it"
	}
	late := v.late
	if p == Standby {
		late = v.standby
	}
	return fmt.Sprintf("another would cost %.2g and save %.2g replicas", tier.Price, (1-late)*(v.of[number+1]-v.of[number]))
}
