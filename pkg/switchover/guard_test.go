package switchover

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/front"
	"github.com/preheat-autoscaler/preheat/pkg/kube"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

var chat = controlloop.TargetID{Namespace: "ml", Name: "chat"}

// service side: a Watch over a cluster in memory, and what the Guard lets through.
type guarded struct {
	*Guard
	t      *testing.T
	client *fake.Clientset
	target *v1alpha1.InferenceAutoscaler
	let    []int32
	again  []time.Duration
}

func newGuarded(t *testing.T) *guarded {
	g := &guarded{t: t, client: fake.NewClientset(), target: target()}
	w, err := NewWatch(g.client, "", types.NamespacedName{Namespace: "preheat-system", Name: "preheat-activator"}, slog.New(slog.DiscardHandler))
	must(t, err)
	g.Guard = &Guard{
		Actuator: g, Watch: w, Pause: time.Minute,
		Autoscaler: func(controlloop.TargetID) (*v1alpha1.InferenceAutoscaler, bool) { return g.target, g.target != nil },
		Again:      func(_ controlloop.TargetID, after time.Duration) { g.again = append(g.again, after) },
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx, func() bool { return true }) })
	t.Cleanup(func() { cancel(); running.Wait() })
	g.await("the informers have read the cluster", w.HasSynced)
	return g
}

// Actuate is what the Guard lets through.
func (g *guarded) Actuate(_ context.Context, _ controlloop.TargetID, d scaling.Decision) error {
	g.let = append(g.let, d.Replicas)
	return nil
}

func (g *guarded) decide(current, replicas int32) error {
	return g.Guard.Actuate(context.Background(), chat, scaling.Decision{Current: current, Replicas: replicas})
}

func (g *guarded) put(s *discoveryv1.EndpointSlice) {
	g.t.Helper()
	slices := g.client.DiscoveryV1().EndpointSlices(s.Namespace)
	if _, err := slices.Create(context.Background(), s, metav1.CreateOptions{}); err != nil {
		_, err = slices.Update(context.Background(), s, metav1.UpdateOptions{})
		must(g.t, err)
	}
}

