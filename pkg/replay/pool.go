package replay

import (
	"fmt"
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/assemble"
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/pool"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Pool lets a policy that Preheat made divide what a ledger has with the others that were given the same.
func Pool(p baseline.Policy, l *pool.Ledger, t assemble.Terms) error {
	own, ok := p.(*preheat)
	if !ok {
		return fmt.Errorf("pool of %s: only Preheat's own policies can be members", t.Name)
	}
	own.share = share{l, t}
	return nil
}

// share is a policy's place in a pool; the zero value is none.
type share struct {
	ledger *pool.Ledger
	terms  assemble.Terms
}

// targets are those of a policy within its share.
func (s share) targets(all []controlloop.Target) []controlloop.Target {
	if s.ledger == nil {
		return all
	}
	all = slices.Clone(all)
	all[0].Planner = all[0].Planner.Within(assemble.Share(s.ledger, s.terms.Name))
	return all
}

// put tells the others what was decided on an observation.
func (s share) put(o *scaling.Observation, d scaling.Decision) {
	if s.ledger != nil {
		s.ledger.Put(assemble.Member(s.terms, assemble.Held(o), d))
	}
}
