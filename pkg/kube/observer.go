package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/scrape"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// Readings answers from memory with the newest good reading of a pod, whatever its age.
type Readings interface {
	Latest(id store.PodID) (*signals.Reading, bool)
	// Problem returns the last failure to read a pod where no reading has come since, nil where there is none.
	Problem(id store.PodID) (at time.Time, err error)
	// Lacking returns what the readings of a pod lack, with what comes nearest on its page; nil where they lack nothing.
	Lacking(id store.PodID) error
}

// Observer gathers what is known of a target: the scale subresource, read anew each time, and its pods with their
// readings, from memory. It is safe for concurrent use.
type Observer struct {
	targets  *Targets
	scales   *scales
	pods     pods
	births   *births
	nodes    *nodes
	readings Readings
	views    *views
	ledgers  *perTarget[lockedLedger]
	// locate returns where a pod's page is, or why that is not known.
	locate func(*corev1.Pod, v1alpha1.MetricsSource) (scrape.Endpoint, error)
	// prometheus is set where there is one to ask.
	prometheus bool
	// front, where it is not nil, returns what holds requests in front of a target.
	front func(controlloop.TargetID) scaling.Front
	// gateway, where it is not nil, returns what a target's gateway has seen.
	gateway func(controlloop.TargetID) scaling.Gateway
	// timeout bounds what the API server may take to answer.
	timeout time.Duration
	// failed is told of each target that could not be observed.
	failed func(controlloop.TargetID, time.Time, error)
}

// Observe returns the target as it is at now. Its error has a *Fault that names what to check, and is shown in the
// status.
func (o *Observer) Observe(ctx context.Context, id controlloop.TargetID, now time.Time) (scaling.Observation, error) {
	a, ok := o.targets.Autoscaler(id)
	if !ok {
		return scaling.Observation{}, fmt.Errorf("observe %s: the InferenceAutoscaler is gone", id)
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	obs, err := o.observe(ctx, a, now)
	if err != nil {
		o.failed(id, now, err)
		return scaling.Observation{}, fmt.Errorf("observe %s: %w", id, err)
	}
	return obs, nil
}

func (o *Observer) observe(ctx context.Context, a *v1alpha1.InferenceAutoscaler, now time.Time) (scaling.Observation, error) {
	read, err := o.scales.read(ctx, targetOf(a), now)
	if err != nil {
		return scaling.Observation{}, err
	}
	selector, err := read.podSelector()
	if err != nil {
		return scaling.Observation{}, err
	}
	seen := view{time: now, read: read, selector: selector, phases: map[scaling.Phase]int32{}}
	obs := scaling.Observation{Time: now}
	pods := slices.DeleteFunc(o.pods.matching(a.Namespace, selector), finished)
	for _, pod := range pods {
		r := o.replica(a, pod)
		seen.pods = append(seen.pods, pod.UID)
		seen.members = append(seen.members, &member{
			pod: pod, birth: o.births.see(pod), reading: r.Reading, engine: servingContainer(pod, a.Spec.Metrics.Port),
		})
		seen.phases[r.Phase]++
		obs.Replicas = append(obs.Replicas, r)
	}
	obs.Desired = o.ledgers.of(idOf(a)).asked(seen)
	obs.GPUsPerReplica = gpusPerReplica(pods)
	if o.front != nil && (a.Spec.Activator != nil || a.Spec.Gateway.Holds()) {
		obs.Front = o.front(idOf(a))
	}
	if o.gateway != nil && a.Spec.Gateway != nil {
		obs.Gateway = o.gateway(idOf(a))
	}
	seen.existing = int32(len(obs.Replicas))
	o.keep(idOf(a), seen)
	return obs, nil
}

// keep remembers what was seen, unless the target was deleted meanwhile: nobody would forget it then.
func (o *Observer) keep(id controlloop.TargetID, seen view) {
	o.views.put(id, seen)
	if _, ok := o.targets.Autoscaler(id); !ok {
		o.views.forget(id)
	}
}

// replica returns a pod as the planner sees it, with its newest reading.
func (o *Observer) replica(a *v1alpha1.InferenceAutoscaler, pod *corev1.Pod) scaling.Replica {
	r := replicaOf(pod, o.births.see(pod), servingContainer(pod, a.Spec.Metrics.Port))
	r.Woke, r.Circumstance.Node = o.births.wakings.of(pod.UID), o.nodes.of(pod)
	if reading, ok := o.readings.Latest(podID(pod)); ok {
		r.Reading = reading
	}
	r.Problem, r.Cause = o.problem(a, pod)
	return r
}

// problem says why there is no newer reading of a pod, or what the newest lacks, in words and in one; empty where nothing
// is wrong.
func (o *Observer) problem(a *v1alpha1.InferenceAutoscaler, pod *corev1.Pod) (string, scaling.Cause) {
	switch queried := a.Spec.Metrics.Prometheus != nil; {
	case queried && !o.prometheus:
		return "spec.metrics.prometheus is set, but the service has no Prometheus to ask; run it with --prometheus-url, or leave the field out", NoSource
	case !queried:
		if _, err := o.locate(pod, a.Spec.Metrics); err != nil {
			return err.Error(), NoSource
		}
	}
	if _, err := o.readings.Problem(podID(pod)); err != nil {
		return err.Error(), causeOf(err)
	}
	if err := o.readings.Lacking(podID(pod)); err != nil {
		return err.Error(), scaling.NotOnPage
	}
	return "", ""
}

// NoSource is the cause that a cluster adds to those of the planner and of scrapes: the spec does not say where the page is, or
// asks for a source that is not there.
const NoSource scaling.Cause = "no_source"

// causeOf is the word for why a pod could not be read; empty where there is none.
func causeOf(err error) scaling.Cause {
	if errors.Is(err, store.ErrFrozen) {
		return scaling.Frozen
	}
	return scaling.Cause(scrape.Reason(err))
}

// podID names a pod in the store.
func podID(pod *corev1.Pod) store.PodID {
	return store.PodID{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID)}
}
