package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// forever is later than anything.
const forever = time.Duration(math.MaxInt64)

// Run replays the targets' loads until every load and every request has ended, and tells the sink what happens. Where the context ends
// first, a load cannot be read, or a request makes no sense, it stops there: the last census is told, requests that have
// not ended are not, and the totals so far come with the error.
func Run(ctx context.Context, cfg Config, targets []Target, sink Sink) ([]Total, error) {
	if err := errors.Join(cfg.Validate(), validateTargets(cfg, targets)); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	c := newCluster(cfg, targets, sink)
	err := c.run(ctx)
	totals := c.end()
	if err != nil {
		return totals, fmt.Errorf("replay until %v: %w", c.now, err)
	}
	return totals, nil
}

// cluster is the simulated world at one instant. Time jumps from one thing that is due to the next; between them the
// replicas are left behind, each until a request of it may end.
type cluster struct {
	cfg      Config
	sink     Sink
	now      time.Duration
	services []*service
	agenda   agenda
	due      dueQueue
	stock    stock
	script   []Event // still to come
	outage   bool    // no page can be fetched
	slowness float64 // factor on the lead times of replicas ordered now
	// drowsiness is the factor on the times of wakings.
	drowsiness float64

	// exact counts the reasons for which the end of a request has to be acted upon at its instant: draining replicas that
	// hold requests.
	exact   int
	drained []*unit
	events  []replica.Event
	ended   []end
	order   []int32       // of ended
	stats   replica.Stats // of the page that is being fetched
	err     error
}

// end is a request's end that the sink has not been told of.
type end struct {
	at      time.Duration
	service int
	request Request
}

func newCluster(cfg Config, targets []Target, sink Sink) *cluster {
	c := &cluster{cfg: cfg, sink: sink, script: cfg.Events, slowness: 1, drowsiness: 1, stock: stock{limited: cfg.GPUs > 0, total: cfg.GPUs, nodes: cfg.NodeGPUs}}
	for i, t := range targets {
		s := newService(c, i, t)
		c.services = append(c.services, s)
		s.begin()
	}
	if len(c.script) > 0 {
		c.agenda.add(event{at: c.script[0].At, kind: scripted})
	}
	return c
}

func (c *cluster) dice(p purpose, target string, ordinal int32) *rand.Rand {
	return dice(c.cfg.Seed, p, target, ordinal)
}

// at is the date of a time since the start.
func (c *cluster) at(t time.Duration) time.Time { return c.cfg.Start.Add(t) }

// checkEvery is the number of steps between two looks at the context.
const checkEvery = 1024

func (c *cluster) run(ctx context.Context) error {
	c.count()
	for n := 0; c.err == nil; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		next := c.horizon()
		c.settle(next)
		if c.finished(next) {
			return c.err
		}
		c.now = next
		c.happen()
	}
	return c.err
}

// horizon is the time of the next thing that can change anything but the inside of replicas.
func (c *cluster) horizon() time.Duration {
	next := c.agenda.next()
	for _, s := range c.services {
		next = min(next, s.next.At, s.deadline())
		if s.blocked() {
			next = min(next, c.due.next())
		}
	}
	if c.exact > 0 || next == forever {
		next = min(next, c.due.next())
	}
	return max(next, c.now)
}

// settle lets the replicas work up to and including a time, and tells the sink which requests ended.
func (c *cluster) settle(until time.Duration) {
	if c.due.next() <= until {
		for c.due.next() <= until {
			c.advance(c.due[0].unit, until)
		}
		c.tell()
	}
}

// catchUp takes in what a replica, if there is one, has done up to now: between the ends of requests nobody looks.
func (u *unit) catchUp() {
	if u != nil && u.inflight > 0 {
		u.service.cluster.advance(u, u.service.cluster.now)
	}
}

// advance lets one replica work until a time, and takes in what it did.
func (c *cluster) advance(u *unit, until time.Duration) {
	c.events = u.engine.AdvanceTo(until, c.events[:0])
	for i := range c.events {
		u.service.took(u, &c.events[i])
	}
	c.reschedule(u, until)
}

