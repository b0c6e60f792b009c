package score

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Options say which run a Collector scores, and by what.
type Options struct {
	// Policy, Seed and LeadTime name the run.
	Policy   string
	Seed     uint64
	LeadTime time.Duration
	// Target is the one to score where a run has several; empty takes all that comes.
	Target string
	SLO    SLO
	// GPUs is how many one replica holds.
	GPUs int
	// Price is that of one GPU-hour, zero where unknown.
	Price float64
	// Start is the date of the trace's zero.
	Start time.Time
	// Zero says that the target may be without a replica.
	Zero bool
}

// Collector scores one target of one run as it goes: it is a replay.Sink whose memory does not grow.
type Collector struct {
	o        Options
	requests Requests
	within   struct{ ttft, tpot, tokens uint64 }
	ttft     firstTokens
	tpot     Sketch
	e2e      Sketch
	census   censusTaker
	blind    blindness
	reasons  map[scaling.Reason]int
	zero     zeroTaker
}

// NewCollector returns a Collector for one run.
func NewCollector(o Options) *Collector {
	return &Collector{o: o, reasons: map[scaling.Reason]int{}}
}

func (o Options) concerns(target string) bool { return o.Target == "" || o.Target == target }

// Ended counts a request.
func (c *Collector) Ended(r replay.Request) {
	if !c.o.concerns(r.Target) {
		return
	}
	c.requests.Arrived++
	c.ttft.take(r)
	c.zero.ended(r)
	switch r.Outcome {
	case replay.Completed:
		c.completed(r)
	case replay.TimedOut:
		c.requests.TimedOut++
	case replay.Rejected:
		c.requests.Rejected++
	case replay.Lost:
		c.requests.Lost++
	}
}

func (c *Collector) completed(r replay.Request) {
	c.requests.Completed++
	c.requests.InputTokens += uint64(r.PromptTokens)
	c.requests.OutputTokens += uint64(r.OutputTokens)
	c.e2e.Observe(r.E2E)
	if r.OutputTokens > 1 {
		c.tpot.Observe(r.TPOT)
	}
	v := c.o.SLO.Judge(r)
	if v.TTFT {
		c.within.ttft++
	}
	if v.TPOT {
		c.within.tpot++
	}
	if v.Both {
		c.requests.WithinSLO++
		c.within.tokens += uint64(r.OutputTokens)
	}
}

// Counted takes a change of the target's replicas.
func (c *Collector) Counted(x replay.Census) {
	if c.o.concerns(x.Target) {
		c.census.take(x)
	}
}

// Decided counts a decision.
func (c *Collector) Decided(target string, d scaling.Decision, _ baseline.Gateway) {
	if !c.o.concerns(target) {
		return
	}
	c.reasons[d.Reason]++
	c.zero.decided(&d.BreakEven)
	c.blind.take(d.Time.Sub(c.o.Start), d.Blind)
}

// Score is what the run was worth, with what Run said of the target at its end.
func (c *Collector) Score(t replay.Total) Score {
	gpus := float64(c.o.GPUs)
	warm := t.Standby + t.Asleep
	h := c.census.hours(t.Idle, warm, gpus)
	s := Score{
		Policy: c.o.Policy, Target: c.o.Target, Seed: c.o.Seed, LeadTime: c.o.LeadTime.Seconds(),
		Duration:   t.End.Seconds(),
		GPUSeconds: (c.census.held() + warm).Seconds() * gpus, GPUHours: h,
		Price: c.o.Price, Cost: c.o.Price * h.Total,
		Requests: c.requests, Attainment: c.attainment(), Goodput: c.goodput(t.End),
		TTFT: c.ttft.latency(), TPOT: c.tpot.latency(), E2E: c.e2e.latency(),
		Scaling: c.census.scaling(), Replicas: c.census.replicas(t.End),
		Unschedulable: c.census.unscheduled.Seconds(), Blind: c.blind.until(t.End).Seconds(),
		Decisions: c.reasons,
	}
	s.Scaling.ColdStarts, s.Scaling.Crashes = t.ColdStarts, t.Crashes
	if c.o.Zero {
		s.Zero = c.zero.score(t, c.census.vacant, gpus)
	}
	return s
}

func (c *Collector) attainment() *Attainment {
	all := float64(c.requests.Arrived)
	if all == 0 {
		return nil
	}
	return &Attainment{
		Both: float64(c.requests.WithinSLO) / all, TTFT: float64(c.within.ttft) / all, TPOT: float64(c.within.tpot) / all,
	}
}

func (c *Collector) goodput(length time.Duration) *Goodput {
	if length <= 0 {
		return nil
	}
	s := length.Seconds()
	return &Goodput{Requests: float64(c.requests.WithinSLO) / s, OutputTokens: float64(c.within.tokens) / s}
}
