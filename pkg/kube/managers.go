package kube

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
)

// managers finds out who set the replicas of an object.
type managers struct {
	client metadata.Interface
}

// replicasOf returns the field manager that last set spec.replicas of the object behind a scale, empty where none is
// recorded. The scale subresource has no managed fields of its own, so the object's metadata is read.
func (m *managers) replicasOf(ctx context.Context, r scaleRead) (string, error) {
	obj, err := m.client.Resource(r.resource).Namespace(r.target.namespace).Get(ctx, r.target.name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read managed fields of %s: %w", r.target, err)
	}
	return replicasManager(obj.ManagedFields), nil
}

// replicasManager returns the newest manager of spec.replicas.
func replicasManager(entries []metav1.ManagedFieldsEntry) string {
	var newest metav1.ManagedFieldsEntry
	for _, e := range entries {
		if setsReplicas(e.FieldsV1) && (newest.Manager == "" || newest.Time.Before(e.Time)) {
			newest = e
		}
	}
	return newest.Manager
}

// setsReplicas reports whether a set of fields, in the encoding of FieldsV1, has spec.replicas.
func setsReplicas(fields *metav1.FieldsV1) bool {
	if fields == nil {
		return false
	}
	var set struct {
		Spec struct {
			Replicas json.RawMessage `json:"f:replicas"`
		} `json:"f:spec"`
	}
	return json.Unmarshal(fields.GetRawBytes(), &set) == nil && set.Spec.Replicas != nil
}
