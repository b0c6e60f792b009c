package scaling

import (
	"fmt"
	"math"
	"time"
)

// Front is what stands in front of a target's replicas and holds requests while none is ready, an activator or a gateway,
// as it was read at one instant. Without one nobody would hear of the first request at zero replicas.
type Front struct {
	// Time is when it was read, zero where there is none or nothing was read of it.
	Time time.Time
	// Held is the number of requests that it holds; Arrived counts all that have come by it, or were held by it where it
	// stands aside while replicas are ready.
	Held, Arrived float64
}

const (
	// shortestIdle and idleSteps are the lengths of silences that are told apart: from a minute, each twice the last.
	shortestIdle = time.Minute
	idleSteps    = 14
	// idleHalfLife is how fast lengths of silences are forgotten.
	idleHalfLife = 14 * 24 * time.Hour
	// idlePrior is what it weighs, in silences, that one that has lasted for some time is taken to last as long again
	// before anything was seen (a survival function of the form 1/t, as good as any for a duration without a scale).
	idlePrior = 1.
	// openingWeight is what the newest beginning of demand weighs in the mean of them.
	openingWeight = 0.3
	// waitShare is the part of the allowed misses that is for all that is foreseen, waits at zero among them; of it waits may
	// have waitLeast whatever else misses.
	waitShare, waitLeast = 0.8, 0.5
	// wakePrior is what it weighs, in wakes, that the requests of one lead time after a silence all wait.
	wakePrior = 1.
)

// Silences is what has been learned of times without any demand: plain data.
type Silences struct {
	// Lasted are decayed numbers of silences by length, in steps of idleSteps. Those that were shorter are none.
	Lasted [idleSteps]float64
	// Opening is the mean demand in requests per second within the first lead time after a silence; Opened counts those.
	Opening, Opened float64
	// Requests, Missed, Late and Wakes are decayed numbers over the same time: of requests, of those that missed an objective
	// in a replica, of those that waited for too long since there was none, and of the times that the first was asked for.
	Requests, Missed, Late, Wakes float64
	// Nights are the long ones of the last days, Night is since when nothing has come as far as is known: a replica that has just
	// become ready tells nothing for a while, which is no proof of silence and no end of it either.
	Nights []Night
	Night  time.Time
}

// decay forgets.
func (i *Silences) decay(elapsed time.Duration) {
	k := math.Exp2(-float64(elapsed) / float64(idleHalfLife))
	for n := range i.Lasted {
		i.Lasted[n] *= k
	}
	for _, x := range [...]*float64{&i.Requests, &i.Missed, &i.Late, &i.Wakes} {
		*x *= k
	}
}

// learn takes a silence that has ended.
func (i *Silences) learn(lasted time.Duration) {
	if lasted >= shortestIdle {
		i.Lasted[idleStep(lasted)]++
	}
}

// longer is how many silences have lasted longer; within a step lengths are taken to be spread evenly by their logarithm.
func (i *Silences) longer(lasted time.Duration) float64 {
	at := math.Max(0, math.Log2(float64(lasted)/float64(shortestIdle)))
	sum := 0.
	for n, w := range i.Lasted {
		sum += w * math.Min(math.Max(float64(n+1)-at, 0), 1)
	}
	return sum
}

// late is how many requests wait too long each time that the first replica is asked for.
func (i *Silences) late(lead time.Duration) float64 {
	return (i.Late + wakePrior*math.Max(1, i.Opening*lead.Seconds())) / (i.Wakes + wakePrior)
}

// spare is how many requests may wait too long for want of a replica, of those that came, and the objective be met.
func (i *Silences) spare(attainment float64) float64 {
	allowed := waitShare * (1 - attainment) * i.Requests
	return math.Max(allowed-i.Missed, waitLeast*allowed)
}

// idleStep is the step of a length.
func idleStep(lasted time.Duration) int {
	return min(max(0, int(math.Log2(float64(lasted)/float64(shortestIdle)))), idleSteps-1)
}

// remaining is how much longer a silence is expected to last that has lasted so long.
func (i *Silences) remaining(lasted time.Duration) time.Duration {
	weight, sum := idlePrior, idlePrior*float64(lasted)
	for n, w := range i.Lasted {
		length := math.Exp2(float64(n)+0.5) * float64(shortestIdle)
		if length > float64(lasted) {
			weight += w
			sum += w * (length - float64(lasted))
		}
	}
	return time.Duration(sum / weight)
}

