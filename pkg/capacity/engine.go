package capacity

import (
	"fmt"
	"math"
	"time"
)

const (
	// lawHalfLife is how fast what was seen of an engine's steps loses weight: long against bursts, short against changes
	// of software. mixHalfLife is the same for the tokens of a request: what people ask changes within the hour.
	lawHalfLife = 30 * time.Minute
	mixHalfLife = 10 * time.Minute
	// slowestHalfLife is how fast the slowest step seen loses believability.
	slowestHalfLife = 24 * time.Hour
	// fastest is a rate of steps, in 1/s, that no engine has.
	fastest = 1e6
	// minTokens is the least number of tokens behind a mean inter-token latency that is worth learning from.
	minTokens = 20
	// minIntervals and minRequests are the least (decayed) numbers before anything is said.
	minIntervals, minRequests = 16, 20
	// keepIntervals and keepRequests are what time alone never takes from the sums: a quiet night does not forget what the
	// day has taught.
	keepIntervals, keepRequests = 64, 300
	// ridge pulls a prefilled token towards the cost of a generated one, by this share of the variance of prefill: where the
	// mix never changes, only their sum can be told. A generated token of a context of a thousand costs about what a
	// prefilled one does on the engines measured (0.8 to 1.3 times).
	ridge = 0.1
	// dearestPrefill and cheapestPrefill bound a prefilled token's cost in generated ones.
	cheapestPrefill, dearestPrefill = 0.3, 4
	// usableKV is the share of the KV cache planned with; above it engines begin to preempt.
	usableKV = 0.9
	// outOfReach is the share of the empty engine's step rate that is planned with where TPOT cannot be met by any number
	// of replicas.
	outOfReach = 1. / 3
	// lateFirst is the share of first tokens that may come late by the law of the prefill queue: the prior of what misses
	// will tell.
	lateFirst = 0.05
)

// Engine is the law by which an engine's steps slow down with its work, learned from scrapes.
//
// A step of a continuously batching engine takes a + d·B + p·n for B decoding sequences and n prefilled tokens. With g
// generated and f prefilled tokens per second and steps of ITL, B = g·ITL and n = f·ITL, so that
//
//	1/ITL = 1/a − (d/a)·g − (p/a)·f
//
// is linear in what the counters tell: the rate of steps falls by a fixed amount for each token per second. It needs no
// batch sizes (gauges, read between steps) and holds from an idle engine to a full one; replicas at different loads teach
// it together.
type Engine struct {
	// N, Y, A, F, AA, AF, FF, AY, FY and YY are decayed sums over intervals of 1, y = 1/ITL, all tokens per second a = g+f,
	// prefilled tokens per second f, and their products.
	N, Y, A, F, AA, AF, FF, AY, FY, YY float64
	// Requests, Prompt, Prefilled and Generated are decayed sums of requests, those half done counted half, and their
	// tokens: the mix.
	Requests, Prompt, Prefilled, Generated float64
	// KVN and KV are sums over intervals of 1 and utilization per running request; Max is the engine's largest batch, zero
	// where not known.
	KVN, KV, Max float64
	// Slowest is the lowest rate of steps seen, in 1/s.
	Slowest float64
}

func (e *Engine) decay(age time.Duration) {
	half := func(life time.Duration) float64 { return math.Exp2(-age.Seconds() / life.Seconds()) }
	law := atLeast(half(lawHalfLife), e.N, keepIntervals)
	scale(law, &e.N, &e.Y, &e.A, &e.F, &e.AA, &e.AF, &e.FF, &e.AY, &e.FY, &e.YY)
	scale(atLeast(half(lawHalfLife), e.KVN, keepIntervals), &e.KVN, &e.KV)
	scale(atLeast(half(mixHalfLife), e.Requests, keepRequests), &e.Requests, &e.Prompt, &e.Prefilled, &e.Generated)
	if e.Slowest > 0 { // after years without a step the divisor is zero
		e.Slowest = math.Min(e.Slowest/half(slowestHalfLife), fastest)
	}
}

