package metricsapi

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/metrics/pkg/apis/custom_metrics"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// The resources whose metrics are served, as the HPA controller names them.
const (
	podsResource         = "pods"
	servicesResource     = "services"
	deploymentsResource  = "deployments.apps"
	statefulSetsResource = "statefulsets.apps"
	autoscalersResource  = v1alpha1.ResourceName + "." + v1alpha1.GroupName
)

func servedResources() []string {
	return []string{podsResource, deploymentsResource, statefulSetsResource, servicesResource, autoscalersResource}
}

// Caches are the informers' stores that objects are read from. All are needed.
type Caches struct {
	// Pods holds *corev1.Pod; New adds an index over labels to it.
	Pods cache.Indexer
	// Autoscalers holds *v1alpha1.InferenceAutoscaler.
	Autoscalers  cache.Indexer
	Services     corelisters.ServiceLister
	Deployments  appslisters.DeploymentLister
	StatefulSets appslisters.StatefulSetLister
}

func (c Caches) validate() error {
	if c.Pods == nil || c.Autoscalers == nil || c.Services == nil || c.Deployments == nil || c.StatefulSets == nil {
		return errors.New("metrics API: needs the caches of pods, InferenceAutoscalers, Services, Deployments and StatefulSets")
	}
	return nil
}

// object is something whose metrics can be asked.
type object struct {
	reference custom_metrics.ObjectReference
	// labels are those that a selector over the object's metrics is matched against.
	labels labels.Set
	// pods selects the object's pods; nil for a pod, which is its own.
	pods labels.Selector
	// pod is set for a pod.
	pod *corev1.Pod
}

// String returns the object in words: "deployments.apps default/llama".
func (o *object) String() string {
	return fmt.Sprintf("%s %s/%s", strings.ToLower(o.reference.Kind), o.reference.Namespace, o.reference.Name)
}

// get returns one object, a NotFound status error where there is none.
func (c *Caches) get(resource, namespace, name string) (*object, error) {
	var found runtime.Object
	var err error
	switch resource {
	case podsResource:
		found, err = fromIndexer[*corev1.Pod](c.Pods, schema.GroupResource{Resource: podsResource}, namespace, name)
	case servicesResource:
		found, err = c.Services.Services(namespace).Get(name)
	case deploymentsResource:
		found, err = c.Deployments.Deployments(namespace).Get(name)
	case statefulSetsResource:
		found, err = c.StatefulSets.StatefulSets(namespace).Get(name)
	case autoscalersResource:
		found, err = fromIndexer[*v1alpha1.InferenceAutoscaler](c.Autoscalers, v1alpha1.Resource(v1alpha1.ResourceName), namespace, name)
	default:
		return nil, unknownResource(resource)
	}
	if err != nil {
		return nil, err
	}
	return c.describe(found)
}

func unknownResource(resource string) error {
	return notFound("there are no metrics of %s; metrics are served of: %s", resource, strings.Join(servedResources(), ", "))
}

func fromIndexer[T runtime.Object](indexer cache.Indexer, resource schema.GroupResource, namespace, name string) (runtime.Object, error) {
	item, exists, err := indexer.GetByKey(namespace + "/" + name)
	if err != nil {
		return nil, fmt.Errorf("look up %s %s/%s: %w", resource, namespace, name, err)
	}
	if found, ok := item.(T); exists && ok {
		return found, nil
	}
	return nil, apierrors.NewNotFound(resource, name)
}

// list returns the objects of a namespace whose own labels match, by name.
func (c *Caches) list(resource, namespace string, selector labels.Selector) ([]*object, error) {
	var found []runtime.Object
	var err error
	switch resource {
	case podsResource:
		for _, pod := range c.podsMatching(namespace, selector) {
			found = append(found, pod)
		}
	case servicesResource:
		found, err = listed(c.Services.Services(namespace).List(selector))
	case deploymentsResource:
		found, err = listed(c.Deployments.Deployments(namespace).List(selector))
	case statefulSetsResource:
		found, err = listed(c.StatefulSets.StatefulSets(namespace).List(selector))
	case autoscalersResource:
		for _, ia := range c.autoscalers(namespace) {
			if selector.Matches(labels.Set(ia.Labels)) {
				found = append(found, ia)
			}
		}
	default:
		return nil, unknownResource(resource)
	}
	if err != nil {
		return nil, fmt.Errorf("list %s in namespace %s: %w", resource, namespace, err)
	}
	return c.describeAll(found)
}

