package oracle

import (
	"container/heap"
	"math"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// Bounder computes the cost in GPU-seconds that no schedule can undercut, from requests in order of time. Its memory
// grows with the prefix blocks of a trace that has them, and not otherwise with the requests.
//
// Two bounds hold at once, and the higher one counts. Work: a replica's time is the sum of its steps, a step costs its
// base and so much for each token in it, and holds only so many tokens; so each request needs at least its tokens' time
// and its share of the fewest steps. Presence: from its latest first token until its earliest last one, a request that
// meets the objectives keeps some replica alive. From both, the permitted share of misses is taken away where it saves
// most.
type Bounder struct {
	profile  replica.Profile
	slo      score.SLO
	cache    cached
	work     [shares]tail
	presence presence

	requests, hopeless int64
}

// NewBounder returns a bounder of replicas of a profile under an objective.
func NewBounder(p replica.Profile, slo score.SLO) *Bounder {
	return &Bounder{profile: p, slo: slo}
}

// Add takes in the next request.
func (b *Bounder) Add(q trace.Request) {
	b.add(q, priced(b.profile, b.slo, q, b.cache.tokens(q)))
}

func (b *Bounder) add(q trace.Request, x price) {
	b.requests++
	if x.hopeless {
		b.hopeless++
		return
	}
	for i := range b.work {
		b.work[i].add(x.work[i])
	}
	at := q.At.Seconds()
	b.presence.add(at+b.slo.TTFT.Seconds(), at+x.alive)
}

// Allowed is how many requests may miss the objectives.
func (b *Bounder) Allowed() int64 { return allowed(b.requests, b.slo.Attainment) }

// allowed is how many of n requests may miss so that the rest is at least the share asked for.
func allowed(n int64, attainment float64) int64 {
	return int64(math.Floor(float64(n)*(1-attainment) + 1e-9))
}

// Hopeless is how many requests no replica could serve within the objectives.
func (b *Bounder) Hopeless() int64 { return b.hopeless }

// GPUSeconds returns the bound, false where no schedule can meet the objective. A millionth is given away for rounding.
func (b *Bounder) GPUSeconds() (float64, bool) {
	spare := b.Allowed() - b.hopeless
	if spare < 0 {
		return 0, false
	}
	least := b.presence.least(spare)
	for i := range b.work {
		least = max(least, b.work[i].least(spare))
	}
	return least * float64(b.profile.GPUs) * (1 - 1e-6), true
}

// tail is a sum from which the largest terms can be taken away afterwards: counts and sums in logarithmic bins of 1 %,
// from a microsecond to three years.
type tail struct {
	count [tailBins]int64
	sum   [tailBins]float64
}

const (
	tailBins  = 3300
	tailFloor = 1e-6
)

var tailWidth = math.Log(1.01)

func (t *tail) add(x float64) {
	i := 0
	if x > tailFloor {
		i = min(int(math.Log(x/tailFloor)/tailWidth), tailBins-1)
	}
	t.count[i]++
	t.sum[i] += x
}

// least returns the sum without its n largest terms. Of a bin that goes in part, at most the upper edge is taken for each.
func (t *tail) least(n int64) float64 {
	total := 0.0
	for i := tailBins - 1; i >= 0; i-- {
		switch c := t.count[i]; {
		case c <= n:
			n -= c
		default:
			edge := tailFloor * math.Exp(float64(i+1)*tailWidth)
			total += max(0, t.sum[i]-float64(n)*edge)
			n = 0
		}
	}
	return total
}

// presence is the time during which at least one replica must be there, as the union of intervals. To uncover an
// instant that k intervals cover, k requests must be dropped; so each dropped one uncovers at most its share, the
// integral of 1/k over its own interval. The shares add up to the union.
type presence struct {
	open  endings // ends of intervals that have begun
	now   float64
	area  float64 // integral of 1/k until now
	share tail
}

// ending is the end of an interval, and the integral of 1/k at its beginning.
type ending struct{ at, area float64 }

// endings is a heap by end.
type endings []ending

// Len, Less, Swap, Push and Pop are heap.Interface.
func (e endings) Len() int           { return len(e) }
func (e endings) Less(i, j int) bool { return e[i].at < e[j].at }
func (e endings) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }

// Push appends x; heap.Push calls it.
func (e *endings) Push(x any) { *e = append(*e, x.(ending)) }

// Pop removes the last element; heap.Pop calls it.
func (e *endings) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}

// add takes in an interval; they come in order of their beginnings.
func (p *presence) add(from, to float64) {
	if !(to > from) {
		return
	}
	p.pass(from)
	heap.Push(&p.open, ending{at: to, area: p.area})
}

// pass ends what ends until t.
func (p *presence) pass(t float64) {
	for len(p.open) > 0 && p.open[0].at <= t {
		p.lapse(p.open[0].at)
		gone := heap.Pop(&p.open).(ending)
		p.share.add(p.area - gone.area)
	}
	p.lapse(t)
}

func (p *presence) lapse(t float64) {
	if k := len(p.open); k > 0 && !math.IsInf(t, 1) {
		p.area += (t - p.now) / float64(k)
	}
	p.now = t
}

// least returns the union's length when n requests are dropped, in seconds. Nothing may be added afterwards.
func (p *presence) least(n int64) float64 {
	p.pass(math.Inf(1))
	return p.share.least(n)
}
