package switchover

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/preheat-autoscaler/preheat/pkg/front"
)

func TestGatewaysAreAllEndpointsThatAreReady(t *testing.T) {
	no := false
	slice := func(namespace, name, service string, kind discoveryv1.AddressType, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
			AddressType: kind, Endpoints: endpoints,
		}
	}
	client := fake.NewClientset(
		slice("ml", "epp-1", "epp", discoveryv1.AddressTypeIPv4,
			discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{UID: "u1"}},
			discoveryv1.Endpoint{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}}),
		slice("ml", "epp-2", "epp", discoveryv1.AddressTypeIPv6, discoveryv1.Endpoint{Addresses: []string{"fd00::3"}}),
		slice("ml", "epp-3", "epp", discoveryv1.AddressTypeFQDN, discoveryv1.Endpoint{Addresses: []string{"elsewhere.example"}}),
		slice("other", "epp-1", "epp", discoveryv1.AddressTypeIPv4, discoveryv1.Endpoint{Addresses: []string{"10.0.0.9"}}),
	)
	g := NewGateways(client, slog.New(slog.DiscardHandler))
	epp := front.Gateway{Namespace: "ml", Service: "epp", Port: 9090}
	if got := g.Endpoints(epp); got != nil {
		t.Errorf("before the cluster was read: %v, want none", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { g.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	want := []front.Source{{ID: "fd00::3", URL: "http://[fd00::3]:9090/metrics"}, {ID: "u1", URL: "http://10.0.0.1:9090/metrics"}}
	var got []front.Source
	for end := time.Now().Add(time.Minute); !slices.Equal(got, want); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%v, want %v", got, want)
		}
		got = g.Endpoints(epp)
		slices.SortFunc(got, func(a, b front.Source) int {
			if a.ID < b.ID {
				return -1
			}
			return 1
		})
	}
	g.follow(ctx, &running, time.Now().Add(2*gatewayIdle))
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.known[types.NamespacedName{Namespace: "ml", Name: "epp"}]; ok {
		t.Error("a gateway that nobody asks for is still watched")
	}
}
