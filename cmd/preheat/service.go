package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/apiservice"
	"github.com/preheat-autoscaler/preheat/pkg/assemble"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/front"
	"github.com/preheat-autoscaler/preheat/pkg/history"
	"github.com/preheat-autoscaler/preheat/pkg/history/backfill"
	"github.com/preheat-autoscaler/preheat/pkg/kube"
	"github.com/preheat-autoscaler/preheat/pkg/metricsapi"
	"github.com/preheat-autoscaler/preheat/pkg/pools"
	"github.com/preheat-autoscaler/preheat/pkg/prom"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/scrape"
	"github.com/preheat-autoscaler/preheat/pkg/servingcert"
	"github.com/preheat-autoscaler/preheat/pkg/store"
	"github.com/preheat-autoscaler/preheat/pkg/switchover"
	"github.com/preheat-autoscaler/preheat/pkg/telemetry"
)

// windowScrapes is how many scrapes rates and quantiles are taken over: a minute at the default interval.
const windowScrapes = 12

// service is everything that runs, wired together.
type service struct {
	options    *options
	log        *slog.Logger
	store      *store.Store
	scraper    *scrape.Scraper
	prometheus *prom.Reader     // nil where there is none to ask
	backfill   *backfill.Filler // nil where there is none to ask
	clients    kube.Clients
	cluster    *kube.Cluster
	lease      *kube.Lease // nil without leader election
	decisions  *controlloop.Decisions
	metrics    *telemetry.Metrics
	history    *history.Checkpoints
	series     seriesRecorder
	fronts     *switchover.Watch
	reader     *front.Reader
	gateways   *switchover.Gateways
	pages      *front.GatewayReader
	nudges     *nudges
	pools      *pools.Pools
	loop       *controlloop.Loop
	pulse      *pulse
	warm       atomic.Bool // once engines have been scraped and decided on
	guard      *apiservice.Guard
	rotator    *servingcert.Rotator // nil where the certificate is not ours to make
	server     *metricsapi.Server
}

// newService wires the service. Apart from reading or making its certificate it talks to nobody yet.
func newService(ctx context.Context, o *options, log *slog.Logger) (*service, error) {
	s := &service{
		options: o, log: log,
		store: store.New(store.Options{
			Window: windowScrapes * o.scrapeInterval, Staleness: 3 * o.scrapeInterval,
		}),
		decisions: &controlloop.Decisions{},
		pulse:     &pulse{interval: o.interval},
	}
	config, err := o.server.ClientConfig()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = o.qps, int(2*o.qps)
	s.metrics, err = telemetry.New(telemetry.Options{
		Registerer: legacyregistry.Registerer(), IsConflict: isConflict, IsLeader: s.leads,
	})
	if err != nil {
		return nil, err
	}
	profiles, err := o.profiles()
	if err != nil {
		return nil, err
	}
	if err := s.wireCluster(config, profiles); err != nil {
		return nil, err
	}
	if err := s.wireScraper(profiles); err != nil {
		return nil, err
	}
	s.nudges = newNudges(s.decisions)
	if err := s.wirePools(); err != nil {
		return nil, err
	}
	if err := s.wireSeries(); err != nil {
		return nil, err
	}
	if err := s.wirePrometheus(profiles); err != nil {
		return nil, err
	}
	guard := &switchover.Guard{
		Actuator: s.cluster.Actuator, Watch: s.fronts, Autoscaler: s.cluster.Targets.Autoscaler, Again: s.nudges.after, Pause: 2 * o.scrapeInterval,
	}
	s.loop = controlloop.New(watchedObserver{s.pools.Observer(s.cluster.Observer), s.unobserved}, guard,
		recorders{s.decisionRecorder(), s.metrics, s.cluster.Recorder, s.nudges, s.pools, &s.series}, o.targetConcurrency)
	s.wireHistory()
	if err := s.wireCertificate(ctx, config); err != nil {
		return nil, err
	}
	return s, s.wireServer()
}