// open takes the mean demand within the first lead time after a silence.
func (i *Silences) open(demand float64) {
	i.Opened++
	i.Opening += math.Max(1/i.Opened, openingWeight) * (demand - i.Opening)
}

// Silence is the present one, or the demand that ended the last.
type Silence struct {
	// Since is when it began, zero while there is demand or nobody knows. Ended is when the last one did, zero once its
	// beginning of demand was learned from; Came is what has come since, in requests.
	Since, Ended time.Time
	Came         float64
}

// fronted reports whether what stands in front of the target is known to the minute. Only where replicas may go to zero is
// it asked.
func (t *tick) fronted() bool {
	f, c := t.obs.Front, t.planner.config
	age := t.obs.Time.Sub(f.Time)
	const most = 1e12 // more is no number of requests
	known := !f.Time.IsZero() && f.Held >= 0 && f.Held < most && f.Arrived >= 0 && f.Arrived < most
	return c.Zero && known && age <= c.Staleness && age >= -c.Staleness
}

// front takes what is held in front of a target without a ready replica for its demand.
func (t *tick) front() {
	f, was := t.obs.Front, t.state.Front
	if t.fronted() {
		t.state.Front, t.state.Unheard = f, time.Time{}
	}
	if !t.fronted() || t.sight.ready > 0 {
		return
	}
	t.sight.waiting += f.Held
	t.sight.measured = max(1, t.sight.measured)
	t.sight.arrivals += arrivedAt(was, f, t.planner.config.Forecast.Step)
	t.sight.held = cameBetween(was, f)
	if f.Time.After(was.Time) {
		t.sight.news++
	}
}

// arrivedAt is the requests per second that came between two readings, over a step at least: the first request of a morning,
// of which the planner is told at once, is no flood.
func arrivedAt(was, is Front, step time.Duration) float64 {
	span := is.Time.Sub(was.Time)
	if was.Time.IsZero() {
		span = shortestTick
	}
	return cameBetween(was, is) / max(span, step).Seconds()
}

// cameBetween is the number of requests that came between two readings. Of the first one, and where the counter began anew,
// what is held is known to have come, and no more.
func cameBetween(was, is Front) float64 {
	switch {
	case was.Time.IsZero() || is.Time.After(was.Time) && is.Arrived < was.Arrived:
		return is.Held
	case !is.Time.After(was.Time):
		return 0
	}
	return is.Arrived - was.Arrived
}

// silent reports whether it is certain that there is no demand at all: nothing held in front, nothing seen by a gateway, and of
// every ready replica it is known that nothing has arrived and nothing is in flight. What is in flight at replicas that do not
// count all of it is known to a gateway that does.
func (t *tick) silent() bool {
	s, o := &t.sight, &t.state.Offer
	if o.busy() || s.borrowed > 0 || s.partial > 0 && !o.Seen.InFlightKnown {
		return false
	}
	return t.fronted() && t.obs.Front.Held == 0 && len(s.unseen)+len(s.lost) == 0 && !o.Lost && s.unmeasured == 0 && s.measured >= max(1, s.ready) &&
		s.arrivals == 0 && s.waiting+s.running == 0
}

// count takes in what came, and what of it misses its objective for want of a replica: an engine never hears of that wait.
func (t *tick) count() {
	i, s := &t.state.Silences, &t.sight
	i.decay(t.elapsed())
	i.Requests += s.arrivals * t.elapsed().Seconds()
	i.Missed += t.state.Capacity.Outcomes.Missed
	if t.awoken() {
		i.Wakes++
	}
	if longest := t.planner.config.Capacity.TTFT; longest > 0 && s.held > 0 && t.wait() > longest {
		i.Late += s.held
		t.state.Capacity.Budget.Waited += s.held
	}
}

// awoken reports whether the first replica was asked for at the last tick.
func (t *tick) awoken() bool {
	change, _ := t.state.Changes.Last()
	tick, ok := t.state.Proposals.Last()
	return ok && t.obs.Desired > 0 && change.Time.Equal(tick.Time) && change.Value == float64(t.obs.Desired)
}

// wait is how long requests that came since the last tick wait for a replica where none is ready, on average.
func (t *tick) wait() time.Duration {
	soonest := t.decision.LeadTime.P50
	for n := range t.obs.Replicas {
		if r := &t.obs.Replicas[n]; r.Phase == Starting {
			soonest = min(soonest, t.remaining(r))
		}
	}
	return soonest + t.elapsed()/2
}

