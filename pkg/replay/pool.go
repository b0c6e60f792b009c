package replay

import (
	"fmt"

	"github.com/preheat-autoscaler/preheat/pkg/assemble"
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
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

// now is the share at present, nil where there is none.
func (s share) now() *scaling.Share {
	if s.ledger == nil {
		return nil
	}
	now := assemble.Share(s.ledger, s.terms.Name)
	return &now
}

// put tells the others what was decided on an observation.
func (s share) put(o *scaling.Observation, d scaling.Decision) {
	if s.ledger != nil {
		s.ledger.Put(assemble.Member(s.terms, assemble.Held(o), d))
	}
}
