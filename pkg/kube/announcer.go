package kube

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// announcer makes events. Numbers that change are told of each time, new reasons at most once a period; the
// broadcaster's spam filter bounds both.
type announcer struct {
	recorder record.EventRecorder
	period   time.Duration
}

// told is what was last said of one target.
type told struct {
	reason   scaling.Reason
	replicas int32
	// any is set once replicas means something; fault while the last word was one of a fault.
	any, fault bool
	// blind is set while the last word of a decision was one of a blind one, waited once the first decision was blind: it is
	// before anything was scraped.
	blind, waited bool
	at            time.Time
}

// calm are the reasons that are no news while the number stays.
var calm = map[scaling.Reason]bool{scaling.DemandMet: true, scaling.WithinTolerance: true}

// maxNote bounds the text of an event; the API server refuses more than 1,024 bytes.
const maxNote = 1000

// decided tells of a decision where it says something new.
func (n *announcer) decided(a *v1alpha1.InferenceAutoscaler, last *told, d scaling.Decision, fault *Fault) {
	if fault != nil {
		n.faulted(a, last, fault, d.Time)
		return
	}
	if d.Blind && !last.any && !last.waited {
		last.waited = true
		return
	}
	moved := d.Replicas != d.Current && (!last.any || last.replicas != d.Replicas)
	news := (last.fault || d.Reason != last.reason && !calm[d.Reason]) && n.due(last, d.Time)
	turned := d.Blind != last.blind // told at once, once
	if !moved && !news && !turned {
		return
	}
	kind, text := corev1.EventTypeNormal, d.Message()
	switch {
	case d.Blind:
		kind, text = corev1.EventTypeWarning, "blind, "+lastSeen(d)+": "+text
	case turned:
		text = "sees its replicas again: " + text
	}
	n.say(a, kind, d.Reason, text)
	*last = told{reason: d.Reason, replicas: d.Replicas, any: true, blind: d.Blind, at: d.Time}
}

// faulted tells of a fault where it is a new one.
func (n *announcer) faulted(a *v1alpha1.InferenceAutoscaler, last *told, f *Fault, now time.Time) {
	if last.fault && (last.reason == f.Reason || !n.due(last, now)) {
		return
	}
	n.say(a, corev1.EventTypeWarning, f.Reason, f.Error())
	*last = told{reason: f.Reason, replicas: last.replicas, any: last.any, blind: last.blind, fault: true, at: now}
}

// due reports whether a period has passed since the last event.
func (n *announcer) due(last *told, now time.Time) bool {
	return last.at.IsZero() || now.Sub(last.at) >= n.period
}

func (n *announcer) say(a *v1alpha1.InferenceAutoscaler, kind string, reason scaling.Reason, text string) {
	n.recorder.Event(reference(a), kind, string(reason), shorten(text, maxNote))
}

// reference names an InferenceAutoscaler in an event; objects of typed clients do not know their own kind.
func reference(a *v1alpha1.InferenceAutoscaler) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.Kind,
		Namespace: a.Namespace, Name: a.Name, UID: a.UID, ResourceVersion: a.ResourceVersion,
	}
}

// newTime returns a time as statuses hold it.
func newTime(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }
