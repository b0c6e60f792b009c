package switchover

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// Caches are the objects that a Keeper reads from memory: informers that their owner runs.
type Caches struct {
	// Autoscalers, Services, Slices and Pods are indexed by namespace, Slices also by SliceIndexers, Pods by kube.PodIndexers.
	Autoscalers, Services, Slices, Pods cache.SharedIndexInformer
}

const (
	byService = "service"
	byPod     = "activator"
)

// SliceIndexers are the indexes that EndpointSlices need.
func SliceIndexers() cache.Indexers {
	return cache.Indexers{
		byService: func(obj any) ([]string, error) {
			s, ok := obj.(*discoveryv1.EndpointSlice)
			if !ok {
				return nil, fmt.Errorf("index slice by service: got %T", obj)
			}
			return []string{s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]}, nil
		},
		byPod: func(obj any) ([]string, error) {
			s, ok := obj.(*discoveryv1.EndpointSlice)
			if !ok || !ours(s) {
				return nil, nil
			}
			return []string{podOf(s)}, nil
		},
	}
}

// HasSynced reports whether everything that existed at the start has been seen.
func (c *Caches) HasSynced() bool {
	for _, i := range []cache.SharedIndexInformer{c.Autoscalers, c.Services, c.Slices, c.Pods} {
		if !i.HasSynced() {
			return false
		}
	}
	return true
}

// all are the objects of a type among those that an index or a list gives.
func all[T any](objs []any, err error) []T {
	found := make([]T, 0, len(objs))
	for _, obj := range objs {
		if x, ok := obj.(T); ok && err == nil {
			found = append(found, x)
		}
	}
	return found
}

// autoscalers are those that have an activator stand in.
func (c *Caches) autoscalers() []*v1alpha1.InferenceAutoscaler {
	return slices.DeleteFunc(all[*v1alpha1.InferenceAutoscaler](c.Autoscalers.GetIndexer().List(), nil),
		func(a *v1alpha1.InferenceAutoscaler) bool { return a.Spec.Activator == nil })
}

func (c *Caches) autoscalersIn(namespace string) []*v1alpha1.InferenceAutoscaler {
	return slices.DeleteFunc(all[*v1alpha1.InferenceAutoscaler](c.Autoscalers.GetIndexer().ByIndex(cache.NamespaceIndex, namespace)),
		func(a *v1alpha1.InferenceAutoscaler) bool { return a.Spec.Activator == nil })
}

func (c *Caches) autoscaler(name types.NamespacedName) (*v1alpha1.InferenceAutoscaler, bool) {
	obj, ok, err := c.Autoscalers.GetIndexer().GetByKey(name.String())
	a, isOne := obj.(*v1alpha1.InferenceAutoscaler)
	return a, ok && isOne && err == nil
}

// service is the Service of a target and its port, or why an activator with addresses of a family cannot stand in for it.
func (c *Caches) service(a *v1alpha1.InferenceAutoscaler, family corev1.IPFamily) (s *corev1.Service, port corev1.ServicePort, fault string) {
	name := a.Namespace + "/" + a.Spec.Activator.Service
	if first := c.firstOf(a.Namespace, a.Spec.Activator.Service); first != nil && first.Name != a.Name {
		return nil, port, fmt.Sprintf("spec.activator.service: Service %s is that of InferenceAutoscaler %s already, which is older; give each its own", name, first.Name)
	}
	obj, ok, err := c.Services.GetIndexer().GetByKey(name)
	s, isOne := obj.(*corev1.Service)
	if !ok || !isOne || err != nil {
		return nil, port, fmt.Sprintf("spec.activator.service: there is no Service %s", name)
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName || s.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil, port, fmt.Sprintf("spec.activator.service: Service %s has no cluster IP, so its clients would not find the activator's port; name one that has", name)
	}
	if len(s.Spec.Selector) == 0 {
		return nil, port, fmt.Sprintf("spec.activator.service: Service %s has no selector, so its replicas are not known; name one that has", name)
	}
	if s.Spec.PublishNotReadyAddresses || s.Spec.InternalTrafficPolicy != nil && *s.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal {
		return nil, port, fmt.Sprintf("spec.activator.service: Service %s has publishNotReadyAddresses or internalTrafficPolicy Local, by which requests go astray while no replica is ready; name one without", name)
	}
	if families := s.Spec.IPFamilies; len(families) > 0 && !slices.Equal(families, []corev1.IPFamily{family}) {
		return nil, port, fmt.Sprintf("spec.activator.service: Service %s is of %v and this activator of %s alone, so that some clients would find nobody; name one of that family", name, families, family)
	}
	port, ok = portOf(s, a.Spec.Activator.Port)
	if !ok {
		return nil, port, fmt.Sprintf("spec.activator.port: Service %s has no port %q", name, a.Spec.Activator.Port)
	}
	return s, port, ""
}

// firstOf is the oldest that names a Service: an EndpointSlice leads to one.
func (c *Caches) firstOf(namespace, service string) (first *v1alpha1.InferenceAutoscaler) {
	for _, a := range c.autoscalersIn(namespace) {
		if a.Spec.Activator.Service == service && (first == nil || older(a, first)) {
			first = a
		}
	}
	return first
}

