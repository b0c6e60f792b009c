package pools

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// bench is Pools beside a cluster that the test plays.
type bench struct {
	*Pools
	t           *testing.T
	autoscalers map[controlloop.TargetID]*v1alpha1.InferenceAutoscaler
	pods        map[string]scaling.Observation

	mu     sync.Mutex
	nudged []string
	served bool
	errs   error
	wrote  []*v1alpha1.WarmPool
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, autoscalers: map[controlloop.TargetID]*v1alpha1.InferenceAutoscaler{}, pods: map[string]scaling.Observation{}}
	b.Pools = New(Options{
		Client: b, Informer: cache.NewSharedIndexInformer(&cache.ListWatch{}, &v1alpha1.WarmPool{}, 0, cache.Indexers{}),
		Autoscaler: func(id controlloop.TargetID) (*v1alpha1.InferenceAutoscaler, bool) {
			a, ok := b.autoscalers[id]
			return a, ok
		},
		Leads: func() bool { return true }, Now: func() time.Time { return monday }, Interval: time.Millisecond, Log: slog.New(slog.DiscardHandler),
		Again: func(id controlloop.TargetID, _ time.Duration) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.nudged = append(b.nudged, id.Name)
		},
	})
	return b
}

// Served implements Client.
func (b *bench) Served(context.Context) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.served, b.errs
}

// UpdateStatus implements Client.
func (b *bench) UpdateStatus(_ context.Context, p *v1alpha1.WarmPool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrote = append(b.wrote, p)
	return nil
}

func id(name string) controlloop.TargetID { return controlloop.TargetID{Namespace: "ml", Name: name} }

// scales adds an InferenceAutoscaler.
func (b *bench) scales(name string, change func(*v1alpha1.InferenceAutoscaler)) {
	a := &v1alpha1.InferenceAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name}}
	a.Spec.Mode, a.Spec.MinReplicas, a.Spec.Activator = v1alpha1.ModeOwn, new(int32(0)), &v1alpha1.Activator{}
	a.SetDefaults()
	if change != nil {
		change(a)
	}
	b.autoscalers[id(name)] = a
}

// shares adds a pool of members with a GPU each.
func (b *bench) shares(name string, age time.Duration, gpus int32, members ...string) *v1alpha1.WarmPool {
	b.t.Helper()
	wp := &v1alpha1.WarmPool{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ml", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(monday.Add(-age)), Generation: 7,
	}}
	wp.Spec.GPUs = gpus
	for _, m := range members {
		wp.Spec.Members = append(wp.Spec.Members, v1alpha1.WarmPoolMember{Name: m})
	}
	if err := b.options.Informer.GetStore().Add(wp); err != nil {
		b.t.Fatal(err)
	}
	b.Refresh()
	b.Refresh() // a tick later
	return wp
}

// may is how many replicas a target may have awake at its next observation, -1 without a limit.
func (b *bench) may(name string) int32 {
	o := b.pods[name]
	share := b.share(id(name), &o)
	if share == nil {
		return -1
	}
	return share.Awake
}

// seen notes that a target has so many ready replicas of a GPU each, and desires as many.
func (b *bench) seen(name string, ready int32) {
	o := scaling.Observation{Desired: ready, GPUsPerReplica: 1}
	for range ready {
		o.Replicas = append(o.Replicas, scaling.Replica{Phase: scaling.Ready})
	}
	b.pods[name] = o
}

// wishes lets a target that has so many replicas decide that it would have others of these worths, within its share.
func (b *bench) wishes(name string, has int32, worth ...float64) {
	b.seen(name, has)
	may := b.may(name)
	b.Record(context.Background(), id(name), scaling.Decision{Replicas: min(may, int32(len(worth))), Worth: scaling.Worth{Serving: worth}}, nil)
}

func (b *bench) tellNudged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := slices.Sorted(slices.Values(b.nudged))
	b.nudged = nil
	return strings.Join(slices.Compact(names), " ")
}

func TestMembersDecideWithinTheirShares(t *testing.T) {
	b := newBench(t)
	b.scales("chat", nil)
	b.scales("code", nil)
	b.scales("alone", nil)
	b.shares("shared", 0, 4, "chat", "code")
	if b.may("alone") != -1 || b.may("chat") != 4 {
		t.Fatalf("one in no pool may have %d, the only one that is asked %d of 4", b.may("alone"), b.may("chat"))
	}
	b.wishes("chat", 3, 1, 1, 1)
	if got := b.may("code"); got != 1 {
		t.Errorf("beside 3 of 4: %d", got)
	}
	b.tellNudged()
	b.wishes("code", 0, 9, 9, 9)
	if got := b.tellNudged(); got != "chat" {
		t.Errorf("code wants 3 of what chat has: %q is asked to decide", got)
	}
	if got := b.may("chat"); got != 1 {
		t.Errorf("chat may have %d of what is worth more to code", got)
	}
	if got := b.may("code"); got != 1 {
		t.Errorf("code may have %d while chat still holds 3", got)
	}
	b.wishes("chat", 1, 1, 1, 1)
	if got := b.tellNudged(); got != "code" {
		t.Errorf("chat has let go of 2: %q is asked to decide", got)
	}
	if got := b.may("code"); got != 3 {
		t.Errorf("code may have %d once chat holds 1 of 4", got)
	}
}

