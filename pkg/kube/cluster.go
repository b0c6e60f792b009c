package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Ports are what the adapters need beside a cluster.
type Ports struct {
	// Plan builds the planner of a spec.
	Plan PlannerFunc
	// Readings has the newest readings of pods.
	Readings Readings
	// Front returns what holds requests in front of a target, as it was read last; nil where nothing does.
	Front func(controlloop.TargetID) scaling.Front
	// Gateway returns what a target's gateway has seen; nil where none is read.
	Gateway func(controlloop.TargetID) scaling.Gateway
	// Leader says whether this process may write.
	Leader Leader
	Log    *slog.Logger
}

// Cluster is the live side of the control loop's ports, wired together. Start it, wait until HasSynced, then tick.
type Cluster struct {
	Targets   *Targets
	Observer  *Observer
	Actuator  *Actuator
	Recorder  *Recorder
	Endpoints *Endpoints
	// PodInformer and AutoscalerInformer can be shared; Start runs them. Pods are stripped by StripPod.
	PodInformer, AutoscalerInformer cache.SharedIndexInformer

	options       Options
	log           *slog.Logger
	hpas          *hpas
	nodes         *nodes
	scaledObjects *scaledObjects
	births        *births
	gates         *gates
	statuses      *statusWriter
	broadcaster   record.EventBroadcaster
	events        kubernetes.Interface
}

// New wires the adapters; nothing runs yet.
func New(c Clients, p Ports, o Options) (*Cluster, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	podInformer, errPods := NewPodInformer(c.Kubernetes, o.Namespace)
	hpas, errHPAs := newHPAs(c.Kubernetes, o.Namespace, o.FieldManager)
	nodes, errNodes := newNodes(c.Metadata, p.Log)
	targets, errTargets := newTargets(c.AutoscalerInformer, p.Plan)
	if err := errors.Join(errPods, errHPAs, errNodes, errTargets); err != nil {
		return nil, err
	}
	cluster := &Cluster{
		Targets: targets, PodInformer: podInformer, AutoscalerInformer: c.AutoscalerInformer,
		options: o, log: p.Log, hpas: hpas, nodes: nodes, births: &births{}, events: c.Kubernetes,
		statuses: newStatusWriter(c.Autoscalers, targets, p.Leader),
		broadcaster: record.NewBroadcasterWithCorrelatorOptions(record.CorrelatorOptions{
			BurstSize: 20, QPS: 1. / 60, // for each InferenceAutoscaler: one a minute in the long run
		}),
	}
	mapping := &mapping{mapper: c.Mapper, period: o.RediscoverPeriod}
	cluster.scaledObjects = &scaledObjects{client: c.Dynamic, mapping: mapping, namespace: o.Namespace, manager: o.FieldManager}
	cluster.wire(c, p, &scales{client: c.Scales, mapping: mapping, manager: o.FieldManager})
	return cluster, cluster.follow()
}

// wire makes the ports out of the shared parts.
func (c *Cluster) wire(clients Clients, p Ports, scales *scales) {
	views, targets, o := newViews(), c.Targets, c.options
	found := pods{c.PodInformer.GetIndexer(), &written{}}
	ledgers := &perTarget[lockedLedger]{}
	announcer := &announcer{recorder: c.broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: o.FieldManager}), period: o.EventPeriod}
	c.Recorder = newRecorder(targets, views, p.Leader, o, c.statuses, announcer)
	c.Endpoints = &Endpoints{targets: targets, views: views, pods: found, births: c.births, options: o, log: p.Log}
	crew := c.crew(clients, found, ledgers, announcer)
	crew.leader = p.Leader
	c.gates = newGates(found, crew.writer, p.Leader, o.Now, p.Log)
	c.Observer = &Observer{
		targets: targets, scales: scales, pods: found, births: c.births, nodes: c.nodes, readings: p.Readings, views: views, ledgers: ledgers,
		locate: c.Endpoints.endpoint, prometheus: o.Prometheus, front: p.Front, gateway: p.Gateway, timeout: o.Timeout, failed: c.Recorder.fault,
	}
	c.Actuator = &Actuator{
		targets: targets, views: views, leader: p.Leader, timeout: o.Timeout, scaled: c.Recorder.scaled,
		rivals: &rivals{targets: targets, views: views, hpas: c.hpas, scaledObjects: c.scaledObjects},
		own:    &own{scales: scales, managers: &managers{clients.Metadata}, leader: p.Leader, options: o, crew: crew},
		floor:  &floor{targets: targets, hpas: c.hpas, scaledObjects: c.scaledObjects, leader: p.Leader, options: o},
	}
	targets.invalid = func(id controlloop.TargetID, err error) { c.Recorder.fault(id, o.Now(), err) }
	c.statuses.failed = func(id controlloop.TargetID, err error) {
		c.log.Warn("cannot write status", "inferenceautoscaler", id.String(), "error", err)
		c.Recorder.statusFailed(id)
	}
	targets.gone = []func(controlloop.TargetID){
		views.forget, c.Recorder.memory.forget, c.Actuator.own.memory.forget, c.Actuator.floor.memory.forget, ledgers.forget, crew.hands.forgetTarget,
	}
}

// follow keeps the births of pods up to date between ticks, and opens their gates.
func (c *Cluster) follow() error {
	_, err := c.PodInformer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.seePod(obj) },
		UpdateFunc: func(_, obj any) { c.seePod(obj) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if pod, ok := obj.(*corev1.Pod); ok {
				c.births.forget(pod.UID)
				c.Actuator.own.crew.forget(pod.UID)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	return nil
}

func (c *Cluster) seePod(obj any) {
	if pod, ok := obj.(*corev1.Pod); ok {
		c.births.see(pod)
		c.gates.see(pod)
	}
}

// Start runs the informers, the status writers and the sweep until the context ends. It returns at once.
func (c *Cluster) Start(ctx context.Context) error {
	if err := c.scaledObjects.watch(ctx, c.options.Now()); err != nil {
		return err
	}
	c.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: c.events.CoreV1().Events("")})
	context.AfterFunc(ctx, c.broadcaster.Shutdown)
	for _, informer := range []cache.SharedIndexInformer{c.PodInformer, c.AutoscalerInformer, c.hpas.informer, c.nodes.informer} {
		go informer.RunWithContext(ctx)
	}
	go c.statuses.run(ctx, c.options.StatusWriters)
	go c.gates.run(ctx)
	go c.sweep(ctx)
	return nil
}

// sweep gives minimums back, looks for pods that are kept from serving by nobody, and for KEDA, every SweepPeriod.
func (c *Cluster) sweep(ctx context.Context) {
	ticker := time.NewTicker(c.options.SweepPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := c.scaledObjects.watch(ctx, c.options.Now())
		if c.HasSynced() {
			c.gates.sweep()
			err = errors.Join(err, c.Actuator.Sweep(ctx))
		}
		if err != nil && ctx.Err() == nil {
			c.log.Warn("cannot sweep raised minimums", "error", err)
		}
	}
}

// HasSynced reports whether everything that existed at the start has been seen; nothing must be decided before.
func (c *Cluster) HasSynced() bool {
	return c.PodInformer.HasSynced() && c.Targets.HasSynced() && c.hpas.informer.HasSynced() && c.scaledObjects.hasSynced() && c.nodes.hasSynced()
}

// WaitForSync waits until HasSynced.
func (c *Cluster) WaitForSync(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), c.HasSynced) {
		return fmt.Errorf("wait for informers: %w", ctx.Err())
	}
	return nil
}
