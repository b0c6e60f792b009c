package pools

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/pool"
)

// Reasons of a WarmPool's conditions.
const (
	// Shared says that all members take part.
	Shared = "Shared"
	// Incomplete says that some cannot, or will have nothing.
	Incomplete = "Incomplete"
	// WithinBudget and MoreThanBudget say how what is held stands to what there is.
	WithinBudget   = "WithinBudget"
	MoreThanBudget = "MoreThanBudget"
)

// statuses are copies of the pools of which the status ought to be another one, with that.
func (p *Pools) statuses() []*v1alpha1.WarmPool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var changed []*v1alpha1.WarmPool
	for _, b := range p.books {
		wp := b.pool.DeepCopy()
		p.fill(b, &wp.Status)
		if !equality.Semantic.DeepEqual(wp.Status, b.pool.Status) {
			changed = append(changed, wp)
		}
	}
	return changed
}

// fill makes a status say what a book does.
func (p *Pools) fill(b *book, s *v1alpha1.WarmPoolStatus) {
	s.ObservedGeneration = b.pool.Generation
	members, held := b.ledger.Members(), int64(0)
	s.Members = nil
	for i, share := range b.ledger.Shares() {
		held += members[i].GPUsHeld()
		s.Members = append(s.Members, p.told(b, members[i], share))
	}
	s.GPUsHeld = new(int32(held))
	ready, over := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: Shared,
		Message: fmt.Sprintf("%d members share %d GPUs, of which they hold %d", len(b.members), b.pool.Spec.GPUs, held),
	}, metav1.Condition{
		Type: v1alpha1.ConditionOverBudget, Status: metav1.ConditionFalse, Reason: WithinBudget,
		Message: fmt.Sprintf("%d of %d GPUs are held", held, b.pool.Spec.GPUs),
	}
	if len(b.faults) > 0 {
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, Incomplete, strings.Join(b.faults, "; ")
	}
	if held > int64(b.pool.Spec.GPUs) {
		over.Status, over.Reason = metav1.ConditionTrue, MoreThanBudget
		over.Message = fmt.Sprintf("%d GPUs are held of %d: nothing more is ordered%s", held, b.pool.Spec.GPUs, p.others(b))
	}
	for _, c := range []metav1.Condition{ready, over} {
		c.ObservedGeneration, c.LastTransitionTime = b.pool.Generation, metav1.NewTime(p.options.Now())
		meta.SetStatusCondition(&s.Conditions, c)
	}
}

// told is what a status says of one member.
func (p *Pools) told(b *book, m pool.Member, share pool.Share) v1alpha1.WarmPoolMemberStatus {
	s := v1alpha1.WarmPoolMemberStatus{Name: m.Name, GPUsPerReplica: m.GPUs, Awake: m.Busy, Asleep: m.Asleep.Has, Why: share.Why}
	if _, _, terms, ok := p.find(controlloop.TargetID{Namespace: b.pool.Namespace, Name: m.Name}); ok && terms.Passive {
		s.Why = "what it has counts and is not bounded, since it is paused or not in mode Own"
		return s
	}
	s.MayServe, s.MayStandBy, s.MaySleep = &share.Serving, &share.Standby, &share.Asleep
	return s
}

// others names the members that nobody bounds, as the end of a sentence.
func (p *Pools) others(b *book) string {
	var names []string
	for name := range b.members {
		if _, _, terms, ok := p.find(controlloop.TargetID{Namespace: b.pool.Namespace, Name: name}); ok && terms.Passive {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.SortFunc(names, cmp.Compare)
	return "; not bounded, since paused or not in mode Own: " + strings.Join(names, ", ")
}
