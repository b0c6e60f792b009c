package switchover

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/activator"
	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// within is how long a test waits for what must happen; it is no part of what is proved.
const within = time.Minute

// rig is a Keeper on a cluster in memory, whose activator really listens on loopback.
type rig struct {
	t       *testing.T
	client  *fake.Clientset
	targets cache.SharedIndexInformer
	keeper  *Keeper
	self    Self
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, client: fake.NewClientset(), self: Self{Namespace: "preheat-system", Service: "preheat-activator", Pod: "activator-0", IP: "127.0.0.1"}}
	factory := informers.NewSharedInformerFactory(r.client, 0)
	caches := &Caches{
		Autoscalers: cache.NewSharedIndexInformer(&cache.ListWatch{}, &v1alpha1.InferenceAutoscaler{}, 0, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
		Services:    factory.Core().V1().Services().Informer(),
		Slices:      factory.Discovery().V1().EndpointSlices().Informer(),
		Pods:        factory.Core().V1().Pods().Informer(),
	}
	must(t, caches.Slices.AddIndexers(SliceIndexers()))
	options := activator.Default()
	options.Resolve = Resolver(caches)
	a, err := activator.New(options)
	must(t, err)
	o := Options{
		Self: r.self, Slices: r.client.DiscoveryV1(), Caches: caches, Activator: a,
		Listen: func(map[int32]bool) (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }, OutOfStock: time.Hour, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	r.keeper, err = NewKeeper(o)
	must(t, err)
	r.targets = caches.Autoscalers
	ctx, cancel := context.WithCancel(context.Background())
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	ready := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { r.keeper.Run(ctx, func() { close(ready) }) })
	<-ready
	t.Cleanup(func() {
		cancel()
		running.Wait()
		must(t, a.Shutdown(context.Background()))
	})
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put makes or changes an object as the API server would tell of it.
func (r *rig) put(obj any) {
	r.t.Helper()
	ctx, o := context.Background(), metav1.UpdateOptions{}
	var err error
	switch x := obj.(type) {
	case *v1alpha1.InferenceAutoscaler: // not known to the fake: straight into the cache, and its handler's word
		must(r.t, r.targets.GetIndexer().Update(x))
		r.keeper.queue.Add(nameOf(x))
	case *corev1.Service:
		if _, err = r.client.CoreV1().Services(x.Namespace).Update(ctx, x, o); err != nil {
			_, err = r.client.CoreV1().Services(x.Namespace).Create(ctx, x, metav1.CreateOptions{})
		}
	case *corev1.Pod:
		if _, err = r.client.CoreV1().Pods(x.Namespace).Update(ctx, x, o); err != nil {
			_, err = r.client.CoreV1().Pods(x.Namespace).Create(ctx, x, metav1.CreateOptions{})
		}
	case *discoveryv1.EndpointSlice:
		if _, err = r.client.DiscoveryV1().EndpointSlices(x.Namespace).Update(ctx, x, o); err != nil {
			_, err = r.client.DiscoveryV1().EndpointSlices(x.Namespace).Create(ctx, x, metav1.CreateOptions{})
		}
	default:
		r.t.Fatalf("put %T", obj)
	}
	must(r.t, err)
}

func target() *v1alpha1.InferenceAutoscaler {
	return &v1alpha1.InferenceAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "chat", UID: "u1"},
		Spec:       v1alpha1.InferenceAutoscalerSpec{Mode: v1alpha1.ModeOwn, Activator: &v1alpha1.Activator{Service: "vllm", Models: []string{"llama"}}},
	}
}

func service(ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "vllm"},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.0.0.1", Selector: map[string]string{"app": "vllm"}, Ports: ports},
	}
}

// replica is a pod of the target at the address of a server on loopback.
func replica(server *httptest.Server, ready corev1.ConditionStatus) *corev1.Pod {
	host, port, _ := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	var number int32
	_, _ = fmt.Sscan(port, &number)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "vllm-0", Labels: map[string]string{"app": "vllm", "other": "x"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "serve", ContainerPort: number}}}}},
		Status:     corev1.PodStatus{PodIP: host, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
	}
}

// kubernetes is the slice that Kubernetes keeps of a Service's pods.
func kubernetesSlice(namespace, service, port string, number int32, addresses ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: service + "-abcde", Labels: map[string]string{
			discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io",
		}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &port, Port: &number}},
	}
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}})
	}
	return s
}

// activators makes the given addresses the activators that are ready.
func (r *rig) activators(addresses ...string) {
	r.t.Helper()
	r.put(kubernetesSlice(r.self.Namespace, r.self.Service, DemandPort, 8081, addresses...))
}

