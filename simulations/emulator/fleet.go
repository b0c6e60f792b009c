package emulator

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math"
	"math/rand"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// FleetOptions configure a Fleet.
type FleetOptions struct {
	Client kubernetes.Interface
	// Namespace to serve; empty means all.
	Namespace string
	// Engine is what a Pod emulates unless its annotations say otherwise.
	Engine Options
	// LoadTime and LoadJitter hold for Pods without the annotations: the
	// median, and the sigma of a lognormal.
	LoadTime   time.Duration
	LoadJitter float64
	// Seed, with a Pod's UID, decides its load time.
	Seed int64
	// Port to listen on at each Pod's IP; zero means 8000.
	Port int
	Log  *slog.Logger
}

// Fleet serves the emulated Pods of a cluster.
type Fleet struct {
	options FleetOptions
	pods    sync.WaitGroup

	mu     sync.Mutex
	served map[types.UID]*podRun
}

// podRun is one Pod's replica and how to end it.
type podRun struct {
	key    string // namespace/name
	server *PodServer
	// vanish is called once, when the Pod is being deleted; grace is how long
	// its streams may go on.
	vanish context.CancelFunc
	grace  time.Duration
}

// bindLimit bounds the wait for an IP that an earlier Pod has not let go yet.
const bindLimit = 30 * time.Second

// NewFleet checks the options; Run does the work.
func NewFleet(o FleetOptions) (*Fleet, error) {
	if o.Client == nil || o.Log == nil {
		return nil, errors.New("fleet: client and log are required")
	}
	if o.LoadTime < 0 || !(o.LoadJitter >= 0) {
		return nil, fmt.Errorf("fleet: load time %v and jitter %v must not be negative", o.LoadTime, o.LoadJitter)
	}
	if o.Port == 0 {
		o.Port = 8000
	}
	var err error
	if o.Engine, err = o.Engine.completed(); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	return &Fleet{options: o, served: map[types.UID]*podRun{}}, nil
}

// Run follows the cluster's Pods until ctx ends, then shuts every replica down
// and returns when all are gone.
func (f *Fleet) Run(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(f.options.Client, 0,
		informers.WithNamespace(f.options.Namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = EngineSelector }))
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { f.observe(ctx, o) },
		UpdateFunc: func(_, o any) { f.observe(ctx, o) },
		DeleteFunc: f.forget,
	})
	if err != nil {
		return fmt.Errorf("fleet: watch pods: %w", err)
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
	f.pods.Wait()
	return nil
}

// Pod returns the replica of a Pod being served.
func (f *Fleet) Pod(namespace, name string) (*PodServer, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, run := range f.served {
		if run.key == namespace+"/"+name {
			return run.server, true
		}
	}
	return nil, false
}

// Names lists the Pods being served as namespace/name, in order.
func (f *Fleet) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for run := range maps.Values(f.served) {
		out = append(out, run.key)
	}
	slices.Sort(out)
	return out
}

// observe starts a Pod that can be served and ends one that is being deleted.
func (f *Fleet) observe(ctx context.Context, object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok || pod.Annotations[ReadinessAnnotation] != "emulator" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	run, known := f.served[pod.UID]
	switch {
	case pod.DeletionTimestamp != nil:
		if known {
			run.vanish()
		}
	case known || pod.Status.PodIP == "" || pod.Spec.NodeName == "" || ctx.Err() != nil:
	case pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded:
	default:
		f.start(ctx, pod)
	}
}

// forget ends a Pod whose object is gone.
func (f *Fleet) forget(object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if run, known := f.served[pod.UID]; known {
		run.vanish()
	}
}

// start makes a Pod's replica and the goroutine that owns it; f.mu is held.
func (f *Fleet) start(ctx context.Context, pod *corev1.Pod) {
	key := pod.Namespace + "/" + pod.Name
	log := f.options.Log.With("pod", key, "ip", pod.Status.PodIP)
	engine, load, err := f.plan(pod)
	if err != nil {
		log.Error("pod not served", "error", err)
		return
	}
	server, err := New(engine)
	if err != nil {
		log.Error("pod not served", "error", err)
		return
	}
	alive, vanish := context.WithCancel(ctx)
	run := &podRun{key: key, server: server, vanish: vanish, grace: 30 * time.Second}
	if s := pod.Spec.TerminationGracePeriodSeconds; s != nil {
		run.grace = time.Duration(*s) * time.Second
	}
	f.served[pod.UID] = run
	f.pods.Go(func() {
		defer vanish()
		if err := f.live(alive, pod, run, load); err != nil {
			log.Error("pod failed", "error", err)
		}
		f.end(ctx, pod.UID, run, log)
	})
}

// plan is what a Pod emulates and how long it loads. A Pod that is ready
// already was loaded by an earlier fleet.
func (f *Fleet) plan(pod *corev1.Pod) (Options, time.Duration, error) {
	engine := f.options.Engine
	if name := pod.Annotations[ProfileAnnotation]; name != "" {
		profile, err := replica.ProfileNamed(name)
		if err != nil {
			return engine, 0, err
		}
		interval := engine.Profile.StreamInterval
		engine.Profile, engine.ModelName = profile, profile.Model
		engine.Profile.StreamInterval = interval
	}
	if podReady(pod) {
		return engine, 0, nil
	}
	load, err := f.loadTime(pod)
	return engine, load, err
}

