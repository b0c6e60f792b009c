package pool

import (
	"maps"
	"slices"
)

// Ledger keeps what each member of one pool wished for last, and divides by it. It is not safe for concurrent use.
type Ledger struct {
	budget  Budget
	members map[string]Member
}

// NewLedger returns a ledger without members.
func NewLedger(b Budget) *Ledger { return &Ledger{budget: b, members: map[string]Member{}} }

// Put takes what a member wishes for now.
func (l *Ledger) Put(m Member) { l.members[m.Name] = m }

// Drop forgets a member.
func (l *Ledger) Drop(name string) { delete(l.members, name) }

// Of is the share of a member, false where it was never put.
func (l *Ledger) Of(name string) (Share, bool) {
	members := slices.Collect(maps.Values(l.members))
	for _, s := range Divide(members, l.budget) {
		if s.Name == name {
			return s, true
		}
	}
	return Share{}, false
}