// standsIn returns where the target's requests are led to, empty where not here.
func (r *rig) standsIn() string {
	s, err := r.client.DiscoveryV1().EndpointSlices("ml").Get(context.Background(), "vllm-activator-0", metav1.GetOptions{})
	if err != nil || len(s.Endpoints) == 0 {
		return ""
	}
	return net.JoinHostPort(s.Endpoints[0].Addresses[0], fmt.Sprint(*s.Ports[0].Port))
}

func (r *rig) await(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			all, _ := r.client.DiscoveryV1().EndpointSlices("").List(context.Background(), metav1.ListOptions{})
			r.t.Fatalf("not within %v: %s; slices %+v", within, what, all.Items)
		}
	}
}

func (r *rig) awaitIn(in bool) {
	r.t.Helper()
	r.await(fmt.Sprintf("stands in: %v", in), func() bool { return (r.standsIn() != "") == in })
}

var serving = corev1.ServicePort{Name: "http", Port: 80, TargetPort: intstr.FromString("serve")}

// TestStandsInUntilAllSeeTheReplica goes from no replica to one and back to none, with a request held throughout.
func TestStandsInUntilAllSeeTheReplica(t *testing.T) {
	r := newRig(t, nil)
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
	t.Cleanup(engine.Close)
	r.activators(r.self.IP)
	r.put(service(serving))
	r.put(target())
	r.awaitIn(true)
	door := r.standsIn()

	answers := make(chan *http.Response, 1)
	go func() {
		resp, err := http.Get("http://" + door + "/v1/models")
		if err != nil {
			t.Error(err)
		}
		answers <- resp
	}()
	r.await("the request is held", func() bool { return r.keeper.options.Activator.Snapshot().Held == 1 })

	r.put(replica(engine, corev1.ConditionTrue))
	resp := <-answers // the pod is known to be ready before its endpoint is
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(body) != "served" || resp.Close {
		t.Errorf("got %q (%v), asked to close: %v; want it served on a connection that lasts, since no other leads to the replica yet", body, err, resp.Close)
	}
	if r.standsIn() != door {
		t.Error("it stands back although no endpoint of the Service is ready yet")
	}

	r.put(kubernetesSlice("ml", "vllm", "http", 8000, "10.1.0.1"))
	r.awaitIn(false)
	r.await("clients are sent away", func() bool {
		resp, err := http.Get("http://" + door + "/v1/models")
		must(t, err)
		resp.Body.Close()
		return resp.Close && resp.StatusCode == http.StatusOK
	})

	a := target()
	a.Status.RecommendedReplicas = new(int32(0))
	r.put(a)
	r.awaitIn(true) // before the replica goes
	a = a.DeepCopy()
	a.Status.RecommendedReplicas = new(int32(1))
	r.put(a)
	r.awaitIn(false)

	r.put(replica(engine, corev1.ConditionFalse)) // it crashed, and its endpoint is still there
	r.awaitIn(true)
}

func TestAnActivatorThatIsNotReadyStandsForNobody(t *testing.T) {
	r := newRig(t, nil)
	r.put(service(serving))
	r.put(target())
	r.activators("127.0.0.9")
	r.await("the target has a door", func() bool {
		r.keeper.mu.Lock()
		defer r.keeper.mu.Unlock()
		return len(r.keeper.doors) == 1
	})
	if at := r.standsIn(); at != "" {
		t.Errorf("it stands in at %s", at)
	}
	r.activators("127.0.0.9", r.self.IP)
	r.awaitIn(true)
	must(t, r.keeper.Leave(context.Background()))
	r.awaitIn(false)
}

func TestWhatDeadActivatorsLeftIsClearedAway(t *testing.T) {
	r := newRig(t, nil)
	r.activators(r.self.IP, "127.0.0.9")
	r.put(service(serving))
	r.put(target())
	r.awaitIn(true)
	other := r.self
	other.Pod, other.IP = "activator-1", "127.0.0.9"
	r.put(standIn(other, target(), serving, 20001, true))
	r.activators(r.self.IP)
	r.await("the slice of the other is gone", func() bool {
		all, err := r.client.DiscoveryV1().EndpointSlices("ml").List(context.Background(), metav1.ListOptions{})
		must(t, err)
		return !slices.ContainsFunc(all.Items, func(s discoveryv1.EndpointSlice) bool { return s.Name == "vllm-activator-1" })
	})
	r.awaitIn(true)
}

