package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
)

func TestAHealthyClusterHasNothingButOK(t *testing.T) {
	report := healthy(t).examine(t)
	for _, f := range report.Findings {
		if f.Severity != OK || f.Remedy != "" {
			t.Errorf("%+v", f)
		}
	}
	if n := len(report.Findings); n < 20 || report.Summary.OK != n {
		t.Errorf("%d findings, summary %+v", n, report.Summary)
	}
	again := healthy(t).examine(t)
	checks := func(r Report) (out []string) {
		for _, f := range r.Findings {
			out = append(out, f.Check+" "+f.Object)
		}
		return out
	}
	if !slices.Equal(checks(report), checks(again)) {
		t.Error("the order is not the same twice")
	}
}

// TestEachFault spoils one thing at a time: a finding of the severity says what, with a remedy, and nothing is OK that was not
// seen.
func TestEachFault(t *testing.T) {
	const deployment, custom = "Deployment preheat-system/preheat", "APIService v1beta2.custom.metrics.k8s.io"
	forbid := func(right string) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) { w.forbidden[right] = true }
	}
	remove := func(key string) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) { delete(w.objects, key) }
	}
	set := func(key string, value any, fields ...string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) { w.set(t, key, value, fields...) }
	}
	condition := func(key, kind, status, reason string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) { w.condition(t, key, kind, status, reason, "because") }
	}
	object := func(text string) func(*testing.T, *world) { return func(t *testing.T, w *world) { w.add(t, text) } }
	autoscaled := func(kind, meta, spec string) func(*testing.T, *world) {
		return object("{apiVersion: " + kind + ", metadata: {name: other, namespace: ml" + meta + "}, spec: {" + spec + "}}")
	}
	const ref = "{apiVersion: apps/v1, kind: Deployment, name: vllm}"
	for name, tt := range map[string]struct {
		spoil        func(*testing.T, *world)
		check        string
		severity     Severity
		seen, remedy string
	}{
		"no definition":        {remove("CustomResourceDefinition warmpools.preheat.dev"), "crd", Problem, "is not installed", "deploy/crds"},
		"an old definition":    {oldDefinition, "crd", Problem, "of another version: it differs in v1alpha1.properties.spec.properties.warm", "deploy/crds"},
		"definitions unread":   {forbid("get customresourcedefinitions"), "crd", Unknown, "the right to get customresourcedefinitions", "auth can-i"},
		"no service":           {remove(deployment), "service", Problem, "does not exist", "deploy/base"},
		"service unread":       {forbid("get deployments"), "service", Unknown, "get deployments.apps/preheat -n preheat-system", "auth can-i"},
		"service not ready":    {set(deployment, int64(0), "status", "readyReplicas"), "service", Problem, "none of 2", "describe pods"},
		"a replica not ready":  {set(deployment, int64(1), "status", "readyReplicas"), "service", Warning, "1 of 2", "describe pods"},
		"no lease":             {remove("Lease preheat-system/preheat"), "leader", Problem, "no replica has ever led", "logs"},
		"a stale lease":        {set("Lease preheat-system/preheat", present.Add(-time.Hour).UTC().Format("2006-01-02T15:04:05.000000Z"), "spec", "renewTime"), "leader", Problem, "does not renew it", "logs"},
		"lease unread":         {forbid("get leases"), "leader", Unknown, "get leases", "auth can-i"},
		"a right missing":      {func(_ *testing.T, w *world) { w.denied = denies("update", "deployments", "scale") }, "rights", Problem, "update deployments/scale of apps", "rbac.yaml"},
		"an optional right":    {func(_ *testing.T, w *world) { w.denied = denies("watch", "nodes", "") }, "rights", Warning, "watch nodes", "rbac.yaml"},
		"rights unread":        {forbid("create subjectaccessreviews"), "rights", Unknown, "create subjectaccessreviews", "auth can-i"},
		"metrics API absent":   {remove(custom), "metrics-api", Warning, "does not exist", "apiservices.yaml"},
		"metrics API foreign":  {set(custom, "adapter", "spec", "service", "name"), "metrics-api", Warning, "Service preheat-system/adapter holds it", "mode Own"},
		"metrics API down":     {unavailable("MissingEndpoints"), "metrics-api", Problem, "holds up the deletion", "describe pods"},
		"metrics API x509":     {unavailable("x509"), "metrics-api", Problem, "not available", "rollout restart"},
		"metrics API empty":    {func(_ *testing.T, w *world) { w.raw["/apis/custom.metrics.k8s.io/v1beta2"] = answer(200, "{}") }, "metrics-api", Problem, "lists no metric", "logs"},
		"metrics API unread":   {forbid("get apiservices"), "metrics-api", Unknown, "get apiservices", "auth can-i"},
		"external metrics":     {set(deployment, []any{map[string]any{"name": "preheat", "args": []any{"--external-metrics=true"}}}, "spec", "template", "spec", "containers"), "metrics-api", Problem, "--external-metrics=true", "overlays/external-metrics"},
		"certificate expired":  {secret(-time.Hour), "certificate", Problem, "expired", "rollout restart"},
		"certificate ends":     {secret(24 * time.Hour), "certificate", Warning, "expires in", "rollout restart"},
		"another bundle":       {secret(90 * 24 * time.Hour), "certificate", Problem, "does not go with it", "caBundle"},
		"certificate unread":   {forbid("get secrets"), "certificate", Unknown, "get secrets/preheat-serving-cert", "auth can-i"},
		"this clock is ahead":  {func(_ *testing.T, w *world) { w.skew = -10 * time.Minute }, "clock", Warning, "ahead of", "timedatectl"},
		"no autoscalers":       {remove(ia), "autoscalers", Warning, "nothing is scaled", "samples"},
		"autoscalers unread":   {forbid("list inferenceautoscalers"), "autoscalers", Unknown, "list inferenceautoscalers", "auth can-i"},
		"no target":            {remove("Deployment ml/vllm"), "target", Problem, "does not exist", "scaleTargetRef.name"},
		"no such kind":         {set(ia, "Nothing", "spec", "scaleTargetRef", "kind"), "target", Problem, "knows no kind", "scaleTargetRef.apiVersion"},
		"no scale":             {func(_ *testing.T, w *world) { w.noScale = true }, "target", Problem, "no scale subresource", "Deployment"},
		"pods unread":          {forbid("list pods"), "pods", Unknown, "list pods -n ml", "auth can-i"},
		"no pods":              {func(_ *testing.T, w *world) { delete(w.objects, "Pod ml/a"); delete(w.objects, "Pod ml/b") }, "pods", Problem, "finds no pod", "get pods"},
		"a pod not ready":      {set("Pod ml/a", []any{}, "status", "conditions"), "pods", Warning, "1 of 2", "get pods"},
		"a node's clock":       {set("Pod ml/a", ago(-time.Hour), "metadata", "creationTimestamp"), "clock", Warning, "node node-1", "time synchronisation"},
		"not seen by Preheat":  {set(ia, nil, "status"), "decision", Problem, "said nothing", "logs"},
		"not decided lately":   {set(ia, ago(time.Hour), "status", "lastDecision", "time"), "decision", Problem, "1h0m0s old", "logs"},
		"stale is not sighted": {set(ia, ago(time.Hour), "status", "lastDecision", "time"), "metrics", Unknown, "not known", "decision"},
		"paused":               {condition(ia, "Ready", "False", "Paused"), "decision", Warning, "paused", "spec.paused"},
		"not ready":            {condition(ia, "Ready", "False", "WriteFailed"), "decision", Problem, "because", "explain"},
		"conflict":             {condition(ia, "Conflict", "True", "ForeignWrite"), "decision", Problem, "nothing is written", "GitOps"},
		"limited":              {condition(ia, "Limited", "True", "AtMaximum"), "decision", Warning, "limited", "maxReplicas"},
		"draining for ever":    {condition(ia, "Draining", "True", "Draining"), "decision", Warning, "draining since", "get pods"},
		"blind":                {condition(ia, "Blind", "True", "NoFreshData"), "metrics", Problem, "blind since", "NetworkPolicy"},
		"partly blind":         {condition(ia, "Blind", "False", "PartialData"), "metrics", Warning, "partly", "spec.metrics"},
		"no sample told":       {set(ia, nil, "status", "demand"), "metrics", Unknown, "no sample", "explain"},
		"no values served":     {func(_ *testing.T, w *world) { delete(w.raw, values) }, "metrics", Problem, "of any of 2 ready pods", "--probe"},
		"values of one pod": {func(_ *testing.T, w *world) {
			w.raw[values] = answer(200, `{"items":[{"timestamp":"`+ago(time.Second)+`","value":"1"}]}`)
		}, "metrics", Warning, "1 of 2", "metric page"},
		"values refused":         {func(_ *testing.T, w *world) { w.raw[values] = answer(403, "") }, "metrics", Unknown, "lack the right to get pods/inference_requests_running", "preheat-metrics-reader"},
		"lead time assumed":      {set(ia, "Prior", "status", "leadTime", "source"), "lead-time", Warning, "assumed", "spec.leadTime.prior"},
		"lead time not told":     {set(ia, nil, "status", "leadTime"), "lead-time", Unknown, "no lead time", "decision"},
		"an HPA":                 {autoscaled("autoscaling/v2, kind: HorizontalPodAutoscaler", "", "maxReplicas: 3, scaleTargetRef: "+ref), "rivals", Problem, "HorizontalPodAutoscaler other scales", "kubectl -n ml delete hpa other"},
		"a ScaledObject":         {autoscaled("keda.sh/v1alpha1, kind: ScaledObject", "", "scaleTargetRef: {name: vllm}"), "rivals", Problem, "ScaledObject other", "delete scaledobject other"},
		"a VPA":                  {autoscaled("autoscaling.k8s.io/v1, kind: VerticalPodAutoscaler", "", "targetRef: "+ref), "rivals", Warning, "updateMode Auto", "patch vpa other"},
		"another of ours":        {autoscaled("preheat.dev/v1alpha1, kind: InferenceAutoscaler", "", "mode: Own, maxReplicas: 2, scaleTargetRef: "+ref), "rivals", Problem, "InferenceAutoscaler other", "Advise"},
		"rivals unread":          {forbid("list horizontalpodautoscalers"), "rivals", Unknown, "list horizontalpodautoscalers", "auth can-i"},
		"floor without one":      {set(ia, "Floor", "spec", "mode"), "rivals", Problem, "no autoscaler is there", "floor.yaml"},
		"zero without activator": {set(ia, int64(0), "spec", "minReplicas"), "zero", Problem, "nobody holds requests", "spec.activator"},
		"zero behind a gateway that holds nothing": {func(t *testing.T, w *world) {
			t.Helper()
			set(ia, int64(0), "spec", "minReplicas")(t, w)
			set(ia, map[string]any{"kind": "LiteLLM", "service": "llm", "pool": "q"}, "spec", "gateway")(t, w)
		}, "zero", Problem, "kind LiteLLM only sees them pass", "spec.activator"},
		"no gate":               {set("Deployment ml/vllm", nil, "spec", "template", "spec", "readinessGates"), "gate", Warning, "without being drained", "readinessGates"},
		"no gate for warm":      {warmWithoutGate, "gate", Problem, "no replica is kept warm", "readinessGates"},
		"a pool with strangers": {condition("WarmPool ml/h100", "Ready", "False", "Missing"), "pool", Problem, "because", "spec.members"},
		"a pool over budget":    {condition("WarmPool ml/h100", "OverBudget", "True", "Held"), "pool", Warning, "more GPUs", "spec.gpus"},
		"activator not there":   {activatorWanted, "zero", Problem, "preheat-activator does not exist", "components/activator"},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy(t)
			tt.spoil(t, w)
			report := w.examine(t)
			for _, f := range report.Findings {
				if f.Check == tt.check && f.Severity == tt.severity && strings.Contains(f.Seen, tt.seen) && strings.Contains(f.Remedy, tt.remedy) {
					return
				}
			}
			t.Errorf("no %s of %s with %q and %q:", tt.severity, tt.check, tt.seen, tt.remedy)
			for _, f := range report.Findings {
				if f.Severity != OK || f.Check == tt.check {
					t.Logf("%+v", f)
				}
			}
		})
	}
}

