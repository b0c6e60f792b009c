package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// target is one InferenceAutoscaler and what was read about it.
type target struct {
	*v1alpha1.InferenceAutoscaler
	// workload is its target's object and the selector of its pods; read once.
	workload func() workload
	// pods are the target's.
	pods func() ([]corev1.Pod, error)
}

// workload is what a scaleTargetRef leads to.
type workload struct {
	object   *unstructured.Unstructured
	resource schema.GroupVersionResource
	selector string
	// noKind, noObject and noScale say that the kind, the object or its scale subresource is missing; err is another fault of
	// reading, and right what the read takes.
	noKind, noObject, noScale bool
	err                       error
	right                     right
}

func (t *target) String() string {
	return v1alpha1.Kind + " " + t.Namespace + "/" + t.Name
}

// ref names the scale target.
func (t *target) ref() string {
	return t.Spec.ScaleTargetRef.Kind + " " + t.Namespace + "/" + t.Spec.ScaleTargetRef.Name
}

// edit is the command that changes a field.
func (t *target) edit() string {
	return fmt.Sprintf("kubectl -n %s edit ia %s", t.Namespace, t.Name)
}

// targets are all InferenceAutoscalers in order, and what there is to say where there are none.
func (e *examination) targets(ctx context.Context) ([]*target, ward) {
	w := ward{check: "autoscalers"}
	items, err := list[v1alpha1.InferenceAutoscaler](ctx, e, autoscalerResource, e.Namespace)
	switch {
	case apierrors.IsNotFound(err):
		w.problem("kubectl apply --server-side -k deploy/crds", "the API server does not know InferenceAutoscalers")
		return nil, w
	case err != nil:
		w.unread(right{"list", "inferenceautoscalers.preheat.dev", e.Namespace}, err)
		return nil, w
	case len(items) == 0 && e.Namespace != "":
		w.warn("kubectl apply -n "+e.Namespace+" -f deploy/samples/own-vllm.yaml, or look in all namespaces with -A", "there is no InferenceAutoscaler in namespace %s", e.Namespace)
	case len(items) == 0:
		w.warn("kubectl apply -f deploy/samples/own-vllm.yaml", "there is no InferenceAutoscaler: nothing is scaled")
	}
	slices.SortFunc(items, func(a, b v1alpha1.InferenceAutoscaler) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	all := make([]*target, len(items))
	for i := range items {
		items[i].SetDefaults()
		t := &target{InferenceAutoscaler: &items[i]}
		t.workload = sync.OnceValue(func() workload { return e.readWorkload(ctx, t) })
		t.pods = sync.OnceValues(func() ([]corev1.Pod, error) { return e.readPods(ctx, t) })
		all[i] = t
	}
	return all, w
}

// targetChecks are those of each target, in their order.
func (e *examination) targetChecks(all []*target) []patient {
	others := e.newRivals(all)
	version := e.metricsVersion()
	var out []patient
	for _, t := range all {
		add := func(check string, run func(ctx context.Context, w *ward, t *target)) {
			out = append(out, patient{check, t.String(), func(ctx context.Context, w *ward) { run(ctx, w, t) }})
		}
		add("target", e.target)
		add("pods", e.podsOf)
		add("decision", e.decision)
		add("metrics", func(ctx context.Context, w *ward, t *target) { e.metrics(ctx, w, t, version) })
		add("lead-time", leadTime)
		add("rivals", others.check)
		if t.Spec.Gateway != nil {
			add("gateway", e.gateway)
		}
		add("zero", e.zero)
		add("gate", e.gate)
		if e.Probe {
			add("probe", e.probe)
		}
	}
	return out
}

// readWorkload follows the reference.
func (e *examination) readWorkload(ctx context.Context, t *target) (w workload) {
	ref := t.Spec.ScaleTargetRef
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return workload{noKind: true}
	}
	mapped, err := e.Mapper.RESTMapping(schema.GroupKind{Group: gv.Group, Kind: ref.Kind})
	if meta.IsNoMatchError(err) {
		return workload{noKind: true}
	}
	if err != nil {
		return workload{err: err, right: right{"get", "/apis", clusterScope}}
	}
	w.resource = mapped.Resource
	all := e.Dynamic.Resource(w.resource).Namespace(t.Namespace)
	w.object, err = all.Get(ctx, ref.Name, metav1.GetOptions{})
	name := w.resource.GroupResource().String()
	if err != nil {
		w.object, w.noObject, w.err, w.right = nil, apierrors.IsNotFound(err), err, right{"get", name + "/" + ref.Name, t.Namespace}
		return w
	}
	got, err := all.Get(ctx, ref.Name, metav1.GetOptions{}, "scale")
	if err != nil {
		w.noScale, w.err, w.right = apierrors.IsNotFound(err), err, right{"get", name + "/scale", t.Namespace}
		return w
	}
	scale, err := decode[autoscalingv1.Scale](got)
	w.selector, w.err, w.right = scale.Status.Selector, err, right{"get", name + "/scale", t.Namespace}
	return w
}

