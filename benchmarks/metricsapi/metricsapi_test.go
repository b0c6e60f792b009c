// Package metricsapi measures how many reads a second the metrics API answers, beside the example provider of the library
// that it is built on, in one process and run.
package metricsapi

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emicklei/go-restful/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
	example "sigs.k8s.io/custom-metrics-apiserver/test-adapter/provider"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/metricsapi"
	"github.com/preheat-autoscaler/preheat/pkg/metricsapi/metricsapitest"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

const (
	// objects is the number of Deployments, each with podsPerObject ready pods.
	objects       = 1000
	podsPerObject = 4
	// clients read at the same time, as the HPA controller's workers do (5 by default).
	clients = 5
	// rounds alternate between the two servers, so that a busy moment of the machine meets both.
	rounds        = 4
	readsPerRound = 2000

	metric = "inference_requests_waiting"
)

// BenchmarkReads reads one Deployment's metric after another over TLS, with delegated authentication and authorization,
// from the example provider (one map look-up per read) and from ours (four pods found and added up per read). It
// always does rounds × readsPerRound reads of each, whatever b.N.
func BenchmarkReads(b *testing.B) {
	theirs := metricsapitest.Start(b, metricsapi.Parts{Custom: exampleProvider(b)}, 0)
	ours := metricsapitest.Start(b, metricsapi.Parts{Custom: preheat(b)}, 0)
	read(b, theirs.Client, readsPerRound/4) // connections, authorization caches
	read(b, ours.Client, readsPerRound/4)
	b.ResetTimer()
	var theirTime, ourTime time.Duration
	for range rounds {
		theirTime += read(b, theirs.Client, readsPerRound)
		ourTime += read(b, ours.Client, readsPerRound)
	}
	b.ReportMetric(rounds*readsPerRound/theirTime.Seconds(), "example-reads/s")
	b.ReportMetric(rounds*readsPerRound/ourTime.Seconds(), "preheat-reads/s")
	b.ReportMetric(theirTime.Seconds()/ourTime.Seconds(), "throughput-ratio")
	b.ReportMetric(0, "ns/op")
}

// read does n reads from several clients and returns how long they took.
func read(b *testing.B, config *rest.Config, n int) time.Duration {
	b.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var failure atomic.Value
	var workers sync.WaitGroup
	start := time.Now()
	for range clients {
		workers.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := readOne(client, config.Host, int(i)%objects); err != nil {
					failure.Store(err)
					return
				}
			}
		})
	}
	workers.Wait()
	took := time.Since(start)
	if err, ok := failure.Load().(error); ok {
		b.Fatal(err)
	}
	return took
}

func readOne(client *http.Client, host string, i int) error {
	response, err := client.Get(fmt.Sprintf("https://%s/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/deployments.apps/%s/%s", host, name(i), metric))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"value":"4"`)) {
		return fmt.Errorf("%s: %d %s", name(i), response.StatusCode, body)
	}
	return nil
}

func name(i int) string { return fmt.Sprintf("model-%04d", i) }

// exampleProvider returns the library's provider with one value for each Deployment.
func exampleProvider(b *testing.B) provider.CustomMetricsProvider {
	b.Helper()
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "apps", Version: "v1"}})
	mapper.Add(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, meta.RESTScopeNamespace)
	p, writes := example.NewFakeProvider(nil, mapper)
	container := restful.NewContainer()
	container.Add(writes)
	for i := range objects {
		path := url.URL{Path: fmt.Sprintf("/write-metrics/namespaces/default/deployments.apps/%s/%s", name(i), metric)}
		request := httptest.NewRequest(http.MethodPost, path.String(), bytes.NewReader([]byte(`"4"`)))
		request.Header.Set("Content-Type", "application/json")
		response := httptest.NewRecorder()
		container.ServeHTTP(response, request)
		if response.Code != http.StatusOK {
			b.Fatalf("%s: %d %s", path.String(), response.Code, response.Body)
		}
	}
	return p
}

// preheat returns our provider over as many Deployments, each with four pods that have one request waiting.
func preheat(b *testing.B) *metricsapi.Provider {
	b.Helper()
	indexer := func() cache.Indexer {
		return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	}
	pods, deployments := indexer(), indexer()
	samples := store.New(store.Options{Staleness: time.Hour})
	for i := range objects {
		fill(b, pods, deployments, samples, name(i))
	}
	p, err := metricsapi.NewProvider(metricsapi.Options{
		Caches: metricsapi.Caches{
			Pods: pods, Deployments: appslisters.NewDeploymentLister(deployments), Autoscalers: indexer(),
			Services: corelisters.NewServiceLister(indexer()), StatefulSets: appslisters.NewStatefulSetLister(indexer()),
		},
		Samples: samples, Scrapes: samples, Decisions: &controlloop.Decisions{},
	})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func fill(b *testing.B, pods, deployments cache.Indexer, samples *store.Store, name string) {
	b.Helper()
	selector := map[string]string{"app": name}
	if err := deployments.Add(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: selector}},
	}); err != nil {
		b.Fatal(err)
	}
	for i := range podsPerObject {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("%s-%d", name, i), Labels: selector}}
		pod.UID = types.UID(pod.Name)
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		if err := pods.Add(pod); err != nil {
			b.Fatal(err)
		}
		reading := &signals.Reading{Time: time.Now()}
		reading.Set(signals.RequestsWaiting, 1)
		samples.Put(store.PodID{Namespace: "default", Name: pod.Name, UID: pod.Name}, reading)
	}
}
