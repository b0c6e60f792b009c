package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

const (
	serviceName      = "preheat"
	serviceNamespace = "preheat-system"
	// serviceUser is whom deploy/base/rbac.yaml gives the service's rights to, so that the demo runs with no more.
	serviceUser = "system:serviceaccount:" + serviceNamespace + ":" + serviceName
)

func servedAPIs() []schema.GroupVersion {
	return []schema.GroupVersion{
		{Group: "custom.metrics.k8s.io", Version: "v1beta1"},
		{Group: "custom.metrics.k8s.io", Version: "v1beta2"},
		{Group: "external.metrics.k8s.io", Version: "v1beta1"},
	}
}

// checkService makes the binary's path absolute and fails where there is none.
func (d *demo) checkService() error {
	path := d.options.Service
	if !filepath.IsAbs(path) {
		path = filepath.Join(root(), path)
	}
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return fmt.Errorf("there is no binary %s: run `make build` first", d.options.Service)
	}
	d.options.Service = path
	return nil
}

// registerService picks the service's port and points the API server to it.
func (d *demo) registerService(ctx context.Context) error {
	var err error
	if d.servicePort, err = freePort(); err != nil {
		return err
	}
	return d.cluster.RegisterAPIServices(ctx, testbed.APIServices{
		Namespace: serviceNamespace, Service: serviceName, Port: d.servicePort, User: serviceUser, GroupVersions: servedAPIs(),
	})
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// startService runs the binary and waits until the API server finds its APIs.
func (d *demo) startService(ctx context.Context, b *background) error {
	args, err := d.serviceArgs()
	if err != nil {
		return err
	}
	if err := d.cluster.Launch(serviceName, d.options.Service, args...); err != nil {
		return err
	}
	b.start(d.guard(serviceName))
	for _, gv := range servedAPIs() {
		if err := d.cluster.AwaitAPIService(ctx, gv); err != nil {
			return fmt.Errorf("%w; the end of the service's log:\n%s", err, d.cluster.LogTail(serviceName))
		}
	}
	return nil
}

func (d *demo) serviceArgs() ([]string, error) {
	kubeconfig, err := d.cluster.ClientKubeconfig(serviceUser)
	if err != nil {
		return nil, err
	}
	cert, key, err := d.cluster.ServingCert([]string{serviceName + "." + serviceNamespace + ".svc"}, []net.IP{net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	return []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig, "--lister-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(d.servicePort),
		"--tls-cert-file=" + cert, "--tls-private-key-file=" + key,
		"--interval=" + d.times.DecisionInterval.String(), "--scrape-interval=" + d.times.ScrapeInterval.String(),
		"--external-metrics=true", "--leader-elect=false",
	}, nil
}

// guard fails when a process of the cluster, or the service, ends before the run does.
func (d *demo) guard(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-d.cluster.Exited(name):
			return fmt.Errorf("%s ended by itself; the end of its log:\n%s", name, d.cluster.LogTail(name))
		}
	}
}

// logDir is where the logs of the cluster, the service and the engines go.
func (d *demo) logDir() string { return filepath.Join(d.options.Out, "log") }

// makeFolder makes the folder of results, without the results and logs of an earlier run.
func (d *demo) makeFolder() error {
	out, err := filepath.Abs(d.options.Out)
	if err != nil {
		return fmt.Errorf("find folder %s: %w", d.options.Out, err)
	}
	d.options.Out = out
	if err := os.MkdirAll(d.logDir(), 0o755); err != nil {
		return fmt.Errorf("make folder of results: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(d.logDir(), "*.log"))
	if err != nil {
		return fmt.Errorf("list old logs: %w", err)
	}
	var faults []error
	for _, file := range append(old, d.reportFile(), d.summaryFile()) {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			faults = append(faults, fmt.Errorf("remove what an earlier run left: %w", err))
		}
	}
	return errors.Join(faults...)
}

func (d *demo) reportFile() string  { return filepath.Join(d.options.Out, "report.html") }
func (d *demo) summaryFile() string { return filepath.Join(d.options.Out, "summary.json") }