// leads reports whether this process may write.
func (s *service) leads() bool { return s.lease == nil || s.lease.IsLeader() }

// isConflict tells the errors of actuation that mean another writer of the target.
func isConflict(err error) bool {
	var fault *kube.Fault
	return errors.As(err, &fault) && fault.Conflict()
}

// everyone is the leader where there is no election.
type everyone struct{}

// IsLeader implements kube.Leader.
func (everyone) IsLeader() bool { return true }

func (s *service) wireCluster(config *rest.Config, profiles *exposition.Profiles) error {
	var err error
	s.clients, err = kube.Connect(config, s.options.watchNamespace)
	if err != nil {
		return err
	}
	var leader kube.Leader = everyone{}
	if s.options.leaderElect {
		s.lease, err = kube.NewLease(s.clients.Kubernetes, kube.DefaultLeaseOptions(s.options.namespace, "preheat", s.options.identity), s.log)
		if err != nil {
			return err
		}
		leader = s.lease
	}
	o := kube.DefaultOptions()
	o.Namespace, o.Prometheus = s.options.watchNamespace, s.options.prometheus.wanted()
	o.EnginePage = func(engine string) (kube.EnginePage, bool) {
		p, ok := profiles.Named(engine)
		if !ok {
			return kube.EnginePage{}, false
		}
		return kube.EnginePage{Port: int32(p.Port()), Path: p.Path()}, true
	}
	plan := func(ia *v1alpha1.InferenceAutoscaler) (*scaling.Planner, error) {
		return assemble.Planner(ia, assemble.Options{Interval: s.options.interval})
	}
	s.fronts, err = switchover.NewWatch(s.clients.Kubernetes, s.options.watchNamespace,
		types.NamespacedName{Namespace: s.options.namespace, Name: s.options.activatorService}, s.log)
	if err != nil {
		return err
	}
	s.reader = front.New(front.Options{
		Sources: s.fronts.Sources, Held: s.held, Log: s.log,
		Client: &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, ResponseHeaderTimeout: 2 * time.Second}},
	})
	s.gateways = switchover.NewGateways(s.clients.Kubernetes, s.log)
	s.pages = front.NewGatewayReader(front.GatewayOptions{
		Targets: s.behindGateways, Endpoints: s.gateways.Endpoints, Held: s.held, Log: s.log,
	})
	s.cluster, err = kube.New(s.clients, kube.Ports{Plan: plan, Readings: s.store, Front: s.front, Gateway: s.gateway, Leader: leader, Log: s.log}, o)
	return err
}

func (s *service) wirePools() error {
	namespace := s.options.watchNamespace
	s.pools = pools.New(pools.Options{
		Client: pools.NewClient(s.clients.API, namespace), Informer: s.clients.API.NewPoolInformer(namespace, 0),
		Autoscaler: s.cluster.Targets.Autoscaler, Leads: s.leads, Again: s.nudges.after, Interval: s.options.interval, Now: time.Now, Log: s.log,
	})
	if err := legacyregistry.Registerer().Register(s.pools); err != nil {
		return fmt.Errorf("register the metrics of WarmPools: %w", err)
	}
	return nil
}

// front is what holds requests in front of a target: its gateway where it has one that does, else the activators.
func (s *service) front(id controlloop.TargetID) scaling.Front {
	a, ok := s.cluster.Targets.Autoscaler(id)
	if ok && a.Spec.Gateway.Holds() {
		return s.pages.Of(id.String())
	}
	d, decided := s.decisions.Latest(id)
	atZero := decided && d.Current == 0 && d.Replicas == 0
	if atZero && ok && a.Spec.Activator != nil && !s.fronts.StandsIn(a.Namespace, a.Spec.Activator.Service) {
		return scaling.Front{} // those that are heard hear nothing of this target
	}
	return s.reader.Of(id.String())
}

