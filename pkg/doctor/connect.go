package doctor

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// Connect prepares the connections to an API server, and opens none yet.
func Connect(config *rest.Config) (Cluster, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 100, 200
	// A warning of a deprecated kind is no finding of ours.
	config.WarningHandler = rest.NoWarnings{}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return Cluster{}, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return Cluster{}, fmt.Errorf("address of the API server %q: %w", config.Host, err)
	}
	kube, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return Cluster{}, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	objects, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return Cluster{}, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	return Cluster{
		Kube: kube, Dynamic: objects, Server: config.Host,
		Mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kube.Discovery())),
		Raw:    getter{client, strings.TrimSuffix(base.String(), "/")},
	}, nil
}

// getter asks an API server for paths.
type getter struct {
	client *http.Client
	base   string
}

// largest is the most that is read of an answer. Unit: bytes.
const largest = 8 << 20

// Get asks for a path.
func (g getter) Get(ctx context.Context, path string) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.base+path, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("ask for %s: %w", path, err)
	}
	request.Header.Set("Accept", "application/json, text/plain;q=0.9, */*;q=0.1")
	sent := time.Now()
	response, err := g.client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	received := time.Now()
	body, err := io.ReadAll(io.LimitReader(response.Body, largest))
	if err != nil {
		return Answer{}, fmt.Errorf("read %s: %w", path, err)
	}
	return Answer{Code: response.StatusCode, Header: response.Header, Body: body, Sent: sent, Received: received}, nil
}