const values = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ml/pods/*/inference_requests_running"

func denies(verb, resource, sub string) func(*authorizationv1.ResourceAttributes) bool {
	return func(a *authorizationv1.ResourceAttributes) bool {
		return a.Verb == verb && a.Resource == resource && a.Subresource == sub
	}
}

func oldDefinition(t *testing.T, w *world) {
	u := w.objects["CustomResourceDefinition inferenceautoscalers.preheat.dev"]
	versions := u.Object["spec"].(map[string]any)["versions"].([]any)
	schema := toMap(toMap(toMap(versions[0])["schema"])["openAPIV3Schema"])
	delete(toMap(toMap(toMap(schema["properties"])["spec"])["properties"]), "warm")
}

func unavailable(reason string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.set(t, "APIService v1beta2.custom.metrics.k8s.io", []any{map[string]any{"type": "Available", "status": "False", "reason": reason}}, "status", "conditions")
	}
}

func secret(valid time.Duration) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.set(t, "Secret preheat-system/preheat-serving-cert", base64Of(certificate(t, present.Add(valid))), "data", "tls.crt")
	}
}

func warmWithoutGate(t *testing.T, w *world) {
	w.set(t, "Deployment ml/vllm", nil, "spec", "template", "spec", "readinessGates")
	w.set(t, ia, map[string]any{"standby": map[string]any{"maxReplicas": int64(1)}}, "spec", "warm")
}

func activatorWanted(t *testing.T, w *world) {
	w.set(t, ia, int64(0), "spec", "minReplicas")
	w.set(t, ia, map[string]any{"service": "vllm"}, "spec", "activator")
}

// profilesWith are the engine profiles that come with the program, and more.
func profilesWith(t *testing.T, more ...fs.FS) *exposition.Profiles {
	t.Helper()
	profiles, err := exposition.Load(more...)
	if err != nil {
		t.Fatal(err)
	}
	return profiles
}

func TestTheProbeKnowsEnginesOfOnesOwn(t *testing.T) {
	w := healthy(t)
	const acme = "name: acme\nrank: 1\nport: 8000\npath: /metrics\ndetect: {any: [acme_requests_running]}\nmetrics: {inference_requests_running: [{sample: acme_requests_running}]}\n"
	w.options.Probe, w.options.Profiles = true, profilesWith(t, fstest.MapFS{"acme.yaml": {Data: []byte(acme)}})
	w.raw["/api/v1/namespaces/ml/pods/a:8000/proxy/metrics"] = answer(200, "acme_requests_running 1\n")
	for _, f := range w.examine(t).Findings {
		if f.Check == "probe" && strings.Contains(f.Seen, "1 pods serve a page of acme") {
			return
		}
	}
	t.Error("the engine is not found")
}

func TestTheProbeNamesTheEngine(t *testing.T) {
	w := healthy(t)
	w.options.Probe, w.options.Profiles = true, profilesWith(t)
	w.raw["/api/v1/namespaces/ml/pods/a:8000/proxy/metrics"] = answer(200, "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"m\"} 1\nvllm:num_requests_waiting{model_name=\"m\"} 0\n")
	w.raw["/api/v1/namespaces/ml/pods/b:8000/proxy/metrics"] = answer(503, "")
	var got []string
	for _, f := range w.examine(t).Findings {
		if f.Check == "probe" {
			got = append(got, string(f.Severity)+" "+f.Seen)
		}
	}
	if all := strings.Join(got, "\n"); !strings.Contains(all, "problem pod b gives no metric page (HTTP 503") || !strings.Contains(all, "ok 1 pods serve a page of vllm") {
		t.Errorf("found:\n%s", all)
	}
}

func TestTheProbeOfAnUnknownEngineLeadsToInspect(t *testing.T) {
	w := healthy(t)
	w.options.Probe, w.options.Profiles = true, profilesWith(t)
	for _, pod := range []string{"a", "b"} {
		w.raw["/api/v1/namespaces/ml/pods/"+pod+":8000/proxy/metrics"] = answer(200, "acme_requests_running 1\n")
	}
	led := 0
	for _, f := range w.examine(t).Findings {
		if f.Check == "probe" && f.Severity == Problem && strings.Contains(f.Remedy, "preheatctl inspect -n ml pod/") {
			led++
		}
	}
	if led != 2 {
		t.Errorf("%d findings lead to inspect, want 2", led)
	}
}

func TestNothingIsKnownOfASilentServer(t *testing.T) {
	w := healthy(t)
	w.silent = true
	if _, err := Examine(t.Context(), w.cluster(t), w.options); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

// TestTheTimeIsBounded: a check that hangs is unknown, and the rest is told.
func TestTheTimeIsBounded(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	e := &examination{}
	found := e.runAll(ctx, []patient{
		{"hangs", "x", func(context.Context, *ward) { time.Sleep(5 * time.Second) }},
		{"ends", "y", func(_ context.Context, w *ward) { w.ok("fine") }},
	})
	if len(found) != 2 || found[0].Check != "hangs" || found[0].Severity != Unknown || found[1].Severity != OK {
		t.Errorf("%+v", found)
	}
}

// TestRulesAreThoseOfTheManifests: what is asked of the authorizer is what deploy/base grants.
func TestRulesAreThoseOfTheManifests(t *testing.T) {
	text, err := os.ReadFile("../../deploy/base/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string][]rbacv1.PolicyRule{"ClusterRole": clusterRules, "Role": systemRules} {
		found := false
		for doc := range strings.SplitSeq(string(text), "\n---\n") {
			var role rbacv1.ClusterRole
			if err := yaml.Unmarshal([]byte(doc), &role); err != nil || role.Kind != kind || role.Name != "preheat" {
				continue
			}
			found = true
			if got, want := rightsOf(role.Rules), rightsOf(want); !slices.Equal(got, want) {
				t.Errorf("%s grants\n%v, asked is\n%v", kind, got, want)
			}
		}
		if !found {
			t.Errorf("no %s preheat", kind)
		}
	}
}

func rightsOf(rules []rbacv1.PolicyRule) []string {
	var out []string
	for _, q := range questions(rules, "") {
		out = append(out, q.String())
	}
	sort.Strings(out)
	return out
}

func TestTheProbeAsksNoPodsOfATargetThatIsReadOutOfPrometheus(t *testing.T) {
	w := healthy(t)
	w.options.Probe, w.options.Profiles = true, profilesWith(t)
	w.set(t, ia, map[string]any{"prometheus": map[string]any{}}, "spec", "metrics")
	for _, f := range w.examine(t).Findings {
		if f.Check == "probe" && (f.Severity != OK || !strings.Contains(f.Seen, "out of Prometheus")) {
			t.Errorf("%+v", f)
		}
	}
}
