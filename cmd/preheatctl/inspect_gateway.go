package main

import (
	"fmt"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/front"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// inspectedGateway is what inspect tells of a gateway's page beside its values.
type inspectedGateway struct {
	// Kind is what spec.gateway.kind calls it, Pools are the names on the page that spec.gateway.pool may be.
	Kind  string   `json:"kind"`
	Pools []string `json:"pools"`
	// Holds says that it keeps requests while there is no replica, Proven that its page proves how many.
	Holds  bool `json:"holds"`
	Proven bool `json:"proven"`
	// Counted is when a request is: arrived, sent or ended; absent where none is counted.
	Counted string `json:"counted,omitempty"`
}

// gatewayNames are what a gateway is called in field engine.
var gatewayNames = map[string]string{
	"EndpointPicker": "endpoint-picker", "Knative": "knative-activator", "KEDAHTTPAddOn": "keda-http-add-on",
	"ProductionStack": "production-stack-router", "EnvoyAIGateway": "envoy-ai-gateway", "Agentgateway": "agentgateway",
	"LiteLLM": "litellm", "Istio": "istio", "Envoy": "envoy",
}

var countedNames = map[scaling.Counted]string{
	scaling.CountedArrived: "arrived", scaling.CountedSent: "sent", scaling.CountedEnded: "ended",
}

// newInspectedGateway tells an inspection of a gateway's page.
func newInspectedGateway(in *front.Inspection, page inspectedPage) inspected {
	out := inspected{
		Engine: gatewayNames[string(in.Kind)], Versions: []string{}, Notes: gatewayNotes(in),
		From: page.from, ContentType: page.ContentType, Bytes: len(page.Text),
		Gateway: &inspectedGateway{
			Kind: string(in.Kind), Pools: append([]string{}, in.Pools...), Holds: in.Holds, Proven: in.Proven, Counted: countedNames[in.Counted],
		},
		Metrics: map[string]inspectedValue{}, Missing: []inspectedMissing{},
	}
	for _, v := range []struct {
		name, kind, matters string
		front.Inspected
	}{
		{"inference_gateway_requests_queued", "gauge", "whether requests wait in it while there is no replica is not known", in.Queued},
		{"inference_gateway_requests_inflight", "gauge", "requests that hang are not seen until they end", in.InFlight},
		{"inference_gateway_requests_total", "counter", "it tells nothing of how many requests come", in.Requests},
	} {
		if v.Known {
			out.order = append(out.order, v.name)
			out.Metrics[v.name] = inspectedValue{Value: &v.Value, Source: strings.ReplaceAll(strings.Join(v.Source, " + "), "+ -", "- "), Kind: v.kind}
			continue
		}
		missing := inspectedMissing{Name: v.name, Reason: exposition.NotOnPage, Sought: append([]string{}, v.Source...), Matters: v.matters}
		if len(v.Source) == 0 {
			missing.Reason = "such a gateway does not tell"
		}
		out.Missing = append(out.Missing, missing)
	}
	return out
}

// gatewayNotes say what the page is good for.
func gatewayNotes(in *front.Inspection) []string {
	notes := []string{fmt.Sprintf("It is %s: not an engine, but in front of some. Its values are of all its pools; spec.gateway.pool picks one: %s.", in.Name, in.Pool)}
	switch {
	case in.Holds && in.Proven:
		notes = append(notes, "It holds requests and says how many: a target behind it may go to zero.")
	case in.Holds:
		notes = append(notes, "It can hold requests, and this page does not prove that it does: "+in.Remedy+".")
	default:
		notes = append(notes, "It holds no requests: what it counts is demand, and proves nothing for zero.")
	}
	if in.Counted == scaling.CountedEnded {
		notes = append(notes, "Requests are counted when they end: a counter that stands still does not say that none waits.")
	}
	return notes
}
