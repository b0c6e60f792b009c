package front

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// ErrNoGateway says that no kind of gateway that is known shows such a page.
var ErrNoGateway = errors.New("no gateway that is known shows such a page")

// Inspection is what a gateway's page tells of all its pools together.
type Inspection struct {
	// Kind is what spec.gateway.kind calls the gateway, Name what a person does.
	Kind v1alpha1.GatewayKind
	Name string
	// Pool is what spec.gateway.pool is to name, Pools are what the page shows where that is a label's value.
	Pool  string
	Pools []string
	// Holds says that such a gateway keeps requests while there is no replica, Proven that this page proves how many.
	Holds, Proven bool
	// Counted is when it counts a request, of those that it counts.
	Counted scaling.Counted
	// Queued, InFlight and Requests are what waits in it, what it has not seen answered, and what it has counted since its
	// process began.
	Queued, InFlight, Requests Inspected
	// Remedy is what to do where it does not tell.
	Remedy string
}

// Inspected is one value of a gateway's page.
type Inspected struct {
	Value float64
	// Known is set where the page tells; Source names the samples then, and else those that would, if any.
	Known  bool
	Source []string
}

// detected is the order in which kinds are tried. Envoy's statistics are on the pages of gateways that are built on it.
var detected = []v1alpha1.GatewayKind{
	v1alpha1.GatewayEndpointPicker, v1alpha1.GatewayKnative, v1alpha1.GatewayKEDAHTTPAddOn, v1alpha1.GatewayProductionStack,
	v1alpha1.GatewayEnvoyAIGateway, v1alpha1.GatewayAgentgateway, v1alpha1.GatewayLiteLLM, v1alpha1.GatewayIstio, v1alpha1.GatewayEnvoy,
}

// Inspect finds the kind of gateway whose page it is, and what it tells. The error wraps ErrNoGateway where it is none's, and
// is of the page where that cannot be read.
func Inspect(text []byte, contentType string) (*Inspection, error) {
	found, err := parsePage(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), contentType) // an editor may have been at it
	if err != nil {
		return nil, err
	}
	for _, kind := range detected {
		in, err := found.inspect(profiles[kind])
		if err != nil {
			return nil, err
		}
		if kind != v1alpha1.GatewayEnvoy && (in.Queued.Known || in.InFlight.Known || in.Requests.Known || in.Proven) {
			return in, nil // else what is on the page may be the proxy's own traffic, of a gateway that has had none yet
		}
	}
	for _, kind := range detected {
		if shows(text, profiles[kind].Names) {
			return found.inspect(profiles[kind])
		}
	}
	return nil, ErrNoGateway
}

// Tells says why a page does not tell what is to be known of a gateway's pool, and which pools it shows; nil where it tells.
func Tells(text []byte, contentType string, g Gateway) (pools []string, err error) {
	found, err := parsePage(text, contentType)
	if err != nil {
		return nil, err
	}
	if p := profiles[g.Kind]; p != nil {
		pools = found.pools(p)
	}
	_, err = found.of(g)
	return pools, err
}

// shows reports whether a sample's name begins with one of the prefixes.
func shows(text []byte, prefixes []string) bool {
	for line := range bytes.Lines(text) {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return bytes.HasPrefix(line, []byte(prefix)) }) {
			return true
		}
	}
	return false
}

// inspect reads what a kind of gateway would tell of all pools.
func (found series) inspect(p *profile) (*Inspection, error) {
	all := Gateway{Kind: p.Kind, every: true}
	in := &Inspection{Kind: p.Kind, Name: p.Name, Pool: p.Pool, Holds: p.Holds, Remedy: p.Remedy}
	var errs [4]error
	in.Queued, _, errs[0] = found.inspected(p.Waiting, all)
	in.InFlight, _, errs[1] = found.inspected(p.InFlight, all)
	var at int
	in.Requests, at, errs[2] = found.inspected(p.Requests, all)
	if in.Requests.Known {
		in.Counted = p.Requests[at].Counted
	}
	_, in.Proven, errs[3] = found.first(p.Proof, all)
	in.Proven = p.Holds && (in.Proven || in.Queued.Known)
	in.Pools = found.pools(p)
	return in, errors.Join(errs[:]...)
}

// inspected is the value of the first candidate that is there, and which that is.
func (found series) inspected(list []candidate, g Gateway) (Inspected, int, error) {
	var sought []string
	for i := range list {
		c := &list[i]
		v, known, err := found.value(c, g)
		if known || err != nil {
			return Inspected{v, known, found.present(c, g)}, i, err
		}
		sought = append(sought, c.Sample[0])
	}
	slices.Sort(sought)
	return Inspected{Source: slices.Compact(sought)}, 0, nil
}

// present are the names of which a candidate's value is made, those that are taken away with a minus.
func (found series) present(c *candidate, g Gateway) []string {
	var made []string
	for _, name := range c.Sample {
		if _, known, _ := found.sum(name, c, g); known {
			made = append(made, name)
			break
		}
	}
	for i := range c.Plus {
		made = append(made, found.present(&c.Plus[i], g)...)
	}
	for i := range c.Minus {
		for _, name := range found.present(&c.Minus[i], g) {
			made = append(made, "-"+name)
		}
	}
	return made
}

// pools are the values of the labels that spec.gateway.pool is matched with as they are.
func (found series) pools(p *profile) []string {
	seen := map[string]bool{}
	for _, list := range [][]candidate{p.Waiting, p.Proof, p.Requests, p.InFlight} {
		for _, c := range list {
			for label, patterns := range c.Where {
				if !slices.ContainsFunc(patterns, func(pattern string) bool { return strings.Contains(pattern, "{pool}") }) {
					continue
				}
				for _, name := range c.Sample {
					for _, s := range found[name] {
						if c.selects(s.labels, Gateway{every: true}) {
							seen[labelOf(s.labels, label)] = true
						}
					}
				}
			}
		}
	}
	delete(seen, "")
	return slices.Sorted(maps.Keys(seen))
}
