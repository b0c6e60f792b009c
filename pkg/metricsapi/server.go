package metricsapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver"
	freshness "sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver/metrics"
	basecmd "sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/cmd/options"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// ServerOptions are what flags say about the server.
type ServerOptions struct {
	// Kubeconfig is used for every connection to the kube-apiserver that has none of its own; empty within a cluster.
	Kubeconfig string
	// ShutdownDelay is how long the server goes on serving, not ready, after it was told to stop, so that the
	// kube-apiserver has noticed before connections are refused.
	ShutdownDelay time.Duration
	// Listener takes the place of the address and port of the flags where it is set.
	Listener net.Listener

	adapter basecmd.AdapterBase
}

// NewServerOptions returns the defaults: serve on port 6443 of all addresses, wait 10 s at shutdown, and keep a
// certificate that nobody provided in memory, not in files.
func NewServerOptions() *ServerOptions {
	o := &ServerOptions{ShutdownDelay: 10 * time.Second}
	o.adapter.Name = "preheat"
	o.adapter.FlagSet = pflag.NewFlagSet("metrics API", pflag.ContinueOnError)
	o.adapter.CustomMetricsAdapterServerOptions = options.NewCustomMetricsAdapterServerOptions()
	o.adapter.SecureServing.BindPort = 6443
	o.adapter.SecureServing.ServerCert.CertDirectory = ""
	return o
}

// AddFlags adds all flags of the server: secure serving, delegated authentication and authorization, audit.
func (o *ServerOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig,
		"Kubeconfig for the kube-apiserver, also for delegated authentication and authorization where these have none of their own. Empty: the pod's service account.")
	fs.DurationVar(&o.ShutdownDelay, "shutdown-delay-duration", o.ShutdownDelay,
		"Time to go on serving, reported as not ready, after the process was told to stop.")
	fs.AddFlagSet(o.adapter.Flags())
}

// ClientConfig returns how to reach the kube-apiserver. Call it after the flags are parsed.
func (o *ServerOptions) ClientConfig() (*rest.Config, error) {
	o.complete()
	config, err := o.adapter.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("metrics API: %w", err)
	}
	return rest.CopyConfig(config), nil
}

// Informers returns the factory of the informers that the server starts and waits for before it is ready: take the
// Services, Deployments and StatefulSets of Caches from it.
func (o *ServerOptions) Informers() (informers.SharedInformerFactory, error) {
	o.complete()
	factory, err := o.adapter.Informers()
	if err != nil {
		return nil, fmt.Errorf("metrics API: %w", err)
	}
	return factory, nil
}

// OwnsCertificate reports whether flags name the certificate to serve; then no other is used.
func (o *ServerOptions) OwnsCertificate() bool {
	cert := o.adapter.SecureServing.ServerCert
	return cert.CertKey.CertFile != "" || cert.CertKey.KeyFile != "" || cert.CertDirectory != ""
}

// complete gives every connection without a kubeconfig of its own the common one, and the adapter its listener.
func (o *ServerOptions) complete() {
	o.adapter.SecureServing.Listener = o.Listener
	for _, file := range []*string{
		&o.adapter.RemoteKubeConfigFile,
		&o.adapter.Authentication.RemoteKubeConfigFile,
		&o.adapter.Authorization.RemoteKubeConfigFile,
	} {
		if *file == "" {
			*file = o.Kubeconfig
		}
	}
}

// Parts are what a server is put together from.
type Parts struct {
	// Custom and External answer the two APIs; a nil one is not served at all.
	Custom   provider.CustomMetricsProvider
	External provider.ExternalMetricsProvider
	// Certificate is served where OwnsCertificate is false; nil means a self-signed one for localhost, which no
	// kube-apiserver can verify.
	Certificate dynamiccertificates.CertKeyContentProvider
	// Ready and Live are further checks of /readyz and /livez, for example that the control loop ticks.
	Ready, Live []healthz.HealthChecker
}

// Server serves the metrics APIs, /readyz, /livez, /openapi and /metrics (the default registry's) over TLS.
type Server struct {
	generic *genericapiserver.GenericAPIServer
}

// NewServer opens the port and puts the server together; it answers nothing before Run.
func NewServer(o *ServerOptions, parts Parts) (*Server, error) {
	o.complete()
	if parts.Custom != nil {
		o.adapter.WithCustomMetrics(parts.Custom)
	}
	if parts.External != nil {
		o.adapter.WithExternalMetrics(parts.External)
	}
	config, err := o.adapter.Config()
	if err != nil {
		return nil, fmt.Errorf("metrics API: configure: %w", err)
	}
	generic := config.GenericConfig
	generic.ShutdownDelayDuration = o.ShutdownDelay
	if parts.Certificate != nil && !o.OwnsCertificate() && generic.SecureServing != nil {
		generic.SecureServing.Cert = parts.Certificate
	}
	generic.AddReadyzChecks(parts.Ready...)
	server, err := o.adapter.Server()
	if err != nil {
		return nil, fmt.Errorf("metrics API: build: %w", err)
	}
	if err := server.GenericAPIServer.AddLivezChecks(0, parts.Live...); err != nil {
		return nil, fmt.Errorf("metrics API: add liveness checks: %w", err)
	}
	return finish(server, parts)
}

// finish adds what the library leaves out: aggregated discovery, and its own metric of sample age.
func finish(server *apiserver.CustomMetricsAdapterServer, parts Parts) (*Server, error) {
	s := &Server{generic: server.GenericAPIServer}
	if err := discover(s.generic.AggregatedDiscoveryGroupManager, parts.Custom, parts.External); err != nil {
		return nil, fmt.Errorf("metrics API: %w", err)
	}
	err := freshness.RegisterMetrics(legacyregistry.Register)
	var already prometheus.AlreadyRegisteredError
	if err != nil && !errors.As(err, &already) {
		return nil, fmt.Errorf("metrics API: register metric of sample age: %w", err)
	}
	return s, nil
}

// Run serves until ctx ends, then for the shutdown delay, and returns when the last request is answered.
func (s *Server) Run(ctx context.Context) error {
	if err := s.generic.PrepareRun().RunWithContext(ctx); err != nil {
		return fmt.Errorf("metrics API: serve: %w", err)
	}
	return nil
}
