package metricsapi

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func selector(t testing.TB, s string) labels.Selector {
	t.Helper()
	sel, err := labels.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return sel
}

func custom(resource, metric string) provider.CustomMetricInfo {
	return provider.CustomMetricInfo{GroupResource: schema.ParseGroupResource(resource), Namespaced: true, Metric: metric}
}

func TestMetricByName(t *testing.T) {
	const waiting, ttft = "inference_requests_waiting", "inference_time_to_first_token_seconds"
	tests := map[string]struct {
		resource, name, metric, selector string
		want                             string // value, or part of the error's message
		code                             int32  // of the error, 0 for none
	}{
		"a pod answers for itself":                                {"pods", "llama-b", waiting, "", "4500m", 0},
		"a Deployment adds its ready pods up":                     {"deployments.apps", "llama", waiting, "", "7500m", 0},
		"so does a Service":                                       {"services", "llama", waiting, "", "7500m", 0},
		"so does an InferenceAutoscaler":                          {"inferenceautoscalers.preheat.dev", "llama", waiting, "", "7500m", 0},
		"rates are over the window and added up":                  {"deployments.apps", "llama", "inference_requests_per_second", "", "4", 0},
		"ratios are means":                                        {"deployments.apps", "llama", "inference_kv_cache_utilization_ratio", "", "500m", 0},
		"a quantile has its own name":                             {"deployments.apps", "llama", ttft + "_p95", "", "195m", 0},
		"or is selected by its label":                             {"deployments.apps", "llama", ttft, "quantile=0.95", "195m", 0},
		"beside other labels of the object":                       {"deployments.apps", "llama", ttft, "quantile in (0.50),model=llama", "150m", 0},
		"a metric selector matches the object's labels":           {"pods", "llama-a", waiting, "model in (llama,mistral),!x", "3", 0},
		"demand comes from the decision":                          {"inferenceautoscalers.preheat.dev", "llama", Demand, "", "7250m", 0},
		"so does the forecast":                                    {"inferenceautoscalers.preheat.dev", "llama", DemandForecast, "quantile=0.9", "12500m", 0},
		"and the number of replicas":                              {"inferenceautoscalers.preheat.dev", "llama", RecommendedReplicas, "", "4", 0},
		"the lead time is its 0.9-quantile":                       {"inferenceautoscalers.preheat.dev", "llama", LeadTime, "", "180", 0},
		"or its median":                                           {"inferenceautoscalers.preheat.dev", "llama", LeadTime, "quantile=0.5", "120", 0},
		"a pod that is not ready has no sample":                   {"pods", "llama-c", waiting, "", "the pod is not ready", 404},
		"a stale pod has none either, and the error says why":     {"pods", "qwen-0", waiting, "", "last good scrape 42s ago; last failure 2s ago: connect: connection refused", 404},
		"nor has the workload of stale pods":                      {"statefulsets.apps", "qwen", waiting, "", "0 of 1 ready pods known; pod qwen-0", 404},
		"what a page does not have is not zero":                   {"pods", "llama-a", "inference_prompt_tokens_per_second", "", "its page has no inference_prompt_tokens_per_second", 404},
		"an unknown metric names those that are served":           {"pods", "llama-a", "vllm:num_requests_waiting", "", "inference_requests_waiting", 404},
		"an unknown object is not found":                          {"deployments.apps", "gone", waiting, "", `"gone" not found`, 404},
		"an unknown resource names those that are served":         {"nodes", "n", waiting, "", "deployments.apps, statefulsets.apps", 404},
		"an unknown pod is not found":                             {"pods", "gone", waiting, "", `pods "gone" not found`, 404},
		"a Service without a selector has no pods":                {"services", "manual", waiting, "", "no pod matches its selector", 404},
		"a metric selector that does not match says so":           {"pods", "llama-a", waiting, "model=mistral", "do not match the metric's selector", 404},
		"a distribution needs a quantile":                         {"pods", "llama-a", ttft, "", "quantile=0.5|0.9|0.95|0.99", 400},
		"a quantile that is not served names those that are":      {"pods", "llama-a", ttft, "quantile=0.42", "0.5|0.9|0.95|0.99", 404},
		"a quantile of what is none is not found":                 {"pods", "llama-a", waiting, "quantile=0.9", "its quantiles: none", 404},
		"a quantile that is no number is refused":                 {"pods", "llama-a", ttft, "quantile=high", "one number between 0 and 1", 400},
		"several quantiles at once are refused":                   {"pods", "llama-a", ttft, "quantile in (0.5,0.9)", "one number between 0 and 1", 400},
		"a forecast of another quantile says which it has":        {"inferenceautoscalers.preheat.dev", "llama", DemandForecast, "quantile=0.5", "its quantile is 0.9", 404},
		"a blind target recommends nothing, and says what it saw": {"inferenceautoscalers.preheat.dev", "qwen", RecommendedReplicas, "", "not seen: qwen-0: inference_requests_waiting", 404},
		"unknown demand is not zero":                              {"inferenceautoscalers.preheat.dev", "qwen", Demand, "", "NoFreshData", 404},
		"decisions are on InferenceAutoscalers":                   {"deployments.apps", "llama", RecommendedReplicas, "", "ask for the one that scales it", 404},
	}
	p := llama().provider(t)
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			name := types.NamespacedName{Namespace: "default", Name: test.name}
			got, err := p.GetMetricByName(t.Context(), name, custom(test.resource, test.metric), selector(t, test.selector))
			if test.code != 0 {
				checkStatus(t, err, test.code, test.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Value.String() != test.want {
				t.Errorf("got %s, want %s", got.Value.String(), test.want)
			}
			if age := now.Sub(got.Timestamp.Time); age < time.Second || age > 5*time.Second {
				t.Errorf("sample is %v old, want that of the scrape or decision", age)
			}
		})
	}
}

