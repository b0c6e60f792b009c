package front

import (
	"bytes"
	"embed"
	"fmt"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

//go:embed gateways/*.yaml
var gatewayFiles embed.FS

// profile says what a kind of gateway publishes, and what that proves. Of several candidates for one thing the first that is
// on the page counts: newer releases publish deprecated names beside the new ones, and to add them would count twice.
type profile struct {
	// Kind is the value of spec.gateway.kind, Name what a person calls it, Pool what spec.gateway.pool names.
	Kind v1alpha1.GatewayKind `yaml:"kind"`
	Name string               `yaml:"name"`
	Pool string               `yaml:"pool"`
	// Names are how the names of its samples begin, by which a page is known that tells nothing.
	Names []string `yaml:"names"`
	// Port and Path are where its page is usually.
	Port int32  `yaml:"port"`
	Path string `yaml:"path"`
	// Part is the query that asks for what is read alone, where the gateway knows such a one and the whole page is too large.
	Part string `yaml:"part"`
	// Holds says that it keeps requests waiting while there is no replica, and says how many. Only such a gateway proves
	// that nothing waits.
	Holds bool `yaml:"holds"`
	// Waiting are gauges of the requests that it has and has not sent on; WaitingIsInFlight, that those which it has sent on
	// are among them. Proof are series which show that what waits would be there, for a page on which nothing does.
	Waiting           []candidate `yaml:"waiting"`
	WaitingIsInFlight bool        `yaml:"waitingIsInFlight"`
	Proof             []candidate `yaml:"proof"`
	// Requests are counters of requests, from the one that sees most to the one that sees least.
	Requests []candidate `yaml:"requests"`
	// InFlight are gauges of the requests that it has not seen answered.
	InFlight []candidate `yaml:"inFlight"`
	// Remedy is what to do about a page without any of these, Guarded about one that wants authentication.
	Remedy  string `yaml:"remedy"`
	Guarded string `yaml:"guarded"`
}

// candidate is one way to obtain a value: the sum of the series that it selects, those of Plus added and those of Minus taken
// away where they are there.
type candidate struct {
	// Sample is the sample's name; of several the first of which a series is selected.
	Sample names `yaml:"sample"`
	// Where keeps the series whose label is like one of the patterns: * is anything, {pool} and {namespace} are the target's. Of
	// several labels, with | between them, the first that is there.
	Where map[string][]string `yaml:"where"`
	// Counted says when a request is, of a counter.
	Counted scaling.Counted `yaml:"-"`
	When    string          `yaml:"counted"`
	Plus    []candidate     `yaml:"plus"`
	Minus   []candidate     `yaml:"minus"`
}

// names is one name or several.
type names []string

// UnmarshalYAML reads one name as a list of one.
func (n *names) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*n = names{node.Value}
		return nil
	}
	var several []string
	err := node.Decode(&several)
	*n = several
	return err
}

// counted are the ways of counting by their name in a profile.
var counted = map[string]scaling.Counted{"arrived": scaling.CountedArrived, "sent": scaling.CountedSent, "ended": scaling.CountedEnded}

// profiles are those of all kinds; read are the names of all samples that they ask for.
var profiles, read = mustProfiles()

func mustProfiles() (map[v1alpha1.GatewayKind]*profile, map[string]bool) {
	found, wanted := map[v1alpha1.GatewayKind]*profile{}, map[string]bool{}
	entries, err := gatewayFiles.ReadDir("gateways")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		text, err := gatewayFiles.ReadFile(path.Join("gateways", e.Name()))
		if err != nil {
			panic(err)
		}
		p, err := parseProfile(text)
		if err != nil {
			panic(fmt.Sprintf("%s: %v", e.Name(), err))
		}
		found[p.Kind] = p
		for _, list := range [][]candidate{p.Waiting, p.Proof, p.Requests, p.InFlight} {
			want(wanted, list)
		}
	}
	return found, wanted
}

// parseProfile reads a profile.
func parseProfile(text []byte) (*profile, error) {
	var p profile
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&p); err != nil {
		return nil, err
	}
	for i := range p.Requests {
		c, ok := counted[p.Requests[i].When]
		if !ok {
			return nil, fmt.Errorf("requests[%d].counted %q must be arrived, sent or ended", i, p.Requests[i].When)
		}
		p.Requests[i].Counted = c
	}
	if p.Holds && (len(p.Waiting) == 0 || len(p.Proof) == 0) {
		return nil, fmt.Errorf("%s holds requests: waiting and proof must say how that is seen", p.Kind)
	}
	return &p, nil
}

func want(wanted map[string]bool, list []candidate) {
	for i := range list {
		for _, name := range list[i].Sample {
			wanted[name] = true
		}
		want(wanted, list[i].Plus)
		want(wanted, list[i].Minus)
	}
}

// Address is where the page of a kind of gateway usually is: the port and the path.
func Address(kind v1alpha1.GatewayKind) (port int32, path string) {
	if p := profiles[kind]; p != nil {
		return p.Port, p.Path
	}
	return 9090, "/metrics"
}

// like reports whether a label's value is as the pattern says, for a gateway's pool.
func (g Gateway) like(pattern, value string) bool {
	fill := strings.NewReplacer("{pool}", g.Pool, "{namespace}", g.PoolNamespace)
	if g.every {
		if value == "" && strings.Contains(pattern, "{pool}") {
			return false // of none
		}
		pattern = strings.NewReplacer("{pool}", "*", "{namespace}", "*").Replace(pattern)
	}
	parts := strings.Split(pattern, "*")
	rest, found := strings.CutPrefix(value, fill.Replace(parts[0]))
	if !found {
		return false
	}
	if len(parts) == 1 {
		return rest == ""
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		if _, rest, found = strings.Cut(rest, fill.Replace(part)); !found {
			return false
		}
	}
	return strings.HasSuffix(rest, fill.Replace(parts[last]))
}
