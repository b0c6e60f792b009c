// Package apiservice watches over the APIService objects through which the kube-apiserver sends metric reads to this
// service: it tells who holds them, and keeps the CA bundle of those that are ours.
//
// There is one APIService for each group and version in a cluster, and whoever wrote it last has all the traffic. The
// package therefore never changes an APIService that points to somebody else, nor which service any of them points
// to; it must not create or delete one either: that is the installation's business.
package apiservice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	applyv1 "k8s.io/kube-aggregator/pkg/client/applyconfiguration/apiregistration/v1"
	clientv1 "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/typed/apiregistration/v1"
)

// FieldManager owns spec.caBundle of our APIServices, and nothing else.
const FieldManager = "preheat"

// CustomMetrics returns the names of the APIServices behind custom.metrics.k8s.io, the preferred version first.
func CustomMetrics() []string {
	return []string{"v1beta2.custom.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io"}
}

// ExternalMetrics returns the names of the APIServices behind external.metrics.k8s.io.
func ExternalMetrics() []string { return []string{"v1beta1.external.metrics.k8s.io"} }

// Holder says whose an APIService is.
type Holder string

// The holders of an APIService.
const (
	// Ours: it points to our Service.
	Ours Holder = "Ours"
	// Foreign: it points elsewhere; we never touch it, and nobody's reads of that group come to us.
	Foreign Holder = "Foreign"
	// Absent: there is none; nobody serves the group.
	Absent Holder = "Absent"
	// Unknown: it could not be read.
	Unknown Holder = "Unknown"
)

// Registration is what was found of one APIService.
type Registration struct {
	// Name is the APIService's: version.group.
	Name string
	// Holder says whose it is.
	Holder Holder
	// Service is the namespace/name it points to, "local" where the kube-apiserver serves it itself, empty where
	// there is none.
	Service string
	// Message is a sentence for people, with what to do where something is wrong.
	Message string
}

// Report is the state of all APIServices that we are meant to serve.
type Report []Registration

// Conflicts returns the registrations that point to somebody else.
func (r Report) Conflicts() []Registration {
	var foreign []Registration
	for _, reg := range r {
		if reg.Holder == Foreign {
			foreign = append(foreign, reg)
		}
	}
	return foreign
}

// String returns one line for each registration.
func (r Report) String() string {
	lines := make([]string, len(r))
	for i, reg := range r {
		lines[i] = reg.Message
	}
	return strings.Join(lines, "\n")
}

// Options configure a Guard.
type Options struct {
	// Client reads and applies APIServices.
	Client clientv1.APIServicesGetter
	// Service is the Service in front of this process.
	Service types.NamespacedName
	// Names are the APIServices to watch over: CustomMetrics, and ExternalMetrics where that is opted into.
	Names []string
	// Observe is called with every new Report, from the goroutine that checks; it may be nil.
	Observe func(Report)
	// Logger is told of changes; it may be nil.
	Logger *slog.Logger
}

// Guard watches over APIServices. It is safe for concurrent use.
type Guard struct {
	opts Options

	mu   sync.Mutex
	last map[string]Registration
}

// New returns a Guard that has not looked yet.
func New(opts Options) *Guard {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Observe == nil {
		opts.Observe = func(Report) {}
	}
	return &Guard{opts: opts, last: map[string]Registration{}}
}

// Run checks at once and then at every interval until ctx ends. A foreign APIService is a state to report, not a
// reason to stop: the controller and the other groups go on.
func (g *Guard) Run(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		g.Check(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Check reads every APIService once. What cannot be read is reported as Unknown.
func (g *Guard) Check(ctx context.Context) Report {
	report := make(Report, 0, len(g.opts.Names))
	for _, name := range g.opts.Names {
		_, reg := g.read(ctx, name)
		report = append(report, reg)
	}
	g.logChanges(report)
	g.opts.Observe(report)
	return report
}

// Publish makes caBundle (PEM) the CA bundle of those APIServices that are ours, and leaves all others alone. Its error
// names every one of ours that does not have the bundle; that includes the case that another field manager owns
// spec.caBundle, which is not taken from it.
func (g *Guard) Publish(ctx context.Context, caBundle []byte) error {
	var errs []error
	for _, name := range g.opts.Names {
		if err := g.publish(ctx, name, caBundle); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (g *Guard) publish(ctx context.Context, name string, caBundle []byte) error {
	svc, reg := g.read(ctx, name)
	switch {
	case reg.Holder == Unknown:
		return errors.New(reg.Message)
	case reg.Holder != Ours || string(svc.Spec.CABundle) == string(caBundle):
		return nil
	}
	// The resourceVersion makes the write fail if the APIService was pointed elsewhere since it was read.
	apply := applyv1.APIService(name).
		WithResourceVersion(svc.ResourceVersion).
		WithSpec(applyv1.APIServiceSpec().WithCABundle(caBundle...))
	_, err := g.opts.Client.APIServices().Apply(ctx, apply, metav1.ApplyOptions{FieldManager: FieldManager})
	if err != nil {
		return fmt.Errorf("set caBundle of APIService %s: %w", name, err)
	}
	g.opts.Logger.Info("CA bundle set", "apiservice", name)
	return nil
}

// read returns the APIService, nil where there is none or it cannot be read, and what that means.
func (g *Guard) read(ctx context.Context, name string) (*apiregistrationv1.APIService, Registration) {
	svc, err := g.opts.Client.APIServices().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, Registration{Name: name, Holder: Absent, Message: fmt.Sprintf(
			"APIService %s does not exist: nobody serves that API; create it with spec.service %s", name, g.opts.Service)}
	case err != nil:
		return nil, Registration{Name: name, Holder: Unknown, Message: fmt.Sprintf("read APIService %s: %v", name, err)}
	}
	return svc, g.classify(svc)
}

func (g *Guard) classify(svc *apiregistrationv1.APIService) Registration {
	reg := Registration{Name: svc.Name, Holder: Foreign, Service: "local"}
	if s := svc.Spec.Service; s != nil {
		reg.Service = s.Namespace + "/" + s.Name
		if *s == (apiregistrationv1.ServiceReference{Namespace: g.opts.Service.Namespace, Name: g.opts.Service.Name, Port: s.Port}) {
			reg.Holder = Ours
			reg.Message = fmt.Sprintf("APIService %s points to us (%s)", svc.Name, reg.Service)
			return reg
		}
	}
	reg.Message = fmt.Sprintf("APIService %s points to %s, not to %s: it is left as it is and its reads do not come to us; "+
		"remove the other metrics adapter, or use the API group that it does not serve", svc.Name, reg.Service, g.opts.Service)
	return reg
}

// logChanges logs each registration whose holder or service is not what it was at the last check.
func (g *Guard) logChanges(report Report) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, reg := range report {
		if g.last[reg.Name] == reg {
			continue
		}
		g.last[reg.Name] = reg
		level := slog.LevelWarn
		if reg.Holder == Ours {
			level = slog.LevelInfo
		}
		g.opts.Logger.Log(context.Background(), level, reg.Message, "apiservice", reg.Name, "holder", string(reg.Holder))
	}
}
