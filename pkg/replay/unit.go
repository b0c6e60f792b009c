package replay

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// stage is where a replica stands in its life.
type stage uint8

const (
	waiting  stage = iota // for GPUs
	node                  // for its node to come up
	pulling               // the image
	loading               // the model, from the start of the container
	warming               // compiling and capturing
	ready                 // serving
	draining              // finishing what it holds
	gone
	standby // loaded, and out of the router's list
	asleep  // in the engine's sleep mode
	waking  // from either

	serving = ready // the goal of those that do not rest
)

// unit is one replica as the cluster sees it; the engine inside exists while it serves.
type unit struct {
	service *service
	ordinal int32
	name    string
	stage   stage
	// goal is the stage that it rests in, or will, serving where it is to serve. Lent are the GPUs that it leaves to others
	// meanwhile, held those that it holds. Risen is when it was called back last, woke how long that took.
	goal        stage
	lent, held  int
	risen, woke time.Duration
	// epoch moves on whenever the events that are on the agenda for this unit become void.
	epoch uint32
	lead  lead
	// created, scheduled, started and readied are what the API shows; unset before they are, and those of the first start
	// once it has been ready.
	created, scheduled, started, readied time.Duration
	born                                 time.Duration // start of the container that runs now
	placed                               time.Duration // since when it holds GPUs
	newNode                              bool          // its node exists for it alone
	circumstance                         leadtime.Circumstance

	engine    *replica.Replica
	inflight  int32
	rank      int // in the router's list, while ready
	place     int // in the queue of what is due
	idleSince time.Duration

	phase    time.Duration // of its scrapes, from zero to below the interval
	readings []*signals.Reading
	visible  *signals.Reading
	problem  string

	reloads *rand.Rand // of starts after crashes; nil before the first
	perils  *rand.Rand // of crashes; nil where there are none
	wakes   *rand.Rand // of wakings; nil before the first
}

// unset is a time that has not come.
const unset = time.Duration(math.MinInt64)

// create adds the next replica, without GPUs.
func (s *service) create() *unit {
	c := s.cluster
	u := &unit{
		service: s, goal: serving, ordinal: s.made, name: fmt.Sprintf("%s-%d", s.Name, s.made),
		created: c.now, scheduled: unset, started: unset, readied: unset, place: absent,
		lead:  c.cfg.Lead.draw(c.dice(leadDraws, s.Name, s.made)),
		phase: within(c.dice(scrapeDraws, s.Name, s.made), s.path.Scrape),
	}
	if c.cfg.CrashesPerHour > 0 {
		u.perils = c.dice(crashDraws, s.Name, s.made)
	}
	s.made++
	s.units = append(s.units, u)
	s.changed = true
	return u
}

// beforehand is how long the initial replicas have been ready at the start.
const beforehand = time.Hour

// found adds a replica that is ready at the start.
func (s *service) found() {
	u := s.create()
	s.cluster.stock.take(u)
	u.lead.node = 0
	u.readied = -beforehand
	u.started = u.readied - u.lead.load - u.lead.warmUp
	u.born = u.started
	u.scheduled = u.started - u.lead.pull
	u.created = u.scheduled
	u.circumstance.Node = s.cluster.stock.nodeOf(u)
	u.serve()
}

// exchange puts a fresh replica of the same age in the place of one that is ready, which drains.
func (s *service) exchange(u *unit) {
	v := s.create()
	s.cluster.stock.take(v)
	v.lead, v.placed, v.born = u.lead, s.cluster.now, u.born
	v.created, v.scheduled, v.started, v.readied, v.circumstance = u.created, u.scheduled, u.started, u.readied, u.circumstance
	u.drain()
	v.serve()
}

// occupy begins the start of a replica that has been given its GPUs.
func (u *unit) occupy() {
	now := u.service.cluster.now
	u.placed = now
	u.service.changed = true
	if u.readied != unset { // it rested, and its GPUs were lent
		u.rouse(u.service.cluster.cfg.Wake.Asleep, u.service.tiers.Asleep)
		return
	}
	u.stage = node
	if !u.newNode {
		u.lead.node = 0
	}
	u.after(u.lead.node)
}

// after puts the end of the present stage on the agenda.
func (u *unit) after(d time.Duration) {
	c := u.service.cluster
	u.epoch++
	c.agenda.add(event{at: c.now + d, kind: staged, unit: u, epoch: u.epoch})
}

