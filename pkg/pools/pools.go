// Package pools lets the targets that are members of a WarmPool decide within their share of it, and writes who has what
// into the pool's status. What a share is, package pool says; this package only knows who is in which pool and what each
// member said last.
package pools

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/assemble"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/pool"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Client reads and writes WarmPools.
type Client interface {
	// Served reports whether the API server has the kind.
	Served(ctx context.Context) (bool, error)
	// UpdateStatus writes the status of one, on condition of its resource version.
	UpdateStatus(ctx context.Context, p *v1alpha1.WarmPool) error
}

// Options are what Pools need of their surroundings.
type Options struct {
	Client Client
	// Informer keeps the WarmPools; Run runs it.
	Informer cache.SharedIndexInformer
	// Autoscaler returns the InferenceAutoscaler of a target, with defaults.
	Autoscaler func(controlloop.TargetID) (*v1alpha1.InferenceAutoscaler, bool)
	// Leads reports whether this process may write.
	Leads func() bool
	// Again asks for a decision on a target after a while, since its share is another one now.
	Again func(controlloop.TargetID, time.Duration)
	// Interval is the time between two looks at what the statuses ought to say.
	Interval time.Duration
	Now      func() time.Time
	Log      *slog.Logger
}

// Pools are the WarmPools of a cluster. It is safe for concurrent use.
type Pools struct {
	options Options
	synced  cache.InformerSynced

	mu sync.Mutex
	// absent is set while the API server does not have the kind.
	absent bool
	books  map[types.NamespacedName]*book
	// of finds the pool that a target is in, seen what a target was seen with last, in a pool or not.
	of   map[controlloop.TargetID]*book
	seen map[controlloop.TargetID]*sighting
}

// book is one pool.
type book struct {
	pool    *v1alpha1.WarmPool
	ledger  *pool.Ledger
	members map[string]*member
	// faults are why members, or the whole, take no part.
	faults []string
}

// sighting is what a target was seen with.
type sighting struct {
	// gpus is how many a replica was seen to hold, zero where none was seen.
	gpus int32
	held assemble.Holding
}

// member is one target of a pool.
type member struct {
	*sighting
	spec v1alpha1.WarmPoolMember
	// given is how many replicas it was last told may be awake, wanted how many it would have.
	given, wanted int32
	// unseen is set until the first look at what it holds, where nothing is known of it from before; decided once it has said
	// what it wishes for.
	unseen, decided bool
	// unanswered is how often it was told its share since it decided last.
	unanswered int
}

// New returns the pools of an informer; nothing runs yet.
func New(o Options) *Pools {
	return &Pools{
		options: o, synced: o.Informer.HasSynced, books: map[types.NamespacedName]*book{}, of: map[controlloop.TargetID]*book{},
		seen: map[controlloop.TargetID]*sighting{},
	}
}

// Refresh takes over which pools there are and who is in them. It is called before each tick.
func (p *Pools) Refresh() {
	p.mu.Lock()
	defer p.mu.Unlock()
	books := map[types.NamespacedName]*book{}
	p.of = map[controlloop.TargetID]*book{}
	maps.DeleteFunc(p.seen, func(id controlloop.TargetID, _ *sighting) bool {
		_, ok := p.options.Autoscaler(id)
		return !ok
	})
	for _, wp := range p.byAge() {
		key := types.NamespacedName{Namespace: wp.Namespace, Name: wp.Name}
		b, ok := p.books[key]
		if !ok || b.pool.UID != wp.UID {
			b = &book{ledger: pool.NewLedger(pool.Budget{}), members: map[string]*member{}}
		}
		b.pool = wp
		p.enroll(b)
		books[key] = b
	}
	p.books = books
}