// target says whether what is to be scaled is there and can be.
func (e *examination) target(_ context.Context, w *ward, t *target) {
	ref, got := t.Spec.ScaleTargetRef, t.workload()
	switch {
	case got.noKind:
		w.problem(t.edit()+": spec.scaleTargetRef.apiVersion and kind, or install its CRD", "the API server knows no kind %s of %s", ref.Kind, ref.APIVersion)
	case got.noObject:
		w.problem(t.edit()+": spec.scaleTargetRef.name, or create it", "%s does not exist", t.ref())
	case got.noScale:
		w.problem(t.edit()+": spec.scaleTargetRef, naming a kind that has one, such as a Deployment", "%s has no scale subresource", t.ref())
	case got.err != nil:
		w.unread(got.right, got.err)
	default:
		w.ok("%s exists and can be scaled", t.ref())
	}
}

// selected is the selector of the target's pods: as its scale tells, else as the status remembers.
func (t *target) selected() string { return cmp.Or(t.workload().selector, t.Status.Selector) }

// errNoSelector says that a target's pods cannot be found.
var errNoSelector = errors.New("no selector is known")

func (e *examination) readPods(ctx context.Context, t *target) ([]corev1.Pod, error) {
	selector, err := labels.Parse(t.selected())
	if err != nil || selector.Empty() {
		return nil, errNoSelector
	}
	got, err := e.Kube.CoreV1().Pods(t.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(got.Items, func(p corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	}), nil
}

// podsOf says whether the selector finds pods, whether they are ready, and whether their nodes' clocks are right.
func (e *examination) podsOf(_ context.Context, w *ward, t *target) {
	pods, err := t.pods()
	got := t.workload()
	switch {
	case errors.Is(err, errNoSelector) && (got.noKind || got.noObject || got.noScale || got.err != nil):
		w.unknown("see check target of it", "not looked at: what selects the pods is not known")
		return
	case errors.Is(err, errNoSelector):
		w.problem("let the scale subresource of "+t.ref()+" give status.selector", "the scale subresource names no selector: its pods cannot be found")
		return
	case err != nil:
		w.unread(right{"list", "pods", t.Namespace}, err)
		return
	}
	readiness(w, t, pods)
	e.nodeClocks(w, pods)
}

// readiness says whether the pods that the selector finds are ready.
func readiness(w *ward, t *target, pods []corev1.Pod) {
	ready, starting := 0, 0
	for _, p := range pods {
		if isReady(&p) {
			ready++
		} else {
			starting++
		}
	}
	look := fmt.Sprintf("kubectl -n %s get pods -l '%s'", t.Namespace, t.selected())
	switch {
	case len(pods) == 0 && t.workload().object != nil && replicasOf(t.workload().object) == 0:
		w.ok("there are none, as 0 replicas are asked for")
	case len(pods) == 0:
		w.problem(look+"; see the events of "+t.ref(), "selector %q finds no pod", t.selected())
	case ready == 0:
		w.problem(look, "none of %d pods is ready", len(pods))
	case starting > 0:
		w.warn(look, "%d of %d pods are not ready", starting, len(pods))
	default:
		w.ok("all %d are ready", ready)
	}
}

func isReady(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// replicasOf is what an object asks for, 1 where it does not say.
func replicasOf(object *unstructured.Unstructured) int64 {
	n, found, err := unstructured.NestedInt64(object.Object, "spec", "replicas")
	if err != nil || !found {
		return 1
	}
	return n
}

// nodeClocks finds nodes whose kubelet writes of times that cannot be: containers that run before their pod was made, or
// later than now.
func (e *examination) nodeClocks(w *ward, pods []corev1.Pod) {
	worst := map[string]time.Duration{}
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Running == nil {
				continue
			}
			at := c.State.Running.StartedAt.Time
			off := time.Duration(0)
			if early := at.Sub(p.CreationTimestamp.Time); early < -skewAllowed {
				off = early
			}
			if late := at.Sub(e.clock()); late > skewAllowed {
				off = late
			}
			if off.Abs() > worst[p.Spec.NodeName].Abs() {
				worst[p.Spec.NodeName] = off
			}
		}
	}
	w.check = "clock"
	for _, node := range sortedKeys(worst) {
		w.warn("set the clock of node "+node+" (time synchronisation)", "the clock of node %s is at least %s %s the API server's: lead times are learned wrong",
			node, since(worst[node].Abs()), side(worst[node] > 0))
	}
}