// older orders by age, and those of one second by name.
func older(a, b *v1alpha1.InferenceAutoscaler) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
}

// readyPods are the pods that a Service selects, that are ready and are not about to go.
func (c *Caches) readyPods(s *corev1.Service) []*corev1.Pod {
	selector := labels.SelectorFromSet(s.Spec.Selector)
	return slices.DeleteFunc(all[*corev1.Pod](c.Pods.GetIndexer().ByIndex(cache.NamespaceIndex, s.Namespace)), func(p *corev1.Pod) bool {
		return !selector.Matches(labels.Set(p.Labels)) || p.DeletionTimestamp != nil || p.Status.PodIP == "" || !podReady(p)
	})
}

func podReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func (c *Caches) slicesAt(namespace, service string) []*discoveryv1.EndpointSlice {
	return all[*discoveryv1.EndpointSlice](c.Slices.GetIndexer().ByIndex(byService, namespace+"/"+service))
}

// hasEndpoint reports whether a Service has a ready endpoint, for a port, that is no activator.
func (c *Caches) hasEndpoint(namespace, service, port string) bool {
	return slices.ContainsFunc(c.slicesAt(namespace, service), func(s *discoveryv1.EndpointSlice) bool {
		return !ours(s) && len(readyAddresses(s)) > 0 && slices.ContainsFunc(s.Ports, func(p discoveryv1.EndpointPort) bool {
			return p.Name == nil && port == "" || p.Name != nil && *p.Name == port
		})
	})
}

// activators are those that live.
func (c *Caches) activators(self Self) living {
	return livingIn(c.slicesAt(self.Namespace, self.Service))
}

// slicesOf are those by which an activator stands in, in a namespace or in all.
func (c *Caches) slicesOf(namespace, pod string) []*discoveryv1.EndpointSlice {
	return slices.DeleteFunc(all[*discoveryv1.EndpointSlice](c.Slices.GetIndexer().ByIndex(byPod, pod)), func(s *discoveryv1.EndpointSlice) bool {
		return namespace != "" && s.Namespace != namespace
	})
}

func (c *Caches) slice(namespace, name string) (*discoveryv1.EndpointSlice, bool) {
	obj, ok, err := c.Slices.GetIndexer().GetByKey(namespace + "/" + name)
	s, isOne := obj.(*discoveryv1.EndpointSlice)
	return s, ok && isOne && err == nil
}

// owns reports whether a slice of a name was made for a target.
func (c *Caches) owns(a *v1alpha1.InferenceAutoscaler, name string) bool {
	s, ok := c.slice(a.Namespace, name)
	return ok && len(s.OwnerReferences) == 1 && s.OwnerReferences[0].UID == a.UID
}

// orphans are the slices of a Service that name an activator that is not ready; this one is not asked for its own.
func (c *Caches) orphans(namespace, service string, self Self) []*discoveryv1.EndpointSlice {
	alive := c.activators(self)
	return slices.DeleteFunc(slices.Clone(c.slicesAt(namespace, service)), func(s *discoveryv1.EndpointSlice) bool {
		return !alive.orphaned(s) || s.Name == sliceName(service, self.Pod)
	})
}

// notify has add called for each target that a change may concern.
func (c *Caches) notify(self Self, add func(types.NamespacedName)) error {
	addAll := func(targets []*v1alpha1.InferenceAutoscaler, concerns func(*v1alpha1.InferenceAutoscaler) bool) {
		for _, a := range targets {
			if concerns(a) {
				add(nameOf(a))
			}
		}
	}
	withService := func(namespace, service string) {
		addAll(c.autoscalersIn(namespace), func(a *v1alpha1.InferenceAutoscaler) bool { return a.Spec.Activator.Service == service })
	}
	return errors.Join(
		onChange(c.Autoscalers, func(a *v1alpha1.InferenceAutoscaler, _ bool) {
			add(nameOf(a))
			if a.Spec.Activator != nil {
				withService(a.Namespace, a.Spec.Activator.Service) // of several the oldest has it
			}
		}),
		onChange(c.Services, func(s *corev1.Service, _ bool) { withService(s.Namespace, s.Name) }),
		onChange(c.Slices, func(s *discoveryv1.EndpointSlice, _ bool) {
			service := s.Labels[discoveryv1.LabelServiceName]
			if s.Namespace == self.Namespace && service == self.Service {
				addAll(c.autoscalers(), func(*v1alpha1.InferenceAutoscaler) bool { return true })
			}
			withService(s.Namespace, service)
		}),
		onChange(c.Pods, func(p *corev1.Pod, _ bool) {
			addAll(c.autoscalersIn(p.Namespace), func(a *v1alpha1.InferenceAutoscaler) bool {
				s, _, fault := c.service(a, self.family())
				return fault == "" && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.Labels))
			})
		}),
	)
}

// onChange has changed called with each object that is added, changed (as it was and as it is) or, with is false, gone.
func onChange[T any](informer cache.SharedIndexInformer, changed func(x T, is bool)) error {
	tell := func(obj any, is bool) {
		if x, ok := obj.(T); ok {
			changed(x, is)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { tell(obj, true) },
		UpdateFunc: func(was, is any) { tell(was, true); tell(is, true) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			tell(obj, false)
		},
	})
	return err
}