// byAge lists the pools, the oldest first: it has whom two name.
func (p *Pools) byAge() []*v1alpha1.WarmPool {
	var all []*v1alpha1.WarmPool
	for _, obj := range p.options.Informer.GetStore().List() {
		if wp, ok := obj.(*v1alpha1.WarmPool); ok && wp.DeletionTimestamp == nil {
			all = append(all, wp)
		}
	}
	slices.SortFunc(all, func(a, b *v1alpha1.WarmPool) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return all
}

// enroll takes in the members of a pool's spec and lets go of others.
func (p *Pools) enroll(b *book) {
	b.faults = nil
	budget, err := assemble.PoolBudget(&b.pool.Spec)
	if err != nil {
		b.faults = append(b.faults, err.Error())
	}
	b.ledger.Limit(budget)
	before := b.members
	b.members = make(map[string]*member, len(b.pool.Spec.Members))
	for _, spec := range b.pool.Spec.Members {
		m, err := p.admit(b, spec, before[spec.Name])
		if err != nil {
			b.faults = append(b.faults, err.Error())
			continue
		}
		b.members[spec.Name] = m
		if _, _, terms, ok := p.find(controlloop.TargetID{Namespace: b.pool.Namespace, Name: spec.Name}); ok && terms.GPUs > budget.GPUs {
			b.faults = append(b.faults, fmt.Sprintf("one replica of %s takes %d GPUs, more than the pool has: it will have none", spec.Name, terms.GPUs))
		}
	}
	for name := range before {
		if b.members[name] == nil {
			b.ledger.Drop(name)
		}
	}
}

// admit returns one member of a pool, or says why it takes no part; known is what is remembered of it.
func (p *Pools) admit(b *book, spec v1alpha1.WarmPoolMember, known *member) (*member, error) {
	id := controlloop.TargetID{Namespace: b.pool.Namespace, Name: spec.Name}
	if other := p.of[id]; other != nil {
		return nil, fmt.Errorf("%s is in the older pool %s; name it in one of them only", spec.Name, other.pool.Name)
	}
	a, ok := p.options.Autoscaler(id)
	if !ok {
		return nil, fmt.Errorf("there is no InferenceAutoscaler %s in this namespace; make it, or take it off the list", spec.Name)
	}
	m := known
	if m == nil {
		m = &member{unseen: p.seen[id] == nil && !remembered(b.pool, spec, a)}
	} else {
		m.unseen = false // a tick has passed in which nobody looked: it cannot be looked at
	}
	if p.seen[id] == nil {
		p.seen[id] = &sighting{seenBefore(b.pool, spec.Name), assemble.HeldBefore(a.Status.Replicas)}
	}
	m.sighting, m.spec = p.seen[id], spec
	terms, err := assemble.PoolTerms(spec, a, m.gpus)
	if err != nil {
		return nil, err
	}
	if known == nil {
		b.ledger.Put(assemble.Undecided(terms, m.held))
	}
	p.of[id] = b
	return m, nil
}

// seenBefore is how many GPUs a member's replicas were seen to hold before this process began, as its status says.
func seenBefore(wp *v1alpha1.WarmPool, name string) int32 {
	for _, m := range wp.Status.Members {
		if m.Name == name {
			return m.GPUsPerReplica
		}
	}
	return 0
}

// remembered reports whether the statuses from before this process began say what a member holds.
func remembered(wp *v1alpha1.WarmPool, spec v1alpha1.WarmPoolMember, a *v1alpha1.InferenceAutoscaler) bool {
	r := a.Status.Replicas
	return r != nil && (spec.GPUsPerReplica != nil || seenBefore(wp, spec.Name) > 0 || r.Current == 0)
}

// find returns the place of a target in its pool, false where it has none. The lock is held.
func (p *Pools) find(id controlloop.TargetID) (*book, *member, assemble.Terms, bool) {
	b := p.of[id]
	a, ok := p.options.Autoscaler(id)
	if b == nil || !ok {
		return nil, nil, assemble.Terms{}, false
	}
	m := b.members[id.Name]
	terms, err := assemble.PoolTerms(m.spec, a, m.gpus)
	return b, m, terms, err == nil
}

// Observer returns an observer that lets the pools know what the targets hold, and the targets what they may have of them. Of
// one target a cycle follows the other, and the share is that of the cycle: one that was taken before could be another's by now.
func (p *Pools) Observer(next controlloop.Observer) controlloop.Observer { return observer{next, p} }

type observer struct {
	controlloop.Observer
	pools *Pools
}

// Observe implements controlloop.Observer.
func (o observer) Observe(ctx context.Context, id controlloop.TargetID, now time.Time) (scaling.Observation, error) {
	obs, err := o.Observer.Observe(ctx, id, now)
	if err != nil {
		o.pools.lost(id)
		return obs, err
	}
	obs.Share = o.pools.share(id, &obs)
	return obs, nil
}

// lost notes that a target cannot be observed: it keeps what it was last seen with, and was offered beyond in vain.
func (p *Pools) lost(id controlloop.TargetID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.of[id]; b != nil {
		m := b.members[id.Name]
		m.unseen, m.unanswered = false, 0
		b.ledger.Release(id.Name)
	}
}

// share notes what a target holds, and returns what it may have: nil where it is in no pool or another scales it.
func (p *Pools) share(id controlloop.TargetID, obs *scaling.Observation) *scaling.Share {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note(id, obs)
	b, m, terms, ok := p.find(id)
	if !ok {
		return nil
	}
	m.unseen = false
	if !m.decided {
		b.ledger.Put(assemble.Undecided(terms, m.held))
	}
	if terms.Passive {
		return nil
	}
	b.ledger.See(m.spec.Name, m.held.Busy(), m.held.Ending)
	share := assemble.Share(b.ledger, m.spec.Name)
	if m.unanswered > 1 || b.unseen() { // it can make nothing of more, or nobody knows whether there is more
		share.Awake = min(share.Awake, m.held.Busy()-m.held.Ending)
		b.ledger.Release(m.spec.Name)
	}
	m.given, m.unanswered = share.Awake, m.unanswered+1
	return &share
}

// note remembers what a target is seen with. The lock is held.
func (p *Pools) note(id controlloop.TargetID, obs *scaling.Observation) {
	seen := p.seen[id]
	if seen == nil {
		seen = &sighting{}
		p.seen[id] = seen
	}
	seen.held = assemble.Held(obs)
	if obs.GPUsPerReplica > 0 {
		seen.gpus = obs.GPUsPerReplica
	}
}

// unseen reports whether there is a member of which nobody knows yet what it holds.
func (b *book) unseen() bool {
	for _, m := range b.members {
		if m.unseen {
			return true
		}
	}
	return false
}

// Record implements controlloop.Recorder: what was decided is what the member wishes for from now on.
func (p *Pools) Record(_ context.Context, id controlloop.TargetID, d scaling.Decision, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, m, terms, ok := p.find(id)
	if !ok {
		return
	}
	wish := assemble.Member(terms, m.held, d)
	m.decided, m.unanswered = true, 0
	m.wanted = int32(len(wish.Serving.Worth) + len(wish.Standby.Worth))
	b.ledger.Put(wish)
	p.tell(b)
}

// soon is how long a member waits to decide once its share has changed: what several say at once is one change to it.
const soon = 200 * time.Millisecond

// tell asks those for a decision who may have more than they were told and would have it, and those who have to give.
func (p *Pools) tell(b *book) {
	for _, s := range b.ledger.Shares() {
		id := controlloop.TargetID{Namespace: b.pool.Namespace, Name: s.Name}
		_, m, terms, ok := p.find(id)
		if !ok || terms.Passive {
			continue
		}
		most := s.Serving + s.Standby + s.Spare
		grows := s.Awake > m.given && m.wanted > m.given && !b.unseen()
		gives := most < m.given && m.held.Desired+m.held.Standby > most
		if grows || gives {
			p.options.Again(id, soon)
		}
	}
}

// HasSynced reports whether it is known which pools there are. Where the kind does not exist there are none.
func (p *Pools) HasSynced() bool {
	p.mu.Lock()
	absent := p.absent
	p.mu.Unlock()
	return absent || p.synced()
}

// WaitForSync waits until HasSynced.
func (p *Pools) WaitForSync(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), p.HasSynced) {
		return fmt.Errorf("wait for WarmPools: %w", ctx.Err())
	}
	return nil
}

