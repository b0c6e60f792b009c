package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/scale"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

var (
	t0          = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	vllm        = controlloop.TargetID{Namespace: "ml", Name: "vllm"}
)

// fakeScales is an API server with the scale subresources of Deployments: optimistic locking and nothing else.
type fakeScales struct {
	mu  sync.Mutex
	all map[string]*autoscalingv1.Scale
	// onUpdate, where set, is called before an update and may refuse it, or change what is there.
	onUpdate func(*autoscalingv1.Scale) error
	updates  []int32
	managers []string
	// deaf makes reads hang until their context ends; onRead, where set, is called before one.
	deaf   bool
	onRead func()
}

func (f *fakeScales) Scales(namespace string) scale.ScaleInterface {
	return namespacedScales{f, namespace}
}

type namespacedScales struct {
	*fakeScales
	namespace string
}

func (f namespacedScales) Get(ctx context.Context, r schema.GroupResource, name string, _ metav1.GetOptions) (*autoscalingv1.Scale, error) {
	if f.deaf {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if f.onRead != nil {
		f.onRead()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.all[f.namespace+"/"+name]
	if !ok {
		return nil, apierrors.NewNotFound(r, name)
	}
	return s.DeepCopy(), nil
}

func (f namespacedScales) Update(_ context.Context, r schema.GroupResource, s *autoscalingv1.Scale, o metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	if f.onUpdate != nil {
		if err := f.onUpdate(s); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.all[f.namespace+"/"+s.Name]
	if was == nil {
		return nil, apierrors.NewNotFound(r, s.Name)
	}
	if was.ResourceVersion != s.ResourceVersion {
		return nil, apierrors.NewConflict(r, s.Name, fmt.Errorf("resource version is %s, not %s", was.ResourceVersion, s.ResourceVersion))
	}
	was.Spec.Replicas = s.Spec.Replicas
	was.ResourceVersion = bump(was.ResourceVersion)
	f.updates, f.managers = append(f.updates, s.Spec.Replicas), append(f.managers, o.FieldManager)
	return was.DeepCopy(), nil
}

func (f namespacedScales) Patch(context.Context, schema.GroupVersionResource, string, types.PatchType, []byte, metav1.PatchOptions) (*autoscalingv1.Scale, error) {
	return nil, fmt.Errorf("patch is not used")
}

func bump(version string) string {
	n, err := strconv.Atoi(version)
	if err != nil {
		panic(err)
	}
	return strconv.Itoa(n + 1)
}

// set is what somebody else does to a scale; touch changes the object but not its replicas, as a status update does.
func (f *fakeScales) set(key string, replicas int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[key].Spec.Replicas = replicas
	f.all[key].ResourceVersion = bump(f.all[key].ResourceVersion)
}

func (f *fakeScales) touch(key string) { f.set(key, f.replicas(key)) }

func (f *fakeScales) replicas(key string) int32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[key].Spec.Replicas
}

// switchedLeader leads while on; a countdown turns it off after so many questions.
type switchedLeader struct {
	mu sync.Mutex
	on bool
	// left is how many more questions are answered with yes; negative means any number.
	left int
}

func (l *switchedLeader) IsLeader() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == 0 {
		return false
	}
	l.left--
	return l.on
}

func (l *switchedLeader) lead(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on, l.left = on, -1
}

// fakeAutoscalers is an API server with InferenceAutoscalers.
type fakeAutoscalers struct {
	mu      sync.Mutex
	all     map[controlloop.TargetID]*v1alpha1.InferenceAutoscaler
	updates int
	// refuse, where set, may refuse an update.
	refuse func() error
}

func (f *fakeAutoscalers) Get(_ context.Context, namespace, name string) (*v1alpha1.InferenceAutoscaler, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.all[controlloop.TargetID{Namespace: namespace, Name: name}]
	if !ok {
		return nil, apierrors.NewNotFound(v1alpha1.Resource(v1alpha1.ResourceName), name)
	}
	return a.DeepCopy(), nil
}

func (f *fakeAutoscalers) UpdateStatus(_ context.Context, a *v1alpha1.InferenceAutoscaler) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		if err := f.refuse(); err != nil {
			return err
		}
	}
	was, ok := f.all[idOf(a)]
	if !ok {
		return apierrors.NewNotFound(v1alpha1.Resource(v1alpha1.ResourceName), a.Name)
	}
	if was.ResourceVersion != a.ResourceVersion {
		return apierrors.NewConflict(v1alpha1.Resource(v1alpha1.ResourceName), a.Name, fmt.Errorf("stale"))
	}
	was.Status, was.ResourceVersion = *a.Status.DeepCopy(), bump(was.ResourceVersion)
	f.updates++
	return nil
}

