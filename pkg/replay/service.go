package replay

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// service is one target in the run: its load, its gateway, its replicas and its policy.
type service struct {
	Target
	cluster *cluster
	index   int
	path    baseline.Path

	// firstStep is the least time from a request's submission to its first token, rounded down: it has to reach the
	// engine's queue, and no step is shorter than one with nothing to do, which takes step.
	firstStep, step time.Duration
	// next is the request that arrives next, at forever where there is none.
	next                 trace.Request
	lastArrival, lastEnd time.Duration
	// loadEnd is when the load ends, zero until that is known, and where it ends with its last request.
	loadEnd time.Duration

	gateway
	router

	// units are the replicas that exist, by ordinal; made is the next ordinal.
	units   []*unit
	made    int32
	desired int32 // asked for, as the API shows it
	asked   int32 // the newest order, which may still be on its way
	// warm and askedWarm are the same of those that are to be warm beside them, tiers what these cost.
	warm, askedWarm scaling.Warm
	tiers           scaling.Tiers
	census          Census
	changed         bool // since the sink was last told
	total           Total
	// vacant is set from the time that no replica is asked for until one is ready, surprised once a request has come by then;
	// where none has, expecting until one does.
	vacant, surprised, expecting bool

	pace float64 // factor on the steps of replicas that begin to serve now

	losses *rand.Rand // of scrapes; nil where none are lost
	seen   []scaling.Replica
}

func newService(c *cluster, index int, t Target) *service {
	s := &service{
		Target: t, cluster: c, index: index, path: t.Policy.Path(),
		firstStep: atLeast(t.Profile.APIOverhead + t.Profile.StepBase), step: atLeast(t.Profile.StepBase),
		desired: t.Initial, asked: t.Initial, tiers: tiersOf(t.Policy),
		vacant: t.Initial == 0, census: Census{Desired: -1}, changed: true, total: Total{Target: t.Name}, pace: 1,
	}
	if c.cfg.LostScrapes > 0 {
		s.losses = c.dice(lossDraws, t.Name, -1)
	}
	if s.path.Scrape > 0 {
		// A gateway's distributions have the bounds of the engines' own.
		s.ttft, s.tpot, s.e2e = newLatencies(replica.TTFTBounds), newLatencies(replica.ITLBounds), newLatencies(replica.LatencyBounds)
	}
	return s
}

// atLeast is a duration of so many milliseconds, or a little less.
func atLeast(ms float64) time.Duration {
	return time.Duration(ms * (1 - 1e-6) * float64(time.Millisecond))
}

// begin makes the initial replicas, and puts the first arrival and the periodic events on the agenda.
func (s *service) begin() {
	for range s.Initial {
		s.found()
	}
	sync := s.cluster.dice(syncDraws, s.Name, -1)
	s.cluster.agenda.add(event{at: within(sync, s.path.Interval), kind: decided, service: s})
	if s.path.Scrape > 0 {
		s.cluster.agenda.add(event{at: within(sync, s.path.Scrape), kind: gatewayScraped, service: s})
	}
	s.pull()
}

// pull takes the next request off the load.
func (s *service) pull() {
	last := s.next.At
	next, err := s.Load.Next()
	if err == nil && next.At >= last && next.PromptTokens > 0 && next.OutputTokens > 0 {
		s.next = next
		return
	}
	if errors.Is(err, io.EOF) {
		s.next = trace.Request{At: forever}
		s.loadEnd, _ = trace.EndOf(s.Load)
		s.cluster.agenda.add(event{at: last + patience, kind: abandoned, service: s})
		return
	}
	s.cluster.fail(s.faulty(next, err))
}

// faulty says what is wrong with the request that was to come next.
func (s *service) faulty(r trace.Request, err error) error {
	switch n := s.arrived + 1; {
	case err != nil:
		return fmt.Errorf("target %q: read load after %d requests: %w", s.Name, s.arrived, err)
	case r.At < s.next.At:
		return fmt.Errorf("target %q: request %d at %v comes before %v: a load must be in order of time", s.Name, n, r.At, s.next.At)
	default:
		return fmt.Errorf("target %q: request %d has %d prompt and %d output tokens: each must be at least 1",
			s.Name, n, r.PromptTokens, r.OutputTokens)
	}
}

// fail stops the run; the first error counts.
func (c *cluster) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// arrive lets in the requests that come now.
func (s *service) arrive() {
	for s.next.At <= s.cluster.now && s.cluster.err == nil {
		s.lastArrival = s.next.At
		s.admit(&s.next)
		s.pull()
	}
}

// took takes in what a replica did for a request.
func (s *service) took(u *unit, e *replica.Event) {
	slot := slotOf(e.ID)
	switch e.Kind {
	case replica.FirstToken:
		s.answered(slot, e.At)
	case replica.Finished:
		s.leave(u, e.At)
		s.close(slot, e.At, Completed)
	case replica.Progress: // told where the profile asks for it; nobody here does
	}
}

// leave takes a request off a replica.
func (s *service) leave(u *unit, at time.Duration) {
	u.inflight--
	s.inflight--
	if u.stage == ready {
		s.lighten(u)
		if u.inflight == 0 {
			u.idleSince = at
		}
		return
	}
	if u.inflight == 0 && u.stage == draining {
		s.cluster.exact--
		s.cluster.drained = append(s.cluster.drained, u)
	}
}

// count tells the sink of the replicas as they are.
func (s *service) count() {
	now := Census{Target: s.Name, At: s.cluster.now, Desired: s.desired}
	for _, u := range s.units {
		switch u.stage {
		case waiting:
			now.Unschedulable++
		case ready:
			now.Ready++
		case draining:
			now.Draining++
		case standby:
			now.Standby++
		case asleep:
			now.Asleep++
		default:
			now.Starting++
		}
	}
	same := now
	same.At = s.census.At
	if same == s.census {
		return
	}
	s.census = now
	s.cluster.sink.Counted(now)
}
