package kube

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// node is one as the metadata API tells of it, made so many seconds after t0.
func node(name string, made int) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(fmt.Sprint(name, made)), Labels: map[string]string{"zone": "a"},
			CreationTimestamp: metav1.NewTime(t0.Add(time.Duration(made) * time.Second)),
		},
	}
}

// bind puts a pod on a node so many seconds after t0.
func bind(p *corev1.Pod, node string, at int) {
	p.Spec.NodeName = node
	p.Status.Conditions[0].LastTransitionTime = metav1.NewTime(t0.Add(time.Duration(at) * time.Second))
}

func TestNodeOfPod(t *testing.T) {
	for name, tt := range map[string]struct {
		node   *metav1.PartialObjectMetadata
		change func(*corev1.Pod)
		want   leadtime.Node
	}{
		"a node that was there":                        {node("n", -3600), nil, leadtime.NodePresent},
		"a node of the same second was on its way":     {node("n", 0), nil, leadtime.NodePresent},
		"a node that came after the pod was made":      {node("n", 150), nil, leadtime.NodeMade},
		"a node in the second in which it was bound":   {node("n", 180), nil, leadtime.NodeMade},
		"a node that took over the name of a lost one": {node("n", 181), nil, leadtime.NodeUnknown},
		"a node that nobody knows":                     {node("other", 150), nil, leadtime.NodeUnknown},
		"a pod without a node":                         {node("n", 150), func(p *corev1.Pod) { p.Spec.NodeName = "" }, leadtime.NodeUnknown},
		"a pod of which nobody says when it was bound": {node("n", 150), func(p *corev1.Pod) { p.Status.Conditions = nil }, leadtime.NodeUnknown},
		"a node of which nobody knows since when it is there": {
			&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, nil, leadtime.NodeUnknown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if err := w.nodes.informer.GetIndexer().Add(tt.node); err != nil {
				t.Fatal(err)
			}
			pod := readyPod("a")
			bind(pod, "n", 180)
			if tt.change != nil {
				tt.change(pod)
			}
			if got := w.nodes.of(pod); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// kubelet is what starts a pod: when things happen, in seconds after t0, and when it says so.
type kubelet struct {
	// old tells that the sandbox is ready only once the first container has been started.
	old bool
	// sandbox is when all but the images is there; first and started are when the first container and the serving one are
	// started, which are the same without init containers; fails is when a pull fails, zero where none does.
	sandbox, first, started, fails float64
}

// told is when the kubelet tells that the sandbox is ready.
func (k kubelet) told() float64 {
	switch {
	case k.old && k.fails > 0:
		return k.fails
	case k.old:
		return k.first + 1
	}
	return k.sandbox
}

// shows returns the pod as the API has it at a time, all of whose times are in whole seconds.
func (k kubelet) shows(at float64) *corev1.Pod {
	stamp := func(s float64) metav1.Time { return metav1.NewTime(t0.Add(time.Duration(s) * time.Second)) }
	pod := readyPod("a")
	engine := &pod.Status.ContainerStatuses[0]
	engine.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	unready(pod, 1)
	if k.first < k.started {
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "fetch", State: engine.State}}
	}
	if at >= k.told() {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue, LastTransitionTime: stamp(k.told()),
		})
	}
	if at >= k.fails && k.fails > 0 && at < k.started {
		engine.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}
	}
	if at >= k.first && k.first < k.started {
		pod.Status.InitContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: stamp(k.first)}}
	}
	if at >= k.started {
		if k.first < k.started {
			pod.Status.InitContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: stamp(k.first)}}
		}
		engine.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: stamp(k.started)}}
	}
	if at >= k.started+60 {
		readyAgain(pod, int(k.started+60))
	}
	return pod
}

// look is what comes of pods that an informer shows one after the other.
func look(t testing.TB, pods ...*corev1.Pod) scaling.Replica {
	t.Helper()
	var b births
	var r scaling.Replica
	for _, pod := range pods {
		stripped, err := StripPod(pod)
		if err != nil {
			t.Fatal(err)
		}
		r = replicaOf(stripped.(*corev1.Pod), b.see(stripped.(*corev1.Pod)), "engine")
	}
	return r
}

