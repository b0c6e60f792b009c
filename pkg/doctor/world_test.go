package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/deploy/crds"
)

// world is a cluster in which all is well: ml/vllm in mode Own with two ready pods. Tests spoil it.
type world struct {
	// objects are what the API server has, by "Kind namespace/name" or "Kind name".
	objects map[string]*unstructured.Unstructured
	// forbidden are "verb resource" that are refused; denied are rights that the authorizer says no to.
	forbidden map[string]bool
	denied    func(a *authorizationv1.ResourceAttributes) bool
	// raw are the answers by path, without the query.
	raw     map[string]Answer
	skew    time.Duration
	silent  bool
	noScale bool
	options Options
}

// present is the time at which all is examined, however long that takes.
var present = time.Now()

func ago(d time.Duration) string { return present.Add(-d).UTC().Format(time.RFC3339) }

// add reads objects of YAML.
func (w *world) add(t *testing.T, text string) {
	t.Helper()
	for doc := range strings.SplitSeq(text, "\n---\n") {
		u := &unstructured.Unstructured{}
		data, err := yaml.YAMLToJSON([]byte(doc))
		if err == nil {
			err = u.UnmarshalJSON(data)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, doc)
		}
		key := u.GetKind() + " " + u.GetName()
		if u.GetNamespace() != "" {
			key = u.GetKind() + " " + u.GetNamespace() + "/" + u.GetName()
		}
		w.objects[key] = u
	}
}

// set changes a field of an object; nil removes it.
func (w *world) set(t *testing.T, key string, value any, fields ...string) {
	t.Helper()
	u := w.objects[key]
	if u == nil {
		t.Fatalf("no object %q", key)
	}
	if value == nil {
		unstructured.RemoveNestedField(u.Object, fields...)
		return
	}
	if err := unstructured.SetNestedField(u.Object, value, fields...); err != nil {
		t.Fatal(err)
	}
}

// condition sets a condition of an object of ours.
func (w *world) condition(t *testing.T, key, kind, status, reason, message string) {
	t.Helper()
	u := w.objects[key]
	all, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	var out []any
	for _, c := range all {
		if toMap(c)["type"] != kind {
			out = append(out, c)
		}
	}
	out = append(out, map[string]any{"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": ago(time.Hour)})
	w.set(t, key, out, "status", "conditions")
}

const ia = "InferenceAutoscaler ml/vllm"

func healthy(t *testing.T) *world {
	t.Helper()
	w := &world{
		objects: map[string]*unstructured.Unstructured{}, forbidden: map[string]bool{}, raw: map[string]Answer{},
		options: Options{System: "preheat-system", Timeout: 5 * time.Minute, Now: func() time.Time { return present }, Wait: func(context.Context, time.Duration) {}},
	}
	for _, text := range []string{crds.InferenceAutoscaler, crds.WarmPool} {
		w.add(t, text)
	}
	for key, u := range w.objects {
		u.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Established", "status": "True", "lastTransitionTime": ago(time.Hour)}}}
		w.objects[key] = u
	}
	cert := certificate(t, present.Add(90*24*time.Hour))
	w.add(t, fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: preheat, namespace: preheat-system, generation: 1}
spec:
  replicas: 2
  selector: {matchLabels: {app: preheat}}
  template: {spec: {serviceAccountName: preheat, containers: [{name: preheat, args: [--leader-elect=true]}]}}
status: {readyReplicas: 2, updatedReplicas: 2, observedGeneration: 1}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: preheat, namespace: preheat-system}
spec: {holderIdentity: preheat-a, leaseDurationSeconds: 10, renewTime: "%s"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm, namespace: ml}
spec:
  replicas: 2
  selector: {matchLabels: {app: vllm}}
  template: {spec: {readinessGates: [{conditionType: preheat.dev/serving}], containers: [{name: vllm}]}}
---
apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: vllm, namespace: ml, creationTimestamp: "%s", generation: 1}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}, mode: Own, minReplicas: 1, maxReplicas: 8}
status:
  observedGeneration: 1
  selector: app=vllm
  leadTime: {p50: 90s, p90: 120s, samples: 7, source: Measured}
  demand: {time: "%s"}
  lastDecision: {time: "%[1]s", replicas: 2, reason: Steady}