// gateway is what the gateway in front of a target has seen.
func (s *service) gateway(id controlloop.TargetID) scaling.Gateway { return s.pages.Seen(id.String()) }

// behindGateways are the targets that have a gateway in front.
func (s *service) behindGateways() (found []front.GatewayTarget) {
	for _, obj := range s.cluster.AutoscalerInformer.GetIndexer().List() {
		a, ok := obj.(*v1alpha1.InferenceAutoscaler)
		if !ok {
			continue
		}
		if g, named := front.GatewayOf(a); named {
			id := controlloop.TargetID{Namespace: a.Namespace, Name: a.Name}
			d, _ := s.decisions.Latest(id)
			found = append(found, front.GatewayTarget{Target: id.String(), Ready: d.Ready > 0 && d.Replicas > 0, Gateway: g})
		}
	}
	return found
}

// held hears that requests are held for a target.
func (s *service) held(target string) {
	namespace, name, _ := strings.Cut(target, "/")
	s.nudges.held(controlloop.TargetID{Namespace: namespace, Name: name})
}

// unobserved notes a target that could not be observed.
func (s *service) unobserved(id controlloop.TargetID) {
	s.metrics.Unobserved(id)
	s.nudges.failed(id)
}

func (s *service) wireScraper(profiles *exposition.Profiles) error {
	var err error
	s.scraper, err = scrape.New(scrape.Options{
		Concurrency: s.options.scrapeConcurrency,
		TLS:         &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, // pods have no certificate that could be verified
		Registerer:  legacyregistry.Registerer(), Others: s.queried,
	}, s.cluster.Endpoints, s.store, profiles, s.log)
	return err
}

// wireHistory makes the loop keep what it learns, and says what a restart will forget. A folder that cannot be written to
// stops nothing: decisions come first.
func (s *service) wireHistory() {
	s.history = history.New(history.Options{
		Dir: s.options.stateDir, Leads: s.leads, Unsaved: s.metrics.Unsaved, Failed: s.metrics.CheckpointFailed, Log: s.log,
	})
	s.loop.KeepIn(s.history)
	switch err := s.history.Open(); {
	case s.options.stateDir == "":
		s.log.Info("no --state-dir: a restart forgets what was learned of each target: its demand, its lead times and its capacity")
	case err != nil:
		s.metrics.CheckpointFailed("save")
		s.log.Warn("what is learned cannot be saved: a restart forgets it; see that --state-dir may be written to", "error", err)
	}
}

// wireCertificate prepares the watch over APIServices and, unless flags name a certificate, our own.
func (s *service) wireCertificate(ctx context.Context, config *rest.Config) error {
	client, err := aggregator.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make client of APIServices: %w", err)
	}
	names := apiservice.CustomMetrics()
	if s.options.externalMetrics {
		names = append(names, apiservice.ExternalMetrics()...)
	}
	s.guard = apiservice.New(apiservice.Options{
		Client: client.ApiregistrationV1(), Names: names, Observe: s.metrics.APIServices, Logger: s.log,
		Service: types.NamespacedName{Namespace: s.options.namespace, Name: s.options.serviceName},
	})
	if s.options.server.OwnsCertificate() || s.options.certSecret == "" {
		return nil
	}
	s.rotator, err = servingcert.New(servingcert.Options{
		Secrets: s.clients.Kubernetes.CoreV1().Secrets(s.options.namespace), SecretName: s.options.certSecret,
		DNSNames:  servingcert.DNSNames(s.options.namespace, s.options.serviceName),
		Publisher: s.guard, Observe: s.metrics.CertificateExpiry, Logger: s.log,
	})
	if err != nil {
		return err
	}
	if err := s.rotator.Sync(ctx, time.Now()); err != nil {
		if certificate, _ := s.rotator.Provider().CurrentCertKeyContent(); len(certificate) == 0 {
			return fmt.Errorf("serving certificate: %w; grant access to the Secret, or give --tls-cert-file and --tls-private-key-file", err)
		}
		s.log.Warn("the serving certificate's CA could not be published yet", "error", err)
	}
	return nil
}

