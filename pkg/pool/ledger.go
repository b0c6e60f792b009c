package pool

import (
	"cmp"
	"maps"
	"slices"
)

// Ledger keeps what each member of one pool wished for last, and divides by it. It is not safe for concurrent use.
type Ledger struct {
	budget  Budget
	members map[string]Member
	// granted is how many each member was told may be awake, until it says what it makes of that.
	granted map[string]int32
}

// NewLedger returns a ledger without members.
func NewLedger(b Budget) *Ledger {
	return &Ledger{budget: b, members: map[string]Member{}, granted: map[string]int32{}}
}

// Limit changes the budget.
func (l *Ledger) Limit(b Budget) { l.budget = b }

// Put takes what a member wishes for now, and gives back what was granted to it beyond.
func (l *Ledger) Put(m Member) {
	l.members[m.Name] = m
	l.Release(m.Name)
}

// See takes how many replicas of a member are seen to hold their GPUs, and to end for good. It may have ordered more already.
func (l *Ledger) See(name string, busy, ending int32) {
	if m, ok := l.members[name]; ok {
		m.Busy, m.Ending = max(m.Busy, busy), ending
		l.members[name] = m
	}
}

// Has reports whether a member was put.
func (l *Ledger) Has(name string) bool {
	_, ok := l.members[name]
	return ok
}

// Drop forgets a member.
func (l *Ledger) Drop(name string) {
	delete(l.members, name)
	l.Release(name)
}

// Release gives back what was granted to a member and has not come to anything.
func (l *Ledger) Release(name string) { delete(l.granted, name) }

// Members are those that were put, by name.
func (l *Ledger) Members() []Member {
	return slices.SortedFunc(maps.Values(l.members), func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
}

// Shares are what all members may have, in the order of Members.
func (l *Ledger) Shares() []Share { return Divide(l.Members(), l.budget) }

// Of is the share of a member, false where it was never put. What it may have awake by that is kept from the others until it
// is put again, or released: two that decide at the same time do not take the same GPUs.
func (l *Ledger) Of(name string) (Share, bool) {
	members := l.Members()
	at := -1
	for i, m := range members {
		if m.Name == name {
			at = i
			continue
		}
		members[i].Busy = max(m.Busy, l.granted[m.Name])
	}
	if at < 0 {
		return Share{}, false
	}
	s := Divide(members, l.budget)[at]
	l.granted[name] = s.Awake + members[at].Ending
	return s, true
}
