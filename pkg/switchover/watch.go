package switchover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/front"
)

const (
	// DemandPort is the name of the port of the activators' Service at which they stream their demand.
	DemandPort = "admin"
	// DemandPath is the path of that stream.
	DemandPath = "/demand"
	// sweepPeriod is how often slices of dead activators are looked for.
	sweepPeriod = time.Second
)

// Watch knows the activators of a cluster and for which Services they stand in. It is safe for concurrent use.
type Watch struct {
	client kubernetes.Interface
	log    *slog.Logger
	// activators are the slices of the activators' own Service, standIns those by which they stand in for others.
	activators, standIns cache.SharedIndexInformer

	mu sync.Mutex
	// since is when the endpoint of each slice was first seen; gone since when each has belonged to nobody.
	since, gone map[string]time.Time
}

// NewWatch returns a Watch over the activators behind a Service, as far as they stand in within a namespace, or in all.
func NewWatch(client kubernetes.Interface, namespace string, activators types.NamespacedName, log *slog.Logger) (*Watch, error) {
	w := &Watch{client: client, log: log, since: map[string]time.Time{}, gone: map[string]time.Time{}}
	w.activators = newSlices(client, activators.Namespace, discoveryv1.LabelServiceName+"="+activators.Name)
	w.standIns = newSlices(client, namespace, discoveryv1.LabelManagedBy+"="+v1alpha1.ActivatorManager)
	return w, errors.Join(quietly(w.activators, log), quietly(w.standIns, log), onChange(w.standIns, w.seen))
}

// newSlices is an informer of the EndpointSlices with a label.
func newSlices(client kubernetes.Interface, namespace, selector string) cache.SharedIndexInformer {
	all := client.DiscoveryV1().EndpointSlices(namespace)
	return cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			return all.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			return all.Watch(ctx, o)
		},
	}, client), &discoveryv1.EndpointSlice{}, 0, SliceIndexers())
}

// quietly has an informer that cannot read say so once, since nothing waits for it: without activators no target goes to zero.
func quietly(informer cache.SharedIndexInformer, log *slog.Logger) error {
	var told sync.Once
	return informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		told.Do(func() {
			log.Warn("cannot read EndpointSlices: no target goes to zero replicas; grant list and watch on endpointslices to the service account", "error", err)
		})
	})
}

// seen notes since when an activator stands in.
func (w *Watch) seen(s *discoveryv1.EndpointSlice, is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := s.Namespace + "/" + s.Name
	if !is || len(readyAddresses(s)) == 0 {
		delete(w.since, key)
	} else if _, ok := w.since[key]; !ok {
		w.since[key] = time.Now()
	}
}

// Run reads the cluster, and clears away what dead activators left where leads says that this process may write, until the
// context ends.
func (w *Watch) Run(ctx context.Context, leads func() bool) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { w.activators.RunWithContext(ctx) })
	running.Go(func() { w.standIns.RunWithContext(ctx) })
	ticker := time.NewTicker(sweepPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := w.sweep(ctx, leads); err != nil && ctx.Err() == nil {
			w.log.Warn("cannot clear away what a dead activator left", "error", err)
		}
	}
}

// HasSynced reports whether the activators and their slices are known.
func (w *Watch) HasSynced() bool { return w.activators.HasSynced() && w.standIns.HasSynced() }

// alive are the activators that live.
func (w *Watch) alive() living {
	return livingIn(all[*discoveryv1.EndpointSlice](w.activators.GetIndexer().List(), nil))
}

// Sources are the streams of demand of all activators that are ready, and of those that are leaving.
func (w *Watch) Sources() (found []front.Source) {
	for _, s := range all[*discoveryv1.EndpointSlice](w.activators.GetIndexer().List(), nil) {
		i := slices.IndexFunc(s.Ports, func(p discoveryv1.EndpointPort) bool { return p.Name != nil && *p.Name == DemandPort && p.Port != nil })
		if i < 0 {
			continue
		}
		for j := range s.Endpoints {
			e := &s.Endpoints[j]
			leaving := e.Conditions.Terminating != nil && *e.Conditions.Terminating
			if !isReady(e) && !leaving || len(e.Addresses) == 0 {
				continue
			}
			source := sourceAt(e, *s.Ports[i].Port, DemandPath)
			source.Leaving = leaving
			found = append(found, source)
		}
	}
	return found
}

// StandsIn reports whether a living activator stands in for a Service.
func (w *Watch) StandsIn(namespace, service string) bool {
	return !w.standsInSince(namespace, service).IsZero()
}

// standsInSince is since when a living activator has stood in for a Service; zero where none does.
func (w *Watch) standsInSince(namespace, service string) (since time.Time) {
	alive := w.alive()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range all[*discoveryv1.EndpointSlice](w.standIns.GetIndexer().ByIndex(byService, namespace+"/"+service)) {
		at, ok := w.since[s.Namespace+"/"+s.Name]
		if ok && len(readyAddresses(s)) > 0 && !alive.orphaned(s) && (since.IsZero() || at.Before(since)) {
			since = at
		}
	}
	return since
}

// sweep deletes the slices of activators that are gone. Those that name one are deleted by the others where any lives: here it
// is done for the last of them. Those that name nobody lead nobody astray, and are cleared away here alone.
func (w *Watch) sweep(ctx context.Context, leads func() bool) error {
	if !w.HasSynced() {
		return nil
	}
	alive := w.alive()
	orphans := slices.DeleteFunc(all[*discoveryv1.EndpointSlice](w.standIns.GetIndexer().List(), nil),
		func(s *discoveryv1.EndpointSlice) bool { return !alive.orphaned(s) && !alive.left(s) })
	gone, _ := overdue(w.gone, orphans, time.Now())
	var errs []error
	for _, s := range gone {
		if !leads() {
			return nil
		}
		if err := deleteUnchanged(ctx, w.client.DiscoveryV1(), s); err != nil {
			errs = append(errs, fmt.Errorf("delete EndpointSlice %s/%s: %w", s.Namespace, s.Name, err))
		}
	}
	return errors.Join(errs...)
}
