package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/preheat-autoscaler/preheat/pkg/activator"
	"github.com/preheat-autoscaler/preheat/pkg/api/client"
	"github.com/preheat-autoscaler/preheat/pkg/kube"
	"github.com/preheat-autoscaler/preheat/pkg/switchover"
)

// defaultActivatorService is the name of the Service in front of the activators.
const defaultActivatorService = "preheat-activator"

// activatorOptions are what the flags of "preheat activator" say.
type activatorOptions struct {
	proxy                 activator.Options
	listen, admin         string
	kubeconfig            string
	watchNamespace        string
	self                  switchover.Self
	outOfStock, grace     time.Duration
	qps                   float32
	logLevel, logFormat   string
	firstPort, countPorts int
}

func newActivatorOptions() *activatorOptions {
	host, _ := os.Hostname() // a pod's is its name
	return &activatorOptions{
		proxy:  activator.Default(),
		listen: ":8080", admin: ":8081",
		self: switchover.Self{
			Namespace: cmp.Or(os.Getenv("POD_NAMESPACE"), "preheat-system"), Service: defaultActivatorService,
			Pod: cmp.Or(os.Getenv("POD_NAME"), host), IP: os.Getenv("POD_IP"), Node: os.Getenv("NODE_NAME"),
		},
		outOfStock: 2 * time.Minute, grace: 30 * time.Second,
		firstPort: 20000, countPorts: 10000,
		qps: 100, logLevel: "info", logFormat: "text",
	}
}

func (o *activatorOptions) flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("preheat activator", pflag.ContinueOnError)
	fs.StringVar(&o.listen, "listen", o.listen, "Address at which gateways send requests for any target.")
	fs.StringVar(&o.admin, "admin", o.admin, "Address of /metrics, /livez, /readyz and the stream of demand, for the service alone.")
	fs.IntVar(&o.firstPort, "first-port", o.firstPort, "First of the ports at which requests for single targets come in, by their Services.")
	fs.IntVar(&o.countPorts, "ports", o.countPorts, "How many ports there are: no more targets than that have an activator.")
	fs.IntVar(&o.proxy.PerTarget.Requests, "max-held-per-target", o.proxy.PerTarget.Requests, "Requests held for one target, at most.")
	fs.Int64Var(&o.proxy.PerTarget.Bytes, "max-held-bytes-per-target", o.proxy.PerTarget.Bytes, "Bytes of bodies held for one target, at most.")
	fs.IntVar(&o.proxy.Total.Requests, "max-held", o.proxy.Total.Requests, "Requests held for all targets together, at most.")
	fs.Int64Var(&o.proxy.Total.Bytes, "max-held-bytes", o.proxy.Total.Bytes, "Bytes of bodies held for all targets together, at most.")
	fs.DurationVar(&o.proxy.MaxAge, "max-age", o.proxy.MaxAge, "How long a request may be held: longer than a replica takes to serve.")
	fs.DurationVar(&o.proxy.RetryAfter, "retry-after", o.proxy.RetryAfter, "What a refused client is told to wait.")
	fs.DurationVar(&o.proxy.KeepAlive, "keep-alive", o.proxy.KeepAlive,
		"Interval of comment lines to held clients of event streams; the first commits status 200, after which errors are events. 0: none.")
	fs.DurationVar(&o.proxy.ResponseHeaderTimeout, "response-header-timeout", o.proxy.ResponseHeaderTimeout, "How long an engine may take to begin an answer.")
	fs.DurationVar(&o.outOfStock, "out-of-stock", o.outOfStock, "How long replicas may wait for a GPU before held requests are refused with 503.")
	fs.DurationVar(&o.grace, "grace", o.grace, "How long held requests may still wait for a replica after this process was told to stop.")
	fs.StringVar(&o.self.Namespace, "namespace", o.self.Namespace, "Namespace of the activators' Service. Default: $POD_NAMESPACE.")
	fs.StringVar(&o.self.Service, "service", o.self.Service, "Service that selects all activators.")
	fs.StringVar(&o.self.Pod, "pod", o.self.Pod, "Name of this pod. Default: $POD_NAME.")
	fs.StringVar(&o.self.IP, "ip", o.self.IP, "Address at which this pod is reached. Default: $POD_IP.")
	fs.StringVar(&o.watchNamespace, "watch-namespace", o.watchNamespace, "Limit targets to one namespace. Empty: all.")
	fs.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig, "File that says how to reach the kube-apiserver. Empty: as a pod does.")
	fs.Float32Var(&o.qps, "kube-api-qps", o.qps, "Requests per second to the kube-apiserver, at most; twice that in a burst.")
	fs.StringVar(&o.logLevel, "log-level", o.logLevel, "debug, info, warn or error.")
	fs.StringVar(&o.logFormat, "log-format", o.logFormat, "text or json.")
	fs.Usage = func() {
		fmt.Printf("preheat activator holds requests while a target has no ready replica, and hands them on when it has.\n\n"+
			"Usage: preheat activator [flags]\n\nFlags:\n%s", fs.FlagUsagesWrapped(120))
	}
	return fs
}