// lookAgain is when a kind that was not served is looked for again, and retry when an API server is that did not answer.
const (
	lookAgain = time.Minute
	retry     = time.Second
)

// Run keeps the pools and their statuses up to date until the context ends.
func (p *Pools) Run(ctx context.Context) {
	if !p.await(ctx) {
		return
	}
	var running sync.WaitGroup
	running.Go(func() { p.options.Informer.RunWithContext(ctx) })
	for wait(ctx, p.options.Interval) {
		if p.HasSynced() && p.options.Leads() {
			p.report(ctx)
		}
	}
	running.Wait()
}

// await waits until the API server serves the kind, and reports false where the context ends before: an upgrade may bring
// the program before its definition or its rights.
func (p *Pools) await(ctx context.Context) bool {
	for {
		served, err := p.options.Client.Served(ctx)
		p.mu.Lock()
		p.absent = err == nil && !served
		p.mu.Unlock()
		pause := lookAgain
		switch {
		case served:
			return true
		case err != nil:
			pause = retry
			if ctx.Err() == nil {
				p.options.Log.Warn("look for WarmPools", "error", err)
			}
		}
		if !wait(ctx, pause) {
			return false
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// report writes the statuses that have changed.
func (p *Pools) report(ctx context.Context) {
	var errs []error
	for _, wp := range p.statuses() {
		if err := p.options.Client.UpdateStatus(ctx, wp); err != nil {
			errs = append(errs, fmt.Errorf("write status of WarmPool %s/%s: %w", wp.Namespace, wp.Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		p.options.Log.Warn("the next look writes it again", "error", err)
	}
}
