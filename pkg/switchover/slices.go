package switchover

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// Self is an activator as the cluster knows it.
type Self struct {
	// Namespace and Service name the Service that selects all activators.
	Namespace, Service string
	// Pod and IP are this one's, Node is where it runs, empty where that is not known.
	Pod, IP, Node string
}

// family is that of this pod's address.
func (s Self) family() corev1.IPFamily {
	if ip, err := netip.ParseAddr(s.IP); err == nil && ip.Is6() {
		return corev1.IPv6Protocol
	}
	return corev1.IPv4Protocol
}

// ours reports whether a slice leads to an activator.
func ours(s *discoveryv1.EndpointSlice) bool {
	return s.Labels[discoveryv1.LabelManagedBy] == v1alpha1.ActivatorManager
}

// isReady reports whether an endpoint takes new connections. Absent means yes (the API's definition).
func isReady(e *discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }

// readyAddresses are those of the endpoints in a slice that take new connections.
func readyAddresses(s *discoveryv1.EndpointSlice) (found []string) {
	for i := range s.Endpoints {
		if e := &s.Endpoints[i]; isReady(e) {
			found = append(found, e.Addresses...)
		}
	}
	return found
}

// portOf is the Service's port whose requests are held: the one that is asked for, the only one, the one named http or the
// first; false where there is no such port.
func portOf(service *corev1.Service, asked string) (corev1.ServicePort, bool) {
	ports := service.Spec.Ports
	named := func(name string) int {
		return slices.IndexFunc(ports, func(p corev1.ServicePort) bool { return p.Name == name })
	}
	i := 0
	switch {
	case asked != "":
		i = named(asked)
	case len(ports) > 1:
		i = max(0, named("http"))
	}
	if i < 0 || i >= len(ports) {
		return corev1.ServicePort{}, false
	}
	return ports[i], true
}

// podPort is the number of a Service's target port on a pod; 0 where the pod has none of that name.
func podPort(pod *corev1.Pod, port corev1.ServicePort) int32 {
	switch target := port.TargetPort; {
	case target.Type == intstr.String:
		return named(pod, target.StrVal)
	case target.IntVal != 0:
		return target.IntVal
	}
	return port.Port
}

// named is the number of a pod's port of a name, 0 where there is none: of its containers, and of those that start before them
// and stay (Kubernetes looks at both).
func named(pod *corev1.Pod, name string) int32 {
	for _, all := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range all {
			for _, p := range all[i].Ports {
				if p.Name == name && (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP) {
					return p.ContainerPort
				}
			}
		}
	}
	return 0
}

// standIn is the slice by which an activator stands in for a Service's endpoints, or where it does not, stands by.
func standIn(self Self, a *v1alpha1.InferenceAutoscaler, port corev1.ServicePort, listening int32, in bool) *discoveryv1.EndpointSlice {
	family := discoveryv1.AddressType(self.family())
	protocol := corev1.ProtocolTCP
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: a.Namespace, Name: sliceName(a.Spec.Activator.Service, self.Pod),
			Labels: map[string]string{
				discoveryv1.LabelServiceName: a.Spec.Activator.Service,
				discoveryv1.LabelManagedBy:   v1alpha1.ActivatorManager,
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.Kind, Name: a.Name, UID: a.UID,
			}},
		},
		AddressType: family,
		Endpoints:   []discoveryv1.Endpoint{},
		Ports:       []discoveryv1.EndpointPort{{Name: &port.Name, Port: &listening, Protocol: &protocol, AppProtocol: port.AppProtocol}},
	}
	if in {
		e := discoveryv1.Endpoint{Addresses: []string{self.IP}, Conditions: discoveryv1.EndpointConditions{
			Ready: new(true), Serving: new(true), Terminating: new(false),
		}}
		if self.Node != "" {
			e.NodeName = &self.Node
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

// sliceName is the name of an activator's slice of a Service.
func sliceName(service, pod string) string { return service + "-" + pod }
