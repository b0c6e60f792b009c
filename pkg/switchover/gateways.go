package switchover

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/front"
)

const (
	// gatewaysPeriod is how soon a gateway's endpoints are looked for, gatewayIdle how long after nobody asks they are forgotten.
	gatewaysPeriod = 250 * time.Millisecond
	gatewayIdle    = time.Minute
)

// Gateways knows the endpoints of the gateways that are asked for. It is safe for concurrent use.
type Gateways struct {
	client kubernetes.Interface
	log    *slog.Logger

	mu    sync.Mutex
	known map[types.NamespacedName]*gateway
}

// gateway is a Service whose endpoints are watched once cancel is set.
type gateway struct {
	slices cache.SharedIndexInformer
	asked  time.Time
	cancel context.CancelFunc
}

// NewGateways returns Gateways that know none before Run.
func NewGateways(client kubernetes.Interface, log *slog.Logger) *Gateways {
	return &Gateways{client: client, log: log, known: map[types.NamespacedName]*gateway{}}
}

// Run watches the endpoints of gateways that are asked for until the context ends.
func (g *Gateways) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	ticker := time.NewTicker(gatewaysPeriod)
	defer ticker.Stop()
	for {
		g.follow(ctx, &running, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// follow begins to watch those that are new and ends it for those that nobody has asked for.
func (g *Gateways) follow(ctx context.Context, running *sync.WaitGroup, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, w := range g.known {
		switch {
		case now.Sub(w.asked) > gatewayIdle:
			if w.cancel != nil {
				w.cancel()
			}
			delete(g.known, name)
		case w.cancel == nil:
			ctx, cancel := context.WithCancel(ctx)
			w.cancel = cancel
			running.Go(func() { w.slices.RunWithContext(ctx) })
		}
	}
}

// of is the gateway behind a Service, watched from the next look on where it is new.
func (g *Gateways) of(service types.NamespacedName) *gateway {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.known[service]
	if w == nil {
		w = &gateway{slices: newSlices(g.client, service.Namespace, discoveryv1.LabelServiceName+"="+service.Name)}
		if err := quietly(w.slices, g.log); err != nil {
			g.log.Warn("cannot tell of faults with the endpoints of a gateway", "service", service, "error", err)
		}
		g.known[service] = w
	}
	w.asked = time.Now()
	return w
}

// Endpoints are the metric pages of all endpoints of a gateway that are ready; none while they are not known.
func (g *Gateways) Endpoints(of front.Gateway) (found []front.Source) {
	w := g.of(types.NamespacedName{Namespace: of.Namespace, Name: of.Service})
	if !w.slices.HasSynced() {
		return nil
	}
	_, path := front.Address(of.Kind)
	for _, s := range all[*discoveryv1.EndpointSlice](w.slices.GetIndexer().List(), nil) {
		if s.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		for i := range s.Endpoints {
			if e := &s.Endpoints[i]; isReady(e) && len(e.Addresses) > 0 {
				found = append(found, sourceAt(e, of.Port, path))
			}
		}
	}
	return found
}

// sourceAt is a path of an endpoint, told from that of a later pod at the same address.
func sourceAt(e *discoveryv1.Endpoint, port int32, path string) front.Source {
	s := front.Source{ID: e.Addresses[0], URL: "http://" + net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(port))) + path}
	if e.TargetRef != nil {
		s.ID = string(e.TargetRef.UID)
	}
	return s
}
