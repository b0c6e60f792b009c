package scaling

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Counted says when a counter of requests moves. A greater one sees more.
type Counted uint8

const (
	// CountedNever is no counter.
	CountedNever Counted = iota
	// CountedEnded moves when a response ends: it is blind to requests that wait or hang, and proves no silence.
	CountedEnded
	// CountedSent moves when a request is sent on to a replica.
	CountedSent
	// CountedArrived moves when a request arrives.
	CountedArrived
)

// Gateway is what a gateway in front of a target has seen of its requests, as it was read at one instant. They are those that
// the replicas' own pages tell of too: the two are never added.
type Gateway struct {
	// Time is when it was read, zero where there is none or nothing was read of it.
	Time time.Time
	// Source is what was read, in words; where there is a gateway and nothing was read, what was to be.
	Source string
	// Arrived counts the requests that have come, as far as Counted says: nothing where that is CountedNever. Of those that are
	// counted when they end it has those in flight besides, where these are known.
	Arrived float64
	Counted Counted
	// Waiting are the requests that it has not sent on, InFlight all that it has not seen answered, where they are known.
	Waiting, InFlight           float64
	WaitingKnown, InFlightKnown bool
}

const (
	// offerHalfLife is how fast what the gateway and the replicas have told of demand is forgotten where the two are compared.
	offerHalfLife = 2 * time.Minute
	// moreTicks is for how many ticks the gateway must have seen more before its count is taken: what it sends on at the end
	// of a tick the replicas tell of at the next.
	moreTicks = 3
	// stillFor is for how long a replica's page may stand still while requests run before it is taken for a copy of an old one,
	// and a gateway's count beside replicas that hold requests before it is taken for that of other requests than theirs.
	stillFor = 2 * time.Minute
)

// Offer is what the gateway has told of demand: plain data.
type Offer struct {
	// Seen is its newest reading, Rate the requests per second between it and the one before, where that is Known.
	Seen  Gateway
	Rate  float64
	Known bool
	// Came and Told are decayed numbers of requests, by the gateway and by the replicas' pages; More is for how many ticks it
	// has been clear that the gateway sees more.
	Came, Told float64
	More       int
	// Lost is set where a gateway that had seen more is there, and is not heard any more.
	Lost bool
	// Still is since when its count has stood still while replicas whose pages do not count held requests, zero where it has not.
	Still time.Time
}

// known reports whether a reading is of now, and its figures are numbers of requests.
func (g *Gateway) known(at time.Time, staleness time.Duration) bool {
	const most = 1e12 // more is no number of requests
	for _, n := range [...]float64{g.Arrived, g.Waiting, g.InFlight} {
		if !(n >= 0 && n < most) {
			return false
		}
	}
	return !g.Time.IsZero() && at.Sub(g.Time).Abs() <= staleness
}

// anew reports whether a reading cannot be compared with the one before.
func (g *Gateway) anew(was Gateway) bool {
	return was.Time.IsZero() || g.Source != was.Source || g.Counted != was.Counted || g.Arrived < was.Arrived || g.Time.Before(was.Time)
}

// hear takes in the gateway's newest reading. What is stale, or no number of requests, is forgotten.
func (t *tick) hear() {
	g, o := t.obs.Gateway, &t.state.Offer
	was := o.Seen
	switch {
	case !g.known(t.obs.Time, t.planner.config.Staleness):
		*o = Offer{Lost: g.Source != "" && (o.Lost || o.More >= moreTicks)}
	case g.anew(was):
		*o = Offer{Seen: g}
	case g.Time.After(was.Time):
		o.Seen, o.Known = g, g.Counted != CountedNever
		o.Rate = (g.Arrived - was.Arrived) / g.Time.Sub(was.Time).Seconds()
	}
	if o.Rate > 0 {
		o.Still = time.Time{}
	}
}

// standsIn reports whether the gateway tells what a replica's page does not: how many requests come, and how many are there.
// One that counts them when they end does so only beside what the page says is in flight, for that grows as they come. One
// whose count stands still while replicas are at work counts others.
func (o *Offer) standsIn(page *signals.Reading, at time.Time, staleness time.Duration) bool {
	if !o.Known || page == nil || at.Sub(page.Time) > staleness || !o.Still.IsZero() && at.Sub(o.Still) >= stillFor {
		return false
	}
	_, _, counted := inFlight(page)
	return counted || o.Seen.InFlightKnown && o.Seen.Counted > CountedEnded
}

// offered makes the demand of what the gateway and the replicas tell, which is of the same requests and never added. The
// gateway's count is taken where pages do not tell, and where it has clearly seen more: it sees what replicas refuse, and they
// see what passes it by.
func (t *tick) offered() {
	s, o := &t.sight, &t.state.Offer
	if o.Seen.Time.IsZero() || s.ready == 0 {
		return
	}
	if o.Seen.WaitingKnown {
		s.waiting += o.Seen.Waiting // no replica has them yet
	}
	if o.Seen.InFlightKnown && s.borrowed > 0 {
		s.running = math.Max(s.running, o.Seen.InFlight-s.waiting)
	}
	if !o.Known {
		return
	}
	rate, how := o.Rate, o.Seen.Source
	if o.Seen.Counted == CountedEnded && !o.Seen.InFlightKnown {
		rate, how = math.Max(0, rate+s.growth), how+", counted as they end, and the growth of what is in flight"
	}
	if s.borrowed > 0 {
		if rate == 0 && s.running+s.waiting > 0 && o.Still.IsZero() {
			o.Still = t.obs.Time
		}
		s.measured += s.borrowed
		s.offered, s.settled = math.Max(rate, s.arrivals), true
		t.step("gateway", -1, "demand is %.2f requests/s by %s: the pages of %d replicas do not tell it", s.offered, how, s.borrowed)
		return
	}
	t.settle(rate, how)
}

// settle takes the gateway's rate where it has clearly seen more than the replicas tell, by two standard errors of its count.
func (t *tick) settle(rate float64, how string) {
	s, o := &t.sight, &t.state.Offer
	if s.measured == 0 {
		return
	}
	told, seconds := s.told(), t.elapsed().Seconds()
	k := math.Exp2(-seconds / offerHalfLife.Seconds())
	o.Came, o.Told = k*o.Came+rate*seconds, k*o.Told+told*seconds
	if o.Came > o.Told+2*math.Sqrt(o.Came) {
		o.More++
	} else {
		o.More = 0
	}
	if o.More < moreTicks {
		t.step("gateway", -1, "the replicas' pages count, %.2f requests/s; by %s it is %.2f", told, how, rate)
		return
	}
	s.offered, s.settled = math.Max(rate, told), true
	t.step("gateway", -1, "demand is %.2f requests/s by %s, which has seen %.0f of late where the replicas' pages tell of %.0f",
		s.offered, how, o.Came, o.Told)
}

// busy reports whether the gateway says that there is demand.
func (o *Offer) busy() bool {
	g := o.Seen
	return o.Known && o.Rate > 0 || g.WaitingKnown && g.Waiting > 0 || g.InFlightKnown && g.InFlight > 0
}