func (g *guarded) await(what string, is func() bool) {
	g.t.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// activators makes an activator ready, or not.
func (g *guarded) activators(addresses ...string) {
	s := kubernetesSlice("preheat-system", "preheat-activator", DemandPort, 8081, addresses...)
	for i := range s.Endpoints {
		s.Endpoints[i].TargetRef = nil
	}
	g.put(s)
}

var first = Self{Namespace: "preheat-system", Service: "preheat-activator", Pod: "a", IP: "10.0.0.1"}

func (g *guarded) since() time.Time { return g.Watch.standsInSince("ml", "vllm") }

// settle lets time pass since an activator stands in.
func (g *guarded) settle() {
	g.Watch.mu.Lock()
	defer g.Watch.mu.Unlock()
	for key := range g.Watch.since {
		g.Watch.since[key] = time.Now().Add(-settled)
	}
}

func TestTheLastReplicaStaysUntilRequestsWouldBeHeld(t *testing.T) {
	g := newGuarded(t)
	must(t, g.decide(1, 0))
	if len(g.let) > 0 || !slices.Equal(g.again, []time.Duration{time.Minute}) {
		t.Fatalf("with no activator there: %v let through, asked again after %v; want none, and a minute", g.let, g.again)
	}
	g.put(standIn(first, target(), serving, 20000, true))
	must(t, g.decide(1, 0))
	if !g.since().IsZero() || len(g.let) > 0 {
		t.Fatalf("an activator that is not ready stands in since %v, %v let through", g.since(), g.let)
	}
	g.activators(first.IP)
	g.put(standIn(first, target(), serving, 20000, true))
	g.await("the activator stands in", func() bool { return !g.since().IsZero() })
	must(t, g.decide(1, 0))
	if len(g.let) > 0 {
		t.Fatalf("%v let through before proxies can have followed", g.let)
	}
	g.settle()
	must(t, g.decide(1, 0))
	if !slices.Equal(g.let, []int32{0}) {
		t.Fatalf("%v let through, want the zero", g.let)
	}
}

func TestTheGuardStopsNothingElse(t *testing.T) {
	g := newGuarded(t)
	must(t, g.decide(3, 2))
	must(t, g.decide(0, 1))
	must(t, g.decide(0, 0)) // to stay there
	g.target.Spec.Mode = v1alpha1.ModeAdvise
	must(t, g.decide(1, 0)) // nothing is written
	g.target.Spec.Mode, g.target.Spec.Activator = v1alpha1.ModeOwn, nil
	must(t, g.decide(1, 0)) // somebody else stands in front
	g.target = nil
	must(t, g.decide(1, 0))
	if !slices.Equal(g.let, []int32{2, 1, 0, 0, 0, 0}) || len(g.again) > 0 {
		t.Errorf("let through %v, asked again %v", g.let, g.again)
	}
}

func TestAnActivatorThatNeverComesIsAFault(t *testing.T) {
	g := newGuarded(t)
	must(t, g.decide(1, 0))
	g.asked[chat] = time.Now().Add(-patience)
	err := g.decide(1, 0)
	if kube.ReasonOf(err) != NoActivator {
		t.Errorf("got %v, want reason %s", err, NoActivator)
	}
	must(t, g.decide(1, 1))
	must(t, g.decide(1, 0)) // asked anew
	if !slices.Equal(g.let, []int32{1}) {
		t.Errorf("let through %v", g.let)
	}
}

func TestTheWatchKnowsWhereToHearTheDemand(t *testing.T) {
	g := newGuarded(t)
	s := kubernetesSlice("preheat-system", "preheat-activator", DemandPort, 8081, "10.0.0.1", "fd00::1", "10.0.0.3")
	s.Endpoints[2].Conditions.Ready = new(false)
	s.Endpoints = append(s.Endpoints, s.Endpoints[2])
	s.Endpoints[3].Addresses, s.Endpoints[3].Conditions.Terminating = []string{"10.0.0.4"}, new(true)
	g.put(s)
	want := []front.Source{
		{ID: "10.0.0.1", URL: "http://10.0.0.1:8081/demand"},
		{ID: "fd00::1", URL: "http://[fd00::1]:8081/demand"},
		{ID: "10.0.0.4", URL: "http://10.0.0.4:8081/demand", Leaving: true},
	}
	g.await("two activators are ready, and one leaves", func() bool { return slices.Equal(g.Watch.Sources(), want) })
}

func TestTheWatchClearsAwayWhatTheLastActivatorLeft(t *testing.T) {
	g := newGuarded(t)
	g.activators(first.IP)
	g.put(standIn(first, target(), serving, 20000, true))
	g.put(kubernetesSlice("ml", "vllm", "http", 8000, "10.1.0.1"))
	g.await("the activator stands in", func() bool { return !g.since().IsZero() })
	g.activators()
	g.await("only the slice of Kubernetes is left", func() bool {
		all, err := g.client.DiscoveryV1().EndpointSlices("ml").List(context.Background(), metav1.ListOptions{})
		must(t, err)
		return len(all.Items) == 1 && !ours(&all.Items[0])
	})
}

// pods makes activators known by their pods' names, ready where they have an address; the others have none that is ready.
func (g *guarded) pods(addresses map[string]string) {
	g.t.Helper()
	s := kubernetesSlice("preheat-system", "preheat-activator", DemandPort, 8081)
	for pod, address := range addresses {
		e := discoveryv1.Endpoint{
			Addresses: []string{cmp.Or(address, "10.9.9.9")}, Conditions: discoveryv1.EndpointConditions{Ready: new(address != "")},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: pod},
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	g.put(s)
}

// left are the names of the slices of the target's Service.
func (g *guarded) left() (names []string) {
	list, err := g.client.DiscoveryV1().EndpointSlices("ml").List(context.Background(), metav1.ListOptions{})
	must(g.t, err)
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	return names
}

func TestAPodWithTheAddressOfADeadActivatorIsNotThatActivator(t *testing.T) {
	g := newGuarded(t)
	g.pods(map[string]string{"a": first.IP})
	g.put(standIn(first, target(), serving, 20000, true))
	g.await("the activator stands in", func() bool { return !g.since().IsZero() })
	g.pods(map[string]string{"b": first.IP})
	g.await("the dead one does not stand in any more", func() bool { return g.since().IsZero() })
	g.await("what it left is cleared away", func() bool { return len(g.left()) == 0 })
}

func TestEmptySlicesOfPodsThatAreGoneAreClearedAway(t *testing.T) {
	g := newGuarded(t)
	g.pods(map[string]string{"ready": "10.0.0.2", "unready": ""})
	var unchanged atomic.Bool
	g.client.PrependReactor("delete", "endpointslices", func(action clienttesting.Action) (bool, runtime.Object, error) {
		p := action.(clienttesting.DeleteAction).GetDeleteOptions().Preconditions
		unchanged.Store(p != nil && p.UID != nil && p.ResourceVersion != nil)
		return false, nil, nil
	})
	for _, pod := range []string{"gone", "ready", "unready"} {
		self := first
		self.Pod = pod
		g.put(standIn(self, target(), serving, 20000, false))
	}
	want := []string{"vllm-ready", "vllm-unready"}
	g.await("only those of pods that are there are left", func() bool { return slices.Equal(g.left(), want) })
	if !unchanged.Load() {
		t.Error("deleted whatever was written since it was read, want a precondition")
	}
}