---
apiVersion: preheat.dev/v1alpha1
kind: WarmPool
metadata: {name: h100, namespace: ml}
spec: {gpus: 8, members: [{name: vllm}]}
`, present.UTC().Format("2006-01-02T15:04:05.000000Z"), ago(time.Hour), ago(5*time.Second)))
	w.condition(t, ia, "Ready", "True", "Steady", "steady")
	w.condition(t, ia, "Blind", "False", "FreshData", "every ready replica is seen")
	w.condition(t, ia, "Conflict", "False", "SoleWriter", "nobody else")
	w.condition(t, "WarmPool ml/h100", "Ready", "True", "Shared", "all")
	w.add(t, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: preheat-serving-cert, namespace: preheat-system}\ndata: {tls.crt: %s}", base64Of(cert)))
	for _, version := range []string{"v1beta1", "v1beta2"} {
		w.add(t, fmt.Sprintf(`
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: %[1]s.custom.metrics.k8s.io}
spec: {group: custom.metrics.k8s.io, version: %[1]s, caBundle: %[2]s, service: {name: preheat, namespace: preheat-system, port: 443}}
status: {conditions: [{type: Available, status: "True", reason: Passed}]}
`, version, base64Of(cert)))
		w.raw["/apis/custom.metrics.k8s.io/"+version] = answer(200, `{"resources":[{"name":"pods/inference_requests_running"}]}`)
	}
	for _, name := range []string{"a", "b"} {
		w.add(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: ml, labels: {app: vllm}, creationTimestamp: "%s"}
spec: {nodeName: node-1, containers: [{name: vllm, ports: [{name: http, containerPort: 8000}]}], readinessGates: [{conditionType: preheat.dev/serving}]}
status:
  conditions: [{type: Ready, status: "True"}]
  containerStatuses: [{name: vllm, state: {running: {startedAt: "%s"}}}]
`, name, ago(time.Hour), ago(59*time.Minute)))
	}
	w.raw["/version"] = answer(200, `{"gitVersion":"v1.36.0"}`)
	w.raw["/apis/custom.metrics.k8s.io/v1beta2/namespaces/ml/pods/*/inference_requests_running"] = answer(200, fmt.Sprintf(
		`{"items":[{"timestamp":%q,"value":"1"},{"timestamp":%[1]q,"value":"0"}]}`, ago(3*time.Second)))
	return w
}

func answer(code int, body string) Answer { return Answer{Code: code, Body: []byte(body)} }

// Get answers as the API server does, by its clock.
func (w *world) Get(_ context.Context, path string) (Answer, error) {
	if w.silent {
		return Answer{}, fmt.Errorf("connection refused")
	}
	path, _, _ = strings.Cut(path, "?")
	got, ok := w.raw[path]
	if !ok {
		got = answer(404, "")
	}
	got.Sent, got.Received = present, present
	if got.Header == nil {
		got.Header = http.Header{"Date": {present.Add(w.skew).UTC().Format(http.TimeFormat)}}
	}
	return got, nil
}

// examine runs all checks.
func (w *world) examine(t *testing.T) Report {
	t.Helper()
	report, err := Examine(t.Context(), w.cluster(t), w.options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (w *world) cluster(t *testing.T) Cluster {
	t.Helper()
	var typed, all []runtime.Object
	for _, key := range sortedKeys(w.objects) {
		u := w.objects[key]
		all = append(all, u)
		object, err := scheme.Scheme.New(u.GroupVersionKind())
		if err != nil {
			continue
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, object); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if object.GetObjectKind().GroupVersionKind().Kind != "" {
			typed = append(typed, object)
		}
	}
	kube := fake.NewClientset(typed...)
	objects := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		autoscalerResource: "InferenceAutoscalerList", poolResource: "WarmPoolList", scaledObjectResource: "ScaledObjectList", vpaResource: "VerticalPodAutoscalerList",
		crdResource: "CustomResourceDefinitionList", apiServiceResource: "APIServiceList",
	}, all...)
	refuse := func(action clienttesting.Action) (bool, runtime.Object, error) {
		r := action.GetResource()
		if w.forbidden[action.GetVerb()+" "+r.Resource] {
			return true, nil, apierrors.NewForbidden(r.GroupResource(), "", fmt.Errorf("no"))
		}
		if action.GetSubresource() == "scale" {
			if w.noScale {
				return true, nil, apierrors.NewNotFound(r.GroupResource(), "")
			}
			return true, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": map[string]any{"name": "vllm"}, "status": map[string]any{"selector": "app=vllm"},
			}}, nil
		}
		return false, nil, nil
	}
	review := func(action clienttesting.Action) (bool, runtime.Object, error) {
		if handled, _, err := refuse(action); handled {
			return true, nil, err
		}
		switch r := action.(clienttesting.CreateAction).GetObject().(type) {
		case *authorizationv1.SelfSubjectAccessReview:
			r.Status.Allowed = true
			return true, r, nil
		case *authorizationv1.SubjectAccessReview:
			r.Status.Allowed = w.denied == nil || !w.denied(r.Spec.ResourceAttributes)
			return true, r, nil
		}
		return false, nil, nil
	}
	kube.PrependReactor("*", "*", refuse)
	kube.PrependReactor("create", "*", review)
	objects.PrependReactor("*", "*", refuse)
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "apps", Version: "v1"}})
	mapper.Add(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, meta.RESTScopeNamespace)
	return Cluster{Kube: kube, Dynamic: objects, Mapper: mapper, Raw: w, Server: "https://cluster.example:6443"}
}

func base64Of(data []byte) string {
	secret := corev1.Secret{Data: map[string][]byte{"x": data}}
	text, _ := yaml.Marshal(secret)
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "x: "); ok {
			return v
		}
	}
	return ""
}

// certificate is self-signed for the service.
func certificate(t *testing.T, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: present.Add(-100 * 24 * time.Hour), NotAfter: until, DNSNames: []string{"preheat.preheat-system.svc"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
