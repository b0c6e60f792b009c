package apiservice

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	k8stesting "k8s.io/client-go/testing"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/fake"
)

var self = types.NamespacedName{Namespace: "preheat-system", Name: "preheat"}

func registered(name string, service *apiregistrationv1.ServiceReference) *apiregistrationv1.APIService {
	version, group, _ := strings.Cut(name, ".")
	return &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: group, Version: version, GroupPriorityMinimum: 100, VersionPriority: 100, Service: service,
		},
	}
}

func service(namespace, name string) *apiregistrationv1.ServiceReference {
	port := int32(443)
	return &apiregistrationv1.ServiceReference{Namespace: namespace, Name: name, Port: &port}
}

func TestCheck(t *testing.T) {
	const name = "v1beta1.external.metrics.k8s.io"
	tests := map[string]struct {
		object  runtime.Object
		holder  Holder
		service string
		message string
	}{
		"an APIService with our Service is ours":                 {registered(name, service("preheat-system", "preheat")), Ours, "preheat-system/preheat", "points to us"},
		"one with another Service is foreign":                    {registered(name, service("keda", "keda-metrics")), Foreign, "keda/keda-metrics", "left as it is"},
		"our Service's name in another namespace is foreign":     {registered(name, service("default", "preheat")), Foreign, "default/preheat", "not to preheat-system/preheat"},
		"one that the kube-apiserver serves itself is foreign":   {registered(name, nil), Foreign, "local", "points to local"},
		"a missing one is absent, with what to do in the report": {registered("v1.other", nil), Absent, "", "create it with spec.service preheat-system/preheat"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			client := fake.NewClientset(test.object)
			guard := New(Options{Client: client.ApiregistrationV1(), Service: self, Names: ExternalMetrics()})
			report := guard.Check(t.Context())
			if len(report) != 1 {
				t.Fatalf("%d registrations, want 1", len(report))
			}
			got := report[0]
			if got.Holder != test.holder || got.Service != test.service || !strings.Contains(got.Message, test.message) {
				t.Errorf("got %+v, want %s, service %q, message with %q", got, test.holder, test.service, test.message)
			}
			if wantConflict := test.holder == Foreign; (len(report.Conflicts()) == 1) != wantConflict {
				t.Errorf("conflicts: %v", report.Conflicts())
			}
		})
	}
}

func TestCheckReportsWhatCannotBeRead(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("get", "apiservices", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("forbidden")
	})
	guard := New(Options{Client: client.ApiregistrationV1(), Service: self, Names: CustomMetrics()})
	report := guard.Check(t.Context())
	if report[0].Holder != Unknown || !strings.Contains(report.String(), "forbidden") {
		t.Errorf("report %v", report)
	}
	if err := guard.Publish(t.Context(), []byte("ca")); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("publish: %v", err)
	}
}

func TestPublishTouchesOnlyOurs(t *testing.T) {
	foreign := registered("v1beta1.custom.metrics.k8s.io", service("monitoring", "prometheus-adapter"))
	foreign.Spec.CABundle = []byte("theirs")
	client := fake.NewClientset(registered("v1beta2.custom.metrics.k8s.io", service("preheat-system", "preheat")), foreign)
	guard := New(Options{Client: client.ApiregistrationV1(), Service: self, Names: append(CustomMetrics(), ExternalMetrics()...)})

	for range 2 {
		if err := guard.Publish(t.Context(), []byte("ours")); err != nil {
			t.Fatal(err)
		}
	}
	bundles := map[string]string{}
	list, err := client.ApiregistrationV1().APIServices().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, svc := range list.Items {
		bundles[svc.Name] = string(svc.Spec.CABundle)
	}
	want := map[string]string{"v1beta2.custom.metrics.k8s.io": "ours", "v1beta1.custom.metrics.k8s.io": "theirs"}
	if diff := cmp.Diff(want, bundles); diff != "" {
		t.Errorf("CA bundles (-want +got):\n%s", diff)
	}

	var writes []k8stesting.Action
	for _, action := range client.Actions() {
		if action.GetVerb() != "get" && action.GetVerb() != "list" {
			writes = append(writes, action)
		}
	}
	if len(writes) != 1 {
		t.Fatalf("%d writes for one change, want 1: %v", len(writes), writes)
	}
	patch := writes[0].(k8stesting.PatchActionImpl)
	if patch.GetPatchType() != types.ApplyPatchType || patch.GetPatchOptions().FieldManager != FieldManager {
		t.Errorf("written by %s as %s", patch.GetPatchOptions().FieldManager, patch.GetPatchType())
	}
	if force := patch.GetPatchOptions().Force; force != nil && *force {
		t.Error("caBundle is taken from other field managers by force")
	}
	if strings.Contains(string(patch.GetPatch()), "service") {
		t.Errorf("the patch names more than the bundle: %s", patch.GetPatch())
	}
}

func TestPublishSaysWhenAnotherManagerOwnsTheBundle(t *testing.T) {
	svc := registered("v1beta1.external.metrics.k8s.io", service("preheat-system", "preheat"))
	client := fake.NewClientset()
	if _, err := client.ApiregistrationV1().APIServices().Create(t.Context(), svc, metav1.CreateOptions{FieldManager: "helm"}); err != nil {
		t.Fatal(err)
	}
	injected := svc.DeepCopy()
	injected.Spec.CABundle = []byte("injected")
	if _, err := client.ApiregistrationV1().APIServices().Update(t.Context(), injected, metav1.UpdateOptions{FieldManager: "cainjector"}); err != nil {
		t.Fatal(err)
	}
	guard := New(Options{Client: client.ApiregistrationV1(), Service: self, Names: ExternalMetrics()})
	err := guard.Publish(t.Context(), []byte("ours"))
	if err == nil || !strings.Contains(err.Error(), "cainjector") {
		t.Fatalf("want a conflict that names cainjector, got %v", err)
	}
	got, err := client.ApiregistrationV1().APIServices().Get(t.Context(), svc.Name, metav1.GetOptions{})
	if err != nil || string(got.Spec.CABundle) != "injected" {
		t.Errorf("caBundle is %q (%v), want it left alone", got.Spec.CABundle, err)
	}
}

func TestRunReportsAndLogsEachChangeOnce(t *testing.T) {
	client := fake.NewClientset(registered("v1beta1.external.metrics.k8s.io", service("preheat-system", "preheat")))
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	reports := make(chan Report)
	guard := New(Options{
		Client: client.ApiregistrationV1(), Service: self, Names: ExternalMetrics(),
		Observe: func(r Report) {
			select {
			case reports <- r:
			case <-ctx.Done():
			}
		},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	done := make(chan struct{})
	go func() { defer close(done); guard.Run(ctx, time.Millisecond) }()
	if r := <-reports; len(r.Conflicts()) != 0 {
		t.Errorf("conflicts at first: %v", r)
	}
	stolen := registered("v1beta1.external.metrics.k8s.io", service("keda", "keda-metrics"))
	if _, err := client.ApiregistrationV1().APIServices().Update(t.Context(), stolen, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(10 * time.Second); ; {
		select {
		case r := <-reports:
			if len(r.Conflicts()) == 0 {
				continue
			}
		case <-deadline:
			t.Fatal("the takeover was never reported")
		}
		break
	}
	cancel()
	<-done
	if got := strings.Count(log.String(), "keda/keda-metrics"); got != 1 {
		t.Errorf("the takeover is logged %d times, want once:\n%s", got, log.String())
	}
}
