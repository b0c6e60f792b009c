package kube

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

func TestMetricsURL(t *testing.T) {
	annotate := func(pairs ...string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Annotations = map[string]string{}
			for i := 0; i < len(pairs); i += 2 {
				p.Annotations[pairs[i]] = pairs[i+1]
			}
		}
	}
	ports := func(all ...corev1.ContainerPort) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers[0].Ports = all }
	}
	none := func(*corev1.Pod) {}
	for name, tt := range map[string]struct {
		pod    func(*corev1.Pod)
		source v1alpha1.MetricsSource
		engine EnginePage
		want   string
		fails  string
	}{
		"a port named http":              {pod: none, want: "http://10.0.0.1:8000/metrics"},
		"a port named metrics is better": {pod: ports(corev1.ContainerPort{Name: "http", ContainerPort: 1}, corev1.ContainerPort{Name: "metrics", ContainerPort: 2}), want: "http://10.0.0.1:2/metrics"},
		"the spec before annotations and names": {
			pod:    annotate("preheat.dev/metrics-port", "1", "preheat.dev/metrics-path", "/b", "preheat.dev/metrics-scheme", "http"),
			source: v1alpha1.MetricsSource{Port: new(intstr.FromInt32(9)), Path: "/a", Scheme: v1alpha1.SchemeHTTPS}, want: "https://10.0.0.1:9/a",
		},
		"our annotations before the customary ones": {
			pod:  annotate("preheat.dev/metrics-port", "1", "prometheus.io/port", "2", "preheat.dev/metrics-path", "/a", "prometheus.io/path", "/b", "preheat.dev/metrics-scheme", "https", "prometheus.io/scheme", "http"),
			want: "https://10.0.0.1:1/a",
		},
		"the customary annotations":                       {pod: annotate("prometheus.io/port", "2", "prometheus.io/path", "/b"), want: "http://10.0.0.1:2/b"},
		"a port by name, in the spec":                     {pod: none, source: v1alpha1.MetricsSource{Port: new(intstr.FromString("http"))}, want: "http://10.0.0.1:8000/metrics"},
		"a port by name, in an annotation":                {pod: annotate("preheat.dev/metrics-port", "http"), want: "http://10.0.0.1:8000/metrics"},
		"the engine's default":                            {pod: ports(), engine: EnginePage{Port: 30000, Path: "/m"}, want: "http://10.0.0.1:30000/m"},
		"the only port of an engine that nobody knows":    {pod: ports(corev1.ContainerPort{Name: "api", ContainerPort: 5}), want: "http://10.0.0.1:5/metrics"},
		"a path with a query":                             {pod: annotate("prometheus.io/path", "/m?format=prometheus"), want: "http://10.0.0.1:8000/m?format=prometheus"},
		"an IPv6 address stands in brackets":              {pod: func(p *corev1.Pod) { p.Status.PodIP = "fd00::1" }, want: "http://[fd00::1]:8000/metrics"},
		"no port at all":                                  {pod: ports(), fails: "set spec.metrics.port"},
		"two ports, neither of which is known":            {pod: ports(corev1.ContainerPort{Name: "a", ContainerPort: 1}, corev1.ContainerPort{Name: "b", ContainerPort: 2}), fails: "not known"},
		"a port name that no container has":               {pod: none, source: v1alpha1.MetricsSource{Port: new(intstr.FromString("web"))}, fails: `no container has a port named "web"`},
		"a port number that is none":                      {pod: annotate("prometheus.io/port", "70000"), fails: "70000 is not from 1 to 65535"},
		"a scheme that is none of ours":                   {pod: annotate("prometheus.io/scheme", "file"), fails: `"file", must be http or https`},
		"a path that would lead to another host":          {pod: annotate("prometheus.io/path", "@example.com/"), fails: "must begin with '/'"},
		"a path of two slashes stays on the pod":          {pod: annotate("prometheus.io/path", "//example.com/"), want: "http://10.0.0.1:8000//example.com/"},
		"a pod without an address":                        {pod: func(p *corev1.Pod) { p.Status.PodIP = "" }, fails: "address of pod ml/a"},
		"a name in place of an address is never resolved": {pod: func(p *corev1.Pod) { p.Status.PodIP = "example.com" }, fails: "address of pod ml/a"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := readyPod("a")
			tt.pod(pod)
			got, err := metricsURL(pod, tt.source, tt.engine)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("url %q, error %v; want an error with %q", got, err, tt.fails)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("url %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestServingContainer(t *testing.T) {
	pod := readyPod("a")
	pod.Spec.Containers = []corev1.Container{
		{Name: "sidecar", Ports: []corev1.ContainerPort{{Name: "admin", ContainerPort: 15000}}},
		{Name: "engine", Ports: []corev1.ContainerPort{{Name: "metrics", ContainerPort: 8000}}},
	}
	for name, tt := range map[string]struct {
		port *intstr.IntOrString
		want string
	}{
		"the one with a port named metrics":     {nil, "engine"},
		"the one with the port of the spec":     {new(intstr.FromInt32(15000)), "sidecar"},
		"the one with the port name":            {new(intstr.FromString("admin")), "sidecar"},
		"the first where none has that port":    {new(intstr.FromInt32(1)), "sidecar"},
		"a port name is not a port number of 0": {new(intstr.FromString("nothing")), "sidecar"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := servingContainer(pod, tt.port); got != tt.want {
				t.Errorf("serving container %q, want %q", got, tt.want)
			}
		})
	}
}