func (s *service) wireServer() error {
	factory, err := s.options.server.Informers()
	if err != nil {
		return err
	}
	provider, err := metricsapi.NewProvider(metricsapi.Options{
		Caches: metricsapi.Caches{
			Pods: s.cluster.PodInformer.GetIndexer(), Autoscalers: s.cluster.AutoscalerInformer.GetIndexer(),
			Services:    factory.Core().V1().Services().Lister(),
			Deployments: factory.Apps().V1().Deployments().Lister(), StatefulSets: factory.Apps().V1().StatefulSets().Lister(),
		},
		Samples: s.store, Scrapes: s.store, Decisions: s.decisions,
		DecisionStaleness: 3 * s.options.interval, Settling: 10*time.Second + 2*s.options.scrapeInterval, Synced: s.cluster.HasSynced,
	})
	if err != nil {
		return err
	}
	parts := metricsapi.Parts{
		Custom: provider,
		Ready:  []healthz.HealthChecker{healthz.NamedCheck("caches", s.synced), healthz.NamedCheck("first-decision", s.warmed)},
		Live:   []healthz.HealthChecker{healthz.NamedCheck("control-loop", s.pulse.check)},
	}
	if s.options.externalMetrics {
		parts.External = provider
	}
	if s.rotator != nil {
		parts.Certificate = s.rotator.Provider()
	}
	s.server, err = metricsapi.NewServer(s.options.server, parts)
	return err
}

// run starts everything and returns when all of it has ended: on a fault of one part, or when ctx ends.
func (s *service) run(ctx context.Context) error {
	return together(ctx, s.server.Run, s.start) // the server serves on for the shutdown delay
}

// together runs a server and what start begins in the background, until ctx ends or one of them fails, which ends the
// others: a server without a loop would be silently blind.
func together(ctx context.Context, serve func(context.Context) error, start func(context.Context, func(func())) error) error {
	group, ctx := errgroup.WithContext(ctx)
	background := func(f func()) { group.Go(func() error { f(); return nil }) }
	group.Go(func() error { return serve(ctx) })
	group.Go(func() error { return start(ctx, background) })
	return group.Wait()
}

// start begins all that runs beside the server.
func (s *service) start(ctx context.Context, background func(func())) error {
	if err := s.cluster.Start(ctx); err != nil {
		return err
	}
	background(func() { s.guard.Run(ctx, time.Minute) })
	background(func() { s.fronts.Run(ctx, s.leads) })
	background(func() { s.reader.Run(ctx) })
	background(func() { s.gateways.Run(ctx) })
	background(func() { s.pages.Run(ctx) })
	background(func() { s.pools.Run(ctx) })
	if s.rotator != nil {
		background(func() { s.rotator.Run(ctx, time.Minute) })
	}
	if s.lease != nil {
		background(func() { s.lease.Run(ctx) })
	}
	background(func() { s.series.keeper.Run(ctx) })
	background(func() { s.control(ctx) })
	return nil
}

// control scrapes and decides, once the caches are filled.
func (s *service) control(ctx context.Context) {
	if err := errors.Join(s.cluster.WaitForSync(ctx), s.pools.WaitForSync(ctx)); err != nil {
		s.log.Info("stopped before the caches were filled", "error", err)
		return
	}
	s.log.Info("caches are filled, scraping and deciding begin")
	targets := s.targets()
	s.explore(ctx, targets())
	var beside sync.WaitGroup
	beside.Go(func() { s.scrape(ctx) })
	beside.Go(func() { s.query(ctx) })
	beside.Go(func() { s.runBackfill(ctx) })
	beside.Go(func() { s.history.Run(ctx) })
	if s.warmUp(ctx) {
		nudging := make(chan struct{})
		go func() {
			defer close(nudging)
			s.nudges.run(ctx, s.options.targetConcurrency, s.nudge)
		}()
		s.loop.Run(ctx, s.options.interval, targets, s.decided)
		<-nudging
	}
	beside.Wait()
	s.save()
}

