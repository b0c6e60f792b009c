package doctor

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/exposition"
)

// proxy answers for the paths behind pods/chat-0, by port and path, and notes what was asked.
type proxy struct {
	answers map[string]Answer
	asked   []string
}

func (p *proxy) Get(_ context.Context, path string) (Answer, error) {
	path = strings.TrimPrefix(path, "/api/v1/namespaces/ml/pods/chat-0:")
	p.asked = append(p.asked, path)
	if a, ok := p.answers[path]; ok {
		return a, nil
	}
	return Answer{Code: http.StatusServiceUnavailable, Body: []byte(`{"message":"error trying to reach service: connection refused"}`)}, nil
}

func text(body string) Answer {
	return Answer{Code: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(body)}
}

func TestReadPodPage(t *testing.T) {
	const vllm, other = "vllm:num_requests_running 1\n", "up 1\n"
	port := intstr.FromInt32(9000)
	for name, c := range map[string]struct {
		ports   []int32
		notes   map[string]string
		where   v1alpha1.MetricsSource
		answers map[string]Answer
		text    string
		err     string
		asked   []string // the first ones
	}{
		"the usual port":                     {answers: map[string]Answer{"8000/proxy/metrics": text(vllm)}, text: vllm, asked: []string{"8000/proxy/metrics"}},
		"the annotations":                    {notes: map[string]string{"prometheus.io/port": "81", "prometheus.io/path": "/m"}, answers: map[string]Answer{"81/proxy/m": text(vllm)}, text: vllm, asked: []string{"81/proxy/m"}},
		"a port that a profile knows":        {ports: []int32{30000}, answers: map[string]Answer{"30000/proxy/metrics": text("sglang:num_running_reqs 1\n")}, text: "sglang:num_running_reqs 1\n", asked: []string{"30000/proxy/metrics"}},
		"a path that a profile knows":        {ports: []int32{8000}, answers: map[string]Answer{"8000/proxy/metrics": text("[]"), "8000/proxy/prometheus/metrics": text("trtllm_num_requests_running 1\n")}, text: "trtllm_num_requests_running 1\n"},
		"a port that none knows":             {ports: []int32{5555}, answers: map[string]Answer{"5555/proxy/metrics": text(vllm)}, text: vllm, asked: []string{"5555/proxy/metrics"}},
		"port and path as they are told":     {where: v1alpha1.MetricsSource{Port: &port, Path: "/m"}, answers: map[string]Answer{"9000/proxy/m": text(vllm)}, text: vllm, asked: []string{"9000/proxy/m"}},
		"the port of the engine named":       {where: v1alpha1.MetricsSource{Engine: "tensorrt-llm"}, answers: map[string]Answer{"8000/proxy/prometheus/metrics": text(vllm)}, text: vllm, asked: []string{"8000/proxy/prometheus/metrics"}},
		"a page of no engine, if no other":   {ports: []int32{8000}, answers: map[string]Answer{"8000/proxy/metrics": text(other)}, text: other},
		"nothing listens":                    {where: v1alpha1.MetricsSource{Port: &port, Path: "/m"}, err: "HTTP 503: error trying to reach service: connection refused\nname port and path", asked: []string{"9000/proxy/m"}},
		"the right is lacking":               {ports: []int32{8000, 30000}, answers: map[string]Answer{"8000/proxy/metrics": {Code: http.StatusForbidden, Body: []byte(`{"message":"forbidden"}`)}}, err: "get pods/proxy -n ml", asked: []string{"8000/proxy/metrics"}},
		"only the pod's own ports are asked": {ports: []int32{8080}, err: "8080/proxy/metrics", asked: []string{"8080/proxy/metrics"}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "chat-0", Annotations: c.notes}, Spec: corev1.PodSpec{Containers: []corev1.Container{{}}}}
			for _, n := range c.ports {
				pod.Spec.Containers[0].Ports = append(pod.Spec.Containers[0].Ports, corev1.ContainerPort{ContainerPort: n})
			}
			profiles, err := exposition.Load()
			if err != nil {
				t.Fatal(err)
			}
			behind := &proxy{answers: c.answers}
			page, err := ReadPodPage(t.Context(), Cluster{Kube: fake.NewClientset(pod), Raw: behind}, "ml", "chat-0", c.where, profiles)
			switch {
			case (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err):
				t.Errorf("error %v, want %q", err, c.err)
			case string(page.Text) != c.text:
				t.Errorf("page %q of %s, want %q", page.Text, page.Path, c.text)
			}
			if len(behind.asked) < len(c.asked) || !slices.Equal(behind.asked[:len(c.asked)], c.asked) || len(behind.asked) > pagesAsked {
				t.Errorf("asked %q, want %q", behind.asked, c.asked)
			}
		})
	}
	_, err := ReadPodPage(t.Context(), Cluster{Kube: fake.NewClientset()}, "ml", "gone", v1alpha1.MetricsSource{}, nil)
	if err == nil || !strings.Contains(err.Error(), "kubectl get pods -n ml") {
		t.Errorf("a pod that is not there: %v", err)
	}
}
