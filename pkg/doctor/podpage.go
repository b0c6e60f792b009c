package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/exposition"
)

// PodPage is the metric page of a pod.
type PodPage struct {
	// Path is where the API server's proxy gave it.
	Path        string
	Text        []byte
	ContentType string
}

// pagesAsked bounds how many ports and paths of one pod are asked.
const pagesAsked = 12

// ReadPodPage asks a pod for its metric page through the API server's proxy. Port and path are those of where, else of
// the pod's annotations and named ports; where neither says both, those of the engines' profiles are asked too, on the
// ports that the pod declares, until a page is of an engine. Without one it is the first page that came. The error names
// what was asked and the remedy.
func ReadPodPage(ctx context.Context, c Cluster, namespace, name string, where v1alpha1.MetricsSource, profiles *exposition.Profiles) (PodPage, error) {
	pod, err := c.Kube.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return PodPage{}, fmt.Errorf("pod %s is not in namespace %s; see 'kubectl get pods -n %[2]s', or name another namespace", name, namespace)
	case err != nil:
		return PodPage{}, fmt.Errorf("read pod %s/%s: %w", namespace, name, err)
	}
	var first *PodPage
	var faults []error
	for _, path := range pagePaths(pod, where, profiles) {
		page, err := c.page(ctx, namespace, path)
		if errors.Is(err, errForbidden) || ctx.Err() != nil {
			return PodPage{}, err
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if _, err := profiles.Detect(page.Text); err == nil {
			return page, nil
		}
		if first == nil {
			first = &page
		}
	}
	if first != nil {
		return *first, nil
	}
	return PodPage{}, fmt.Errorf("no metric page of pod %s/%s (phase %s):\n%w\nname port and path, and see NetworkPolicy", namespace, name, pod.Status.Phase, errors.Join(faults...))
}

// pagePaths are the addresses at which a pod's page is sought, best first.
func pagePaths(pod *corev1.Pod, where v1alpha1.MetricsSource, profiles *exposition.Profiles) []string {
	paths := []string{proxyPath(pod, where, profiles)}
	add := func(port int32, path string) {
		at := where
		if at.Port == nil {
			number := intstr.FromInt32(port)
			at.Port = &number
		}
		if at.Path == "" {
			at.Path = path
		}
		if p := proxyPath(pod, at, profiles); len(paths) < pagesAsked && !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	declared := declaredPorts(pod)
	for _, name := range profiles.Names() {
		p, _ := profiles.Named(name)
		if where.Engine != "" && where.Engine != name || len(declared) > 0 && !slices.Contains(declared, int32(p.Port())) {
			continue
		}
		for _, path := range p.Paths() {
			add(int32(p.Port()), path)
		}
	}
	for _, port := range declared {
		add(port, "/metrics")
	}
	return paths
}

// declaredPorts are the TCP ports of a pod's containers.
func declaredPorts(pod *corev1.Pod) []int32 {
	var ports []int32
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Protocol == "" || p.Protocol == corev1.ProtocolTCP {
				ports = append(ports, p.ContainerPort)
			}
		}
	}
	return ports
}

// errForbidden says that the proxy may not be used: no other port will change that.
var errForbidden = errors.New("you lack the right")

// forbidden reports whether it was the API server that refused, and not what answers in the pod.
func forbidden(a Answer) bool {
	return (a.Code == http.StatusUnauthorized || a.Code == http.StatusForbidden) && reasonIn(a.Body) != ""
}

// page asks the proxy for a path.
func (c Cluster) page(ctx context.Context, namespace, path string) (PodPage, error) {
	got, err := c.Raw.Get(ctx, path)
	switch {
	case err != nil:
		return PodPage{}, fmt.Errorf("GET %s: %w", path, err)
	case forbidden(got):
		return PodPage{}, fmt.Errorf("GET %s: HTTP %d: %w to get pods/proxy -n %s: ask for it, or use 'kubectl port-forward' and the URL", path, got.Code, errForbidden, namespace)
	case got.Code != http.StatusOK:
		return PodPage{}, fmt.Errorf("GET %s: HTTP %d%s", path, got.Code, reasonIn(got.Body))
	}
	return PodPage{Path: path, Text: got.Body, ContentType: got.Header.Get("Content-Type")}, nil
}

// reasonIn is what the API server says of a failure, empty where another has answered.
func reasonIn(body []byte) string {
	var status metav1.Status
	if json.Unmarshal(body, &status) != nil || status.Message == "" {
		return ""
	}
	return ": " + oneLine(errors.New(status.Message))
}
