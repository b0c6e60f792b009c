package replay

import "slices"

// perform carries out the scripted event that is due, and puts the next one on the agenda.
func (c *cluster) perform() {
	e := c.script[0]
	c.script = c.script[1:]
	if len(c.script) > 0 {
		c.agenda.add(event{at: c.script[0].At, kind: scripted})
	}
	switch e.Kind {
	case StockChanges:
		c.stock.limit(int(e.Value))
		c.place()
	case ReplicasCrash:
		c.crash(e)
	case ScrapesFail:
		c.outage = true
	case ScrapesWork:
		c.outage = false
	case LoadsSlow:
		c.slowness = e.Value
	case EnginesSlow:
		c.slow(e)
	case SleepersLost:
		c.lose(e)
	case WakesSlow:
		c.drowsiness = e.Value
	case TotalsBegin:
		c.recount()
	}
}

// slow makes the replicas of each target that is concerned slow, those that serve by an exchange.
func (c *cluster) slow(e Event) {
	for _, s := range c.services {
		if e.Target != "" && e.Target != s.Name {
			continue
		}
		s.pace = e.Value
		for _, u := range slices.Clone(s.units) {
			if u.stage == ready {
				s.exchange(u)
			}
		}
	}
}

// recount begins the totals anew.
func (c *cluster) recount() {
	for _, s := range c.services {
		for _, u := range s.units {
			u.settleAccount()
		}
		s.total = Total{Target: s.Name}
	}
}

// crash makes the oldest ready replicas of each target that is concerned crash, or the oldest whose containers run where
// none is ready.
func (c *cluster) crash(e Event) {
	for _, s := range c.services {
		if e.Target != "" && e.Target != s.Name {
			continue
		}
		for _, u := range s.victims(int(e.Value)) {
			u.crash()
		}
	}
}

func (s *service) victims(n int) []*unit {
	var serving, starting []*unit
	for _, u := range s.units {
		switch u.stage {
		case ready:
			serving = append(serving, u)
		case loading, warming:
			starting = append(starting, u)
		case waiting, node, pulling, draining, gone, standby, asleep, waking: // have no container, or are on their way out
		}
	}
	if len(serving) == 0 {
		serving = starting
	}
	return serving[:min(n, len(serving))]
}