// listen learns of silences.
func (t *tick) listen() {
	s, now := &t.state.Silence, t.obs.Time
	if t.planner.config.Zero {
		t.count()
		t.state.Silences.rest(now, t.elapsed(), t.silent(), t.sight.arrivals > 0)
	}
	if !s.Ended.IsZero() {
		s.Came += t.sight.arrivals * t.elapsed().Seconds()
		if lead := max(t.decision.LeadTime.P50, shortestKeep); now.Sub(s.Ended) >= lead {
			t.state.Silences.open(s.Came / now.Sub(s.Ended).Seconds())
			s.Ended, s.Came = time.Time{}, 0
		}
	}
	switch quiet := t.silent(); {
	case quiet && s.Since.IsZero():
		s.Since = now
	case !quiet && !s.Since.IsZero() && t.sight.arrivals > 0:
		t.state.Silences.learn(now.Sub(s.Since))
		*s = Silence{Ended: now, Came: t.sight.arrivals * t.elapsed().Seconds()}
	case !quiet:
		s.Since = time.Time{}
	}
}

// unneeded reports whether not even one replica is: on proof of silence for as long as a scale-down asks for, while nothing is
// forecast that is worth a replica, and where the silence is expected to last for longer than it costs to load a replica and
// to have who comes then wait.
func (t *tick) unneeded(wanted int32) bool {
	c, since := t.planner.config, t.state.Silence.Since
	if !c.Zero || wanted > 1 {
		return false
	}
	if t.obs.Front.Time.IsZero() {
		t.step("zero", 1, "nothing is known to hold requests while there is no replica: one stays")
		return false
	}
	if since.IsZero() {
		if t.sight.partial > 0 && !t.state.Offer.Seen.InFlightKnown {
			t.step("zero", 1, "%d replicas do not count all requests that are in flight, and no gateway does: one stays", t.sight.partial)
		}
		return false
	}
	quiet := t.obs.Time.Sub(since)
	switch asleep := t.obs.Desired == 0; {
	case !asleep && quiet < c.Window:
		t.step("zero", 1, "nothing has come for %v of the %v that zero asks for", quiet.Round(time.Second), c.Window)
		return false
	case !asleep && !t.foretold():
		t.step("zero", 1, "nothing has come for %v, and nobody knows yet what is to come: one stays", quiet.Round(time.Second))
		return false
	case t.awaits(quiet), t.foretold() && t.expected(quiet):
		return false
	case asleep:
		t.step("zero", 0, "nothing has come for %v, and nothing is expected that would be worth a replica", quiet.Round(time.Second))
		return true
	}
	return t.pays(quiet) || t.parked(quiet)
}

// foretold reports whether it is known what is to come, as far as that is asked for, and what it would keep busy. A forecaster
// that has learned anew within a long silence has seen nothing to forecast; the days before say when it ends.
func (t *tick) foretold() bool {
	d, i := &t.decision, &t.state.Silences
	silent := i.Requests >= 1 && !i.Night.IsZero() && t.obs.Time.Sub(i.Night) >= shortestNight
	return d.Capacity.Known() && (d.Forecast.Known() || silent || t.planner.config.Forecast.Disabled)
}

// expected reports whether demand is forecast that is worth a replica: without one all of it would miss.
func (t *tick) expected(quiet time.Duration) bool {
	if t.planner.config.Forecast.Disabled || !t.decision.Forecast.Known() {
		return false
	}
	d, busy := &t.decision, 0.
	for _, load := range t.ahead() {
		busy += load.Probability * load.Busy
	}
	worth := d.Budget.Price * busy * t.tardy()
	if worth < 1 {
		return false
	}
	t.step("zero", 1, "nothing has come for %v, but %.3g requests/s are expected in %v: to miss them all would cost as much as %.2g replicas",
		quiet.Round(time.Second), busy*d.Capacity.PerReplica, d.Forecast.Horizon.Round(time.Second), worth)
	return true
}

// tardy is the share of the requests of one lead time, waiting for a replica to load, that get their first token too late: those
// whose wait is shorter than the objective allows meet it.
func (t *tick) tardy() float64 {
	lead := t.decision.LeadTime.P50
	if lead <= 0 {
		return 0
	}
	return math.Max(0, float64(lead-t.planner.config.Capacity.TTFT)/float64(lead))
}