func (f *Fleet) loadTime(pod *corev1.Pod) (time.Duration, error) {
	median, sigma := f.options.LoadTime, f.options.LoadJitter
	var err error
	if text := pod.Annotations[LoadTimeAnnotation]; text != "" {
		if median, err = time.ParseDuration(text); err != nil || median < 0 {
			return 0, fmt.Errorf("annotation %s: %q is not a duration", LoadTimeAnnotation, text)
		}
	}
	if text := pod.Annotations[LoadJitterAnnotation]; text != "" {
		if sigma, err = strconv.ParseFloat(text, 64); err != nil || !(sigma >= 0 && sigma < 3) {
			return 0, fmt.Errorf("annotation %s: %q is not a number from 0 to 3", LoadJitterAnnotation, text)
		}
	}
	hash := fnv.New64a()
	hash.Write([]byte(pod.UID))
	rng := rand.New(rand.NewSource(int64(hash.Sum64()) ^ f.options.Seed))
	return time.Duration(float64(median) * math.Exp(sigma*rng.NormFloat64())), nil
}

// live is a Pod's life from its IP to its deletion: listen, load, serve.
func (f *Fleet) live(ctx context.Context, pod *corev1.Pod, run *podRun, load time.Duration) error {
	listener, err := listen(ctx, net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(f.options.Port)))
	if err != nil {
		return err
	}
	f.pods.Go(func() {
		if err := run.server.Serve(listener); err != nil {
			f.options.Log.Error("pod stopped serving", "pod", run.key, "error", err)
		}
	})
	timer := time.NewTimer(load)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-timer.C:
	}
	run.server.MarkLoaded()
	if err := f.markReady(ctx, pod); err != nil && ctx.Err() == nil {
		return err
	}
	f.options.Log.Info("pod ready", "pod", run.key, "load", load.Round(time.Millisecond))
	<-ctx.Done()
	return nil
}

// end lets a deleted Pod's streams finish; when the fleet itself stops they
// are cut after a second.
func (f *Fleet) end(fleet context.Context, uid types.UID, run *podRun, log *slog.Logger) {
	grace, cancel := context.WithTimeout(context.WithoutCancel(fleet), run.grace)
	defer cancel()
	stop := context.AfterFunc(fleet, func() {
		time.Sleep(time.Second)
		cancel()
	})
	defer stop()
	if err := run.server.Shutdown(grace); err != nil {
		log.Warn("streams cut at the end of the grace period", "error", err)
	}
	f.mu.Lock()
	delete(f.served, uid)
	f.mu.Unlock()
}

// listen binds, waiting for an address that a Pod just deleted still holds.
func listen(ctx context.Context, address string) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, bindLimit)
	defer cancel()
	var config net.ListenConfig
	for {
		listener, err := config.Listen(ctx, "tcp", address)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return listener, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// errReplaced means that the name now belongs to another Pod.
var errReplaced = errors.New("another pod of the same name has taken its place")

// markReady reports the loaded Pod as its kubelet would.
func (f *Fleet) markReady(ctx context.Context, pod *corev1.Pod) error {
	api := f.options.Client.CoreV1().Pods(pod.Namespace)
	patience := wait.Backoff{Steps: 8, Duration: 50 * time.Millisecond, Factor: 2, Jitter: 0.1}
	worthwhile := func(err error) bool {
		return ctx.Err() == nil && !apierrors.IsNotFound(err) && !errors.Is(err, errReplaced)
	}
	err := retry.OnError(patience, worthwhile, func() error {
		latest, err := api.Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if latest.UID != pod.UID {
			return errReplaced
		}
		makeReady(latest, metav1.Now())
		_, err = api.UpdateStatus(ctx, latest, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("mark ready: %w", err)
	}
	return nil
}

// makeReady sets the conditions and container states of a running Pod.
func makeReady(pod *corev1.Pod, now metav1.Time) {
	for _, kind := range []corev1.PodConditionType{corev1.ContainersReady, corev1.PodReady} {
		setTrue(pod, kind, now)
	}
	started := true
	known := map[string]corev1.ContainerStatus{}
	for _, s := range pod.Status.ContainerStatuses {
		known[s.Name] = s
	}
	pod.Status.ContainerStatuses = nil
	for _, c := range pod.Spec.Containers {
		s := known[c.Name]
		s.Name, s.Image, s.Ready, s.Started = c.Name, c.Image, true, &started
		if s.State.Running == nil {
			s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
		}
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, s)
	}
}

func setTrue(pod *corev1.Pod, kind corev1.PodConditionType, now metav1.Time) {
	ready := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now}
	for i, c := range pod.Status.Conditions {
		if c.Type == kind {
			pod.Status.Conditions[i] = ready
			return
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, ready)
}

// splitKey is the inverse of a podRun's key.
func splitKey(key string) (namespace, name string) {
	namespace, name, _ = strings.Cut(key, "/")
	return namespace, name
}