func scale(k float64, xs ...*float64) {
	for _, x := range xs {
		*x *= k
	}
}

// atLeast returns the decay that leaves keep of a weight.
func atLeast(k, weight, keep float64) float64 {
	if weight <= keep {
		return 1
	}
	return math.Max(k, keep/weight)
}

// learn takes what one replica reported over an interval. Idle intervals, and those of an
// engine that drowns, teach only the mix.
func (e *Engine) learn(x Interval) {
	e.Requests += x.served()
	e.Prompt += x.Prompt
	e.Prefilled += x.Prefilled
	e.Generated += x.Generated
	e.Max = math.Max(e.Max, x.Max)
	if x.Running < 1 || x.drowned() || x.Tokens < minTokens || x.ITL <= 0 || x.Seconds <= 0 {
		return
	}
	if x.KV >= 0 {
		e.KVN++
		e.KV += x.KV / x.Running
	}
	y, f := 1/x.ITL, x.Prefilled/x.Seconds
	a := x.Generated/x.Seconds + f
	e.N++
	e.Y, e.A, e.F = e.Y+y, e.A+a, e.F+f
	e.AA, e.AF, e.FF = e.AA+a*a, e.AF+a*f, e.FF+f*f
	e.AY, e.FY, e.YY = e.AY+a*y, e.FY+f*y, e.YY+y*y
	if e.Slowest == 0 || y < e.Slowest {
		e.Slowest = y
	}
}

// Mix returns the mean prompt and generated tokens of a request, false where too few have finished.
func (e *Engine) Mix() (prompt, generated float64, ok bool) {
	if e.Requests < minRequests {
		return 0, 0, false
	}
	return e.Prompt / e.Requests, e.Generated / e.Requests, true
}

// wanting says what is missing for a law.
func (e *Engine) wanting() string {
	return fmt.Sprintf("not declared and not learned yet: %.0f of %d intervals, %.0f of %d requests seen", e.N, minIntervals, e.Requests, minRequests)
}

// law is the rate of an empty engine's steps, and by how much a generated and a prefilled token per second slow it down.
type law struct {
	empty, generated, prefilled float64
	// err is the standard error of generated relative to it.
	err float64
}

// law fits the steps seen by least squares, with the slope one standard error steeper than the data say: what has not been
// seen is taken to be worse than it looks. False where too little was seen, or no step was slower than another.
func (e *Engine) law() (law, bool) {
	if e.N < minIntervals {
		return law{}, false
	}
	mA, mF, mY := e.A/e.N, e.F/e.N, e.Y/e.N
	aa, af, ff := e.AA/e.N-mA*mA, e.AF/e.N-mA*mF, e.FF/e.N-mF*mF
	ay, fy, yy := e.AY/e.N-mA*mY, e.FY/e.N-mF*mY, e.YY/e.N-mY*mY
	if aa <= 1e-9*mA*mA {
		return law{}, false
	}
	ff += ridge * (ff + 0.01*mF*mF)
	det := aa*ff - af*af
	slope, extra := -ay/aa, 0.
	if det > 1e-12*aa*ff {
		slope, extra = (fy*af-ay*ff)/det, (ay*af-fy*aa)/det
	}
	if !(slope > 0) {
		return law{}, false
	}
	extra = math.Min(math.Max(extra, (cheapestPrefill-1)*slope), (dearestPrefill-1)*slope)
	residual := yy + 2*slope*ay + 2*extra*fy + slope*slope*aa + 2*slope*extra*af + extra*extra*ff
	err := math.Sqrt(math.Max(0, residual) / (e.N * aa))
	slope += err
	return law{empty: mY + slope*mA + extra*mF, generated: slope, prefilled: slope + extra, err: err / slope}, true
}

