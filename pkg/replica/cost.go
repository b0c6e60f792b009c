package replica

import (
	"math"
	"time"
)

// picoseconds is a duration fine enough to add up the cost of single KV tokens
// (tens of picoseconds to hundreds of nanoseconds) without rounding drift, so
// that skipping over n steps gives exactly what n single steps give.
type picoseconds int64

const perNanosecond picoseconds = 1000

func fromMillis(ms float64) picoseconds { return picoseconds(math.Round(ms * 1e9)) }

// cost is Profile's step-time formula in integers.
type cost struct {
	base, perSequence, perContext, perPrefill, perPair picoseconds
	// experts is the time to read the experts that a step of so many tokens
	// touches; beyond its end all of them are.
	experts []picoseconds
}

// expertTokens is the length of the table of experts touched: where a token
// takes 1 % of the experts, 512 tokens touch 99.4 % of them.
const expertTokens = 512

func newCost(p Profile) cost {
	c := cost{
		base:        fromMillis(p.StepBase),
		perSequence: fromMillis(p.StepPerSequence),
		perContext:  fromMillis(p.StepPerContextToken),
		perPrefill:  fromMillis(p.PrefillPerToken),
		perPair:     fromMillis(p.PrefillPerTokenPair),
	}
	if p.ExpertStep > 0 {
		c.experts = make([]picoseconds, expertTokens+1)
		for n := range c.experts {
			c.experts[n] = fromMillis(p.ExpertStep * (1 - math.Pow(1-p.ExpertShare, float64(n))))
		}
	}
	return c
}

// decode is the time of a step with the given decoding sequences and context,
// without what its experts cost.
func (c *cost) decode(sequences int, context int64) picoseconds {
	return c.base + c.perSequence*picoseconds(sequences) + c.perContext*picoseconds(context)
}

// touched is the time to read the experts for a step of so many tokens.
func (c *cost) touched(tokens int) picoseconds {
	if len(c.experts) == 0 {
		return 0
	}
	return c.experts[min(tokens, expertTokens)]
}

// prefill is what a chunk of n tokens after ctx computed ones adds to a step.
func (c *cost) prefill(n, ctx int) picoseconds {
	pairs := picoseconds(n) * picoseconds(2*ctx+n) / 2
	return c.perPrefill*picoseconds(n) + c.perPair*pairs
}

// longestStride is a number of steps whose total time cannot overflow: a quarter
// of the range of picoseconds, were every one as long as with a full batch and a
// full cache.
func (c *cost) longestStride(p Profile) int64 {
	longest := float64(c.decode(p.MaxNumSeqs, int64(p.KVTokens)) + c.touched(p.MaxNumSeqs))
	growth := float64(c.perContext) * float64(p.MaxNumSeqs)
	n := int64(1) << 20
	for n > 1 && float64(n)*(longest+float64(n/2)*growth) > 1<<61 {
		n /= 2
	}
	return n
}

// instant is a point in time with picosecond resolution.
type instant struct {
	at   time.Duration // on the caller's clock
	rest picoseconds   // below one nanosecond
}

func (t instant) add(d picoseconds) instant {
	d += t.rest
	return instant{at: t.at + time.Duration(d/perNanosecond), rest: d % perNanosecond}
}

// after says whether t is later than the whole-nanosecond time u.
func (t instant) after(u time.Duration) bool {
	return t.at > u || (t.at == u && t.rest > 0)
}

// ceil is the first whole nanosecond not before t.
func (t instant) ceil() time.Duration {
	if t.rest > 0 {
		return t.at + 1
	}
	return t.at
}

// until is the time from t to u, at most 50 days: longer than any stride.
func (t instant) until(u time.Duration) picoseconds {
	const most = 50 * 24 * time.Hour
	return picoseconds(min(u-t.at, most))*perNanosecond - t.rest
}
