package testbed

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestDecodeReadsEveryDocument(t *testing.T) {
	objects, err := decode([]byte(`
# a comment alone is no object
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
---
apiVersion: v1
kind: Secret
metadata: {name: b}
---
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, object := range objects {
		got = append(got, object.GetKind()+"/"+object.GetName())
	}
	if diff := cmp.Diff([]string{"ConfigMap/a", "Secret/b"}, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestDecodeRefusesWhatIsNoYAML(t *testing.T) {
	if objects, err := decode([]byte("a: [b")); err == nil {
		t.Errorf("decode found %v", objects)
	}
}

func TestAPIServicesManifestsNameServiceUserAndGroups(t *testing.T) {
	s := APIServices{
		Namespace: "ns", Service: "preheat", Port: 8443, User: "system:preheat",
		GroupVersions: []schema.GroupVersion{
			{Group: "custom.metrics.k8s.io", Version: "v1beta1"},
			{Group: "custom.metrics.k8s.io", Version: "v1beta2"},
			{Group: "external.metrics.k8s.io", Version: "v1beta1"},
		},
	}
	manifests, err := s.manifests([]byte("certificate"))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(manifests)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, manifests)
	}
	var names []string
	for _, object := range objects {
		names = append(names, object.GetKind()+"/"+object.GetName())
	}
	want := []string{
		"Namespace/ns", "Service/preheat", "APIService/v1beta1.custom.metrics.k8s.io", "APIService/v1beta2.custom.metrics.k8s.io",
		"APIService/v1beta1.external.metrics.k8s.io", "ClusterRoleBinding/preheat-auth-delegator",
		"RoleBinding/preheat-auth-reader", "ClusterRole/preheat-reader", "ClusterRoleBinding/preheat-reader-hpa",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	groups := objects[7].Object["rules"].([]any)[0].(map[string]any)["apiGroups"]
	if diff := cmp.Diff([]any{"custom.metrics.k8s.io", "external.metrics.k8s.io"}, groups); diff != "" {
		t.Errorf("readable groups (-want +got):\n%s", diff)
	}
	if bundle, _, err := unstructured.NestedString(objects[2].Object, "spec", "caBundle"); err != nil || bundle != "Y2VydGlmaWNhdGU=" {
		t.Errorf("caBundle %q (%v), want the certificate in base64", bundle, err)
	}
	if bytes.Contains(manifests, []byte("<no value>")) {
		t.Errorf("a value is missing:\n%s", manifests)
	}
}

func TestAvailabilityOfAnAPIService(t *testing.T) {
	for name, tc := range map[string]struct {
		conditions []any
		want       bool
		message    string
	}{
		"nothing known yet":  {nil, false, "it has no condition yet"},
		"available":          {[]any{map[string]any{"type": "Available", "status": "True", "message": "all checks passed"}}, true, "all checks passed"},
		"not reachable":      {[]any{map[string]any{"type": "Available", "status": "False", "message": "no route"}}, false, "no route"},
		"only another thing": {[]any{map[string]any{"type": "Other", "status": "True"}}, false, "it has no condition yet"},
	} {
		t.Run(name, func(t *testing.T) {
			service := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"conditions": tc.conditions}}}
			got, message := availability(service)
			if got != tc.want || message != tc.message {
				t.Errorf("availability: %t, %q; want %t, %q", got, message, tc.want, tc.message)
			}
		})
	}
}