func (c *Caches) describeAll(found []runtime.Object) ([]*object, error) {
	objects := make([]*object, 0, len(found))
	for _, f := range found {
		o, err := c.describe(f)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	slices.SortFunc(objects, func(a, b *object) int { return cmp.Compare(a.reference.Name, b.reference.Name) })
	return objects, nil
}

func listed[T runtime.Object](items []T, err error) ([]runtime.Object, error) {
	objects := make([]runtime.Object, len(items))
	for i, item := range items {
		objects[i] = item
	}
	return objects, err
}

// describe returns the object that an API object is. Kinds are given here: informers leave TypeMeta empty.
func (c *Caches) describe(found runtime.Object) (*object, error) {
	switch f := found.(type) {
	case *corev1.Pod:
		return &object{reference: reference("v1", "Pod", f), labels: f.Labels, pod: f}, nil
	case *corev1.Service:
		return &object{reference: reference("v1", "Service", f), labels: f.Labels, pods: serviceSelector(f)}, nil
	case *appsv1.Deployment:
		return workload(reference("apps/v1", "Deployment", f), f.Labels, f.Spec.Selector)
	case *appsv1.StatefulSet:
		return workload(reference("apps/v1", "StatefulSet", f), f.Labels, f.Spec.Selector)
	case *v1alpha1.InferenceAutoscaler:
		pods, podLabels := c.scaled(f)
		return &object{
			reference: reference(v1alpha1.GroupVersion.String(), v1alpha1.Kind, f),
			labels:    autoscalerLabels(f, podLabels),
			pods:      pods,
		}, nil
	default:
		return nil, fmt.Errorf("%T has no metrics", found)
	}
}

func reference(apiVersion, kind string, o metav1.Object) custom_metrics.ObjectReference {
	return custom_metrics.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID()}
}

func workload(ref custom_metrics.ObjectReference, own labels.Set, selector *metav1.LabelSelector) (*object, error) {
	pods, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, fmt.Errorf("selector of %s %s/%s: %w", ref.Kind, ref.Namespace, ref.Name, err)
	}
	return &object{reference: ref, labels: own, pods: pods}, nil
}

// serviceSelector selects nothing for a Service without a selector, whose pods only an EndpointSlice names.
func serviceSelector(s *corev1.Service) labels.Selector {
	if len(s.Spec.Selector) == 0 {
		return labels.Nothing()
	}
	return labels.SelectorFromSet(s.Spec.Selector)
}

// scaled returns the selector and the labels of the pods that an InferenceAutoscaler scales: the workload's own where
// it is known here, else the selector that its scale subresource was last seen with.
func (c *Caches) scaled(ia *v1alpha1.InferenceAutoscaler) (labels.Selector, labels.Set) {
	ref := ia.Spec.ScaleTargetRef
	var selector *metav1.LabelSelector
	var template labels.Set
	switch {
	case !strings.HasPrefix(ref.APIVersion, "apps/"):
	case ref.Kind == "Deployment":
		if d, err := c.Deployments.Deployments(ia.Namespace).Get(ref.Name); err == nil {
			selector, template = d.Spec.Selector, d.Spec.Template.Labels
		}
	case ref.Kind == "StatefulSet":
		if s, err := c.StatefulSets.StatefulSets(ia.Namespace).Get(ref.Name); err == nil {
			selector, template = s.Spec.Selector, s.Spec.Template.Labels
		}
	}
	if pods, err := metav1.LabelSelectorAsSelector(selector); err == nil && selector != nil {
		return pods, template
	}
	if ia.Status.Selector == "" {
		return labels.Nothing(), nil
	}
	pods, err := labels.Parse(ia.Status.Selector)
	if err != nil {
		return labels.Nothing(), nil
	}
	return pods, c.anyLabels(ia.Namespace, pods)
}

// anyLabels returns the labels of one of the pods, nil where there is none.
func (c *Caches) anyLabels(namespace string, selector labels.Selector) labels.Set {
	if pods := c.podsMatching(namespace, selector); len(pods) > 0 {
		return pods[0].Labels
	}
	return nil
}