// noReadings is a store that has seen nothing.
type noReadings struct{}

func (noReadings) Lacking(store.PodID) error { return nil }

func (noReadings) Problem(store.PodID) (time.Time, error) {
	return t0, errors.New("connection refused; check the metrics port")
}

func (noReadings) Latest(store.PodID) (*signals.Reading, bool) { return nil, false }

// world is a cluster whose informers are filled by hand, so that tests say what was seen when.
type world struct {
	*Cluster
	t           testing.TB
	scales      *fakeScales
	core        *fake.Clientset
	dynamic     *dynamicfake.FakeDynamicClient
	metadata    *metadatafake.FakeMetadataClient
	autoscalers *fakeAutoscalers
	leader      *switchedLeader
	said        *record.FakeRecorder
	planErr     error
	plans       int
	// manager is the field manager of spec.replicas that the API server tells.
	manager string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, core: fake.NewSimpleClientset(), leader: &switchedLeader{on: true, left: -1}, said: record.NewFakeRecorder(100),
		scales:      &fakeScales{all: map[string]*autoscalingv1.Scale{}},
		autoscalers: &fakeAutoscalers{all: map[controlloop.TargetID]*v1alpha1.InferenceAutoscaler{}},
		dynamic: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
			map[schema.GroupVersionResource]string{scaledObjectResource: "ScaledObjectList"}),
		metadata: metadatafake.NewSimpleMetadataClient(metadatafake.NewTestScheme()),
	}
	w.metadata.PrependReactor("get", "*", w.tellManager)
	cluster, err := New(w.clients(), Ports{Plan: w.plan, Readings: noReadings{}, Leader: w.leader, Log: slog.New(slog.DiscardHandler)}, DefaultOptions())
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	w.Cluster = cluster
	t.Cleanup(cluster.broadcaster.Shutdown)
	w.Recorder.events.recorder = w.said
	w.scaledObjects.informer = cache.NewSharedIndexInformer(&cache.ListWatch{}, &unstructured.Unstructured{}, 0, minimumIndexers(scaledObjectMinimum))
	return w
}

func (w *world) clients() Clients {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{appsv1.SchemeGroupVersion})
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)
	return Clients{
		Kubernetes: w.core, Dynamic: w.dynamic, Metadata: w.metadata, Scales: w.scales, Mapper: mapper, Autoscalers: w.autoscalers,
		AutoscalerInformer: cache.NewSharedIndexInformer(&cache.ListWatch{}, &v1alpha1.InferenceAutoscaler{}, 0, cache.Indexers{}),
	}
}

func (w *world) plan(*v1alpha1.InferenceAutoscaler) (*scaling.Planner, error) {
	w.plans++
	return new(scaling.Planner), w.planErr
}