func TestImageOfPod(t *testing.T) {
	cached := kubelet{sandbox: 90, first: 92, started: 92} // a volume took its time
	pulled := kubelet{sandbox: 3, first: 200, started: 200}
	slow := cached
	slow.old = true
	fetched := kubelet{sandbox: 3, first: 5, started: 200}
	oldFetched := fetched
	oldFetched.old = true
	soon := kubelet{sandbox: 90.1, first: 90.6, started: 90.6}
	failed := kubelet{sandbox: 3, first: 30, started: 30, fails: 12}
	crashed := pulled.shows(300)
	restart(crashed, 250)
	for name, tt := range map[string]struct {
		pods []*corev1.Pod
		want leadtime.Image
	}{
		"a start right after the sandbox":                        {[]*corev1.Pod{cached.shows(200)}, leadtime.ImageCached},
		"a start long after the sandbox":                         {[]*corev1.Pod{pulled.shows(300)}, leadtime.ImagePulled},
		"while it is pulled nobody knows yet":                    {[]*corev1.Pod{pulled.shows(100)}, leadtime.ImageUnknown},
		"a container that loads has what it needs":               {[]*corev1.Pod{pulled.shows(210)}, leadtime.ImagePulled},
		"what an init container fetches counts as the image":     {[]*corev1.Pod{fetched.shows(300)}, leadtime.ImagePulled},
		"an old kubelet tells of the sandbox too late":           {[]*corev1.Pod{slow.shows(200)}, leadtime.ImageUnknown},
		"also where init containers come first":                  {[]*corev1.Pod{oldFetched.shows(100), oldFetched.shows(300)}, leadtime.ImageUnknown},
		"a kubelet that tells nothing":                           {[]*corev1.Pod{readyPod("a")}, leadtime.ImageUnknown},
		"in one second nobody knows what came first":             {[]*corev1.Pod{soon.shows(200)}, leadtime.ImageUnknown},
		"unless the sandbox was seen alone":                      {[]*corev1.Pod{soon.shows(90.3), soon.shows(200)}, leadtime.ImageCached},
		"a pull that failed":                                     {[]*corev1.Pod{failed.shows(15), failed.shows(200)}, leadtime.ImageUnknown},
		"a pod that was ready keeps what its first start showed": {[]*corev1.Pod{pulled.shows(300), crashed}, leadtime.ImagePulled},
		"the second start of a container shows nothing":          {[]*corev1.Pod{crashed}, leadtime.ImageUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			if got := look(t, tt.pods...).Circumstance.Image; got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// Whatever kubelet starts a pod and however little of it is seen: what is told of the image is true, or nothing is.
func TestAnImageIsKnownRightOrNotAtAll(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	known := map[leadtime.Image]int{}
	for range 20000 {
		k := kubelet{old: rng.IntN(2) == 0, sandbox: 2 + 60*rng.Float64()*float64(rng.IntN(2))}
		pull, truth := rng.Float64(), leadtime.ImageCached
		if rng.IntN(2) == 0 {
			pull, truth = 25+500*rng.Float64(), leadtime.ImagePulled
		}
		k.first, k.started = k.sandbox+pull, k.sandbox+pull
		switch rng.IntN(4) {
		case 0: // an init container that is quick, before the pull
			k.first = k.sandbox + pull/2
		case 1: // a pull that fails first
			k.fails = k.sandbox + 1 + 10*rng.Float64()
			k.first += 20
			k.started += 20
		}
		var seen []*corev1.Pod
		at, failureUnseen := 0., k.fails > 0
		for range rng.IntN(6) {
			at += rng.Float64() * k.started / 2
			seen = append(seen, k.shows(at))
			failureUnseen = failureUnseen && (at < k.fails || at >= k.started)
		}
		got := look(t, append(seen, k.shows(at+k.started+61))...).Circumstance.Image
		known[got]++
		if got != truth && got != leadtime.ImageUnknown && !failureUnseen { // a watch shows every state; a list may miss one
			t.Fatalf("told %d, true is %d: %+v seen %d times", got, truth, k, len(seen))
		}
	}
	if known[leadtime.ImageUnknown] < 5000 || known[leadtime.ImageCached] < 1500 || known[leadtime.ImagePulled] < 2000 {
		t.Errorf("known %v times: too few to tell", known)
	}
}

// Each fact about a pod's node may be missing: then nothing is told, and it is no node that was there.
func TestWhatIsMissingOfANodeLeavesItUnknown(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	counts := map[leadtime.Node]int{}
	for range 2000 {
		w := nodes{informer: cache.NewSharedIndexInformer(&cache.ListWatch{}, &metav1.PartialObjectMetadata{}, 0, cache.Indexers{})}
		pod, made := readyPod("a"), rng.IntN(300)-150
		bind(pod, "n", 160)
		without := rng.IntN(8)
		if without == 1 {
			pod.Spec.NodeName = ""
		}
		if without == 2 {
			pod.Status.Conditions = pod.Status.Conditions[1:]
		}
		n := node("n", made)
		if without == 3 {
			n.CreationTimestamp = metav1.Time{}
		}
		if without != 4 {
			if err := w.informer.GetIndexer().Add(n); err != nil {
				t.Fatal(err)
			}
		}
		want := leadtime.NodePresent
		switch {
		case without >= 1 && without <= 4:
			want = leadtime.NodeUnknown
		case made > 0:
			want = leadtime.NodeMade
		}
		got := w.of(pod)
		counts[got]++
		if got != want {
			t.Fatalf("without %d, a node of second %d: got %d, want %d", without, made, got, want)
		}
	}
	if len(counts) != 3 {
		t.Errorf("seen %v: not all cases", counts)
	}
}

func TestCircumstancesAreObservedThroughTheInformers(t *testing.T) {
	w, source := startedWorld(t)
	w.deployment("vllm", 3)
	w.create(ownAutoscaler(), source)
	nodes := corev1.SchemeGroupVersion.WithResource("nodes")
	for _, n := range []*metav1.PartialObjectMetadata{node("old", -3600), node("new", 150)} {
		if err := w.metadata.Tracker().Create(nodes, n, ""); err != nil {
			t.Fatal(err)
		}
	}
	for name, host := range map[string]string{"a": "old", "b": "new", "c": "gone"} {
		pod := kubelet{sandbox: 190, first: 250, started: 250}.shows(400)
		pod.Name, pod.UID = name, types.UID(name)
		bind(pod, host, 180)
		if _, err := w.core.CoreV1().Pods("ml").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]leadtime.Circumstance{
		"a": {Node: leadtime.NodePresent, Image: leadtime.ImagePulled},
		"b": {Node: leadtime.NodeMade, Image: leadtime.ImagePulled},
		"c": {Image: leadtime.ImagePulled},
	}
	eventually(t, "three pods are observed with what is known of their nodes and images", func() bool {
		obs, err := w.Observer.Observe(t.Context(), vllm, t0)
		if err != nil || len(obs.Replicas) != 3 {
			return false
		}
		for _, r := range obs.Replicas {
			if r.Circumstance != want[r.Name] {
				return false
			}
		}
		return true
	})
	stored := w.nodes.informer.GetIndexer().List()[0].(*metav1.PartialObjectMetadata)
	if stored.Labels != nil {
		t.Errorf("a node is kept with more than is read of it: %+v", stored)
	}
}

func TestNodesThatCannotBeReadStayUnknownAndHoldNothingUp(t *testing.T) {
	for name, err := range map[string]error{
		"no right":        apierrors.NewForbidden(corev1.Resource("nodes"), "", errors.New("no right")),
		"another failure": apierrors.NewInternalError(errors.New("etcd is full")),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.metadata.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, err })
			go w.nodes.informer.RunWithContext(t.Context())
			eventually(t, "the refusal is taken for an answer", w.nodes.hasSynced)
			pod := readyPod("a")
			bind(pod, "n", 180)
			if got := w.nodes.of(pod); got != leadtime.NodeUnknown {
				t.Errorf("got %d, want unknown", got)
			}
		})
	}
}
