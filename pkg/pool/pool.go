// Package pool divides what several targets share: GPUs for the replicas that are awake, host memory for those that sleep.
// It says how many of each every member may have, and why; it does not carry anything out, and knows no cluster.
//
// It is part of the core: no clock, I/O, log, goroutine or global randomness.
package pool

import (
	"cmp"
	"math"
	"slices"
)

// Budget is what all members may hold together. Zero GPUs or memory are none, a negative number is no limit.
type Budget struct {
	// GPUs bounds those of replicas that are awake, serving or on standby; those asleep lend theirs to others.
	GPUs int32
	// Memory bounds the host memory that sleeping replicas keep, in bytes; Asleep bounds their number.
	Memory int64
	Asleep int32
}

// Member is one target as it stands, and what it wishes for.
type Member struct {
	// Name tells members apart.
	Name string
	// Priority goes before worth: what a member wishes for comes before anything of those of a lower one, their minimum
	// aside.
	Priority int32
	// GPUs is how many one replica holds while it is awake, AsleepGPUs how many it keeps from others while it sleeps, and
	// Memory how many bytes of host memory it takes then.
	GPUs, AsleepGPUs int32
	Memory           int64
	// Busy is how many replicas hold their GPUs now or have been asked for, those that end among them.
	// Ending is how many of these end for good: what it asks for comes beside them.
	Busy, Ending int32
	// Min is how many replicas it serves with in any case, as far as the budget has room for the minimums of all.
	Min int32
	// Serving, Standby and Asleep are its tiers.
	Serving, Standby, Asleep Wish
}

// Wish is what a member has of a tier and would have.
type Wish struct {
	// Has is how many there are.
	Has int32
	// Worth is that of the first, the second, … beyond its price, in serving replicas. What is not above zero is not wished
	// for, and a replica is worth no more than the one before it.
	Worth []float64
}

// Share is what a member may have.
type Share struct {
	Name                     string
	Serving, Standby, Asleep int32
	// Spare and SpareAsleep are how many more may be awake and asleep of what nobody wishes for.
	Spare, SpareAsleep int32
	// Awake is how many may be awake at present: all of its share and what is spare, as far as the GPUs for them are free
	// by now. What it has already does not end because others hold too much.
	Awake int32
	// Why says for each of what it wishes for and does not get who is in its place, or which budget is spent.
	Why string
	// Yields names the members of which replicas have to sleep before all that it may have awake can be.
	Yields []Yield
}

// Yield is a number of replicas of a member that sleep, or end, so that others can wake.
type Yield struct {
	Name     string
	Replicas int32
}

// constancy is by how much more a replica counts that exists than one that would take its place: shares do not change hands
// for every change of what is expected.
const constancy = 1.25

// Divide gives every member its share, in the order of the members. Minimums come first, then the members of the highest
// priority, and among equals what is worth most for each GPU, or for each byte where it is to sleep.
func Divide(members []Member, b Budget) []Share {
	d := division{left: b, shares: make([]Share, len(members)), members: members, order: make([]int, len(members))}
	for i, m := range members {
		d.shares[i].Name, d.order[i] = m.Name, i
	}
	slices.SortFunc(d.order, func(i, k int) int {
		return cmp.Or(cmp.Compare(members[k].Priority, members[i].Priority), cmp.Compare(members[i].Name, members[k].Name))
	})
	d.minimums()
	for from := 0; from < len(d.order); {
		to := from + 1
		for to < len(d.order) && members[d.order[to]].Priority == members[d.order[from]].Priority {
			to++
		}
		d.hand(d.order[from:to])
		from = to
	}
	for i, m := range members {
		d.shares[i].Spare, d.shares[i].SpareAsleep = d.left.awake(m), d.left.asleep(m)
	}
	d.yields(b)
	d.free(b)
	d.explain()
	return d.shares
}

// division is one run of Divide.
type division struct {
	members []Member
	order   []int // of members, by priority and name
	left    Budget
	shares  []Share
}

