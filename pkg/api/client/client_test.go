package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// fakeServer answers as an API server that holds one InferenceAutoscaler, and tells of a second by watch.
type fakeServer struct {
	t      *testing.T
	mu     sync.Mutex
	stored *v1alpha1.InferenceAutoscaler
	paths  []string
	watch  chan *v1alpha1.InferenceAutoscaler
}

func newFakeServer(t *testing.T) (*fakeServer, *Client) {
	t.Helper()
	s := &fakeServer{t: t, stored: autoscaler("chat", "7"), watch: make(chan *v1alpha1.InferenceAutoscaler, 1)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client, err := New(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf"}})
	if err != nil {
		t.Fatal(err)
	}
	return s, client
}

func autoscaler(name, version string) *v1alpha1.InferenceAutoscaler {
	return &v1alpha1.InferenceAutoscaler{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.Kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: name, ResourceVersion: version, Labels: map[string]string{"team": name}},
		Spec:       v1alpha1.InferenceAutoscalerSpec{MaxReplicas: 4},
	}
}

func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paths = append(s.paths, r.Method+" "+r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	const all, one = "/apis/preheat.dev/v1alpha1/inferenceautoscalers", "/apis/preheat.dev/v1alpha1/namespaces/prod/inferenceautoscalers/chat"
	switch {
	case r.URL.Path == all && r.URL.Query().Get("watch") != "":
		s.serveWatch(w, r)
	case r.URL.Path == all:
		s.send(w, http.StatusOK, &v1alpha1.InferenceAutoscalerList{
			TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.Kind + "List"},
			ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []v1alpha1.InferenceAutoscaler{*s.stored},
		})
	case r.Method == http.MethodGet && r.URL.Path == one:
		s.send(w, http.StatusOK, s.stored)
	case r.Method == http.MethodPut && r.URL.Path == one+"/status":
		s.putStatus(w, r)
	default:
		s.send(w, http.StatusNotFound, apierrors.NewNotFound(v1alpha1.Resource(v1alpha1.ResourceName), "").Status())
	}
}

func (s *fakeServer) putStatus(w http.ResponseWriter, r *http.Request) {
	var sent v1alpha1.InferenceAutoscaler
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		s.t.Error(err)
	}
	if sent.ResourceVersion != s.stored.ResourceVersion {
		s.send(w, http.StatusConflict, apierrors.NewConflict(v1alpha1.Resource(v1alpha1.ResourceName), sent.Name, nil).Status())
		return
	}
	s.stored.Status, s.stored.ResourceVersion = sent.Status, "8"
	s.send(w, http.StatusOK, s.stored)
}

// serveWatch sends the initial objects when the informer asks for them that way, and then one that is added later.
func (s *fakeServer) serveWatch(w http.ResponseWriter, r *http.Request) {
	event := func(kind string, object any) {
		s.send(w, http.StatusOK, map[string]any{"type": kind, "object": object})
		w.(http.Flusher).Flush()
	}
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		event("ADDED", s.stored)
		mark := autoscaler("", "7")
		mark.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
		event("BOOKMARK", mark)
	}
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case added := <-s.watch:
		event("ADDED", added)
		<-r.Context().Done()
	case <-r.Context().Done():
	}
}

func (s *fakeServer) send(w http.ResponseWriter, code int, body any) {
	if code != http.StatusOK {
		w.WriteHeader(code)
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.t.Log(err)
	}
}

func TestClientReadsAndWritesStatus(t *testing.T) {
	server, client := newFakeServer(t)
	ctx := t.Context()

	got, err := client.InNamespace("prod").Get(ctx, "chat", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := server.stored.DeepCopy()
	want.TypeMeta = metav1.TypeMeta{} // as for every typed client: the Go type says it
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("get (-stored +got):\n%s", diff)
	}
	list, err := client.InNamespace(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.ResourceVersion != "7" {
		t.Errorf("list: got %v, %v, want one item at version 7", list, err)
	}

	update := got.DeepCopy()
	update.Status.RecommendedReplicas = new(int32(3))
	updated, err := client.InNamespace("prod").UpdateStatus(ctx, update, metav1.UpdateOptions{})
	if err != nil || *updated.Status.RecommendedReplicas != 3 || updated.ResourceVersion != "8" {
		t.Errorf("update status: got %v, %v, want 3 replicas at version 8", updated, err)
	}
	if _, err := client.InNamespace("prod").UpdateStatus(ctx, update, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("update of an old version: got %v, want a conflict", err)
	}
	if _, err := client.InNamespace("prod").Get(ctx, "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("get of nothing: got %v, want not found", err)
	}
}

func TestInformerFollowsTheServer(t *testing.T) {
	server, client := newFakeServer(t)
	informer := client.NewInformer(metav1.NamespaceAll, 0)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() { defer close(stopped); informer.RunWithContext(ctx) }()
	defer func() { cancel(); <-stopped }()

	wait, cancelWait := context.WithTimeout(ctx, 10*time.Second)
	defer cancelWait()
	if !cache.WaitForCacheSync(wait.Done(), informer.HasSynced) {
		t.Fatal("not synced in 10s")
	}
	server.watch <- autoscaler("code", "9")
	lister := informer.Lister
	for len(informer.GetIndexer().ListKeys()) < 2 && wait.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}

	every, err := lister.List(labels.Everything())
	if err != nil || len(every) != 2 {
		t.Fatalf("list: got %d objects, %v, want the listed and the watched one", len(every), err)
	}
	some, err := lister.Namespaced("prod").List(labels.SelectorFromSet(labels.Set{"team": "code"}))
	if err != nil || len(some) != 1 || some[0].Name != "code" {
		t.Errorf("list by label: got %v, %v, want code", some, err)
	}
	if none, err := lister.Namespaced("other").List(labels.Everything()); err != nil || len(none) != 0 {
		t.Errorf("list in another namespace: got %v, %v, want nothing", none, err)
	}
	one, err := lister.Namespaced("prod").Get("chat")
	if err != nil || one.Spec.MaxReplicas != 4 {
		t.Errorf("get: got %v, %v", one, err)
	}
	if _, err := lister.Namespaced("prod").Get("none"); !apierrors.IsNotFound(err) {
		t.Errorf("get of nothing: got %v, want not found", err)
	}
}

func TestNewReportsABadConfiguration(t *testing.T) {
	if _, err := New(&rest.Config{Host: "http://[::1"}); err == nil {
		t.Error("a host that is no address was accepted")
	}
}