// leadTime says what the forecast looks ahead by.
func leadTime(_ context.Context, w *ward, t *target) {
	l := t.Status.LeadTime
	if l == nil {
		w.unknown("see check decision of it", "no lead time is told")
		return
	}
	switch l.Source {
	case v1alpha1.SourceMeasured:
		w.ok("learned from %d starts: %s, 90th percentile %s", l.Samples, since(l.P50.Duration), since(l.P90.Duration))
	case v1alpha1.SourceOverride:
		w.ok("fixed by spec.leadTime.override: %s", since(l.P90.Duration))
	default:
		w.warn("nothing, the next starts teach it; until then set spec.leadTime.prior to what a start takes ("+t.edit()+")",
			"assumed, not learned: %s, with %d starts seen", since(l.P90.Duration), l.Samples)
	}
}

// gate says whether the readiness gate is there where the spec needs it.
func (e *examination) gate(_ context.Context, w *ward, t *target) {
	drain := t.Spec.Drain.Timeout
	if t.Spec.Mode != v1alpha1.ModeOwn || t.Spec.Warm == nil && drain != nil && drain.Duration == 0 {
		return
	}
	gated, known := t.gated()
	remedy := fmt.Sprintf("add to the pod template of %s: readinessGates: [{conditionType: %s}]", t.ref(), v1alpha1.ServingGate)
	switch {
	case !known:
		w.unknown("see check target of it", "not looked at: the pod template is not known")
	case gated:
		w.ok("the pod template has readiness gate %s", v1alpha1.ServingGate)
	case t.Spec.Warm != nil:
		w.problem(remedy, "spec.warm needs readiness gate %s, which the pod template lacks: no replica is kept warm", v1alpha1.ServingGate)
	default:
		w.warn(remedy+", or set spec.drain.timeout to 0s", "the pod template lacks readiness gate %s: replicas are deleted without being drained", v1alpha1.ServingGate)
	}
}

// gated reports whether pods have the gate, by the template where it is at the usual place, else by the pods there are.
func (t *target) gated() (gated, known bool) {
	if object := t.workload().object; object != nil {
		if template, found, err := unstructured.NestedMap(object.Object, "spec", "template", "spec"); err == nil && found {
			gates, _, _ := unstructured.NestedSlice(template, "readinessGates")
			return slices.ContainsFunc(gates, func(g any) bool { return toMap(g)["conditionType"] == v1alpha1.ServingGate }), true
		}
	}
	pods, err := t.pods()
	if err != nil || len(pods) == 0 {
		return false, false
	}
	for _, p := range pods {
		if !slices.Contains(p.Spec.ReadinessGates, corev1.PodReadinessGate{ConditionType: v1alpha1.ServingGate}) {
			return false, true
		}
	}
	return true, true
}

