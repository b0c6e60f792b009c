package switchover

import (
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// living are the activators as the EndpointSlices of their own Service list them.
type living struct {
	// pods are the addresses of each pod that take new connections: none for one that is listed and not ready.
	pods map[string][]string
	// unnamed are those of endpoints that name no pod, which may be anybody's.
	unnamed []string
}

func livingIn(listed []*discoveryv1.EndpointSlice) living {
	l := living{pods: map[string][]string{}}
	for _, s := range listed {
		for i := range s.Endpoints {
			l.add(&s.Endpoints[i])
		}
	}
	return l
}

func (l *living) add(e *discoveryv1.Endpoint) {
	var ready []string
	if isReady(e) {
		ready = e.Addresses
	}
	if e.TargetRef == nil {
		l.unnamed = append(l.unnamed, ready...)
		return
	}
	l.pods[e.TargetRef.Name] = append(l.pods[e.TargetRef.Name], ready...)
}

// has reports whether a pod is ready at an address. The address alone proves nothing: it may be that of a later pod.
func (l *living) has(pod, address string) bool {
	return slices.Contains(l.pods[pod], address) || slices.Contains(l.unnamed, address)
}

// orphaned reports whether a slice leads to an activator that is not ready.
func (l *living) orphaned(s *discoveryv1.EndpointSlice) bool {
	return ours(s) && slices.ContainsFunc(readyAddresses(s), func(address string) bool { return !l.has(podOf(s), address) })
}

// left reports whether a slice leads nowhere and is that of a pod that is gone. Where pods are not named, nobody knows.
func (l *living) left(s *discoveryv1.EndpointSlice) bool {
	_, listed := l.pods[podOf(s)]
	return ours(s) && len(readyAddresses(s)) == 0 && !listed && len(l.unnamed) == 0
}

// podOf is the pod that wrote a slice, by the slice's name: a label could not hold the longest names of pods.
func podOf(s *discoveryv1.EndpointSlice) string {
	return strings.TrimPrefix(s.Name, s.Labels[discoveryv1.LabelServiceName]+"-")
}