// proceed moves on from a stage that has come to its end.
func (u *unit) proceed() {
	now := u.service.cluster.now
	switch u.stage {
	case node:
		u.stage, u.scheduled = pulling, now
		u.circumstance.Node = u.service.cluster.stock.nodeOf(u)
		u.after(u.lead.pull)
	case pulling:
		u.load(u.lead)
	case loading:
		u.stage = warming
		u.after(u.lead.warmUp)
	case warming:
		u.serve()
	case waking:
		u.woke = now - u.risen
		u.attend()
	case waiting, ready, draining, gone, standby, asleep: // these do not end by themselves
	}
}

// load starts the container.
func (u *unit) load(l lead) {
	u.lead = l
	u.stage, u.born = loading, u.service.cluster.now
	if u.readied == unset {
		u.started = u.born
	}
	u.service.total.ColdStarts++
	u.after(l.load)
}

// serve makes a replica ready.
func (u *unit) serve() {
	s, now := u.service, u.service.cluster.now
	engine, err := replica.New(slowed(s.Profile, s.pace))
	if err != nil {
		s.cluster.fail(err)
		return
	}
	u.engine, u.stage = engine, ready
	u.epoch++
	u.idleSince = now
	if u.readied == unset {
		u.readied = now
	}
	s.changed = true
	if u.resting() {
		u.rest(u.goal)
		return
	}
	s.enlist(u)
	s.awaken()
	u.arm()
	s.dispatch()
}

// slowed is a profile whose steps take so many times as long.
func slowed(p replica.Profile, factor float64) replica.Profile {
	for _, ms := range []*float64{
		&p.StepBase, &p.StepPerSequence, &p.StepPerContextToken, &p.PrefillPerToken, &p.PrefillPerTokenPair, &p.ExpertStep,
	} {
		*ms *= factor
	}
	return p
}

// arm puts the scrapes and the crash of a replica that serves on the agenda.
func (u *unit) arm() {
	s, c := u.service, u.service.cluster
	if every := s.path.Scrape; every > 0 {
		next := c.now - c.now%every + u.phase
		if next < c.now {
			next += every
		}
		c.agenda.add(event{at: next, kind: scraped, unit: u, epoch: u.epoch})
	}
	if u.perils != nil {
		hours := u.perils.ExpFloat64() / c.cfg.CrashesPerHour
		c.agenda.add(event{at: c.now + time.Duration(min(hours, 1e5)*float64(time.Hour)), kind: crashed, unit: u, epoch: u.epoch})
	}
}

// crash ends the container and starts it anew; what has not served yet begins to load again.
func (u *unit) crash() {
	s, c := u.service, u.service.cluster
	s.total.Crashes++
	s.changed = true
	if u.stage == ready {
		u.catchUp()
		u.settleIdle()
		s.delist(u)
		s.recall(u)
		c.due.drop(u)
		u.engine = nil
		u.problem = "get page: connection refused: the engine is loading"
	}
	if u.reloads == nil {
		u.reloads = c.dice(reloadDraws, s.Name, u.ordinal)
	}
	u.load(c.cfg.Lead.draw(u.reloads).slowed(c.slowness))
	s.dispatch()
}

// settleIdle books the time that a ready replica has been idle, when it ceases to be ready.
func (u *unit) settleIdle() {
	if u.inflight == 0 {
		u.service.total.Idle += u.service.cluster.now - u.idleSince
	}
}

// retreat makes a ready replica take nothing new.
func (u *unit) retreat() {
	u.settleIdle()
	u.service.delist(u)
	u.service.changed = true
	u.stage = draining
	u.epoch++
}

// drain makes a ready replica finish what it holds and go.
func (u *unit) drain() {
	u.retreat()
	if u.inflight == 0 {
		u.remove()
		return
	}
	u.service.cluster.exact++
}

// remove ends a replica and gives back its GPUs.
func (u *unit) remove() {
	s, c := u.service, u.service.cluster
	if u.stage == waiting {
		c.stock.withdraw(u)
	}
	u.settleAccount()
	c.stock.release(u, u.held)
	c.due.drop(u)
	u.stage, u.engine = gone, nil
	u.readings, u.visible = nil, nil // the agenda may keep its void events for long
	u.epoch++
	i := slices.Index(s.units, u)
	s.units = slices.Delete(s.units, i, i+1)
	s.changed = true
}

// settleAccount books the time that a replica has held its GPUs, up to now.
func (u *unit) settleAccount() {
	s, now := u.service, u.service.cluster.now
	took := now - u.placed
	u.placed = now
	switch u.stage {
	case waiting:
	case standby:
		s.total.Standby += time.Duration(float64(took) * s.tiers.Standby.Price)
	case asleep:
		s.total.Asleep += time.Duration(float64(took) * s.tiers.Asleep.Price)
	default:
		s.total.Held += took
	}
	if u.stage == ready && u.inflight == 0 {
		s.total.Idle += now - u.idleSince
		u.idleSince = now
	}
}
