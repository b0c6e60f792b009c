package kube

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// The pod annotations that say where the metric page is, each with the customary one that counts where ours is absent.
var (
	portAnnotations   = [2]string{"preheat.dev/metrics-port", "prometheus.io/port"}
	pathAnnotations   = [2]string{"preheat.dev/metrics-path", "prometheus.io/path"}
	schemeAnnotations = [2]string{"preheat.dev/metrics-scheme", "prometheus.io/scheme"}
)

// portNames are the names of container ports that serve a metric page where nothing else is said, best first.
var portNames = [2]string{"metrics", "http"}

// metricsURL returns the address of a pod's metric page: each part from the spec, else from the pod's annotations, else
// from its named ports or the engine's default. It is always on the pod's own IP.
func metricsURL(pod *corev1.Pod, source v1alpha1.MetricsSource, engine EnginePage) (string, error) {
	ip, err := netip.ParseAddr(pod.Status.PodIP)
	if err != nil {
		return "", fmt.Errorf("address of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	port, err := metricsPort(pod, source, engine.Port)
	if err != nil {
		return "", fmt.Errorf("metrics port of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	scheme := either(string(source.Scheme), pod, schemeAnnotations, "http")
	if scheme != "http" && scheme != "https" {
		return "", fmt.Errorf("metrics scheme of pod %s/%s is %q, must be http or https", pod.Namespace, pod.Name, scheme)
	}
	path := either(source.Path, pod, pathAnnotations, cmp.Or(engine.Path, "/metrics"))
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("metrics path of pod %s/%s is %q, must begin with '/'", pod.Namespace, pod.Name, path)
	}
	page := url.URL{Scheme: scheme, Host: net.JoinHostPort(ip.String(), strconv.Itoa(int(port)))}
	page.Path, page.RawQuery, _ = strings.Cut(path, "?")
	return page.String(), nil
}

// either returns the spec's value, else the first annotation, else the default.
func either(spec string, pod *corev1.Pod, annotations [2]string, def string) string {
	if spec != "" {
		return spec
	}
	for _, name := range annotations {
		if v := pod.Annotations[name]; v != "" {
			return v
		}
	}
	return def
}

// metricsPort returns the port of the metric page.
func metricsPort(pod *corev1.Pod, source v1alpha1.MetricsSource, enginePort int32) (int32, error) {
	if source.Port != nil {
		return numbered(pod, *source.Port)
	}
	if v := either("", pod, portAnnotations, ""); v != "" {
		return numbered(pod, intstr.Parse(v))
	}
	for _, name := range portNames {
		if port, ok := namedPort(pod, name); ok {
			return port.ContainerPort, nil
		}
	}
	if enginePort > 0 {
		return enginePort, nil
	}
	if port, ok := onlyPort(pod); ok {
		return port, nil
	}
	return 0, fmt.Errorf("not known; set spec.metrics.port or the pod annotation %s", portAnnotations[0])
}

// numbered resolves a port that may be given by name.
func numbered(pod *corev1.Pod, p intstr.IntOrString) (int32, error) {
	if p.Type == intstr.Int {
		if p.IntVal < 1 || p.IntVal > 65535 {
			return 0, fmt.Errorf("%d is not from 1 to 65535", p.IntVal)
		}
		return p.IntVal, nil
	}
	if port, ok := namedPort(pod, p.StrVal); ok {
		return port.ContainerPort, nil
	}
	return 0, fmt.Errorf("no container has a port named %q", p.StrVal)
}

// namedPort returns the container port of a name.
func namedPort(pod *corev1.Pod, name string) (corev1.ContainerPort, bool) {
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == name {
				return p, true
			}
		}
	}
	return corev1.ContainerPort{}, false
}

// onlyPort returns the container port of a pod that declares a single one.
func onlyPort(pod *corev1.Pod) (int32, bool) {
	var port int32
	n := 0
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			port = p.ContainerPort
			n++
		}
	}
	return port, n == 1
}

// servingContainer returns the name of the container that runs the engine: the one that declares the metrics port,
// else the first.
func servingContainer(pod *corev1.Pod, port *intstr.IntOrString) string {
	wanted := intstr.Parse(either("", pod, portAnnotations, portNames[0]))
	if port != nil {
		wanted = *port
	}
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == wanted.StrVal && wanted.Type == intstr.String || p.ContainerPort == wanted.IntVal && wanted.Type == intstr.Int {
				return c.Name
			}
		}
	}
	if len(pod.Spec.Containers) == 0 {
		return ""
	}
	return pod.Spec.Containers[0].Name
}