// pays reports whether a silence that has lasted so long is expected to go on for longer than it costs to end it, and the
// objective allows to.
func (t *tick) pays(quiet time.Duration) bool {
	d, silences := &t.decision, &t.state.Silences
	lead := d.LeadTime.P50
	missed := silences.Opening * lead.Seconds() * t.tardy()
	b := BreakEven{
		Quiet: quiet, Expected: silences.remaining(quiet), Load: lead,
		Wait: time.Duration(d.Budget.Price * missed / d.Capacity.PerReplica * float64(time.Second)),
	}
	b.Late, b.Spare = t.patience(quiet)
	b.Pays = b.Expected >= b.Load+b.Wait && b.Late <= b.Spare
	left, verdict := int32(0), "none is needed"
	if !b.Pays {
		left, verdict = 1, "one stays"
	}
	d.BreakEven = b
	t.step("zero", left, "nothing has come for %v, and another %v are expected; to load a replica again takes %v, and the %s requests that would wait for it for too long are worth %v%s: %s",
		quiet.Round(time.Second), b.Expected.Round(time.Second), lead.Round(time.Second), few(missed), b.Wait.Round(time.Second), b.patience(), verdict)
	return b.Pays
}

// patience is how many requests would have waited too long if after every silence that lasted so long there had been no
// replica, of all that came, and how many the objective allows: silences are many while they are short, so that it is the
// long ones that are left. For those whose end is known from the days before a replica is ready in time. Both are zero where
// no wait is too long.
func (t *tick) patience(quiet time.Duration) (late, spare float64) {
	c, i, lead := t.planner.config.Capacity, &t.state.Silences, t.decision.LeadTime.P50
	if c.TTFT <= 0 || lead <= c.TTFT {
		return 0, 0
	}
	each := i.late(lead)
	if !t.planner.config.Forecast.Disabled {
		each *= 1 - i.foreseeable(t.obs.Time, t.vigil())
	}
	return math.Max((1+i.longer(quiet))*each, i.Late+each), i.spare(c.Attainment)
}

// patience says what the objective allows, where it is asked.
func (b *BreakEven) patience() string {
	if b.Late == 0 {
		return ""
	}
	return fmt.Sprintf("; if that went for each silence as long, %s would have waited so, and the objective allows %s", few(b.Late), few(b.Spare))
}

// few writes a number of requests that may be a part of one.
func few(n float64) string {
	if n < 10 {
		return fmt.Sprintf("%.2g", n)
	}
	return fmt.Sprintf("%.0f", n)
}

// leaveZero asks for a replica where the spec allows none to be gone any more, and it was not somebody else who let the last go.
func (t *tick) leaveZero() {
	t.decision.Reason = AtMinimum
	t.step("zero", 1, "zero replicas are not allowed any more: one is asked for")
	t.decision.Needed = 1
	t.propose(1)
	t.want(1)
	t.constrain(1, 1)
}

// unheard is for how long nothing has been read of what holds requests, since the first tick where nothing ever was: whoever
// has just begun to look has not heard of it yet.
func (t *tick) unheard() time.Duration {
	since := t.state.Front.Time
	if since.IsZero() {
		if t.state.Unheard.IsZero() {
			t.state.Unheard = t.obs.Time
		}
		since = t.state.Unheard
	}
	return t.obs.Time.Sub(since)
}

// wake asks for one replica where there is none and nobody can tell whether requests wait for one, once that has lasted.
func (t *tick) wake() {
	if lasted, most := t.unheard(), t.planner.config.Staleness; lasted <= most {
		t.decision.Blind = true
		t.hold(NoFreshData, "there is no replica, and nothing has been read for %v of what holds requests: after %v one is asked for",
			lasted.Round(time.Second), most)
		return
	}
	t.decision.Blind, t.decision.Reason = true, NoFreshData
	t.decision.Unseen = append(t.decision.Unseen, "what holds requests in front of the target: nothing was read of it within "+t.planner.config.Staleness.String())
	t.decision.Causes = append(t.decision.Causes, FrontUnread)
	t.step("zero", 1, "there is no replica, and nobody knows whether requests wait for one: one is asked for")
	t.decision.Needed = 1
	t.propose(1)
	t.want(1)
	t.state.Since, t.state.Watched = time.Time{}, time.Time{}
	t.constrain(1, 1)
}