func checkStatus(t *testing.T, err error, code int32, message string) {
	t.Helper()
	status, ok := err.(apierrors.APIStatus)
	if !ok {
		t.Fatalf("want an API status error, got %v", err)
	}
	if got := status.Status(); got.Code != code || !strings.Contains(got.Message, message) {
		t.Errorf("got %d %q, want %d with %q", got.Code, got.Message, code, message)
	}
}

func TestMetricBySelector(t *testing.T) {
	tests := map[string]struct {
		resource, selector, metricSelector string
		want                               map[string]string
	}{
		"pods that are ready and match":            {"pods", "app=llama", "", map[string]string{"llama-a": "3", "llama-b": "4500m"}},
		"set-based selectors":                      {"pods", "app in (llama, x),!gone", "", map[string]string{"llama-a": "3", "llama-b": "4500m"}},
		"no selector: stale pods are left out":     {"pods", "", "", map[string]string{"llama-a": "3", "llama-b": "4500m"}},
		"a metric selector narrows further":        {"pods", "app=llama", "model=mistral", nil},
		"no pod matches: an empty list":            {"pods", "app=gone", "", nil},
		"workloads match by their own labels":      {"deployments.apps", "model=llama", "", map[string]string{"llama": "7500m"}},
		"Services without pods are left out":       {"services", "", "", map[string]string{"llama": "7500m"}},
		"InferenceAutoscalers by their own labels": {"inferenceautoscalers.preheat.dev", "team=chat", "", map[string]string{"llama": "7500m"}},
	}
	p := llama().provider(t)
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			list, err := p.GetMetricBySelector(t.Context(), "default", selector(t, test.selector),
				custom(test.resource, "inference_requests_waiting"), selector(t, test.metricSelector))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, item := range list.Items {
				got[item.DescribedObject.Name] = item.Value.String()
			}
			if test.want == nil {
				test.want = map[string]string{}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("pods that could answer and do not are explained", func(t *testing.T) {
		_, err := p.GetMetricBySelector(t.Context(), "default", selector(t, "app=qwen"), custom("pods", "inference_requests_waiting"), labels.Everything())
		checkStatus(t, err, 404, "connection refused")
	})
}

// TestPartlyKnownGroups states the rule for groups of which some pods are not known.
func TestPartlyKnownGroups(t *testing.T) {
	tests := map[string]struct {
		pods, scraped int
		newest        []time.Duration // since the last pods became ready
		metric        string
		want          string
	}{
		"all known: the sum": {4, 4, nil, "inference_requests_waiting", "4"},
		"half known: the others are taken to be like them": {4, 2, nil, "inference_requests_waiting", "4"},
		"means are of those known":                         {4, 3, nil, "inference_kv_cache_utilization_ratio", "500m"},
		"fewer than half known: nothing":                   {4, 1, nil, "inference_requests_waiting", ""},
		"nor means":                                        {4, 1, nil, "inference_kv_cache_utilization_ratio", ""},

		"who has just become ready has served nothing":   {4, 2, []time.Duration{3 * time.Second, 9 * time.Second}, "inference_requests_waiting", "2"},
		"however many they are":                          {4, 1, []time.Duration{0, 0, 0}, "inference_requests_per_second", "2"},
		"also where its node's clock is ahead":           {2, 1, []time.Duration{-3 * time.Second}, "inference_requests_waiting", "1"},
		"but not for longer":                             {4, 2, []time.Duration{20 * time.Second, time.Minute}, "inference_requests_waiting", "4"},
		"nor where the clock is wrong":                   {2, 1, []time.Duration{-time.Hour}, "inference_requests_waiting", "2"},
		"and counts once it is known":                    {4, 4, []time.Duration{time.Second}, "inference_requests_waiting", "4"},
		"it does not stand in for one that is missing":   {4, 1, []time.Duration{time.Second}, "inference_requests_waiting", ""},
		"nor is it missed where most are known":          {4, 3, []time.Duration{0, 0, 0, time.Minute}, "inference_requests_waiting", "4"},
		"where all are new, half of them must be known":  {4, 1, []time.Duration{0, 0, 0, 0}, "inference_requests_waiting", ""},
		"and then the others are taken to be like these": {4, 2, []time.Duration{0, 0, 0, 0}, "inference_requests_waiting", "4"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld()
			w.many(test.pods, test.scraped, test.newest...)
			name := types.NamespacedName{Namespace: "default", Name: "many"}
			got, err := w.provider(t).GetMetricByName(t.Context(), name, custom("deployments.apps", test.metric), labels.Everything())
			if test.want == "" {
				checkStatus(t, err, 404, "1 of 4 ready pods known")
				return
			}
			if err != nil || got.Value.String() != test.want {
				t.Errorf("got %v (%v), want %s", got, err, test.want)
			}
		})
	}
}