// minimums gives each member the replicas that it serves with in any case.
func (d *division) minimums() {
	for _, i := range d.order {
		for d.shares[i].Serving < d.members[i].Min && d.take(claim{member: i, tier: serving}) {
			d.shares[i].Serving++
		}
	}
}

// tier is one of the three.
type tier uint8

const (
	serving tier = iota
	standby
	asleep
)

// claim is one replica that a member wishes for.
type claim struct {
	member int
	tier   tier
	// place is its number in its tier, from zero; worth is what it counts for each GPU or GiB.
	place int32
	worth float64
}

// hand gives the members of one priority what they wish for, those that are awake first.
func (d *division) hand(members []int) {
	var awake, sleeping []claim
	for _, i := range members {
		awake = d.claims(awake, i, serving)
		awake = d.claims(awake, i, standby)
		sleeping = d.claims(sleeping, i, asleep)
	}
	d.grant(awake)
	d.grant(sleeping)
}

// claims appends what a member wishes for of a tier, beyond its minimum.
func (d *division) claims(to []claim, i int, t tier) []claim {
	m := d.members[i]
	wish, size := m.wish(t), math.Max(1, float64(m.GPUs))
	if t == asleep {
		const gib = 1 << 30
		size = math.Max(1, float64(m.Memory)/gib)
	}
	worth := math.Inf(1)
	for k, w := range wish.Worth {
		if worth = math.Min(worth, w); !(worth > 0) {
			break
		}
		c := claim{member: i, tier: t, place: int32(k), worth: worth / size}
		if c.place < wish.Has {
			c.worth *= constancy
		}
		if t != serving || c.place >= d.shares[i].Serving {
			to = append(to, c)
		}
	}
	return to
}

func (m Member) wish(t tier) Wish { return [...]Wish{m.Serving, m.Standby, m.Asleep}[t] }

// grant takes claims in the order of their worth. Where one does not fit, a smaller one of somebody else still may.
func (d *division) grant(claims []claim) {
	slices.SortFunc(claims, func(a, b claim) int {
		return cmp.Or(cmp.Compare(b.worth, a.worth), cmp.Compare(a.tier, b.tier),
			cmp.Compare(d.members[a.member].Name, d.members[b.member].Name), cmp.Compare(a.place, b.place))
	})
	for _, c := range claims {
		if n := d.shares[c.member].of(c.tier); *n == c.place && d.take(c) {
			*n++
		}
	}
}

// of is the number of a tier.
func (s *Share) of(t tier) *int32 { return [...]*int32{&s.Serving, &s.Standby, &s.Asleep}[t] }

// plenty is what there is of what has no limit.
const plenty = 1 << 20

// awake is how many replicas of a member may be awake within a budget.
func (b Budget) awake(m Member) int32 {
	if b.GPUs < 0 || m.GPUs <= 0 {
		return plenty
	}
	return min(plenty, b.GPUs/m.GPUs)
}

// asleep is how many may sleep.
func (b Budget) asleep(m Member) int32 {
	n := int32(plenty)
	if b.Asleep >= 0 {
		n = min(n, b.Asleep)
	}
	if b.Memory >= 0 && m.Memory > 0 {
		n = int32(min(int64(n), b.Memory/m.Memory))
	}
	if b.GPUs >= 0 && m.AsleepGPUs > 0 {
		n = min(n, b.GPUs/m.AsleepGPUs)
	}
	return n
}

// take takes what a claim needs from what is left, false where there is too little.
func (d *division) take(c claim) bool {
	m, left := d.members[c.member], &d.left
	if c.tier != asleep {
		if left.awake(m) == 0 {
			return false
		}
		if left.GPUs >= 0 {
			left.GPUs -= m.GPUs
		}
		return true
	}
	if left.asleep(m) == 0 {
		return false
	}
	if left.Asleep > 0 {
		left.Asleep--
	}
	if left.Memory >= 0 {
		left.Memory -= m.Memory
	}
	if left.GPUs >= 0 {
		left.GPUs -= m.AsleepGPUs
	}
	return true
}