// reschedule asks a replica that has worked up to a time when a request of it can end next.
func (c *cluster) reschedule(u *unit, now time.Duration) {
	if u.inflight == 0 {
		c.due.drop(u)
		return
	}
	c.due.set(u, max(u.engine.NextFinish(), now+1))
}

// tell passes on the ends since the last call, in order of time: replicas work one after the other.
func (c *cluster) tell() {
	if len(c.ended) == 0 {
		return
	}
	if len(c.ended) == 1 {
		c.sink.Ended(c.ended[0].request)
	} else {
		for _, i := range c.inOrder() {
			c.sink.Ended(c.ended[i].request)
		}
	}
	c.ended = c.ended[:0]
}

// inOrder returns the places of the ends in order of time, then of target and of arrival. Mostly there are two or three,
// and ends are large to move.
func (c *cluster) inOrder() []int32 {
	order := c.order[:0]
	for i := range c.ended {
		k := len(order)
		order = append(order, int32(i))
		if k > fewEnds {
			continue
		}
		for ; k > 0 && c.ended[i].compare(&c.ended[order[k-1]]) < 0; k-- {
			order[k] = order[k-1]
		}
		order[k] = int32(i)
	}
	if len(order) > fewEnds {
		slices.SortFunc(order, func(a, b int32) int { return c.ended[a].compare(&c.ended[b]) })
	}
	c.order = order
	return order
}

// fewEnds is up to how many ends are put in order one by one.
const fewEnds = 16

func (e *end) compare(o *end) int {
	if e.at != o.at {
		return cmp.Compare(e.at, o.at)
	}
	return cmp.Or(cmp.Compare(e.service, o.service), cmp.Compare(e.request.ID, o.request.ID))
}

// happen does all that is due now.
func (c *cluster) happen() {
	c.clear()
	for c.agenda.next() <= c.now {
		c.do(c.agenda.take())
	}
	for _, s := range c.services {
		s.expire()
		s.dispatch()
		s.arrive()
	}
	c.clear()
	c.tell()
	c.count()
}

// do carries out one event.
func (c *cluster) do(e event) {
	if e.unit != nil && e.unit.epoch != e.epoch {
		return
	}
	switch e.kind {
	case scripted:
		c.perform()
	case ordered:
		e.service.scale(e.value, e.warm)
	case staged:
		e.unit.proceed()
	case crashed:
		e.unit.crash()
	case scraped:
		e.unit.scrape()
	case gatewayScraped:
		e.service.scrapeGateway()
	case pushed:
		e.service.push()
	case decided:
		e.service.decide()
		e.service.askAgain()
	case abandoned:
		e.service.abandon()
	}
}

// clear removes the draining replicas that hold nothing any more, and gives their GPUs to those that wait.
func (c *cluster) clear() {
	for len(c.drained) > 0 {
		u := c.drained[len(c.drained)-1]
		c.drained = c.drained[:len(c.drained)-1]
		switch {
		case u.stage != draining: // called back
		case u.resting():
			u.rest(u.goal)
		default:
			u.remove()
		}
	}
	c.place()
}

// count tells the sink which targets' replicas have changed.
func (c *cluster) count() {
	for _, s := range c.services {
		if s.changed {
			s.changed = false
			s.count()
		}
	}
}

// finished reports whether all loads are over and all requests have ended before anything happens at the next time, and
// if so turns the clock to when the last of them did.
func (c *cluster) finished(next time.Duration) bool {
	over := time.Duration(0)
	for _, s := range c.services {
		if s.next.At != forever || s.open > 0 {
			return false
		}
		over = max(over, s.lastArrival, s.lastEnd, s.loadEnd)
	}
	if next < over {
		return false
	}
	c.now = over
	return true
}

// end closes the books at the present time.
func (c *cluster) end() []Total {
	c.tell()
	totals := make([]Total, len(c.services))
	for i, s := range c.services {
		for _, u := range s.units {
			u.settleAccount()
		}
		s.census.At = c.now
		c.sink.Counted(s.census)
		totals[i] = s.total
		totals[i].End = c.now
	}
	return totals
}