func TestRefusesWhileGPUsAreOutOfStock(t *testing.T) {
	r := newRig(t, func(o *Options) { o.OutOfStock = time.Millisecond })
	r.activators(r.self.IP)
	r.put(service(serving))
	a := target()
	a.Status.Replicas = &v1alpha1.ReplicaStatus{Desired: 1, Current: 1, Unschedulable: 1}
	r.put(a)
	r.awaitIn(true)
	r.await("requests are refused", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.standsIn(), http.NoBody)
		must(t, err)
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			return false // held
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "" && strings.Contains(string(body), "free GPU")
	})

	a = a.DeepCopy()
	a.Status.Replicas = &v1alpha1.ReplicaStatus{Desired: 1, Current: 1, Starting: 1}
	r.put(a)
	ctx := t.Context()
	r.await("requests are held again", func() bool {
		go func() {
			request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.standsIn(), http.NoBody)
			if resp, err := http.DefaultClient.Do(request); err == nil {
				resp.Body.Close()
			}
		}()
		time.Sleep(20 * time.Millisecond)
		return r.keeper.options.Activator.Snapshot().Held > 0
	})
}

// TestFaultsOfTheService are Services for which nobody can stand in: nothing is led here, and nothing breaks.
func TestFaultsOfTheService(t *testing.T) {
	headless, external, bare := service(serving), service(serving), service(serving)
	early, local := service(serving), service(serving)
	early.Spec.PublishNotReadyAddresses = true
	local.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
	headless.Spec.ClusterIP = corev1.ClusterIPNone
	external.Spec.Type = corev1.ServiceTypeExternalName
	bare.Spec.Selector = nil
	asked := target()
	asked.Spec.Activator.Port = "grpc"
	for name, c := range map[string]struct {
		service *corev1.Service
		target  *v1alpha1.InferenceAutoscaler
		fault   string
	}{
		"none":                {nil, target(), "there is no Service ml/vllm"},
		"headless":            {headless, target(), "has no cluster IP"},
		"an external name":    {external, target(), "has no cluster IP"},
		"without selector":    {bare, target(), "has no selector"},
		"of loading replicas": {early, target(), "publishNotReadyAddresses"},
		"of its node alone":   {local, target(), "internalTrafficPolicy"},
		"without that port":   {service(serving), asked, `has no port "grpc"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.activators(r.self.IP)
			if c.service != nil {
				r.put(c.service)
			}
			r.put(c.target)
			r.await("the fault is known", func() bool {
				_, _, fault := r.keeper.options.Caches.service(c.target, r.self.family())
				return strings.Contains(fault, c.fault)
			})
			if at := r.standsIn(); at != "" {
				t.Errorf("it stands in at %s", at)
			}
			r.put(service(serving, corev1.ServicePort{Name: "grpc", Port: 81, TargetPort: intstr.FromInt32(9000)}))
			r.awaitIn(true)
		})
	}
}

func TestATargetThatIsGoneLeavesNothing(t *testing.T) {
	r := newRig(t, nil)
	r.activators(r.self.IP)
	r.put(service(serving))
	r.put(target())
	r.awaitIn(true)
	must(t, r.targets.GetIndexer().Delete(target()))
	r.keeper.queue.Add(types.NamespacedName{Namespace: "ml", Name: "chat"})
	r.awaitIn(false)
	r.await("its requests are not known any more", func() bool { return len(r.keeper.options.Activator.Snapshot().Targets) == 0 })
}

func TestATargetThatChangesItsServiceLeavesTheOld(t *testing.T) {
	r := newRig(t, nil)
	r.activators(r.self.IP)
	r.put(service(serving))
	other := service(serving)
	other.Name = "other"
	r.put(other)
	r.put(target())
	r.awaitIn(true)
	a := target()
	a.Spec.Activator.Service = "other"
	r.put(a)
	r.awaitIn(false)
	r.await("it stands in for the other", func() bool {
		s, err := r.client.DiscoveryV1().EndpointSlices("ml").Get(context.Background(), "other-activator-0", metav1.GetOptions{})
		return err == nil && len(s.Endpoints) == 1
	})
}

func TestOfTwoTargetsOfAServiceTheOlderHasIt(t *testing.T) {
	r := newRig(t, nil)
	r.activators(r.self.IP)
	r.put(service(serving))
	young := target()
	young.Name, young.CreationTimestamp = "a-younger-one", metav1.Now()
	r.put(young)
	r.put(target())
	leads := func() string {
		s, err := r.client.DiscoveryV1().EndpointSlices("ml").Get(context.Background(), "vllm-activator-0", metav1.GetOptions{})
		if err != nil || len(s.OwnerReferences) != 1 {
			return ""
		}
		return s.OwnerReferences[0].Name
	}
	r.await("the older one is led to", func() bool { return leads() == "chat" })
	must(t, r.targets.GetIndexer().Delete(target()))
	r.keeper.queue.Add(nameOf(target()))
	r.keeper.queue.Add(nameOf(young))
	r.await("the younger one takes its place", func() bool { return leads() == young.Name })
}

func TestAServiceOfBothFamiliesIsRefused(t *testing.T) {
	r := newRig(t, nil)
	r.activators(r.self.IP)
	s := service(serving)
	s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	r.put(s)
	r.put(target())
	r.await("it is told of", func() bool {
		r.keeper.mu.Lock()
		defer r.keeper.mu.Unlock()
		return len(r.keeper.doors) == 1
	})
	if at := r.standsIn(); at != "" {
		t.Errorf("it stands in at %s", at)
	}
	s = service(serving)
	s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	r.put(s)
	r.awaitIn(true)
}

// TestPortsOfTheProcessBeforeAreNotOpened, for other targets' requests still come there for a while.
func TestPortsOfTheProcessBeforeAreNotOpened(t *testing.T) {
	var taken map[int32]bool
	r := newRig(t, func(o *Options) {
		_, err := o.Slices.EndpointSlices("ml").Create(context.Background(), standIn(o.Self, target(), serving, 20001, true), metav1.CreateOptions{})
		must(t, err)
		listen := o.Listen
		o.Listen = func(avoid map[int32]bool) (net.Listener, error) {
			taken = avoid
			return listen(avoid)
		}
	})
	r.activators(r.self.IP)
	r.put(service(serving))
	r.put(target())
	r.awaitIn(true)
	if !taken[20001] {
		t.Errorf("ports to be avoided are %v, want the one that the process before had", taken)
	}
}

func TestPodPortsAreThoseThatKubernetesFinds(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		Containers:     []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "serve", ContainerPort: 53, Protocol: corev1.ProtocolUDP}, {Name: "other", ContainerPort: 1}}}},
		InitContainers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "serve", ContainerPort: 8000}}}},
	}}
	for _, c := range []struct {
		port corev1.ServicePort
		want int32
	}{
		{serving, 8000},
		{corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("other")}, 1},
		{corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("none")}, 0},
		{corev1.ServicePort{Port: 80, TargetPort: intstr.FromInt32(9000)}, 9000},
		{corev1.ServicePort{Port: 80}, 80},
	} {
		if got := podPort(pod, c.port); got != c.want {
			t.Errorf("port %+v: %d, want %d", c.port, got, c.want)
		}
	}
}

func TestARestartClearsAwayWhatItLeft(t *testing.T) {
	r := newRig(t, func(o *Options) {
		_, err := o.Slices.EndpointSlices("ml").Create(context.Background(), standIn(o.Self, target(), serving, 20001, true), metav1.CreateOptions{})
		must(t, err)
	})
	r.awaitIn(false)
}

func TestPortOfAService(t *testing.T) {
	grpc := corev1.ServicePort{Name: "grpc", Port: 81}
	only := corev1.ServicePort{Port: 80}
	for name, c := range map[string]struct {
		ports []corev1.ServicePort
		asked string
		want  string
		ok    bool
	}{
		"the only one":          {[]corev1.ServicePort{only}, "", "", true},
		"http":                  {[]corev1.ServicePort{grpc, serving}, "", "http", true},
		"the first":             {[]corev1.ServicePort{grpc, {Name: "metrics"}}, "", "grpc", true},
		"the one asked for":     {[]corev1.ServicePort{serving, grpc}, "grpc", "grpc", true},
		"one that is not there": {[]corev1.ServicePort{serving}, "grpc", "", false},
		"none":                  {nil, "", "", false},
	} {
		if got, ok := portOf(service(c.ports...), c.asked); ok != c.ok || got.Name != c.want {
			t.Errorf("%s: port %q, %v; want %q, %v", name, got.Name, ok, c.want, c.ok)
		}
	}
}

func TestGatewaysNameTheirTarget(t *testing.T) {
	r := newRig(t, nil)
	r.put(target())
	resolve := Resolver(r.keeper.options.Caches)
	for name, c := range map[string]struct {
		host, header, body string
		want               string
	}{
		"by header":                 {"gateway", "ml/chat", "", "ml/chat"},
		"by a header that is wrong": {"vllm.ml", "ml/nobody", "", ""},
		"by host":                   {"vllm.ml", "", "", "ml/chat"},
		"by host with its domain":   {"vllm.ml.svc.cluster.local:80", "", "", "ml/chat"},
		"by the host of another":    {"vllm.other.svc", "", `{"model":"gpt"}`, ""},
		"by a host that is a site":  {"vllm.ml.example.com", "", `{"model":"llama"}`, "ml/chat"},
		"by model":                  {"gateway", "", `{"messages":[],"model":"llama"}`, "ml/chat"},
		"by a model of nobody":      {"gateway", "", `{"model":"gpt"}`, ""},
		"by nothing":                {"gateway", "", "", ""},
	} {
		request := httptest.NewRequest(http.MethodPost, "http://"+c.host+"/v1/completions", strings.NewReader(c.body))
		if c.header != "" {
			request.Header.Set(TargetHeader, c.header)
		}
		if got, err := resolve(request); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
		}
	}
}
