package switchover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	discoveryclient "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/util/workqueue"

	"github.com/preheat-autoscaler/preheat/pkg/activator"
	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

const (
	// workers is how many targets are looked at at once.
	workers = 16
	// stale is for how long an activator must have been gone before what it left is cleared away by others: as long as
	// informers may differ.
	stale = 2 * time.Second
)

// Options are what a Keeper is made of.
type Options struct {
	Self Self
	// Slices writes EndpointSlices.
	Slices discoveryclient.EndpointSlicesGetter
	// Caches read the cluster from memory.
	Caches *Caches
	// Activator holds the requests.
	Activator *activator.Activator
	// Listen opens a port for one target, none of those to which an earlier process of this pod may still be led.
	Listen func(taken map[int32]bool) (net.Listener, error)
	// OutOfStock is for how long replicas may wait for GPUs before what is held for them is refused.
	OutOfStock time.Duration
	Log        *slog.Logger
}

// Keeper has the activator stand in for each target without a ready replica. It is safe for concurrent use.
type Keeper struct {
	options Options
	queue   workqueue.TypedRateLimitingInterface[types.NamespacedName]

	// taken are the ports that slices of an earlier process of this pod name: for other targets.
	taken map[int32]bool

	mu      sync.Mutex
	doors   map[types.NamespacedName]*door
	leaving bool
}

// door is where the requests for one target come in. One worker at a time has it.
type door struct {
	server *http.Server
	port   int32
	// in is whether the activator stands in; guarded by the Keeper's mutex, since requests ask.
	in bool
	// service is the Service that was led here last, empty where none was: its slice is known before any cache has it.
	service string
	// endpoints and refused are what the activator was told last, nil where that is nothing yet.
	endpoints []activator.Endpoint
	refused   *string
	// stockedOut is since when no GPU has been free for any replica.
	stockedOut time.Time
	// told is the last fault that was logged, so that each is told of once.
	told string
	// gone is since when each slice of others has belonged to nobody.
	gone map[string]time.Time
}

// NewKeeper returns a Keeper that does nothing before Run.
func NewKeeper(o Options) (*Keeper, error) {
	k := &Keeper{
		options: o,
		queue:   workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](50*time.Millisecond, 10*time.Second)),
		doors:   map[types.NamespacedName]*door{},
	}
	return k, o.Caches.notify(o.Self, k.queue.Add)
}

// Run keeps slices and endpoints up to date until the context ends, and calls ready once each target has been seen.
func (k *Keeper) Run(ctx context.Context, ready func()) {
	stop := context.AfterFunc(ctx, k.queue.ShutDown)
	defer stop()
	k.taken = map[int32]bool{}
	for _, s := range k.options.Caches.slicesOf(metav1.NamespaceAll, k.options.Self.Pod) {
		for _, p := range s.Ports {
			if p.Port != nil {
				k.taken[*p.Port] = true
			}
		}
	}
	for _, a := range k.options.Caches.autoscalers() {
		k.settle(ctx, nameOf(a))
	}
	k.tidy(ctx)
	ready()
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for {
				name, down := k.queue.Get()
				if down {
					return
				}
				k.settle(ctx, name)
				k.queue.Done(name)
			}
		})
	}
	running.Wait()
}

func nameOf(a *v1alpha1.InferenceAutoscaler) types.NamespacedName {
	return types.NamespacedName{Namespace: a.Namespace, Name: a.Name}
}

// settle brings one target to where it belongs, and tries again later where that failed.
func (k *Keeper) settle(ctx context.Context, name types.NamespacedName) {
	again, err := k.reconcile(ctx, name)
	switch {
	case err != nil && ctx.Err() == nil:
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			k.options.Log.Warn("cannot lead traffic to the activator or back", "target", name.String(), "error", err)
		}
		k.queue.AddRateLimited(name)
	case again > 0:
		k.queue.Forget(name)
		k.queue.AddAfter(name, again)
	default:
		k.queue.Forget(name)
	}
}

// reconcile brings one target to where it belongs, and returns after how long it is to be looked at again.
func (k *Keeper) reconcile(ctx context.Context, name types.NamespacedName) (again time.Duration, err error) {
	a, ok := k.options.Caches.autoscaler(name)
	if !ok || a.Spec.Activator == nil {
		return 0, k.close(ctx, name)
	}
	d, err := k.door(name)
	if err != nil {
		return 0, err
	}
	service, port, fault := k.options.Caches.service(a, k.options.Self.family())
	if fault != "" {
		if d.told != fault {
			k.options.Log.Warn("cannot stand in for a target", "target", name.String(), "error", fault)
		}
		d.told = fault
		k.serve(name, d, nil)
		if own := sliceName(a.Spec.Activator.Service, k.options.Self.Pod); d.service == "" && k.options.Caches.owns(a, own) {
			d.service = a.Spec.Activator.Service // of the process before
		}
		return 0, k.withdraw(ctx, a.Namespace, d)
	}
	d.told = ""
	k.serve(name, d, k.endpoints(a, service, port))
	again = k.refuse(a, name, d)
	if d.service != a.Spec.Activator.Service {
		if err := k.withdraw(ctx, a.Namespace, d); err != nil {
			return 0, err
		}
	}
	d.service = a.Spec.Activator.Service
	in := k.standsIn(a, port, d)
	if err := k.write(ctx, standIn(k.options.Self, a, port, d.port, in)); err != nil {
		return 0, err
	}
	k.mu.Lock()
	d.in = in
	k.mu.Unlock()
	wait, err := k.clear(ctx, a, d)
	return soonest(again, wait), err
}