// sustained is what the law says that a replica sustains.
type sustained struct {
	rate, err, concurrency float64
	text                   string
}

// sustains returns the highest rate of requests of the present mix at which the steps still keep TPOT, the batch fits into
// the engine and the queue of prompts keeps TTFT.
func (e *Engine) sustains(c Config) (sustained, bool) {
	l, ok := e.law()
	if !ok || e.Requests < minRequests || e.Generated <= 0 {
		return sustained{}, false
	}
	output, prefill := e.Generated/e.Requests, e.Prefilled/e.Requests
	slow := l.generated*output + l.prefilled*prefill // by how much a request per second slows the steps
	room, bound := l.room(c.TPOT)
	rate := room / slow
	atMost := func(r float64, name string) {
		if r < rate {
			rate, bound = r, name
		}
	}
	batch, name := e.batch()
	atMost(batch*l.empty/(output+batch*slow), name) // batch = rate·output·ITL at ITL = 1/(empty − rate·slow)
	if c.TTFT > 0 && prefill > 0 {
		each := l.prefilled / l.empty * prefill // seconds of prefill
		atMost(busyWithin(c.TTFT.Seconds(), each)/each, fmt.Sprintf("TTFT %v", c.TTFT))
	}
	itl := 1 / (l.empty - rate*slow)
	return sustained{
		rate: rate, concurrency: rate * output * itl, err: l.doubt(e.Slowest, room),
		text: fmt.Sprintf("steps of %.1f ms + %.3f ms a sequence + %.3f ms a prompt token, %.0f of %.0f tokens a request, bound by %s",
			1e3/l.empty, 1e3*l.generated/l.empty, 1e3*l.prefilled/l.empty, output, output+prefill, bound),
	}, true
}

// room is by how much the rate of steps may fall, and the name of what bounds it. Without an objective it is three quarters
// of it: from there on the second half of the latency is paid for the last quarter of the throughput.
func (l law) room(tpot time.Duration) (room float64, bound string) {
	if tpot <= 0 {
		return 0.75 * l.empty, "three quarters of the throughput"
	}
	room = l.empty - 1/tpot.Seconds()
	if least := outOfReach * l.empty; room < least {
		return least, fmt.Sprintf("TPOT %v, which is out of reach", tpot)
	}
	return room, fmt.Sprintf("TPOT %v", tpot)
}

// doubt is the standard error of the logarithm of what a law sustains: what no fit gets below, the slope's, and what
// looking beyond the slowest step that was seen may err by.
func (l law) doubt(slowest, room float64) float64 {
	const least, beyond = 0.15, 0.15
	used := math.Max((l.empty-slowest)/room, 1e-3)
	return math.Sqrt(least*least + l.err*l.err + math.Pow(beyond*math.Max(0, -math.Log(used)), 2))
}

// batch is the largest batch, and what bounds it.
func (e *Engine) batch() (float64, string) {
	batch, name := math.MaxInt32+0., ""
	if e.Max > 0 {
		batch, name = e.Max, "the engine's largest batch"
	}
	if e.KVN > 0 && e.KV > 0 {
		if n := usableKV * e.KVN / e.KV; n < batch {
			batch, name = n, "the KV cache"
		}
	}
	return batch, name
}

// busyWithin is the share of the time that prefill may take so that no more than lateFirst of first tokens are later than
// ttft: with prompts that take each seconds in the mean and vary like exponential ones, waiting exceeds t with probability
// ρ·exp(−(1−ρ)·t/each) (M/M/1), here with half as much again for what an engine computes beside.
func busyWithin(ttft, each float64) float64 {
	low, high := 0., 1.
	for range 30 {
		busy := (low + high) / 2
		if busy*math.Exp(-(1-busy)*math.Max(0, ttft-each)/(1.5*each)) > lateFirst {
			high = busy
		} else {
			low = busy
		}
	}
	return low
}