func (o *activatorOptions) validate(args []string) error {
	var faults []error
	check := func(ok bool, format string, values ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, values...))
		}
	}
	check(len(args) == 0, "unexpected argument %q: preheat activator takes flags only", args)
	check(net.ParseIP(o.self.IP) != nil, "--ip %q: must be this pod's address; set POD_IP from status.podIP", o.self.IP)
	check(o.self.Pod != "", "--pod must not be empty")
	check(o.firstPort >= 1024 && o.countPorts > 0 && o.firstPort+o.countPorts <= 65536, "--first-port %d and --ports %d: must lie between 1024 and 65535", o.firstPort, o.countPorts)
	check(o.outOfStock > 0, "--out-of-stock %v: must be above 0", o.outOfStock)
	check(o.grace >= 0, "--grace %v: must not be negative", o.grace)
	check(o.qps > 0, "--kube-api-qps %v: must be positive", o.qps)
	check(o.logFormat == "text" || o.logFormat == "json", "--log-format %q: must be text or json", o.logFormat)
	return errors.Join(faults...)
}

// collectSeldom lets garbage grow to four times what is alive, where GOMEMLIMIT bounds both and nobody asks for something
// else: while requests pass little is alive, and to collect it after every few MiB makes one request in a hundred wait.
func collectSeldom() {
	if os.Getenv("GOGC") == "" && debug.SetMemoryLimit(-1) < math.MaxInt64 {
		debug.SetGCPercent(activator.GCPercent)
	}
}

// runActivator is the whole of "preheat activator".
func runActivator(ctx context.Context, args []string) error {
	o := newActivatorOptions()
	flags := o.flags()
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := o.validate(flags.Args()); err != nil {
		return err
	}
	log, err := logger(os.Stderr, o.logLevel, o.logFormat)
	if err != nil {
		return err
	}
	klog.SetSlogLogger(log.With("component", "client"))
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("reach the kube-apiserver: %w; give --kubeconfig outside of a cluster", err)
	}
	config.QPS, config.Burst = o.qps, int(2*o.qps)
	s, err := newStandIn(o, config, log)
	if err != nil {
		return err
	}
	collectSeldom()
	log.Info("starting the activator", "version", version, "pod", o.self.Pod, "ip", o.self.IP, "listen", o.listen)
	return s.run(ctx)
}

// standInService is everything that runs in an activator.
type standInService struct {
	options   *activatorOptions
	log       *slog.Logger
	informers []cache.SharedIndexInformer
	caches    *switchover.Caches
	activator *activator.Activator
	keeper    *switchover.Keeper
	ready     atomic.Bool
	leaving   atomic.Bool
}

