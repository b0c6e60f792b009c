package kube

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// scaleTarget identifies what is scaled. The API version is left out: apps/v1 and apps/v1beta1 name the same object.
type scaleTarget struct{ namespace, group, kind, name string }

// newScaleTarget returns the target that a reference names in a namespace; an API version that cannot be parsed gives
// a group that matches nothing.
func newScaleTarget(namespace, apiVersion, kind, name string) scaleTarget {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		gv.Group = apiVersion
	}
	return scaleTarget{namespace: namespace, group: gv.Group, kind: kind, name: name}
}

// String returns kind namespace/name, as messages name it.
func (t scaleTarget) String() string { return fmt.Sprintf("%s %s/%s", t.kind, t.namespace, t.name) }

// key is the index value of the target.
func (t scaleTarget) key() string { return t.namespace + "/" + t.group + "/" + t.kind + "/" + t.name }

// mapping finds the resource of a kind. A kind that the mapper does not know is looked up anew in discovery, since its
// CRD may have come later, but at most once a period for all kinds together: discovery is dear.
type mapping struct {
	mapper meta.RESTMapper
	period time.Duration

	mu   sync.Mutex
	next time.Time
}

// resource returns the plural resource of a group and kind.
func (m *mapping) resource(gk schema.GroupKind, now time.Time) (schema.GroupVersionResource, error) {
	found, err := m.mapper.RESTMapping(gk)
	if meta.IsNoMatchError(err) && m.rediscover(now) {
		found, err = m.mapper.RESTMapping(gk)
	}
	if err != nil {
		return schema.GroupVersionResource{}, err
	}
	return found.Resource, nil
}

// rediscover makes the mapper forget what it knows, where that is due, and reports whether it did.
func (m *mapping) rediscover(now time.Time) bool {
	resettable, ok := m.mapper.(meta.ResettableRESTMapper)
	if !ok {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.next) {
		return false
	}
	m.next = now.Add(m.period)
	resettable.Reset()
	return true
}
