package kube

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func unscheduled(p *corev1.Pod, reason string) {
	unready(p, 0)
	p.Status.Phase = corev1.PodPending
	p.Status.ContainerStatuses = nil
	p.Status.Conditions[0].Status, p.Status.Conditions[0].Reason = corev1.ConditionFalse, reason
}

func TestPhaseOfPod(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*corev1.Pod)
		want   scaling.Phase
	}{
		"a ready pod serves":                      {func(*corev1.Pod) {}, scaling.Ready},
		"a running pod that is not ready starts":  {func(p *corev1.Pod) { unready(p, 1) }, scaling.Starting},
		"a pod that nobody looked at yet starts":  {func(p *corev1.Pod) { p.Status = corev1.PodStatus{Phase: corev1.PodPending} }, scaling.Starting},
		"a pod without a node for want of a GPU":  {func(p *corev1.Pod) { unscheduled(p, corev1.PodReasonUnschedulable) }, scaling.Unschedulable},
		"a pod held back by a scheduling gate":    {func(p *corev1.Pod) { unscheduled(p, corev1.PodReasonSchedulingGated) }, scaling.Unschedulable},
		"a scheduler's error is no lack of nodes": {func(p *corev1.Pod) { unscheduled(p, corev1.PodReasonSchedulerError) }, scaling.Starting},
		"a pod being deleted drains, even ready":  {func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: t0} }, scaling.Draining},
		"an unschedulable pod being deleted": {func(p *corev1.Pod) {
			unscheduled(p, corev1.PodReasonUnschedulable)
			p.DeletionTimestamp = &metav1.Time{Time: t0}
		}, scaling.Draining},
	} {
		t.Run(name, func(t *testing.T) {
			pod := readyPod("a")
			tt.change(pod)
			if got := phaseOf(pod); got != tt.want {
				t.Errorf("phaseOf() = %s, want %s", got, tt.want)
			}
		})
	}
}

// restart makes a pod's engine crash and run again so many seconds after t0.
func restart(p *corev1.Pod, at int) {
	p.Status.ContainerStatuses[0].RestartCount++
	p.Status.ContainerStatuses[0].State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(t0.Add(time.Duration(at) * time.Second))}
}

func readyAgain(p *corev1.Pod, at int) {
	p.Status.Conditions[1].Status = corev1.ConditionTrue
	p.Status.Conditions[1].LastTransitionTime = metav1.NewTime(t0.Add(time.Duration(at) * time.Second))
}

func TestFirstReadiness(t *testing.T) {
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	for name, tt := range map[string]struct {
		seen           []func(*corev1.Pod) // what the pod looks like, from one look to the next
		started, ready time.Time
	}{
		"seen ready at the first look": {
			seen:    []func(*corev1.Pod){func(*corev1.Pod) {}},
			started: at(2), ready: at(60),
		},
		"readiness lost and regained": {
			seen:    []func(*corev1.Pod){func(*corev1.Pod) {}, func(p *corev1.Pod) { unready(p, 500) }, func(p *corev1.Pod) { readyAgain(p, 505) }},
			started: at(2), ready: at(60),
		},
		"readiness lost": {
			seen:    []func(*corev1.Pod){func(*corev1.Pod) {}, func(p *corev1.Pod) { unready(p, 500) }},
			started: at(2), ready: at(60),
		},
		"crashed and loaded again": {
			seen:    []func(*corev1.Pod){func(*corev1.Pod) {}, func(p *corev1.Pod) { restart(p, 900); unready(p, 900) }, func(p *corev1.Pod) { readyAgain(p, 960) }},
			started: at(2), ready: at(60),
		},
		"still loading": {
			seen:    []func(*corev1.Pod){func(p *corev1.Pod) { unready(p, 1) }},
			started: at(2),
		},
		"crashed while loading for the first time, and seen before": {
			seen:    []func(*corev1.Pod){func(p *corev1.Pod) { unready(p, 1) }, func(p *corev1.Pod) { restart(p, 50) }, func(p *corev1.Pod) { readyAgain(p, 100) }},
			started: at(50), ready: at(100),
		},
		"first seen ready after a restart: nobody knows when it was first ready": {
			seen:    []func(*corev1.Pod){func(p *corev1.Pod) { restart(p, 900); readyAgain(p, 960) }},
			started: at(900),
		},
		"first seen without the readiness that it once had, without a restart": {
			seen:    []func(*corev1.Pod){func(p *corev1.Pod) { unready(p, 500) }, func(p *corev1.Pod) { readyAgain(p, 505) }},
			started: at(2),
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b births
			pod := readyPod("a")
			var got scaling.Replica
			for _, change := range tt.seen {
				pod = pod.DeepCopy()
				change(pod)
				got = replicaOf(pod, b.see(pod), "engine")
			}
			if !got.Started.Equal(tt.started) || !got.ReadyAt.Equal(tt.ready) {
				t.Errorf("started %v, ready %v; want %v, %v", got.Started, got.ReadyAt, tt.started, tt.ready)
			}
		})
	}
}

func TestReplicaOfPod(t *testing.T) {
	pod := readyPod("a")
	var b births
	got := replicaOf(pod, b.see(pod), "engine")
	want := scaling.Replica{
		ID: "a", Name: "a", Phase: scaling.Ready,
		Created: t0, Scheduled: t0.Add(time.Second), Started: t0.Add(2 * time.Second), ReadyAt: t0.Add(time.Minute),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("replica (-want +got):\n%s", diff)
	}
	pod.DeletionTimestamp = &metav1.Time{Time: t0}
	if !replicaOf(pod, b.see(pod), "engine").Ending {
		t.Error("what is deleted can be taken back")
	}
}

func TestForgottenPodIsSeenAnew(t *testing.T) {
	var b births
	pod := readyPod("a")
	b.see(pod)
	b.forget(pod.UID)
	readyAgain(pod, 300)
	if got := b.see(pod).ready; !got.Equal(t0.Add(300 * time.Second)) {
		t.Errorf("ready at %v, want the later time", got)
	}
}
