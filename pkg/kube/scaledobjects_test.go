package kube

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// lateMapper learns a mapping only when it is told to look again.
type lateMapper struct {
	*meta.DefaultRESTMapper
	late schema.GroupVersionKind
}

func (m *lateMapper) Reset() { m.Add(m.late, meta.RESTScopeNamespace) }

func TestKEDAThatIsInstalledLaterIsNoticed(t *testing.T) {
	w := newWorld(t)
	known := scaledObjectResource.GroupVersion()
	mapper := &lateMapper{meta.NewDefaultRESTMapper([]schema.GroupVersion{known}), known.WithKind(kindScaledObject)}
	period := time.Minute
	s := &scaledObjects{client: w.dynamic, mapping: &mapping{mapper: mapper, period: period, next: t0.Add(period)}, manager: "preheat"}
	w.scaledObject(map[string]any{"minReplicaCount": int64(2)})
	target := scaleTarget{"ml", "apps", "Deployment", "vllm"}
	if err := s.watch(t.Context(), t0); err != nil || !s.hasSynced() || len(s.on(target)) != 0 || len(s.raised()) != 0 {
		t.Fatalf("before KEDA: error %v, synced %v, on target %v", err, s.hasSynced(), s.on(target))
	}
	if err := s.watch(t.Context(), t0.Add(period)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ScaledObject is seen", func() bool { return s.hasSynced() && len(s.on(target)) == 1 })
	if got := s.on(target)[0]; got.effective() != 2 || got.String() != "ScaledObject ml/keda" {
		t.Errorf("minimum %d of %s, want 2 of ScaledObject ml/keda", got.effective(), got)
	}
}

func TestKEDAOfAnUnknownVersionIsAnError(t *testing.T) {
	other := schema.GroupVersion{Group: scaledObjectResource.Group, Version: "v9"}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{other})
	mapper.Add(other.WithKind(kindScaledObject), meta.RESTScopeNamespace)
	s := &scaledObjects{mapping: &mapping{mapper: mapper, period: time.Minute}}
	if err := s.watch(t.Context(), t0); err == nil {
		t.Error("no error: its objects would be read wrongly")
	}
}

func TestScaledObjectDefaults(t *testing.T) {
	for name, tt := range map[string]struct {
		spec         map[string]any
		low, high    int32
		group, kind  string
		minimumIsSet bool
	}{
		"nothing is said":      {map[string]any{"scaleTargetRef": map[string]any{"name": "vllm"}}, 0, 100, "apps", "Deployment", false},
		"everything is said":   {map[string]any{"minReplicaCount": int64(1), "maxReplicaCount": int64(4), "scaleTargetRef": map[string]any{"name": "vllm", "kind": "Set", "apiVersion": "a.b/v1"}}, 1, 4, "a.b", "Set", true},
		"numbers that are not": {map[string]any{"minReplicaCount": "1", "scaleTargetRef": "vllm"}, 0, 100, "apps", "Deployment", false},
	} {
		t.Run(name, func(t *testing.T) {
			m, ok := scaledObjectMinimum(&unstructured.Unstructured{Object: map[string]any{"spec": tt.spec}})
			if !ok || m.effective() != tt.low || m.maximum != tt.high || m.target.group != tt.group || m.target.kind != tt.kind || (m.value != nil) != tt.minimumIsSet {
				t.Errorf("minimum %+v, want from %d to %d on %s/%s", m, tt.low, tt.high, tt.group, tt.kind)
			}
		})
	}
}

func TestMinimumPatches(t *testing.T) {
	m := minimum{resourceVersion: "7", value: new(int32(5)), implied: 1, annotations: map[string]string{AnnotationOriginalMinimum: "2", AnnotationFloor: "5"}}
	unset := minimum{resourceVersion: "7", implied: 1}
	for name, tt := range map[string]struct {
		patch func() ([]byte, error)
		want  string
	}{
		"raised further keeps the original": {
			func() ([]byte, error) { return raisePatch(m, "minReplicas", 6) },
			`{"metadata":{"annotations":{"preheat.dev/floor-replicas":"6","preheat.dev/original-min-replicas":"2"},"resourceVersion":"7"},"spec":{"minReplicas":6}}`,
		},
		"given back": {
			func() ([]byte, error) { return restorePatch(m, "minReplicas") },
			`{"metadata":{"annotations":{"preheat.dev/floor-replicas":null,"preheat.dev/original-min-replicas":null},"resourceVersion":"7"},"spec":{"minReplicas":2}}`,
		},
		"an absent field is remembered as such": {
			func() ([]byte, error) { return raisePatch(unset, "minReplicas", 6) },
			`{"metadata":{"annotations":{"preheat.dev/floor-replicas":"6","preheat.dev/original-min-replicas":"unset"},"resourceVersion":"7"},"spec":{"minReplicas":6}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.patch()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
		})
	}
}