// soonest is the shorter of two waits of which zero is none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// standsIn reports whether requests are to come here: where no endpoint of the Service is ready or no replica is known to be,
// and, so that none falls between, also where the replicas are to go to zero. It stands back only for an endpoint that
// everybody else can see by now. An activator that is not ready itself stands for nobody.
func (k *Keeper) standsIn(a *v1alpha1.InferenceAutoscaler, port corev1.ServicePort, d *door) bool {
	k.mu.Lock()
	leaving := k.leaving
	k.mu.Unlock()
	c := k.options.Caches
	alive := c.activators(k.options.Self)
	if leaving || !alive.has(k.options.Self.Pod, k.options.Self.IP) {
		return false
	}
	return len(d.endpoints) == 0 || !c.hasEndpoint(a.Namespace, a.Spec.Activator.Service, port.Name) || wantsZero(a)
}

// wantsZero reports whether the target is about to go to zero, or is there.
func wantsZero(a *v1alpha1.InferenceAutoscaler) bool {
	want := a.Status.RecommendedReplicas
	return a.Spec.Mode == v1alpha1.ModeOwn && !a.Spec.Paused && want != nil && *want == 0
}

// endpoints are the ready replicas, by their pods, which are known to be ready up to a second before EndpointSlices say so.
func (k *Keeper) endpoints(a *v1alpha1.InferenceAutoscaler, service *corev1.Service, port corev1.ServicePort) []activator.Endpoint {
	most := 0
	if n := a.Spec.Activator.MaxConcurrency; n != nil {
		most = int(*n)
	}
	var found []activator.Endpoint
	for _, pod := range k.options.Caches.readyPods(service) {
		if number := podPort(pod, port); number != 0 {
			found = append(found, activator.Endpoint{Address: net.JoinHostPort(pod.Status.PodIP, fmt.Sprint(number)), MaxConcurrency: most})
		}
	}
	return found
}

// serve tells the activator the endpoints, where they are others.
func (k *Keeper) serve(name types.NamespacedName, d *door, endpoints []activator.Endpoint) {
	if d.endpoints != nil && slices.Equal(d.endpoints, endpoints) {
		return
	}
	d.endpoints = append([]activator.Endpoint{}, endpoints...)
	d.refused = nil
	k.options.Activator.SetEndpoints(name.String(), endpoints)
}

// refuse has requests refused once replicas have waited for GPUs for too long, and returns when to look again.
func (k *Keeper) refuse(a *v1alpha1.InferenceAutoscaler, name types.NamespacedName, d *door) (again time.Duration) {
	r, now, why := a.Status.Replicas, time.Now(), ""
	if len(d.endpoints) > 0 || r == nil || r.Unschedulable == 0 || r.Ready+r.Starting > 0 {
		d.stockedOut = time.Time{}
	} else {
		if d.stockedOut.IsZero() {
			d.stockedOut = now
		}
		if left := k.options.OutOfStock - now.Sub(d.stockedOut); left > 0 {
			again = left
		} else {
			why = fmt.Sprintf("no node has had a free GPU for the model for %v", k.options.OutOfStock)
		}
	}
	if d.refused == nil && why != "" || d.refused != nil && *d.refused != why {
		k.options.Activator.Refuse(name.String(), why)
		d.refused = &why
	}
	return again
}

// door is where requests for a target come in, opened where it is not.
func (k *Keeper) door(name types.NamespacedName) (*door, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d, ok := k.doors[name]; ok {
		return d, nil
	}
	listener, err := k.options.Listen(k.taken)
	if err != nil {
		return nil, fmt.Errorf("open a port for %s: %w", name, err)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, errors.Join(fmt.Errorf("open a port for %s: %v is no TCP address", name, listener.Addr()), listener.Close())
	}
	d := &door{port: int32(address.Port), gone: map[string]time.Time{}}
	d.server = activator.NewServer(k.enter(name, d))
	k.doors[name] = d
	go func() { _ = d.server.Serve(listener) }() // ends with close
	return d, nil
}

// enter takes the requests that come in by one door. Where the replicas serve for themselves the client is asked to open
// another connection next time, which leads there.
func (k *Keeper) enter(name types.NamespacedName, d *door) http.Handler {
	target := name.String()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		in := d.in
		k.mu.Unlock()
		if !in && r.Header.Get("Upgrade") == "" {
			w.Header().Set("Connection", "close")
		}
		k.options.Activator.ServeHTTP(w, r.WithContext(WithTarget(r.Context(), target)))
	})
}

