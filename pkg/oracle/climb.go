package oracle

import (
	"encoding/binary"
	"hash/fnv"
	"time"
)

// climber tries schedules one by one, each judged by its own run of the whole load: plain ones first, then the best with
// a change in one place. It takes many runs where the improver takes one, but needs no window in which a change is felt:
// it is right where queues never end and where crashes and timeouts make each run a throw of the dice.
type climber struct {
	*search
	seen map[uint64]bool // fingerprints of schedules that have been looked at
	// end is until when replicas are needed, forever where one stays.
	end time.Duration
}

// Bounds of the climb: the least step in time, the parts of the load by which replicas are added and given up, and the
// times from which others are tried.
const (
	finest   = 100 * time.Millisecond
	patches  = 32
	mostSpot = 64
)

// climb goes on until no single change makes the best schedule better.
func (s *search) climb() error {
	s.limit = s.fine()
	c := &climber{search: s, seen: map[uint64]bool{}, end: s.rest()}
	for _, stage := range []func() error{c.open, c.descend, c.probe} {
		if err := stage(); err != nil {
			return err
		}
	}
	return nil
}

// fine bounds the runs of a climb: large loads that meet the objective have been improved in their windows, and get a part
// of the budget only.
func (s *search) fine() int {
	if s.best.missed > s.allowed {
		return s.limit
	}
	return min(s.limit, int(s.o.Requests/4/max(1, s.effort)))
}

// attempt runs a schedule that has not been run, and says whether it is the best. Where the objective is met, what asks
// for more is not tried.
func (c *climber) attempt(source string, x Schedule) (better bool, err error) {
	if c.known(x) {
		return false, nil
	}
	if c.best.missed <= c.allowed && c.asked(x) >= c.asked(c.best.schedule) {
		return false, nil
	}
	if c.runs-c.extra >= c.limit {
		return false, errSpent
	}
	t, err := c.run(source, x)
	return err == nil && c.best.tally == t, err
}

// known says whether a schedule has been looked at, and remembers it. Two that share a fingerprint are taken for one.
func (c *climber) known(x Schedule) bool {
	h := fnv.New64a()
	var b []byte
	for _, change := range x {
		b = binary.LittleEndian.AppendUint64(b[:0], uint64(change.At))
		_, _ = h.Write(binary.LittleEndian.AppendUint32(b, uint32(change.Replicas))) // never fails
	}
	before := c.seen[h.Sum64()]
	c.seen[h.Sum64()] = true
	return before
}

// asked is the replica-time that a schedule asks for, as far as it counts.
func (c *climber) asked(x Schedule) time.Duration {
	from, end := c.p.From, max(c.p.From, c.span+c.cell)
	sum, n, last := time.Duration(0), c.p.Target.Initial, from
	for _, change := range x {
		at := min(max(change.At, from), end)
		sum += time.Duration(n) * (at - last)
		n, last = change.Replicas, at
	}
	return sum + time.Duration(n)*(end-last)
}

// open tries what there is at the start until some time, and then one number to the end, none to all.
func (c *climber) open() error {
	for _, part := range []float64{0, 0.05, 0.1, 0.2, 0.35, 0.5} {
		for _, n := range c.heights() {
			if _, err := c.attempt("constant", c.untouched().with(n, c.spot(part), c.end)); err != nil {
				return err
			}
		}
	}
	return nil
}

// untouched keeps what there is at the start.
func (c *climber) untouched() Schedule {
	s := Schedule{{At: 0, Replicas: c.p.Target.Initial}}
	if c.end < forever {
		s = s.then(c.end, c.p.Target.Min)
	}
	return s
}

// heights are numbers of replicas worth trying: all the small ones, and larger ones a quarter apart.
func (c *climber) heights() []int32 {
	var out []int32
	for n := c.p.Target.Min; n < c.most; n += max(1, n/4) {
		out = append(out, n)
	}
	return append(out, c.most)
}

// spot is the time at a part of the load.
func (c *climber) spot(part float64) time.Duration {
	return (time.Duration(part * float64(c.span))).Truncate(finest)
}

