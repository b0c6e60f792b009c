package oracle

import (
	"math"
	"slices"
	"time"
)

// sight is the window over which the work that a replica has to share is measured: as long as a request stays.
const sight = 30 * time.Second

// curve says which share of requests misses the objectives at a utilization, the work arriving over the replicas ready,
// as it was in earlier runs. Small pools have curves of their own, since arrivals are noisier there.
type curve struct {
	arrived, missed [sizes][utilizations]float64
}

// Utilizations are kept in bins of 4 %, from 1/50 up.
const (
	sizes        = 6
	utilizations = 160
	leastUtil    = 0.02
)

var utilWidth = math.Log(1.04)

// size is the class of a pool: 1, 2, 3, 4 to 7, 8 to 15, and larger ones.
func size(n float64) int {
	switch {
	case n < 3.5:
		return max(0, int(n+0.5)-1)
	case n < 7.5:
		return 3
	case n < 15.5:
		return 4
	}
	return 5
}

func utilization(work, n float64) int {
	u := work / n / leastUtil
	if !(u > 1) {
		return 0
	}
	return min(int(math.Log(u)/utilWidth), utilizations-1)
}

// learn takes in a run: for each cell the work around it, the requests that arrived less those that are lost whatever
// is done, and what the run came to.
func (c *curve) learn(work []float64, seen *survey, t *tally) {
	for i, arrived := range seen.arrived {
		a, missed := arrived-seen.lost[i], element(t.misses, i)-seen.lost[i]
		n := element(t.ready, i) / t.cell.Seconds()
		if a <= 0 || n < 0.5 {
			continue
		}
		s, u := size(n), utilization(work[i], n)
		c.arrived[s][u] += float64(a)
		c.missed[s][u] += float64(max(0, missed))
	}
}

// shares is the curve with the noise taken out: for each class of size and each bin of utilization the share that misses,
// which never falls. Where nothing was seen, what is known of all sizes stands in; beyond the highest utilization seen
// it rises to one.
func (c *curve) shares() [sizes][utilizations]float64 {
	var all curve
	for s := range sizes {
		for u := range utilizations {
			all.arrived[0][u] += c.arrived[s][u]
			all.missed[0][u] += c.missed[s][u]
		}
	}
	pooled := monotone(all.arrived[0][:], all.missed[0][:], nil)
	var out [sizes][utilizations]float64
	for s := range sizes {
		copy(out[s][:], monotone(c.arrived[s][:], c.missed[s][:], pooled))
	}
	return out
}

// strength is how many requests' worth the pooled curve counts in each bin of a size's own.
const strength = 50

// monotone returns misses over arrivals, by the pool of adjacent violators: neighbouring bins are merged until the shares
// rise. Prior is what is expected where little was seen; nil expects nothing.
func monotone(arrived, missed, prior []float64) []float64 {
	type block struct {
		arrived, missed float64
		bins            int
	}
	var blocks []block
	last := lastSeen(arrived)
	for i := range arrived {
		b := block{arrived: arrived[i] + 1e-6, missed: missed[i], bins: 1}
		switch {
		case prior != nil:
			b.arrived += strength
			b.missed += strength * prior[i]
		case i > last: // all is lost at half as much again as was seen
			b.missed = b.arrived * min(1, float64(i-last)/10)
		}
		blocks = append(blocks, b)
		for n := len(blocks); n > 1 && blocks[n-2].missed*blocks[n-1].arrived >= blocks[n-1].missed*blocks[n-2].arrived; n-- {
			blocks[n-2].arrived += blocks[n-1].arrived
			blocks[n-2].missed += blocks[n-1].missed
			blocks[n-2].bins += blocks[n-1].bins
			blocks = blocks[:n-1]
		}
	}
	var out []float64
	for _, b := range blocks {
		out = append(out, slices.Repeat([]float64{min(1, b.missed/b.arrived)}, b.bins)...)
	}
	return out
}

func lastSeen(arrived []float64) int {
	for i, n := range slices.Backward(arrived) {
		if n > 0 {
			return i
		}
	}
	return -1
}
