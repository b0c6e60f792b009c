package main

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"
	"time"

	"github.com/preheat-autoscaler/preheat/simulations/demo/report"
	"github.com/preheat-autoscaler/preheat/simulations/emulator"
	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

// workload is the name of the Deployment, the InferenceAutoscaler and the HPA of each policy, in a namespace that has
// the policy's name.
const workload = "chat"

// enginePort is where the emulated engines listen.
const enginePort = 8000

// policy is one way to scale.
type policy struct {
	// Name is that of its namespace.
	Name, Title string
	// Metric is what an HPA scales on, averaged over pods to Target; empty for Preheat itself.
	Metric string
	Target int
}

// The metrics and targets of the HPAs: a queue of five a pod, and 16 requests in work a pod, as llm-d documents.
func policies() []policy {
	return []policy{
		{Name: "hpa-queue", Title: "HPA on 5 waiting requests a pod", Metric: "inference_requests_waiting", Target: 5},
		{Name: "hpa-running", Title: "HPA on 16 running requests a pod", Metric: "inference_requests_running", Target: 16},
		{Name: report.Preheat, Title: "Preheat, mode Own"},
	}
}

func policyNames() []string {
	var names []string
	for _, p := range policies() {
		names = append(names, p.Name)
	}
	return names
}

func policyNamed(name string) policy {
	for _, p := range policies() {
		if p.Name == name {
			return p
		}
	}
	panic("options were not validated: no policy " + name)
}

//go:embed manifests/*.yaml.tmpl
var manifestFiles embed.FS

var manifests = template.Must(template.New("").Funcs(template.FuncMap{
	"seconds": func(d time.Duration) int { return int(d / time.Second) },
}).ParseFS(manifestFiles, "manifests/*.yaml.tmpl"))

// manifestValues are what the templates know.
type manifestValues struct {
	policy
	Options
	Times                    times
	Workload                 string
	Port, GPUs               int
	GPUResource              string
	EngineLabel, EngineValue string
	ReadinessAnnotation      string
	LoadTimeAnnotation       string
	LoadJitterAnnotation     string
	DrainAnnotation          string
	LoadJitter               float64
	TTFT, TPOT, Drain        time.Duration
}

// render fills one manifest in for a policy.
func (d *demo) render(file string, p policy) ([]byte, error) {
	var out bytes.Buffer
	err := manifests.ExecuteTemplate(&out, file, manifestValues{
		policy: p, Options: d.options, Times: d.times, Workload: workload, Port: enginePort, GPUs: d.profile.GPUs,
		GPUResource: string(testbed.GPU), EngineLabel: engineLabel, EngineValue: engineValue,
		ReadinessAnnotation: emulator.ReadinessAnnotation, LoadTimeAnnotation: emulator.LoadTimeAnnotation,
		LoadJitterAnnotation: emulator.LoadJitterAnnotation, DrainAnnotation: testbed.DrainFor,
		LoadJitter: loadJitter, Drain: drain, TTFT: slo.TTFT, TPOT: slo.TPOT,
	})
	if err != nil {
		return nil, fmt.Errorf("render %s for %s: %w", file, p.Name, err)
	}
	return out.Bytes(), nil
}
