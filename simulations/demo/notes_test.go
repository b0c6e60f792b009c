package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/simulations/demo/ledger"
	"github.com/preheat-autoscaler/preheat/simulations/demo/report"
)

func TestPhaseOf(t *testing.T) {
	ready := []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	deleted := metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{}}
	placed := corev1.PodSpec{NodeName: "gpu-0"}
	tests := map[string]struct {
		pod  corev1.Pod
		gone bool
		want ledger.Phase
	}{
		"no node yet":                    {corev1.Pod{}, false, ledger.Pending},
		"deleted before it got a node":   {corev1.Pod{ObjectMeta: deleted}, false, ledger.Pending},
		"on a node, loading":             {corev1.Pod{Spec: placed}, false, ledger.Starting},
		"ready":                          {corev1.Pod{Spec: placed, Status: corev1.PodStatus{Conditions: ready}}, false, ledger.Serving},
		"ready, but being deleted":       {corev1.Pod{ObjectMeta: deleted, Spec: placed, Status: corev1.PodStatus{Conditions: ready}}, false, ledger.Draining},
		"its object is gone, was ready":  {corev1.Pod{Spec: placed, Status: corev1.PodStatus{Conditions: ready}}, true, ledger.Gone},
		"its object is gone, had no GPU": {corev1.Pod{}, true, ledger.Gone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := phaseOf(&test.pod, test.gone); got != test.want {
				t.Errorf("got phase %d, want %d", got, test.want)
			}
		})
	}
}

func decided(from, to int32, reason, message string) v1alpha1.InferenceAutoscalerStatus {
	return v1alpha1.InferenceAutoscalerStatus{
		Replicas:     &v1alpha1.ReplicaStatus{Desired: from},
		LastDecision: &v1alpha1.DecisionStatus{Replicas: to, Reason: reason, Steps: []string{"observe: " + reason}},
		Conditions:   []metav1.Condition{{Type: v1alpha1.ConditionBlind, Message: "no"}, {Type: v1alpha1.ConditionReady, Message: message}},
	}
}

func TestDiaryKeepsWhatChanged(t *testing.T) {
	var d diary
	start := time.Now()
	d.decided(v1alpha1.InferenceAutoscalerStatus{}, start) // nothing decided yet
	capacity := decided(4, 4, "DemandMet", "fine")
	capacity.Capacity = &v1alpha1.CapacityStatus{RequestsPerSecond: resource.NewMilliQuantity(5500, resource.DecimalSI)}
	for i, s := range []v1alpha1.InferenceAutoscalerStatus{
		decided(4, 4, "DemandMet", "4 -> 4 replicas (4 ready, 0 starting): demand: 3 busy"),
		capacity,
		decided(4, 7, "ForecastDemand", "4 -> 7 replicas (4 ready, 0 starting): forecast: 36 expected"),
		decided(7, 7, "ForecastDemand", "7 -> 7 replicas (4 ready, 3 starting): forecast: 36 expected"),
		decided(7, 7, "DemandMet", "7 -> 7 replicas (7 ready, 0 starting): demand: 6 busy"),
	} {
		d.decided(s, start.Add(time.Duration(i)*time.Second))
	}
	var got []report.Decision
	for _, e := range d.decisions {
		got = append(got, e.Decision)
	}
	want := []report.Decision{
		{From: 4, To: 4, Reason: "DemandMet", Text: "demand: 3 busy", Steps: []string{"observe: DemandMet"}},
		{From: 4, To: 7, Reason: "ForecastDemand", Text: "forecast: 36 expected", Steps: []string{"observe: ForecastDemand"}},
		{From: 7, To: 7, Reason: "DemandMet", Text: "demand: 6 busy", Steps: []string{"observe: DemandMet"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if d.capacity != 5.5 {
		t.Errorf("got a capacity of %v, want 5.5", d.capacity)
	}
	if at := d.decisions[1].at.Sub(start); at != 2*time.Second {
		t.Errorf("the second decision is noted at %v, want 2s", at)
	}
}

func TestMetricsReader(t *testing.T) {
	const base = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/"
	answers := map[string]string{
		base + "deployments.apps/chat/depth": `{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","items":[{"value":"2500m"}]}`,
		base + "pods/*/depth":                `{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","items":[{"value":"1"},{"value":"0"}]}`,
		base + "deployments.apps/chat/void":  `{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","items":[]}`,
		base + "deployments.apps/chat/torn":  `{"kind":`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		text, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			text = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"it is stale"}`
		}
		_, _ = w.Write([]byte(text))
	}))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	reader := newMetricsReader(client)
	if got, err := reader.object(t.Context(), "ns", "deployments.apps/chat", "depth"); err != nil || got != 2.5 {
		t.Errorf("got %v, %v, want 2.5", got, err)
	}
	if got, err := reader.pods(t.Context(), "ns", "depth"); err != nil || got != 2 {
		t.Errorf("got %v pods, %v, want 2", got, err)
	}
	if got, err := reader.pods(t.Context(), "ns", "stale"); err != nil || got != 0 {
		t.Errorf("got %v pods, %v of an unknown metric, want none", got, err)
	}
	for _, metric := range []string{"stale", "void"} {
		if _, err := reader.object(t.Context(), "ns", "deployments.apps/chat", metric); !errors.Is(err, errUnknown) {
			t.Errorf("%s: got error %v, want %v", metric, err, errUnknown)
		}
	}
	if _, err := reader.object(t.Context(), "ns", "deployments.apps/chat", "torn"); err == nil || errors.Is(err, errUnknown) {
		t.Errorf("a torn answer gives error %v", err)
	}
}

func TestMachine(t *testing.T) {
	first, err := parseStat("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3 4 5 6 7 8\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ticks{busy: 150, all: 1000}, first, cmp.AllowUnexported(ticks{})); diff != "" {
		t.Error(diff)
	}
	later := ticks{busy: 250, all: 1200}
	if got := later.since(first); got != 0.5 {
		t.Errorf("got %v busy, want 0.5", got)
	}
	if got := first.since(later); got != 0 {
		t.Errorf("got %v busy in time that runs backwards, want 0", got)
	}
	for _, text := range []string{"", "intr 1 2 3", "cpu 1 2"} {
		if _, err := parseStat(text); err == nil {
			t.Errorf("%q is taken for times of cores", text)
		}
	}
	m := machine{first: first, last: later, seconds: 4, full: 1}
	if got := m.result(); got.Busy != 0.5 || got.Saturated != 0.25 {
		t.Errorf("got %v busy, %v saturated, want 0.5 and 0.25", got.Busy, got.Saturated)
	}
	if got := (&machine{}).result(); got.Busy >= 0 {
		t.Errorf("nothing was seen, but it says %v busy", got.Busy)
	}
}

func TestBackgroundTellsWhoFailedFirst(t *testing.T) {
	b := newBackground(t.Context())
	broken := errors.New("the service ended")
	ended := false
	b.start(func(ctx context.Context) error {
		<-ctx.Done()
		ended = true
		return ctx.Err()
	})
	b.start(func(context.Context) error { return broken })
	<-b.Done()
	b.stop()
	if !ended {
		t.Error("a goroutine outlived stop")
	}
	if got := b.cause(b.Err()); !errors.Is(got, broken) {
		t.Errorf("got cause %v, want %v", got, broken)
	}
	other := errors.New("unrelated")
	if got := b.cause(other); !errors.Is(got, other) {
		t.Errorf("got %v, want an unrelated error as it is", got)
	}
}