func (w *world) tellManager(clienttesting.Action) (bool, runtime.Object, error) {
	if w.manager == "" {
		return true, nil, apierrors.NewForbidden(deployments.GroupResource(), "vllm", fmt.Errorf("no right"))
	}
	return true, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{
		Manager: w.manager, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`),
	}}}}, nil
}

// autoscaler makes ml/NAME known, which scales Deployment ml/vllm unless change says otherwise.
func (w *world) autoscaler(name string, change func(*v1alpha1.InferenceAutoscaler)) *v1alpha1.InferenceAutoscaler {
	a := &v1alpha1.InferenceAutoscaler{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ml", Name: name, UID: types.UID(name), Generation: 1, ResourceVersion: "1", CreationTimestamp: metav1.NewTime(t0),
	}}
	a.Spec.ScaleTargetRef = v1alpha1.ScaleTargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "vllm"}
	a.Spec.Mode, a.Spec.MaxReplicas = v1alpha1.ModeOwn, 10
	if change != nil {
		change(a)
	}
	w.autoscalers.all[idOf(a)] = a
	w.Targets.put(a)
	return a
}

// deployment makes Deployment ml/NAME exist with so many replicas.
func (w *world) deployment(name string, replicas int32) {
	w.scales.all["ml/"+name] = &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name, UID: types.UID(name), ResourceVersion: "1"},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
		Status:     autoscalingv1.ScaleStatus{Selector: "app=" + name},
	}
}

// pod makes the informer know a pod of Deployment vllm.
func (w *world) pod(name string, change func(*corev1.Pod)) *corev1.Pod {
	w.t.Helper()
	p := readyPod(name)
	if change != nil {
		change(p)
	}
	if err := w.PodInformer.GetIndexer().Add(p); err != nil {
		w.t.Fatal(err)
	}
	w.births.see(p)
	return p
}

// hpa makes an HPA on Deployment vllm exist, in the API server and in the informer.
func (w *world) hpa(name string, minReplicas, maxReplicas int32) {
	h := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name, ResourceVersion: "1"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "vllm"},
			MinReplicas:    &minReplicas, MaxReplicas: maxReplicas,
		},
	}
	if err := w.core.Tracker().Add(h); err != nil {
		w.t.Fatal(err)
	}
	w.seeHPA(name, nil)
}

// seeHPA brings the informer up to date with the API server, after a change by somebody else.
func (w *world) seeHPA(name string, change func(*autoscalingv2.HorizontalPodAutoscaler)) *autoscalingv2.HorizontalPodAutoscaler {
	w.t.Helper()
	client := w.core.AutoscalingV2().HorizontalPodAutoscalers("ml")
	h, err := client.Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	h = h.DeepCopy()
	h.ResourceVersion = bump(h.ResourceVersion)
	if change != nil {
		change(h)
	}
	if _, err := client.Update(context.Background(), h, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.hpas.informer.GetIndexer().Update(h); err != nil {
		w.t.Fatal(err)
	}
	return h
}

// tick observes, and actuates a decision for so many replicas.
func (w *world) tick(id controlloop.TargetID, now time.Time, replicas int32) error {
	w.t.Helper()
	return w.decide(id, now, replicas, scaling.DemandMet)
}

// decide observes, and actuates a decision for so many replicas for a reason.
func (w *world) decide(id controlloop.TargetID, now time.Time, replicas int32, reason scaling.Reason) error {
	w.t.Helper()
	obs, err := w.Observer.Observe(context.Background(), id, now)
	if err != nil {
		w.t.Fatalf("Observe: %v", err)
	}
	d := scaling.Decision{Time: now, Current: obs.Desired, Replicas: replicas, Reason: reason}
	err = w.Actuator.Actuate(context.Background(), id, d)
	w.Recorder.Record(context.Background(), id, d, err)
	return err
}

// readyPod is a pod of app vllm that was made at t0, got its node after 1 s, ran after 2 s and was ready after 60 s.
func readyPod(name string) *corev1.Pod {
	at := func(s int) metav1.Time { return metav1.NewTime(t0.Add(time.Duration(s) * time.Second)) }
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name, UID: types.UID(name), Labels: map[string]string{"app": "vllm"}, CreationTimestamp: at(0)},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "engine", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8000}},
		}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.0.0.1",
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: at(1)},
				{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: at(60)},
			},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "engine", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(2)}},
			}},
		},
	}
}

// unready makes a pod not ready since so many seconds after t0.
func unready(p *corev1.Pod, since int) {
	p.Status.Conditions[1].Status = corev1.ConditionFalse
	p.Status.Conditions[1].LastTransitionTime = metav1.NewTime(t0.Add(time.Duration(since) * time.Second))
}

// writeStatuses writes every status that waits, and shows the informer what the API server has then.
func (w *world) writeStatuses() {
	w.t.Helper()
	for w.statuses.queue.Len() > 0 {
		w.statuses.next(context.Background())
	}
	for _, a := range w.autoscalers.all {
		w.Targets.put(a.DeepCopy())
	}
}