// scrape reads the engines' pages until ctx ends.
func (s *service) scrape(ctx context.Context) {
	if err := s.scraper.Run(ctx, s.options.scrapeInterval); err != nil && ctx.Err() == nil {
		s.log.Error("scraping ended", "error", err)
	}
}

// nudge decides on one target out of turn.
func (s *service) nudge(ctx context.Context, id controlloop.TargetID) {
	t, ok := s.cluster.Targets.Target(id)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(kube.Urgent(ctx), s.options.interval)
	defer cancel()
	if err := s.loop.Nudge(ctx, time.Now(), t); err != nil && ctx.Err() == nil {
		s.log.Warn("decide out of turn", "error", err)
	}
}

// lastSave bounds the saving at the end, within the pod's grace period of 45 s of which 10 s have passed.
const lastSave = 20 * time.Second

// save keeps what has been learned since the last checkpoints, at the end of the process.
func (s *service) save() {
	ctx, cancel := context.WithTimeout(context.Background(), lastSave)
	defer cancel()
	s.history.Finish(ctx)
	s.loop.Keep(time.Now())
}

// explore is a first tick, blind, by which the pods of each target become known. Scraping can begin with it only.
func (s *service) explore(ctx context.Context, targets []controlloop.Target) {
	began := time.Now()
	err := s.loop.Tick(ctx, began, targets)
	s.ticked(began, began, time.Now(), len(targets), err)
}

// warmUp waits until each pod has been scraped twice, which rates need: the next tick need not wait for a whole interval
// and is not blind. It reports false where ctx ended before.
func (s *service) warmUp(ctx context.Context) bool {
	if len(s.cluster.Endpoints.Endpoints())+len(s.queried()) == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(min(2*s.options.scrapeInterval, s.options.interval))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// decided notes the end of a tick that could see.
func (s *service) decided(due, began, ended time.Time, targets int, err error) {
	s.ticked(due, began, ended, targets, err)
	s.warm.Store(true)
}

// targets returns a function that lists what is to be scaled and has what is gone forgotten.
func (s *service) targets() func() []controlloop.Target {
	known := map[controlloop.TargetID]bool{}
	return func() []controlloop.Target {
		list := s.cluster.Targets.List()
		now := make(map[controlloop.TargetID]bool, len(list))
		for _, t := range list {
			now[t.ID] = true
		}
		for id := range known {
			if !now[id] {
				s.metrics.Forget(id)
				s.history.Forget(id)
			}
		}
		s.decisions.Keep(list)
		known = now
		s.pools.Refresh()
		return list
	}
}

// ticked notes the end of a tick.
func (s *service) ticked(due, began, ended time.Time, targets int, err error) {
	s.pulse.beat(ended)
	s.series.ticked(began)
	s.metrics.Ticked(ended.Sub(began), began.Sub(due))
	if err != nil {
		s.log.Warn("tick", "targets", targets, "error", err)
	}
}

// synced says what the service still waits for.
func (s *service) synced(_ *http.Request) error {
	if !s.cluster.HasSynced() || !s.pools.HasSynced() {
		return errors.New("the caches of InferenceAutoscalers, WarmPools, pods and HorizontalPodAutoscalers are not filled yet; see that the CRD is applied and the role is bound")
	}
	return nil
}

// warmed fails until there has been a first decision on readings: a replica that knows nothing yet must not take reads
// from one that does, as it would in a rolling update.
func (s *service) warmed(_ *http.Request) error {
	if !s.warm.Load() {
		return errors.New("engines have not been scraped and decided on yet; this takes one interval at most once the caches are filled")
	}
	return nil
}