// zero says whether somebody holds requests where the target may go to zero.
func (e *examination) zero(ctx context.Context, w *ward, t *target) {
	if t.Spec.MinReplicas == nil || *t.Spec.MinReplicas > 0 {
		return
	}
	gateway := t.Spec.Gateway
	remedy := t.edit() + ": set spec.activator.service to the Service of the target (and apply deploy/components/activator), spec.gateway to one that holds requests, or spec.minReplicas to 1"
	switch {
	case t.Spec.Activator != nil:
		e.service(ctx, w, t.Namespace, t.Spec.Activator.Service, "spec.activator.service", true)
		e.activators(ctx, w)
	case gateway == nil:
		w.problem(remedy, "spec.minReplicas is 0 and nobody holds requests: one replica always stays")
	case !gateway.Holds():
		w.problem(remedy, "spec.minReplicas is 0 and nobody holds requests, a gateway of kind %s only sees them pass: one replica always stays", gateway.Kind)
	}
}

// service says whether a Service that requests go through is there; one that is stood in for has an address and a selector.
func (e *examination) service(ctx context.Context, w *ward, namespace, name, field string, replaced bool) {
	s, err := e.Kube.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		w.problem("create it, or correct "+field, "Service %s/%s of %s does not exist", namespace, name, field)
	case err != nil:
		w.unread(right{"get", "services/" + name, namespace}, err)
	case replaced && (s.Spec.ClusterIP == corev1.ClusterIPNone || len(s.Spec.Selector) == 0):
		w.problem("name a Service with a cluster IP and a selector in "+field, "Service %s/%s has no cluster IP or no selector: nobody can stand in for it", namespace, name)
	default:
		w.ok("Service %s/%s is there", namespace, name)
	}
}

// activators says whether the pods that hold requests run.
func (e *examination) activators(ctx context.Context, w *ward) {
	const name = "preheat-activator"
	d, err := e.Kube.AppsV1().Deployments(e.System).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		w.problem("kubectl apply --server-side -k an overlay of deploy/base with deploy/components/activator", "Deployment %s/%s does not exist: nobody holds requests, and one replica always stays", e.System, name)
	case err != nil:
		w.unread(right{"get", "deployments.apps/" + name, e.System}, err)
	default:
		before := len(w.found)
		runs(w, d, 2)
		for i := range w.found[before:] {
			w.found[before+i].Seen = "activators: " + w.found[before+i].Seen
		}
	}
}

// poolChecks are those of the WarmPools; what there is to say of their list goes to w.
func (e *examination) poolChecks(ctx context.Context, w *ward) []patient {
	pools, err := list[v1alpha1.WarmPool](ctx, e, poolResource, e.Namespace)
	if apierrors.IsNotFound(err) {
		return nil // check crd says so
	}
	if err != nil {
		w.check = "pools"
		w.unread(right{"list", "warmpools.preheat.dev", e.Namespace}, err)
		return nil
	}
	slices.SortFunc(pools, func(a, b v1alpha1.WarmPool) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	var all []patient
	for i := range pools {
		p := &pools[i]
		all = append(all, patient{"pool", v1alpha1.PoolKind + " " + p.Namespace + "/" + p.Name, func(_ context.Context, w *ward) { pool(w, p) }})
	}
	return all
}

// pool says what the conditions of a WarmPool do.
func pool(w *ward, p *v1alpha1.WarmPool) {
	look := fmt.Sprintf("kubectl -n %s get warmpool %s -o yaml", p.Namespace, p.Name)
	edit := fmt.Sprintf("kubectl -n %s edit warmpool %s", p.Namespace, p.Name)
	switch c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady); {
	case c == nil || c.Status == metav1.ConditionUnknown:
		w.unknown(look, "nothing is said of it yet")
	case c.Status == metav1.ConditionFalse:
		w.problem(edit+": spec.members", "not all members take part (%s): %s", c.Reason, oneText(c.Message))
	default:
		w.ok("all members take part")
	}
	if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionOverBudget); c != nil && c.Status == metav1.ConditionTrue {
		w.warn(edit+": raise spec.gpus, or set members in other modes to Own", "more GPUs are held than there are: %s", oneText(c.Message))
	}
}

// oneText is a text on one line.
func oneText(s string) string { return strings.Join(strings.Fields(s), " ") }
