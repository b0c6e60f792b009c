package replay

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// patience is how long after its load's end a target's gateway holds requests that nothing moves any more. A real
// client would have given up long before; a run has to end.
const patience = time.Hour

// gateway is what every request of a target passes: it holds those for which no replica has room.
type gateway struct {
	jobs []job
	free []uint32
	// lines of those that are held; retries go first, they have waited longest.
	queue, retries ring
	deadlines      ring // those that may time out, in order of arrival
	again          []ticket

	open                    int // requests that have not ended
	held                    int // those of them that are in no replica
	heldTokens              int
	inflight                int
	arrived, promptTokens   uint64
	answers, answeredTokens uint64
	// ends less arrivals, in nanoseconds: with open × now it is the integral of the requests inside.
	inside float64

	// pushing is set while the policy is about to be told of a request that is held at zero replicas.
	pushing bool

	ttft, tpot, e2e *latencies
	readings        []baseline.Gateway // not yet visible, oldest first
	visible         baseline.Gateway
}

// job is one request that has not ended.
type job struct {
	id             uint64 // zero where the slot is free
	arrival        time.Duration
	first          time.Duration // time of the first token, negative before
	prompt, output int32
	unit           *unit // nil while it is held
	blocks         []uint64
	held, retried  bool
	unready        bool // no replica was ready when it arrived
}

// admit takes in a request that arrives now.
func (s *service) admit(r *trace.Request) {
	s.arrived++
	s.promptTokens += uint64(r.PromptTokens)
	s.open++
	s.inside -= float64(r.At)
	slot := s.slot()
	s.jobs[slot] = job{
		id: s.arrived, arrival: r.At, first: -1,
		prompt: int32(r.PromptTokens), output: int32(r.OutputTokens), blocks: r.Blocks, unready: len(s.ready) == 0,
	}
	s.knock()
	if s.cluster.cfg.Timeout > 0 {
		s.deadlines.push(ticket{s.arrived, slot})
	}
	if s.held == 0 && s.send(slot) {
		return
	}
	if limit := s.cluster.cfg.QueueLimit; limit > 0 && s.held >= limit {
		s.close(slot, r.At, Rejected)
		return
	}
	s.hold(&s.queue, slot)
	if s.pushes() {
		s.pushing = true
		s.cluster.agenda.add(event{at: s.cluster.now + s.path.Push, kind: pushed, service: s})
	}
}

func (s *service) slot() uint32 {
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		return slot
	}
	s.jobs = append(s.jobs, job{})
	return uint32(len(s.jobs) - 1)
}

// hold puts a request into a line.
func (s *service) hold(line *ring, slot uint32) {
	j := &s.jobs[slot]
	j.held = true
	line.push(ticket{j.id, slot})
	s.held++
	s.heldTokens += int(j.prompt)
}

// letGo ends the holding of a request, whose ticket is left to be skipped or popped.
func (s *service) letGo(j *job) {
	if j.held {
		j.held = false
		s.held--
		s.heldTokens -= int(j.prompt)
	}
}

// dispatch hands out what is held, as far as there is room.
func (s *service) dispatch() {
	for s.held > 0 && len(s.ready) > 0 {
		line := &s.retries
		if line.skip(s.jobs); line.length == 0 {
			line = &s.queue
			line.skip(s.jobs)
		}
		t := line.first()
		if !s.send(t.slot) {
			return
		}
		line.pop()
	}
}

// skip drops the tickets at the head of a line whose requests have ended.
func (r *ring) skip(jobs []job) {
	for r.length > 0 && jobs[r.first().slot].id != r.first().id {
		r.pop()
	}
}

// blocked reports whether requests are held although replicas are ready: the end of another makes room.
func (s *service) blocked() bool { return s.held > 0 && len(s.ready) > 0 }

// send hands a request to a replica, false where none has room. One that no replica can ever take is rejected.
func (s *service) send(slot uint32) bool {
	j := &s.jobs[slot]
	u := s.pick(j.blocks)
	if u == nil {
		return false
	}
	now := s.cluster.now
	err := u.engine.Submit(now, replica.Request{
		ID: s.handle(slot), PromptTokens: int(j.prompt), OutputTokens: int(j.output), Blocks: j.blocks,
	})
	s.letGo(j)
	if err != nil {
		s.refuse(slot, err)
		return true
	}
	j.unit = u
	if u.inflight == 0 {
		s.total.Idle += now - u.idleSince
	}
	u.inflight++
	s.inflight++
	s.burden(u)
	s.cluster.due.sooner(u, now+s.firstStep+time.Duration(j.output-1)*s.step)
	return true
}

// handle is the ID by which replicas know a request: they put what ends in one step in the order of IDs, which is to be that
// of arrival and not that of slots. slotOf finds the slot again; after 2^32 requests only the order goes wrong.
func (s *service) handle(slot uint32) uint64 { return s.jobs[slot].id<<32 | uint64(slot) }

func slotOf(handle uint64) uint32 { return uint32(handle) }

// answered takes notice of a request's first token.
func (s *service) answered(slot uint32, at time.Duration) {
	j := &s.jobs[slot]
	j.first = at
	if s.ttft != nil {
		s.ttft.observe(at - j.arrival)
	}
}

// close ends a request that is in no replica any more.
func (s *service) close(slot uint32, at time.Duration, o Outcome) {
	j := &s.jobs[slot]
	s.letGo(j)
	s.cluster.ended = append(s.cluster.ended, end{at: at, service: s.index})
	r := &s.cluster.ended[len(s.cluster.ended)-1].request
	*r = Request{
		Target: s.Name, ID: j.id, Arrival: j.arrival, PromptTokens: int(j.prompt), OutputTokens: int(j.output),
		TTFT: -1, TPOT: -1, E2E: at - j.arrival, Replica: -1, Unready: j.unready, Outcome: o,
	}
	if j.unit != nil {
		r.Replica = j.unit.ordinal
	}
	if j.first >= 0 {
		r.TTFT = j.first - j.arrival
	}
	if o == Completed {
		s.complete(r, at-j.first)
	}
	s.open--
	s.inside += float64(at)
	s.lastEnd = max(s.lastEnd, at)
	s.total.Requests++
	*j = job{}
	s.free = append(s.free, slot)
}

// complete fills in what only a completed request has; decoding is the time since the first token.
func (s *service) complete(r *Request, decoding time.Duration) {
	r.TPOT = 0
	if r.OutputTokens > 1 {
		r.TPOT = decoding / time.Duration(r.OutputTokens-1)
	}
	s.answers++
	s.answeredTokens += uint64(r.OutputTokens)
	if s.tpot != nil {
		s.tpot.observe(r.TPOT)
		s.e2e.observe(r.E2E)
	}
}