func TestWhatIsJustOrderedIsNotTakenBackByAnEqual(t *testing.T) {
	b := newBench(t)
	b.scales("a", nil)
	b.scales("b", nil)
	b.shares("shared", 0, 1, "a", "b")
	b.wishes("b", 0, 7)
	b.wishes("a", 0, 7)
	b.seen("b", 1)
	if got := b.may("b"); got != 1 {
		t.Errorf("b, which has ordered the only GPU, may have %d since a would have it too", got)
	}
	if got := b.tellNudged(); got != "" {
		t.Errorf("%s is asked to decide again", got)
	}
}

func TestAfterARestartNobodyTakesWhatOthersHave(t *testing.T) {
	b := newBench(t)
	b.scales("chat", func(a *v1alpha1.InferenceAutoscaler) {
		a.Status.Replicas = &v1alpha1.ReplicaStatus{Desired: 1, Current: 1}
	})
	b.scales("code", nil)
	wp := b.shares("shared", 0, 8, "chat", "code")
	wp.Status.Members = []v1alpha1.WarmPoolMemberStatus{{Name: "chat", GPUsPerReplica: 6}}
	b.books, b.Pools.seen = map[types.NamespacedName]*book{}, map[controlloop.TargetID]*sighting{}
	b.Refresh()
	if got := b.may("code"); got != 2 {
		t.Errorf("beside one that held 6 of 8 GPUs before: %d", got)
	}
}

// Observe implements controlloop.Observer.
func (b *bench) Observe(_ context.Context, id controlloop.TargetID, _ time.Time) (scaling.Observation, error) {
	o, ok := b.pods[id.Name]
	if !ok {
		return o, errors.New("timeout")
	}
	return o, nil
}

func TestAShareIsOfferedToOneAtATime(t *testing.T) {
	b := newBench(t)
	b.scales("chat", nil)
	b.scales("code", nil)
	b.scales("dark", nil)
	b.shares("shared", 0, 4, "chat", "code", "dark")
	b.seen("chat", 0)
	b.seen("code", 0)
	observer := b.Observer(b)
	may := func(name string) int32 {
		t.Helper()
		o, err := observer.Observe(t.Context(), id(name), monday)
		if err != nil || o.Share == nil {
			t.Fatalf("%v, %v", o.Share, err)
		}
		return o.Share.Awake
	}
	if _, err := observer.Observe(t.Context(), id("dark"), monday); err == nil {
		t.Fatal("who cannot be observed has a share")
	}
	if first, second := may("chat"), may("code"); first != 4 || second != 0 {
		t.Errorf("%d and %d of four GPUs are offered at the same time", first, second)
	}
	b.Record(t.Context(), id("chat"), scaling.Decision{Replicas: 1, Worth: scaling.Worth{Serving: []float64{1}}}, nil)
	if got := may("code"); got != 3 {
		t.Errorf("chat has taken one of four, code may have %d", got)
	}
}

func TestTheStatusSaysWhoHasWhatAndWhoDoesNotTakePart(t *testing.T) {
	b := newBench(t)
	b.scales("chat", nil)
	b.scales("hpa", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Mode = v1alpha1.ModeFloor })
	b.shares("older", time.Hour, 4, "chat", "hpa")
	b.shares("newer", time.Minute, 4, "chat", "nobody")
	b.wishes("chat", 2, 3, 2)
	b.seen("hpa", 3)
	if b.may("hpa") != -1 {
		t.Error("an HPA's target is bounded by who cannot bound it")
	}
	b.Record(t.Context(), id("hpa"), scaling.Decision{Replicas: 9, Worth: scaling.Worth{Serving: []float64{9}}}, nil)
	b.report(t.Context())
	statuses := map[string]v1alpha1.WarmPoolStatus{}
	for _, wp := range b.wrote {
		statuses[wp.Name] = wp.Status
	}
	older := statuses["older"]
	if *older.GPUsHeld != 5 || older.ObservedGeneration != 7 || len(older.Members) != 2 {
		t.Fatalf("%+v", older)
	}
	chat, hpa := older.Members[0], older.Members[1]
	if chat.Awake != 2 || chat.MayServe == nil || *chat.MayServe != 1 || !strings.Contains(chat.Why, "1 of 2 serving") || chat.GPUsPerReplica != 1 {
		t.Errorf("chat: %+v", chat)
	}
	if hpa.Awake != 3 || hpa.MayServe != nil || !strings.Contains(hpa.Why, "not bounded") {
		t.Errorf("hpa: %+v", hpa)
	}
	if c := meta.FindStatusCondition(older.Conditions, v1alpha1.ConditionOverBudget); c == nil || c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "5 GPUs are held of 4: nothing more is ordered; not bounded, since paused or not in mode Own: hpa") {
		t.Errorf("%+v", c)
	}
	newer := statuses["newer"]
	if c := meta.FindStatusCondition(newer.Conditions, v1alpha1.ConditionReady); c == nil || c.Reason != Incomplete ||
		!strings.Contains(c.Message, "chat is in the older pool older") || !strings.Contains(c.Message, "there is no InferenceAutoscaler nobody") {
		t.Errorf("%+v", c)
	}
	if err := testutil.CollectAndCompare(b.Pools, strings.NewReader(`
# HELP preheat_pool_held_gpus GPUs that their replicas hold or have been asked for.
# TYPE preheat_pool_held_gpus gauge
preheat_pool_held_gpus{namespace="ml",pool="newer"} 0
preheat_pool_held_gpus{namespace="ml",pool="older"} 5
# HELP preheat_pool_faults Members that take no part, see condition Ready of the WarmPool.
# TYPE preheat_pool_faults gauge
preheat_pool_faults{namespace="ml",pool="newer"} 2
preheat_pool_faults{namespace="ml",pool="older"} 0
# HELP preheat_pool_member_allowed_replicas Replicas that a member may have awake at present.
# TYPE preheat_pool_member_allowed_replicas gauge
preheat_pool_member_allowed_replicas{name="chat",namespace="ml",pool="older"} 1
`), "preheat_pool_held_gpus", "preheat_pool_faults", "preheat_pool_member_allowed_replicas"); err != nil {
		t.Error(err)
	}
	for _, wp := range b.wrote { // as the API server would tell
		if err := b.options.Informer.GetStore().Add(wp); err != nil {
			t.Fatal(err)
		}
	}
	b.Refresh()
	if again := b.statuses(); len(again) != 0 {
		t.Errorf("%d statuses are written again without need", len(again))
	}
}

