package scaling

import (
	"fmt"
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// sight is what one tick sees of a target.
type sight struct {
	// ready replicas exist, seen of them have fresh readings; unseen says what is missing of the others. The rest are
	// too new to have been scraped.
	ready, seen int
	unseen      []string
	// causes are those of unseen; newest is that of the readings that are seen.
	causes []Cause
	newest time.Time
	// arrivals is the offered load in requests per second over the measured replicas, those that are seen and whose
	// rates are known. Unmeasured ones are seen, but have been read only once although they are not new.
	arrivals             float64
	measured, unmeasured int
	// prompt and generation are the tokens per second over those of the measured replicas that report them.
	prompt, generation tokenSum
	// lumped is how many of the seen replicas state only the sum of requests waiting and running.
	lumped int
	// news is the number of replicas with a reading that was not there at the last tick.
	news int
	// waiting and running are the requests in the seen replicas, or held while none is ready.
	waiting, running float64
	// borrowed is how many of the seen replicas do not tell of demand, where a gateway does; growth is by how many requests
	// per second what is in flight in the seen replicas grew. Offered is the demand of the whole target where it is settled
	// that the gateway tells it.
	borrowed        int
	growth, offered float64
	settled         bool
	// lost are replicas that have served, are not ready any more, and of which nothing is read: what they hold is not known.
	lost []string
	// partial is how many of the seen replicas do not count all that is in flight.
	partial int
	// held is how many came since the last tick while none was ready.
	held float64
}

// look takes an observation into the state and returns what it shows.
func (p *Planner) look(st *State, obs *Observation) sight {
	var s sight
	st.Capacity.Decay(obs.Time)
	kept := make(map[string]ReplicaState, len(obs.Replicas))
	for i := range obs.Replicas {
		r := &obs.Replicas[i]
		was := st.Replicas[r.ID]
		now := was
		now.Unschedulable = was.Unschedulable || r.Phase == Unschedulable
		p.learnStart(st, r, &now)
		p.learnWake(st, r, &now, obs.Time)
		p.read(st, r, &now)
		if now.Reading != was.Reading {
			s.news++
		}
		switch r.Phase {
		case Ready:
			s.add(r, now, obs.Time, p.config.Staleness, &st.Offer)
		case Starting:
			s.addUnready(r, now, obs.Time, p.config.Staleness)
		case Unschedulable, Draining, Standby, Asleep: // hold nothing, or what they hold leaves with them
		}
		kept[r.ID] = now
	}
	st.Replicas = kept
	return s
}

// learnStart teaches the lead time once per replica, when it is first seen ready.
func (p *Planner) learnStart(st *State, r *Replica, now *ReplicaState) {
	if now.Learned || r.Phase != Ready || r.Created.IsZero() || r.Scheduled.IsZero() || r.ReadyAt.IsZero() {
		return
	}
	now.Learned = true
	started := r.Started
	if started.IsZero() || started.After(r.ReadyAt) {
		started = r.Scheduled
	}
	start := leadtime.Start{
		Ready:      r.ReadyAt,
		Scheduling: r.Scheduled.Sub(r.Created),
		Startup:    started.Sub(r.Scheduled),
		Loading:    r.ReadyAt.Sub(started),
	}
	start.Circumstance = r.Circumstance.Or(leadtime.Circumstance{Image: leadtime.ImageOf(start.Startup)})
	if now.Unschedulable {
		start.Scheduling, start.Waited = -1, max(0, start.Scheduling)
	}
	st.LeadTime.Learn(start)
}

// read takes a replica's newest reading: its arrivals, and what it teaches of capacity. A frozen page is no news: the
// reading before it grows old, and what it said holds until it is too old. So is one that stands still for too long.
func (p *Planner) read(st *State, r *Replica, now *ReplicaState) {
	earlier, later := now.Reading, r.Reading
	if later == nil || earlier != nil && (!later.Time.After(earlier.Time) || signals.Frozen(earlier, later)) {
		return
	}
	switch {
	case earlier == nil || !signals.Still(earlier, later):
		now.Still = time.Time{}
	case now.Still.IsZero():
		now.Still = earlier.Time
	case later.Time.Sub(now.Still) >= stillFor:
		return
	}
	now.Reading = later
	if earlier == nil {
		unseen := st.unseenSince(later.Time)
		now.Arrivals, now.ArrivalsKnown = firstArrivals(r, unseen)
		now.Tokens = firstTokens(r, unseen)
		learnWarmUp(st, r)
		return
	}
	now.Arrivals, now.ArrivalsKnown = arrivals(earlier, later)
	now.Growth = grown(earlier, later)
	now.Tokens = tokenRates(earlier, later)
	if woken := now.Rest.Woken; woken.After(earlier.Time) {
		served := max(time.Second, later.Time.Sub(woken), st.unseenSince(later.Time)) // as firstArrivals does
		now.Arrivals *= later.Time.Sub(earlier.Time).Seconds() / served.Seconds()
		return // it rested for a part of the time
	}
	if x, ok := interval(earlier, later); ok {
		st.Capacity.Learn(x, p.config.Capacity)
	}
}

// learnWarmUp teaches the lead time how long a replica that has just become ready took for its first token: what the
// quickest of its first requests waited, since the others may have queued, and no longer than it has been ready.
func learnWarmUp(st *State, r *Replica) {
	h := r.Reading.Histogram(signals.TTFT)
	if _, young := firstSpan(r, 0); !young || h == nil {
		return
	}
	if quickest, _, ok := h.Quantile(0.1); ok {
		took := time.Duration(quickest * float64(time.Second))
		st.LeadTime.LearnWarmUp(r.ReadyAt, min(took, r.Reading.Time.Sub(r.ReadyAt)))
	}
}

// queued returns the requests waiting and running, false where either is not known.
func queued(r *signals.Reading) (waiting, running float64, ok bool) {
	waiting, okW := r.Value(signals.RequestsWaiting)
	running, okR := r.Value(signals.RequestsRunning)
	return waiting, running, okW && okR
}

// inFlight returns the requests waiting and running. Where the engine states only the two as one number they are told
// apart by what else is known, and count as running where nothing is. False where not even their sum is known.
func inFlight(r *signals.Reading) (waiting, running float64, ok bool) {
	if waiting, running, ok = queued(r); ok {
		return waiting, running, true
	}
	both, ok := r.Value(signals.RequestsInflight)
	if !ok {
		return 0, 0, false
	}
	if running, ok := r.Value(signals.RequestsRunning); ok {
		return math.Max(0, both-running), running, true
	}
	waiting, _ = r.Value(signals.RequestsWaiting)
	return waiting, math.Max(0, both-waiting), true
}

// idle reports whether a replica is known to hold no request.
func idle(r *signals.Reading) bool {
	waiting, running, ok := inFlight(r)
	return ok && waiting+running == 0 && !r.Partial()
}

// finishedBetween returns how many requests ended between two readings. Some engines have no counter of them before the
// first one has ended: beside an idle engine that has handled no token in between its absence means none, and only there.
func finishedBetween(earlier, later *signals.Reading) (float64, bool) {
	if n, ok := signals.Increase(earlier, later, signals.RequestsFinished); ok {
		return ended(n, earlier, later), true
	}
	if _, had := earlier.Value(signals.RequestsFinished); had || !idle(earlier) {
		return 0, false
	}
	n, has := later.Value(signals.RequestsFinished)
	return ended(n, earlier, later), has || idle(later) && !worked(earlier, later)
}

// ended is how many of the requests that were counted between two readings ended then: of an engine that counts them when
// they come, those that it does not hold besides.
func ended(counted float64, earlier, later *signals.Reading) float64 {
	if !later.CountsArrivals() {
		return counted
	}
	w0, r0, ok0 := inFlight(earlier)
	w1, r1, ok1 := inFlight(later)
	if !ok0 || !ok1 {
		return counted
	}
	if signals.Restarted(earlier, later) {
		w0, r0 = 0, 0
	}
	return math.Max(0, counted+w0+r0-w1-r1)
}

// worked reports whether tokens were counted between two readings: requests came and went that nothing else shows.
func worked(earlier, later *signals.Reading) bool {
	prompt, _ := signals.Increase(earlier, later, signals.PromptTokens)
	generated, _ := signals.Increase(earlier, later, signals.GenerationTokens)
	return prompt+generated > 0
}

// arrivals returns the offered load between two readings in requests per second: what was finished and what the
// requests in flight grew by. Served throughput alone would hide what queues up. After a restart all that is there has
// arrived since.
func arrivals(earlier, later *signals.Reading) (float64, bool) {
	finished, ok := finishedBetween(earlier, later)
	w0, r0, ok0 := inFlight(earlier)
	w1, r1, ok1 := inFlight(later)
	if signals.Restarted(earlier, later) {
		w0, r0 = 0, 0
	}
	seconds := later.Time.Sub(earlier.Time).Seconds()
	if !ok || !ok0 || !ok1 || seconds <= 0 {
		return 0, false
	}
	return math.Max(0, finished+w1+r1-w0-r0) / seconds, true
}

// grown is by how many requests per second what is in flight grew between two readings, zero where that is not known.
func grown(earlier, later *signals.Reading) float64 {
	w0, r0, ok0 := inFlight(earlier)
	w1, r1, ok1 := inFlight(later)
	seconds := later.Time.Sub(earlier.Time).Seconds()
	if !ok0 || !ok1 || seconds <= 0 {
		return 0
	}
	return (w1 + r1 - w0 - r0) / seconds
}

// firstArrivals returns the load of a replica that became ready just before its first reading: all that it has
// finished and holds came since. It is spread over the time for which nobody saw demand, as that of the other replicas is:
// what a router pours into a replica that joins would otherwise count twice, there and in what they had before. Of one that
// has been ready for longer nothing is known before its second reading.
func firstArrivals(r *Replica, unseen time.Duration) (float64, bool) {
	seconds, young := firstSpan(r, unseen)
	finished, ok := r.Reading.Value(signals.RequestsFinished)
	waiting, running, okF := inFlight(r.Reading)
	if !young || !ok || !okF {
		return 0, false
	}
	if r.Reading.CountsArrivals() {
		return finished / seconds, true
	}
	return (finished + waiting + running) / seconds, true
}

// unseenSince is for how long before a reading nobody saw demand: since the last tick, or for as long as no replica was
// there that could have told while requests were held. After a pause of the planner itself it is zero: then the others have
// no such rate either.
func (s *State) unseenSince(at time.Time) time.Duration {
	tick, ok := s.Proposals.Last()
	if !ok || at.Sub(tick.Time) > time.Minute {
		return 0
	}
	if seen, ok := s.Arrivals.Last(); ok && at.Sub(seen.Time) <= arrivalsKept {
		return at.Sub(seen.Time)
	}
	return at.Sub(tick.Time)
}

// firstSpan is the time in seconds over which the load of a replica is spread that became ready just before its first
// reading, false for one that did not, or has not been there for a second.
func firstSpan(r *Replica, unseen time.Duration) (seconds float64, ok bool) {
	age := r.Reading.Time.Sub(r.ReadyAt)
	if r.ReadyAt.IsZero() || age < 0 || age > time.Minute {
		return 0, false
	}
	return max(age, unseen).Seconds(), age >= time.Second || unseen >= time.Second
}

// interval returns what two readings teach of capacity, false where the engine does not report enough for it or began
// anew in between: a restarting engine is not at work.
func interval(earlier, later *signals.Reading) (capacity.Interval, bool) {
	counted, ok := signals.Increase(earlier, later, signals.RequestsFinished)
	w0, r0, ok0 := queued(earlier)
	w1, r1, ok1 := queued(later)
	if !ok || !ok0 || !ok1 || signals.Restarted(earlier, later) {
		return capacity.Interval{}, false
	}
	x := capacity.Interval{
		Seconds: later.Time.Sub(earlier.Time).Seconds(),
		Running: (r0 + r1) / 2, Grown: r1 - r0, Waiting: math.Min(w0, w1), Finished: ended(counted, earlier, later), KV: -1,
	}
	x.Prompt, _ = signals.Increase(earlier, later, signals.PromptTokens)
	x.Generated, _ = signals.Increase(earlier, later, signals.GenerationTokens)
	if x.Prefilled, ok = signals.PrefillIncrease(earlier, later); !ok {
		x.Prefilled = x.Prompt
	}
	x.Max, _ = later.Value(signals.RequestsMax)
	if itl := signals.HistogramIncrease(earlier, later, signals.ITL); itl != nil {
		x.ITL, _ = itl.Mean()
		x.Tokens = itl.Count()
	}
	x.Preemptions, _ = signals.Increase(earlier, later, signals.Preemptions)
	if x.TTFT = signals.HistogramIncrease(earlier, later, signals.TTFT); later.Histogram(signals.TTFT) != nil {
		x.First, x.FirstKnown = x.TTFT.Count(), true
	}
	x.TPOT = signals.HistogramIncrease(earlier, later, signals.TPOT)
	kv0, ok0 := earlier.Value(signals.KVCacheUtilization)
	kv1, ok1 := later.Value(signals.KVCacheUtilization)
	if ok0 && ok1 {
		x.KV = (kv0 + kv1) / 2
	}
	return x, true
}

// add takes a ready replica into what is seen.
func (s *sight) add(r *Replica, now ReplicaState, at time.Time, staleness time.Duration, offer *Offer) {
	s.ready++
	fresh := isNew(r.ReadyAt, at, staleness) || isNew(now.Rest.Woken, at, staleness)
	if fresh && (now.Reading == nil || now.Reading.Time.Before(now.Rest.Woken)) {
		return // its first scrape is still to come
	}
	missing := wanting(r, now, at, staleness)
	borrows := missing != "" && offer.standsIn(now.Reading, at, staleness)
	if missing != "" && !borrows {
		s.unseen = append(s.unseen, missing)
		s.causes = append(s.causes, causeOf(r, &now, at, staleness))
		return
	}
	s.seen++
	if now.Reading.Time.After(s.newest) {
		s.newest = now.Reading.Time
	}
	if _, _, ok := queued(now.Reading); !ok {
		s.lumped++
	}
	waiting, running, _ := inFlight(now.Reading)
	s.waiting += waiting
	s.running += running
	s.growth += now.Growth
	if now.Reading.Partial() {
		s.partial++
	}
	switch {
	case borrows:
		s.borrowed++
	case now.ArrivalsKnown:
		s.measure(now)
	case !fresh:
		s.unmeasured++
	}
}

// wanting says what is missing of a ready replica, empty where nothing is.
func wanting(r *Replica, now ReplicaState, at time.Time, staleness time.Duration) string {
	if missing := missing(r.Name, now.Reading, at, staleness); missing != "" {
		switch {
		case r.Problem != "":
			missing += ": " + r.Problem
		case !now.Still.IsZero():
			missing += ": its page has stood still since then while requests run"
		}
		return missing
	}
	if _, ended := now.Reading.Value(signals.RequestsFinished); !ended && !now.ArrivalsKnown && now.Tokens.Prompt.PerSecond+now.Tokens.Generation.PerSecond > 0 {
		return fmt.Sprintf("%s: %v is not on its page, and its tokens say that requests came", r.Name, signals.RequestsFinished)
	}
	return ""
}

// told is the offered load of the whole target as far as pages tell: that of the measured replicas, the unseen and unmeasured
// ones taken for their equals. A replica too new to be measured has hardly any load yet.
func (s *sight) told() float64 {
	measured, others := float64(s.measured), float64(len(s.unseen)+s.unmeasured)
	return s.arrivals * (measured + others) / measured
}

// addUnready takes in what a replica holds that has served and lost its readiness, as an overloaded one does first. It
// is no capacity, but what arrives at it is demand all the same, as long as its page tells. One that loads holds nothing.
func (s *sight) addUnready(r *Replica, now ReplicaState, at time.Time, staleness time.Duration) {
	if missing := missing(r.Name, now.Reading, at, staleness); missing != "" {
		if served := now.Reading != nil || now.Learned; served && !r.Anew && now.Rest.Tier == "" {
			s.lost = append(s.lost, missing)
			s.causes = append(s.causes, causeOf(r, &now, at, staleness))
		}
		return
	}
	if !now.ArrivalsKnown {
		return
	}
	waiting, running, _ := inFlight(now.Reading)
	s.waiting += waiting
	s.running += running
	s.measure(now)
}

// measure takes in the rates of a replica whose arrivals are known.
func (s *sight) measure(now ReplicaState) {
	s.measured++
	s.arrivals += now.Arrivals
	s.prompt.add(now.Tokens.Prompt)
	s.generation.add(now.Tokens.Generation)
}

// isNew reports whether a replica became ready so lately that it may not have been scraped yet. One that seems to have
// become ready later than now, by a wrong clock, is not new.
func isNew(ready, at time.Time, staleness time.Duration) bool {
	age := at.Sub(ready)
	return !ready.IsZero() && age <= staleness && age >= -staleness
}

// sought are the series without which nothing is known of a replica's demand; requests in flight stand in for the first
// two.
var sought = [...]signals.Metric{signals.RequestsWaiting, signals.RequestsRunning, signals.RequestsFinished}

// missing says what is missing of a ready replica, by the names of the series, empty where nothing is.
func missing(name string, newest *signals.Reading, at time.Time, staleness time.Duration) string {
	const all = "inference_requests_waiting, inference_requests_running and inference_requests_total"
	if newest == nil {
		return fmt.Sprintf("%s: no reading of %s", name, all)
	}
	if age := at.Sub(newest.Time); age > staleness {
		return fmt.Sprintf("%s: newest reading of %s is %v old, bound %v", name, all, age.Round(time.Second), staleness)
	}
	_, _, counted := inFlight(newest)
	for _, m := range sought {
		if counted && m != signals.RequestsFinished {
			continue
		}
		if _, ok := newest.Value(m); !ok && !(m == signals.RequestsFinished && idle(newest)) {
			return fmt.Sprintf("%s: %s is not on its page", name, m)
		}
	}
	return ""
}

// source says what demand was reconstructed from, where it is not from the usual series of every replica.
func (s *sight) source() string {
	if s.lumped == 0 {
		return ""
	}
	return fmt.Sprintf("of %d replicas demand is made of %v and the growth of %v, which does not tell waiting from running",
		s.lumped, signals.RequestsFinished, signals.RequestsInflight)
}
