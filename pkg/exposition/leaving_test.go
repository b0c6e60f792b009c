package exposition_test

import (
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

func dec(t *testing.T, ps *exposition.Profiles, engine, text string) *signals.Reading {
	t.Helper()
	var p *exposition.Profile
	var err error
	if engine != "" {
		p, _ = ps.Named(engine)
	} else if p, err = ps.Detect([]byte(text)); err != nil {
		t.Fatal(err)
	}
	r, err := exposition.Decode([]byte(text), "", p)
	if err != nil {
		t.Fatalf("%s: %v", p.Name(), err)
	}
	return r
}

// A model is unloaded from Triton: its series leave the page, and the sum falls.
func TestTritonUnload(t *testing.T) {
	ps, err := exposition.Load()
	if err != nil {
		t.Fatal(err)
	}
	page := func(b string) string {
		return "# TYPE nv_inference_request_success counter\nnv_inference_request_success{model=\"a\",version=\"1\"} 700000\n" + b +
			"# TYPE nv_inference_request_failure counter\nnv_inference_request_failure{model=\"a\",version=\"1\"} 0\n# TYPE nv_inference_pending_request_count gauge\nnv_inference_pending_request_count{model=\"a\",version=\"1\"} 0\n"
	}
	was := dec(t, ps, "", page("nv_inference_request_success{model=\"b\",version=\"1\"} 300000\n"))
	is := dec(t, ps, "", page(""))
	n, ok := signals.Increase(was, is, signals.RequestsFinished)
	if ok && n > 1000 {
		t.Errorf("%v requests have ended between two scrapes: the model b was unloaded", n)
	}
}

// A worker of Ray leaves the page of a node.
func TestRayReplicaLeaves(t *testing.T) {
	ps, err := exposition.Load()
	if err != nil {
		t.Fatal(err)
	}
	page := func(b string) string {
		return "# TYPE ray_serve_deployment_request_counter_total counter\nray_serve_deployment_request_counter_total{deployment=\"d\",replica=\"r1\",application=\"x\"} 700000\n" + b +
			"# TYPE ray_serve_replica_processing_queries gauge\nray_serve_replica_processing_queries{deployment=\"d\",replica=\"r1\",application=\"x\"} 1\n"
	}
	was := dec(t, ps, "ray-serve", page("ray_serve_deployment_request_counter_total{deployment=\"d\",replica=\"r2\",application=\"x\"} 300000\n"))
	is := dec(t, ps, "ray-serve", page(""))
	n, ok := signals.Increase(was, is, signals.RequestsFinished)
	if ok && n > 1000 {
		t.Errorf("%v requests have ended between two scrapes: replica r2 was stopped", n)
	}
}
