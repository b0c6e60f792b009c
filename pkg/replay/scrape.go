package replay

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// scrape fetches the page of a ready replica, and puts the next time on the agenda.
func (u *unit) scrape() {
	s, c := u.service, u.service.cluster
	c.agenda.add(event{at: c.now + s.path.Scrape, kind: scraped, unit: u, epoch: u.epoch})
	if s.lost() {
		u.problem = "get page: no answer in time"
		return
	}
	c.advance(u, c.now)
	u.reveal()
	u.engine.StatsInto(&c.stats)
	u.readings = append(u.readings, page(c.at(c.now), c.at(u.born), &c.stats, u.engine.Profile()))
	u.problem = ""
}

// lost decides whether a page cannot be fetched.
func (s *service) lost() bool {
	return s.cluster.outage || s.losses != nil && s.losses.Float64() < s.cluster.cfg.LostScrapes
}

// reveal makes the newest reading visible that has passed the path.
func (u *unit) reveal() {
	until := u.service.horizonOfPath()
	n := 0
	for n < len(u.readings) && !u.readings[n].Time.After(until) {
		u.visible = u.readings[n]
		n++
	}
	u.readings = append(u.readings[:0], u.readings[n:]...)
}

// horizonOfPath is the time of the newest reading that can have passed the policy's path.
func (s *service) horizonOfPath() time.Time { return s.cluster.at(s.cluster.now - s.path.Lag) }

// page returns what the page of a vLLM engine tells, in the vocabulary of pkg/signals: all that the profile
// pkg/exposition/profiles/vllm.yaml finds on one. The size of the largest batch is not on it, and so not here.
func page(now, started time.Time, s *replica.Stats, p replica.Profile) *signals.Reading {
	r := &signals.Reading{Time: now, Started: started}
	r.Set(signals.RequestsWaiting, float64(s.Waiting))
	r.Set(signals.RequestsWaitingCapacity, float64(s.Waiting))
	r.Set(signals.RequestsRunning, float64(s.Running))
	r.Set(signals.KVCacheUtilization, s.KVUsage)
	r.Set(signals.KVCacheCapacityTokens, float64(p.KVTokens/p.BlockSize*p.BlockSize))
	r.Set(signals.RequestsFinished, float64(s.Finished+s.Cancelled))
	r.Set(signals.PromptTokens, float64(s.PromptTokens))
	r.Set(signals.PromptTokensComputed, float64(s.PromptTokens-s.CachedTokens))
	r.Set(signals.GenerationTokens, float64(s.GenerationTokens))
	r.Set(signals.PrefixCacheQueries, float64(s.PrefixCacheQueries))
	r.Set(signals.PrefixCacheHits, float64(s.PrefixCacheHits))
	r.Set(signals.Preemptions, float64(s.Preemptions))
	r.Set(signals.Engines, 1)
	r.Set(signals.EnginesAwake, 1)
	setLatencies(r, s)
	return r
}

// setLatencies copies the distributions, all of them into one piece of memory: a week has millions of pages.
func setLatencies(r *signals.Reading, s *replica.Stats) {
	latencies := [signals.NumLatencies]*replica.Histogram{
		signals.TTFT: &s.TTFT, signals.ITL: &s.ITL, signals.TPOT: &s.TPOT, signals.E2E: &s.E2E, signals.QueueTime: &s.Queue,
	}
	size := 0
	for _, h := range latencies {
		size += len(h.Counts)
	}
	counts := make([]float64, 0, size)
	copies := new([signals.NumLatencies]signals.Histogram)
	for l, h := range latencies {
		from := len(counts)
		counts = appendCumulative(counts, h.Counts)
		copies[l] = signals.Histogram{Bounds: h.Bounds, Counts: counts[from:len(counts):len(counts)], Sum: h.Sum}
		r.SetHistogram(signals.Latency(l), &copies[l])
	}
}

// scrapeGateway fetches the gateway's page, and puts the next time on the agenda.
func (s *service) scrapeGateway() {
	c := s.cluster
	c.agenda.add(event{at: c.now + s.path.Scrape, kind: gatewayScraped, service: s})
	if s.lost() {
		return
	}
	s.revealGateway()
	s.readings = append(s.readings, s.truth())
}

func (s *service) revealGateway() {
	until := s.horizonOfPath()
	n := 0
	for n < len(s.readings) && !s.readings[n].Time.After(until) {
		s.visible = s.readings[n]
		n++
	}
	s.readings = append(s.readings[:0], s.readings[n:]...)
}

// truth is the gateway as it is now.
func (s *service) truth() baseline.Gateway {
	for _, u := range s.units {
		u.catchUp()
	}
	now := s.cluster.now
	return baseline.Gateway{
		Time:   s.cluster.at(now),
		Queued: float64(s.held), QueuedTokens: float64(s.heldTokens), InFlight: float64(s.inflight),
		Arrived: float64(s.arrived), PromptTokens: float64(s.promptTokens),
		Answered: float64(s.answers), OutputTokens: float64(s.answeredTokens),
		Concurrency: (float64(s.open)*float64(now) + s.inside) / float64(time.Second),
		TTFT:        s.ttft.snapshot(), TPOT: s.tpot.snapshot(), E2E: s.e2e.snapshot(),
	}
}