// close ends all that is kept of a target.
func (k *Keeper) close(ctx context.Context, name types.NamespacedName) error {
	k.mu.Lock()
	d := k.doors[name]
	k.mu.Unlock()
	if d == nil {
		return nil
	}
	if err := k.withdraw(ctx, name.Namespace, d); err != nil {
		return err
	}
	k.mu.Lock()
	delete(k.doors, name)
	k.mu.Unlock()
	k.options.Activator.Remove(name.String())
	go func() { _ = d.server.Shutdown(context.WithoutCancel(ctx)) }() // what is in flight goes on
	return nil
}

// withdraw deletes the slice that leads to a door.
func (k *Keeper) withdraw(ctx context.Context, namespace string, d *door) error {
	if d.service == "" {
		return nil
	}
	err := k.options.Slices.EndpointSlices(namespace).Delete(ctx, sliceName(d.service, k.options.Self.Pod), metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	d.service = ""
	return nil
}

// tidy deletes what this pod led to itself before it was restarted, for targets that are gone since.
func (k *Keeper) tidy(ctx context.Context) {
	c := k.options.Caches
	for _, s := range c.slicesOf(metav1.NamespaceAll, k.options.Self.Pod) {
		service := s.Labels[discoveryv1.LabelServiceName]
		wanted := slices.ContainsFunc(c.autoscalersIn(s.Namespace), func(a *v1alpha1.InferenceAutoscaler) bool { return a.Spec.Activator.Service == service })
		if wanted {
			continue
		}
		if err := k.delete(ctx, s); err != nil {
			k.options.Log.Warn("cannot clear away what this pod left", "namespace", s.Namespace, "slice", s.Name, "error", err)
		}
	}
}

func (k *Keeper) delete(ctx context.Context, s *discoveryv1.EndpointSlice) error {
	err := k.options.Slices.EndpointSlices(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &s.UID}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// write makes or changes a slice where it is not as it should be.
func (k *Keeper) write(ctx context.Context, want *discoveryv1.EndpointSlice) error {
	was, ok := k.options.Caches.slice(want.Namespace, want.Name)
	slices := k.options.Slices.EndpointSlices(want.Namespace)
	if !ok {
		if len(want.Endpoints) == 0 {
			return nil
		}
		_, err := slices.Create(ctx, want, metav1.CreateOptions{})
		return err
	}
	if equality.Semantic.DeepEqual(was.Endpoints, want.Endpoints) && equality.Semantic.DeepEqual(was.Ports, want.Ports) &&
		equality.Semantic.DeepEqual(was.Labels, want.Labels) {
		return nil
	}
	want.ResourceVersion = was.ResourceVersion
	_, err := slices.Update(ctx, want, metav1.UpdateOptions{})
	return err
}

// clear deletes the slices of a target whose activators are gone, and returns after how long it is to be asked again.
func (k *Keeper) clear(ctx context.Context, a *v1alpha1.InferenceAutoscaler, d *door) (time.Duration, error) {
	gone, again := overdue(d.gone, k.options.Caches.orphans(a.Namespace, a.Spec.Activator.Service, k.options.Self), time.Now())
	for _, s := range gone {
		if err := deleteUnchanged(ctx, k.options.Slices, s); err != nil {
			return 0, err
		}
	}
	return again, nil
}

// deleteUnchanged deletes a slice of another activator if it still is as it was seen: one that came to life again may have
// written it since.
func deleteUnchanged(ctx context.Context, slices discoveryclient.EndpointSlicesGetter, s *discoveryv1.EndpointSlice) error {
	err := slices.EndpointSlices(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &s.UID, ResourceVersion: &s.ResourceVersion},
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it is looked at again as it is now
	}
	return err
}

// overdue are the orphans that have been orphans for long enough; since remembers when each was first seen to be one.
func overdue(since map[string]time.Time, orphans []*discoveryv1.EndpointSlice, now time.Time) (found []*discoveryv1.EndpointSlice, again time.Duration) {
	seen := map[string]bool{}
	for _, s := range orphans {
		key := s.Namespace + "/" + s.Name
		seen[key] = true
		first, ok := since[key]
		if !ok {
			first = now
			since[key] = now
		}
		if left := stale - now.Sub(first); left > 0 {
			again = soonest(again, left)
		} else {
			found = append(found, s)
		}
	}
	for key := range since {
		if !seen[key] {
			delete(since, key)
		}
	}
	return found, again
}

// Leave ends standing in for anybody, since this activator is about to end: it returns when no slice names it any more, or ctx
// ends.
func (k *Keeper) Leave(ctx context.Context) error {
	k.mu.Lock()
	k.leaving = true
	k.mu.Unlock()
	var errs []error
	for _, s := range k.options.Caches.slicesOf(metav1.NamespaceAll, k.options.Self.Pod) {
		errs = append(errs, k.delete(ctx, s))
	}
	return errors.Join(errs...)
}