// descend changes the best schedule by ever smaller steps, again until that is in vain.
func (c *climber) descend() error {
	for found := true; found; {
		found = false
		for step := c.spot(0.5); step >= finest; step = (step / 2).Truncate(finest) {
			better, err := c.sweep(step)
			if err != nil {
				return err
			}
			found = found || better
		}
	}
	return nil
}

// sweep tries all changes of one step, and goes on from each that is better.
func (c *climber) sweep(step time.Duration) (found bool, err error) {
	moves := c.neighbours(step)
	for i := 0; i < len(moves); i++ {
		better, err := c.attempt(c.improved(), moves[i](c.present()))
		if err != nil {
			return found, err
		}
		if better {
			found, moves = true, c.neighbours(step)
		}
	}
	return found, nil
}

// probe goes on from other numbers of replicas before and after ever more times: spread evenly over the load, and in turn
// over its beginning, where what is there at the start decides.
func (c *climber) probe() error {
	beginning := min(1, float64(c.usual()+time.Minute)/float64(c.span+1))
	for j := 1; j <= mostSpot; j++ {
		part := halton(j)
		for _, at := range []time.Duration{c.spot(part), c.spot(part * beginning)} {
			if err := c.around(at); err != nil {
				return err
			}
		}
	}
	return nil
}

// around tries every number of replicas from a time on and until then.
func (c *climber) around(at time.Duration) error {
	for _, n := range c.heights() {
		for _, x := range []Schedule{
			c.untouched().with(n, at, c.end), c.present().with(n, at, c.end), c.present().with(n, 0, at),
		} {
			better, err := c.attempt(c.improved(), x)
			if better && err == nil {
				err = c.descend()
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// halton is the j-th number of the sequence of van der Corput in base 2: 1/2, 1/4, 3/4, 1/8, and so on.
func halton(j int) float64 {
	x := 0.0
	for part := 0.5; j > 0; j, part = j/2, part/2 {
		x += part * float64(j%2)
	}
	return x
}

// present is the best schedule from the start on.
func (c *climber) present() Schedule {
	s := c.best.schedule
	if len(s) == 0 || s[0].At > 0 {
		s = append(Schedule{{At: 0, Replicas: c.p.Target.Initial}}, s...)
	}
	return s
}

// edit makes another schedule of one that asks for something from the start on.
type edit func(Schedule) Schedule

// neighbours are the changes of the best schedule by a step: in time, in number from one change to the next, and in a
// patch, where the step is not too small for that.
func (c *climber) neighbours(step time.Duration) []edit {
	out := append(c.shifts(step), c.levels()...)
	if step >= c.span/patches {
		for at := time.Duration(0); at < c.span; at += step {
			out = append(out, c.nudge(at, at+step, -1), c.nudge(at, at+step, 1))
			out = append(out, c.nudge(at, c.end, -1), c.nudge(at, c.end, 1))
		}
	}
	return out
}

// shifts make each change later and sooner.
func (c *climber) shifts(step time.Duration) []edit {
	s := c.present()
	var out []edit
	for i := 1; i < len(s); i++ {
		at := s[i].At
		out = append(out, set(s[i-1].Replicas, at, at+step), set(s[i].Replicas, max(0, at-step), at))
	}
	return out
}

// levels make one replica fewer and one more of each stretch without a change, or leave the change before it out.
func (c *climber) levels() []edit {
	s := c.present()
	var out []edit
	for i, x := range s {
		to := c.end
		if i+1 < len(s) {
			to = s[i+1].At
		}
		out = append(out, c.nudge(x.At, to, -1), c.nudge(x.At, to, 1))
		if i > 0 {
			out = append(out, set(s[i-1].Replicas, x.At, to))
		}
	}
	return out
}

// set asks for n replicas between two times.
func set(n int32, from, to time.Duration) edit {
	return func(s Schedule) Schedule { return s.with(n, from, to) }
}

// nudge asks for that many more between two times.
func (c *climber) nudge(from, to time.Duration, more int32) edit {
	return func(s Schedule) Schedule {
		return s.between(from, to, func(n int32) int32 { return min(max(n+more, c.p.Target.Min), c.most) })
	}
}
