package oracle

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// shares are the ways in which a step's fixed time can be charged to the requests in it. Each alone bounds the number of
// steps from below, so that each makes a valid bound; which one is highest depends on the load.
const (
	bySequence = iota // a step decodes at most MaxNumSeqs tokens
	byContext         // and reads at most KVTokens of context
	byBatch           // and computes at most MaxNumBatchedTokens
	shares
)

// price is the least that one request costs a replica.
type price struct {
	// work is the replica time in seconds, for each way of charging the steps.
	work [shares]float64
	// first is the least time to the first token, alive the least time from arrival to the last one, both in seconds.
	first, alive float64
	// hopeless is set where the request cannot meet the objectives on any replica.
	hopeless bool
}

// cached is how many tokens of a prompt a prefix cache that forgets nothing would supply.
type cached struct{ seen map[uint64]struct{} }

// tokens returns the cached part of a prompt, and remembers its blocks.
func (c *cached) tokens(q trace.Request) int {
	if len(q.Blocks) == 0 {
		return 0
	}
	if c.seen == nil {
		c.seen = map[uint64]struct{}{}
	}
	known := 0
	for _, b := range q.Blocks {
		if _, ok := c.seen[b]; !ok {
			break
		}
		known++
	}
	for _, b := range q.Blocks[known:] {
		c.seen[b] = struct{}{}
	}
	return min(known*trace.BlockTokens, q.PromptTokens-1)
}

// priced returns the least cost of a request of which a prefix cache supplies some tokens.
func priced(p replica.Profile, slo score.SLO, q trace.Request, cached int) price {
	prompt, decodes, known := float64(q.PromptTokens), float64(q.OutputTokens-1), float64(cached)
	fresh := prompt - known
	context := decodes*prompt + decodes*(decodes+1)/2
	own := decodes*fresh + decodes*(decodes+1)/2 // a block that several share fills the cache once, however many read it
	prefill := p.PrefillPerToken*fresh + p.PrefillPerTokenPair*fresh*(known+fresh/2)
	decode := p.StepPerSequence*decodes + p.StepPerContextToken*context

	var x price
	steps := [shares]float64{
		bySequence: decodes / float64(p.MaxNumSeqs) * stepBase(p, p.MaxNumSeqs),
		byContext:  own / float64(p.KVTokens) * stepBase(p, 1),
		byBatch:    (fresh + decodes) / float64(p.MaxNumBatchedTokens) * stepBase(p, p.MaxNumBatchedTokens),
	}
	for i, share := range steps {
		x.work[i] = (prefill + decode + share) / 1e3
	}
	least := stepBase(p, 1)
	x.first = (p.APIOverhead + prefill + least*math.Ceil(fresh/float64(p.MaxNumBatchedTokens))) / 1e3
	x.alive = x.first + (decode+least*decodes)/1e3
	x.hopeless = q.PromptTokens+q.OutputTokens > min(p.MaxModelLen, p.KVTokens) ||
		beyond(x.first, slo.TTFT) || (decodes > 0 && beyond((x.alive-x.first)/decodes, slo.TPOT))
	return x
}

// stepBase is what a step of so many tokens costs whatever they are, in milliseconds: its base, and the experts that they
// touch. It grows more slowly than the tokens, so that each of fewer tokens bears no less than its share of the most.
func stepBase(p replica.Profile, tokens int) float64 {
	return p.StepBase + p.ExpertStep*(1-math.Pow(1-p.ExpertShare, float64(tokens)))
}

// beyond says whether a time in seconds exceeds an objective; rounding is forgiven.
func beyond(seconds float64, objective time.Duration) bool {
	return seconds > objective.Seconds()*(1+1e-9)+1e-6
}

// typical is the time a request takes of a replica whose batch is full, in seconds: the unit of demand.
func (x price) typical() float64 {
	most := x.work[0]
	for _, w := range x.work[1:] {
		most = max(most, w)
	}
	return most
}