func TestAPoolTooSmallForOneReplicaSaysSo(t *testing.T) {
	b := newBench(t)
	b.scales("huge", nil)
	wp := b.shares("small", 0, 4, "huge")
	wp.Spec.Members[0].GPUsPerReplica = new(int32(8))
	b.Refresh()
	changed := b.statuses()
	if len(changed) != 1 {
		t.Fatal("no status")
	}
	if c := meta.FindStatusCondition(changed[0].Status.Conditions, v1alpha1.ConditionReady); c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "one replica of huge takes 8 GPUs, more than the pool has") {
		t.Errorf("%+v", c)
	}
}

func TestAPoolThatGoesBoundsNobody(t *testing.T) {
	b := newBench(t)
	b.scales("chat", nil)
	wp := b.shares("shared", 0, 4, "chat")
	b.wishes("chat", 1, 1)
	if err := b.options.Informer.GetStore().Delete(wp); err != nil {
		t.Fatal(err)
	}
	b.Refresh()
	b.Record(t.Context(), id("chat"), scaling.Decision{}, nil)
	if got := b.may("chat"); got != -1 {
		t.Errorf("it may have %d", got)
	}
}

func TestAKindThatIsNotThereStopsNobody(t *testing.T) {
	b := newBench(t)
	b.errs = errors.New("connection refused")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if b.Run(ctx); b.HasSynced() {
		t.Error("nobody knows whether there are pools, and decisions are made")
	}
	b.errs = nil
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if b.Run(ctx); !b.HasSynced() {
		t.Error("a cluster without the kind waits for ever")
	}
}

// The members take turns at random, several at once, and let go of replicas when they like: no more than the budget is ever held.
func TestTheBudgetHoldsWhateverTheMembersDo(t *testing.T) {
	const budget, members, turns = 7, 5, 400
	b := newBench(t)
	var mu sync.Mutex
	holds := make([]int32, members) // what each of them holds, the ordered among them
	most := int32(0)
	var names []string
	for i := range members {
		names = append(names, fmt.Sprint("m", i))
		b.scales(names[i], nil)
	}
	b.shares("shared", 0, budget, names...)
	var running sync.WaitGroup
	for i := range members {
		running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			desired := int32(0)
			for range turns {
				mu.Lock()
				holds[i] = desired + r.Int32N(max(0, holds[i]-desired)+1) // some of those let go of have ended
				o := scaling.Observation{Desired: desired, GPUsPerReplica: 1}
				for range holds[i] {
					o.Replicas = append(o.Replicas, scaling.Replica{Phase: scaling.Ready})
				}
				mu.Unlock()
				may := b.share(id(names[i]), &o).Awake
				worth := make([]float64, r.IntN(6))
				for k := range worth {
					worth[k] = 5 * r.Float64()
				}
				desired = min(may, int32(len(worth)))
				mu.Lock()
				holds[i] = max(holds[i], desired)
				held := int32(0)
				for _, n := range holds {
					held += n
				}
				most = max(most, held)
				mu.Unlock()
				b.Record(context.Background(), id(names[i]), scaling.Decision{Replicas: desired, Worth: scaling.Worth{Serving: worth}}, nil)
			}
		})
	}
	running.Wait()
	if most != budget {
		t.Errorf("at most %d GPUs were held of %d", most, budget)
	}
}