func TestExternal(t *testing.T) {
	type items map[string]string
	tests := map[string]struct {
		metric, selector string
		want             items
		code             int32
		message          string
	}{
		"by name of the InferenceAutoscaler":      {"inference_requests_waiting", "inferenceautoscaler=llama", items{"llama": "7500m"}, 0, ""},
		"target is the same":                      {"inference_requests_waiting", "target=llama", items{"llama": "7500m"}, 0, ""},
		"by name of the workload":                 {"inference_requests_waiting", "deployment=llama", items{"llama": "7500m"}, 0, ""},
		"by labels of the pod template":           {"inference_requests_waiting", "model in (llama,mistral)", items{"llama": "7500m"}, 0, ""},
		"by labels of the InferenceAutoscaler":    {"inference_requests_waiting", "team=chat", items{"llama": "7500m"}, 0, ""},
		"a quantile beside a name":                {"inference_time_to_first_token_seconds", "target=llama,quantile=0.95", items{"llama": "195m"}, 0, ""},
		"what only Preheat can say":               {DemandForecast, "target=llama", items{"llama": "12500m"}, 0, ""},
		"nothing matches: an empty list":          {"inference_requests_waiting", "model=gone", nil, 0, ""},
		"no such InferenceAutoscaler: the same":   {"inference_requests_waiting", "target=gone", nil, 0, ""},
		"a sum with an unknown part is not known": {"inference_requests_waiting", "", nil, 404, "connection refused"},
		"ratios of several are refused":           {"inference_kv_cache_utilization_ratio", "", nil, 400, "matches 2 InferenceAutoscalers (llama, qwen, …)"},
		"an unknown metric is not found":          {"queue", "", nil, 404, "there is no metric queue"},
	}
	p := llama().provider(t)
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			list, err := p.GetExternalMetric(t.Context(), "default", selector(t, test.selector), provider.ExternalMetricInfo{Metric: test.metric})
			if test.code != 0 {
				checkStatus(t, err, test.code, test.message)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got items
			for _, item := range list.Items {
				if got == nil {
					got = items{}
				}
				got[item.MetricLabels["inferenceautoscaler"]] = item.Value.String()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("several targets are several items, for the HPA to add up", func(t *testing.T) {
		w := llama()
		w.many(1, 1)
		w.autoscaler("many", "Deployment", map[string]string{"team": "chat"})
		list, err := w.provider(t).GetExternalMetric(t.Context(), "default", selector(t, "team=chat"), provider.ExternalMetricInfo{Metric: "inference_requests_waiting"})
		if err != nil || len(list.Items) != 2 {
			t.Errorf("%v (%v), want two items", list, err)
		}
	})
	t.Run("other namespaces are out of sight", func(t *testing.T) {
		list, err := p.GetExternalMetric(t.Context(), "kube-system", selector(t, "target=llama"), provider.ExternalMetricInfo{Metric: "inference_requests_waiting"})
		if err != nil || len(list.Items) != 0 {
			t.Errorf("%v (%v), want an empty list", list, err)
		}
	})
}

func TestStaleDecisionsServeNothing(t *testing.T) {
	w := llama()
	id := controlloop.TargetID{Namespace: "default", Name: "llama"}
	w.decisions.Put(id, scaling.Decision{Time: now.Add(-90 * time.Second), Replicas: 9, Demand: 1, DemandKnown: true})
	name := types.NamespacedName{Namespace: "default", Name: "llama"}
	_, err := w.provider(t).GetMetricByName(t.Context(), name, custom(autoscalersResource, RecommendedReplicas), labels.Everything())
	checkStatus(t, err, 404, "the last decision is 1m30s old, the bound is 1m0s")
}

func TestScaleTargetsOfOtherKindsAreFoundByTheirStatus(t *testing.T) {
	w := llama()
	w.autoscaler("lws", "LeaderWorkerSet", nil)
	item, _, err := w.autoscalers.GetByKey("default/lws")
	if err != nil {
		t.Fatal(err)
	}
	ia := item.(*v1alpha1.InferenceAutoscaler)
	external := provider.ExternalMetricInfo{Metric: "inference_requests_waiting"}
	p := w.provider(t)
	_, err = p.GetExternalMetric(t.Context(), "default", selector(t, "target=lws"), external)
	checkStatus(t, err, 404, "no pod matches its selector")

	seen := ia.DeepCopy()
	seen.Status.Selector = "app=llama"
	add(w.autoscalers, seen)
	list, err := p.GetExternalMetric(t.Context(), "default", selector(t, "leaderworkerset=lws,model=llama"), external)
	if err != nil || len(list.Items) != 1 || list.Items[0].Value.String() != "7500m" {
		t.Errorf("%v (%v), want 7500m", list, err)
	}
}

func TestUnsyncedIsUnavailable(t *testing.T) {
	p := llama().provider(t)
	p.opts.Synced = func() bool { return false }
	_, err := p.GetMetricByName(t.Context(), types.NamespacedName{Namespace: "default", Name: "llama-a"}, custom("pods", "inference_requests_waiting"), labels.Everything())
	checkStatus(t, err, 503, "still reading")
	_, err = p.GetExternalMetric(t.Context(), "default", labels.Everything(), provider.ExternalMetricInfo{Metric: Demand})
	checkStatus(t, err, 503, "still reading")
}

func TestDeletedPodsDoNotServe(t *testing.T) {
	w := llama()
	item, _, err := w.pods.GetByKey("default/llama-b")
	if err != nil {
		t.Fatal(err)
	}
	leaving := item.(*corev1.Pod).DeepCopy()
	leaving.DeletionTimestamp = &metav1.Time{Time: now}
	add(w.pods, leaving)
	got, err := w.provider(t).GetMetricByName(t.Context(), types.NamespacedName{Namespace: "default", Name: "llama"},
		custom("deployments.apps", "inference_requests_waiting"), labels.Everything())
	if err != nil || got.Value.String() != "3" {
		t.Errorf("%v (%v), want only llama-a's 3", got, err)
	}
}

func TestDiscoveryIsSmallAndConstant(t *testing.T) {
	empty, full := newWorld().provider(t), llama().provider(t)
	if diff := cmp.Diff(empty.ListAllMetrics(), full.ListAllMetrics()); diff != "" {
		t.Errorf("custom discovery depends on the cluster:\n%s", diff)
	}
	if n := len(full.ListAllMetrics()); n < 5 || n > 250 {
		t.Errorf("%d custom metrics", n)
	}
	if n := len(full.ListAllExternalMetrics()); n < 5 || n > 50 {
		t.Errorf("%d external metrics", n)
	}
}

func FuzzQuantity(f *testing.F) {
	for _, v := range []float64{0, 0.0001, 0.1 + 0.2, 1, 10.5, 1e12, 1e300, -1, math.NaN(), math.Inf(1), math.Inf(-1), 5e-324} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		q, ok := quantity(v)
		if valid := v >= 0 && !math.IsInf(v, 0); ok != valid {
			t.Fatalf("quantity(%v) is %v", v, ok)
		}
		if !ok {
			return
		}
		parsed, err := resource.ParseQuantity(q.String())
		if err != nil || parsed.MilliValue() != q.MilliValue() {
			t.Fatalf("%v is written as %s and read as %v (%v)", v, q.String(), parsed.MilliValue(), err)
		}
		got, clamped := float64(q.MilliValue())/1000, math.Min(v, maxValue)
		if got < clamped*(1-1e-9) || got > clamped*(1+1e-9)+0.001 {
			t.Fatalf("%s for %s", strconv.FormatFloat(got, 'g', -1, 64), strconv.FormatFloat(v, 'g', -1, 64))
		}
		if v > 1e-300 && q.MilliValue() == 0 {
			t.Fatalf("%v became zero", v)
		}
	})
}
