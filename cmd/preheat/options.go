package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/metricsapi"
)

// options are what the flags say.
type options struct {
	server *metricsapi.ServerOptions

	interval, scrapeInterval time.Duration
	scrapeConcurrency        int
	targetConcurrency        int
	externalMetrics          bool
	leaderElect              bool
	stateDir                 string
	engineProfiles           string
	prometheus               prometheusOptions
	namespace, identity      string
	serviceName, certSecret  string
	activatorService         string
	watchNamespace           string
	qps                      float32
	logLevel, logFormat      string
	printVersion             bool
}

// newOptions returns the defaults of a production service.
func newOptions() *options {
	host, err := os.Hostname()
	if err != nil {
		host = "preheat"
	}
	return &options{
		server:   metricsapi.NewServerOptions(),
		interval: 15 * time.Second, scrapeInterval: 5 * time.Second,
		scrapeConcurrency: 64, targetConcurrency: 16,
		leaderElect: true,
		namespace:   cmp.Or(os.Getenv("POD_NAMESPACE"), "preheat-system"),
		identity:    cmp.Or(os.Getenv("POD_NAME"), fmt.Sprintf("%s-%d", host, os.Getpid())),
		serviceName: "preheat", certSecret: "preheat-serving-cert", activatorService: defaultActivatorService,
		qps: 100, logLevel: "info", logFormat: "text",
	}
}

// flags returns the flag set that fills the options. Its help shows what is Preheat's before what is every API
// server's.
func (o *options) flags() *pflag.FlagSet {
	own, serving := o.ownFlags(), pflag.NewFlagSet("serving", pflag.ContinueOnError)
	o.server.AddFlags(serving)
	for _, unused := range []string{"client-qps", "client-burst", "discovery-interval"} { // --kube-api-qps is the one bound
		serving.Lookup(unused).Hidden = true
	}
	fs := pflag.NewFlagSet("preheat", pflag.ContinueOnError)
	fs.AddFlagSet(own)
	fs.AddFlagSet(serving)
	fs.Usage = func() {
		fmt.Printf("preheat scales LLM inference on Kubernetes ahead of demand, and serves engines' metrics to HPAs.\n\n"+
			"Usage: preheat [flags]\n       preheat activator [flags]   holds requests while a target has no replica\n\nFlags:\n%s\nFlags of the API server (port, certificates, delegated authentication, audit):\n%s",
			own.FlagUsagesWrapped(120), serving.FlagUsagesWrapped(120))
	}
	return fs
}

// ownFlags are the flags of the service itself.
func (o *options) ownFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("own", pflag.ContinueOnError)
	fs.DurationVar(&o.interval, "interval", o.interval, "Time between two decisions on each target.")
	fs.DurationVar(&o.scrapeInterval, "scrape-interval", o.scrapeInterval, "Time between two scrapes of each pod.")
	fs.IntVar(&o.scrapeConcurrency, "scrape-concurrency", o.scrapeConcurrency, "Pages fetched at once, at most.")
	fs.IntVar(&o.targetConcurrency, "target-concurrency", o.targetConcurrency, "Targets worked on at once, at most.")
	fs.BoolVar(&o.externalMetrics, "external-metrics", o.externalMetrics,
		"Serve external.metrics.k8s.io too. Only one adapter in a cluster can: see that KEDA or another one does not already.")
	fs.BoolVar(&o.leaderElect, "leader-elect", o.leaderElect, "Write only while holding the lease. Switch off only where a single process runs.")
	fs.StringVar(&o.stateDir, "state-dir", o.stateDir,
		"Folder in which what is learned of each target (forecast, lead time, capacity) and its history of demand outlive a restart; 1 MiB each, for each target. Empty: nothing does.")
	fs.StringVar(&o.engineProfiles, "engine-profiles", o.engineProfiles,
		"Folder of engine profiles (*.yaml) of your own, which replace those of the same name. Empty: only those that come with Preheat.")
	o.prometheus.addFlags(fs)
	fs.StringVar(&o.namespace, "namespace", o.namespace, "Namespace of the lease, the certificate's Secret and the Service. Default: $POD_NAMESPACE.")
	fs.StringVar(&o.identity, "identity", o.identity, "Name of this process in the lease. Default: $POD_NAME.")
	fs.StringVar(&o.serviceName, "service-name", o.serviceName, "Service in front of this process, to which the APIServices point.")
	fs.StringVar(&o.certSecret, "serving-cert-secret", o.certSecret,
		"Secret that holds the serving certificate, which is made and rotated. Not used with --tls-cert-file; empty: self-signed for localhost.")
	fs.StringVar(&o.activatorService, "activator-service", o.activatorService, "Service, in --namespace, in front of the activators.")
	fs.StringVar(&o.watchNamespace, "watch-namespace", o.watchNamespace, "Limit everything to one namespace. Empty: all.")
	fs.Float32Var(&o.qps, "kube-api-qps", o.qps, "Requests per second to the kube-apiserver, at most; twice that in a burst.")
	fs.StringVar(&o.logLevel, "log-level", o.logLevel, "debug, info, warn or error.")
	fs.StringVar(&o.logFormat, "log-format", o.logFormat, "text or json.")
	fs.BoolVar(&o.printVersion, "version", false, "Print the version and exit.")
	return fs
}

// profiles returns the engine profiles that come with the program and the user's own. The error names file and line.
func (o *options) profiles() (*exposition.Profiles, error) {
	if o.engineProfiles == "" {
		return exposition.Load()
	}
	profiles, err := exposition.Load(os.DirFS(o.engineProfiles))
	if err != nil {
		return nil, fmt.Errorf("--engine-profiles %s: correct the folder or leave the flag out: %w", o.engineProfiles, err)
	}
	return profiles, nil
}

// validate reports every fault.
func (o *options) validate(args []string) error {
	var faults []error
	check := func(ok bool, format string, values ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, values...))
		}
	}
	check(len(args) == 0, "unexpected argument %q: preheat takes flags only", args)
	check(o.interval >= time.Second, "--interval %v: must be at least 1s", o.interval)
	check(o.scrapeInterval >= 200*time.Millisecond, "--scrape-interval %v: must be at least 200ms", o.scrapeInterval)
	check(o.scrapeInterval <= 10*time.Second, "--scrape-interval %v: must be at most 10s, a third of the staleness bound that a spec has by default", o.scrapeInterval)
	check(o.scrapeInterval <= o.interval, "--scrape-interval %v: must not be longer than --interval %v, or decisions see nothing new", o.scrapeInterval, o.interval)
	check(o.scrapeConcurrency > 0, "--scrape-concurrency %d: must be positive", o.scrapeConcurrency)
	check(o.targetConcurrency > 0, "--target-concurrency %d: must be positive", o.targetConcurrency)
	check(o.namespace != "" && o.identity != "", "--namespace and --identity must not be empty")
	check(o.qps > 0, "--kube-api-qps %v: must be positive", o.qps)
	check(o.logFormat == "text" || o.logFormat == "json", "--log-format %q: must be text or json", o.logFormat)
	return errors.Join(append(faults, o.prometheus.validate())...)
}