func newStandIn(o *activatorOptions, config *rest.Config, log *slog.Logger) (*standInService, error) {
	kubernetesClient, errKubernetes := kubernetes.NewForConfig(config)
	autoscalers, errAutoscalers := client.New(config)
	if err := errors.Join(errKubernetes, errAutoscalers); err != nil {
		return nil, fmt.Errorf("make clients: %w", err)
	}
	pods, err := kube.NewPodInformer(kubernetesClient, o.watchNamespace)
	if err != nil {
		return nil, err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(kubernetesClient, 0, informers.WithNamespace(o.watchNamespace), informers.WithTransform(strip))
	s := &standInService{options: o, log: log, caches: &switchover.Caches{
		Autoscalers: autoscalers.NewInformer(o.watchNamespace, 0).SharedIndexInformer,
		Services:    factory.Core().V1().Services().Informer(),
		Slices:      factory.Discovery().V1().EndpointSlices().Informer(),
		Pods:        pods,
	}}
	if err := s.caches.Slices.AddIndexers(switchover.SliceIndexers()); err != nil {
		return nil, fmt.Errorf("index EndpointSlices: %w", err)
	}
	s.informers = []cache.SharedIndexInformer{s.caches.Autoscalers, s.caches.Services, s.caches.Slices, s.caches.Pods}
	proxy := o.proxy
	proxy.Resolve, proxy.Logger = switchover.Resolver(s.caches), log
	if s.activator, err = activator.New(proxy); err != nil {
		return nil, err
	}
	s.keeper, err = switchover.NewKeeper(switchover.Options{
		Self: o.self, Slices: kubernetesClient.DiscoveryV1(), Caches: s.caches, Activator: s.activator,
		Listen: ports(o.firstPort, o.countPorts), OutOfStock: o.outOfStock, Log: log,
	})
	return s, err
}

// strip is an informer's transform that saves the memory of what nobody reads.
func strip(obj any) (any, error) {
	if m, err := meta.Accessor(obj); err == nil {
		m.SetManagedFields(nil)
	}
	return obj, nil
}

// ports opens a free port of a range that is not taken, each time the next.
func ports(first, count int) func(taken map[int32]bool) (net.Listener, error) {
	var next atomic.Int64
	return func(taken map[int32]bool) (net.Listener, error) {
		var last error
		for range count {
			port := first + int(next.Add(1)-1)%count
			if taken[int32(port)] {
				continue
			}
			listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
			if err == nil {
				return listener, nil
			}
			last = err
		}
		return nil, fmt.Errorf("none of %d ports from %d on is free: %w; raise --ports", count, first, last)
	}
}

// run holds and hands on until ctx ends; then nobody is led here any more, what is held may still be handed on for a while, and
// what is in flight ends.
func (s *standInService) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // goes on while leaving
	defer stop()
	proxy, admin := activator.NewServer(s.activator), &http.Server{Handler: s.adminHandler(), ReadHeaderTimeout: 10 * time.Second}
	proxy.Addr, admin.Addr = s.options.listen, s.options.admin
	for _, server := range []*http.Server{proxy, admin} {
		group.Go(func() error {
			if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", server.Addr, err)
			}
			return nil
		})
	}
	for _, informer := range s.informers {
		go informer.RunWithContext(serving)
	}
	group.Go(func() error {
		if cache.WaitForCacheSync(ctx.Done(), s.caches.HasSynced) {
			s.log.Info("caches are filled")
			go s.keeper.Run(serving, func() { s.ready.Store(true) })
		}
		<-ctx.Done()
		s.leave(proxy)
		return admin.Close()
	})
	return group.Wait()
}

// settling is how long others take to hear that nobody is to be led here.
const settling = 3 * time.Second

// leave ends the service: first nobody is led here any more, then what is held has its grace, then what is in flight ends.
func (s *standInService) leave(proxy *http.Server) {
	s.leaving.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), s.options.grace+settling)
	defer cancel()
	if err := s.keeper.Leave(ctx); err != nil {
		s.log.Warn("cannot take this activator out of the Services that it stands in for", "error", err)
	}
	end := time.Now().Add(s.options.grace)
	time.Sleep(settling)
	for s.activator.Snapshot().Held > 0 && time.Now().Before(end) {
		time.Sleep(100 * time.Millisecond)
	}
	ctx, cancelStreams := context.WithTimeout(context.Background(), s.options.proxy.ResponseHeaderTimeout)
	defer cancelStreams()
	if err := s.activator.Shutdown(ctx); err != nil {
		s.log.Warn("requests were cut off", "error", err)
	}
	_ = proxy.Close()
}

// adminHandler serves what is not for clients.
func (s *standInService) adminHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.activator, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET "+switchover.DemandPath, s.activator.ServeDemand)
	mux.HandleFunc("GET /livez", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready.Load() || s.leaving.Load() {
			http.Error(w, "the caches are not filled yet, or this process is about to end", http.StatusServiceUnavailable)
		}
	})
	return mux
}