// autoscalerLabels returns the labels of the metrics of an InferenceAutoscaler.
func autoscalerLabels(ia *v1alpha1.InferenceAutoscaler, pods labels.Set) labels.Set {
	ref := ia.Spec.ScaleTargetRef
	return merged(pods, ia.Labels, map[string]string{
		"inferenceautoscaler": ia.Name, "target": ia.Name, strings.ToLower(ref.Kind): ref.Name,
	})
}

func (c *Caches) autoscalers(namespace string) []*v1alpha1.InferenceAutoscaler {
	var all []*v1alpha1.InferenceAutoscaler
	for _, item := range inNamespace(c.Autoscalers, namespace) {
		if ia, ok := item.(*v1alpha1.InferenceAutoscaler); ok {
			all = append(all, ia)
		}
	}
	return all
}

// readyPods returns the object's pods that are ready, and how many it has in all. The first settled of them have been
// ready for longer than what isNew says of the time at which they became so.
func (c *Caches) readyPods(o *object, isNew func(since time.Time) bool) (ready []store.PodID, settled, total int) {
	pods := []*corev1.Pod{o.pod}
	if o.pod == nil {
		pods = c.podsMatching(o.reference.Namespace, o.pods)
	}
	ready = make([]store.PodID, 0, len(pods))
	for _, pod := range pods {
		since, ok := readySince(pod)
		if !ok {
			continue
		}
		ready = append(ready, podID(pod))
		if !isNew(since) {
			last := len(ready) - 1
			ready[settled], ready[last] = ready[last], ready[settled]
			settled++
		}
	}
	return ready, settled, len(pods)
}

func podID(pod *corev1.Pod) store.PodID {
	return store.PodID{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID)}
}

// readySince returns when a pod began to serve; false unless it does: ready and not being deleted.
func readySince(pod *corev1.Pod) (since time.Time, ok bool) {
	if pod.DeletionTimestamp != nil {
		return time.Time{}, false
	}
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			return c.LastTransitionTime.Time, c.Status == corev1.ConditionTrue
		}
	}
	return time.Time{}, false
}

func isReady(pod *corev1.Pod) bool {
	_, ok := readySince(pod)
	return ok
}

// labelIndex finds pods by one label: "namespace/key=value".
const labelIndex = "preheat.dev/label"

func labelKey(namespace, key, value string) string { return namespace + "/" + key + "=" + value }

func labelKeys(item any) ([]string, error) {
	o, err := meta.Accessor(item)
	if err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(o.GetLabels()))
	for k, v := range o.GetLabels() {
		keys = append(keys, labelKey(o.GetNamespace(), k, v))
	}
	return keys, nil
}

// indexPods adds the index over labels, once.
func indexPods(pods cache.Indexer) error {
	if _, ok := pods.GetIndexers()[labelIndex]; ok {
		return nil
	}
	if err := pods.AddIndexers(cache.Indexers{labelIndex: labelKeys}); err != nil {
		return fmt.Errorf("metrics API: index pods by label: %w", err)
	}
	return nil
}

// podsMatching returns the pods of a namespace that a selector matches. It looks at the pods with the rarest label that
// the selector demands, so that its cost does not grow with the namespace.
func (c *Caches) podsMatching(namespace string, selector labels.Selector) []*corev1.Pod {
	requirements, selectable := selector.Requirements()
	if !selectable {
		return nil
	}
	candidates, indexed := []any(nil), false
	for _, r := range requirements {
		value, ok := exactly(r)
		if !ok {
			continue
		}
		items, err := c.Pods.ByIndex(labelIndex, labelKey(namespace, r.Key(), value))
		if err == nil && (!indexed || len(items) < len(candidates)) {
			candidates, indexed = items, true
		}
	}
	if !indexed {
		candidates = inNamespace(c.Pods, namespace)
	}
	matching := make([]*corev1.Pod, 0, min(len(candidates), 64))
	for _, item := range candidates {
		if pod, ok := item.(*corev1.Pod); ok && selector.Matches(labels.Set(pod.Labels)) {
			matching = append(matching, pod)
		}
	}
	return matching
}

// inNamespace returns all items of a namespace, by index where there is one.
func inNamespace(indexer cache.Indexer, namespace string) []any {
	if items, err := indexer.ByIndex(cache.NamespaceIndex, namespace); err == nil {
		return items
	}
	var items []any
	for _, item := range indexer.List() {
		if o, err := meta.Accessor(item); err == nil && o.GetNamespace() == namespace {
			items = append(items, item)
		}
	}
	return items
}
