package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// example reads an object of testdata/explain.
func example(t *testing.T, name string) *v1alpha1.InferenceAutoscaler {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "explain", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	a := new(v1alpha1.InferenceAutoscaler)
	if err := yaml.UnmarshalStrict(data, a); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return a
}

// TestExplanationsOfSavedObjects has each in testdata as it is read on a terminal: on one screen, no line too long.
func TestExplanationsOfSavedObjects(t *testing.T) {
	files, err := filepath.Glob("testdata/explain/*.yaml")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			example(t, name) // the fields are those of the API
			out := must(t, "explain", "-f", file)
			golden(t, filepath.Join("explain", name+".txt"), out)
			lines := strings.Split(out, "\n")
			if len(lines) > 45 {
				t.Errorf("%d lines are no screen", len(lines))
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > explainColumns {
					t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
				}
			}
		})
	}
}

// TestWhatIsAmissComesFirst: a tired person reads the first line.
func TestWhatIsAmissComesFirst(t *testing.T) {
	now := example(t, "healthy").Status.LastDecision.Time.Add(10 * time.Second)
	condition := func(kind string, status metav1.ConditionStatus, reason, message string) func(*v1alpha1.InferenceAutoscaler) {
		return func(a *v1alpha1.InferenceAutoscaler) {
			meta.SetStatusCondition(&a.Status.Conditions, metav1.Condition{
				Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(now.Add(-time.Minute)),
			})
		}
	}
	for name, tt := range map[string]struct {
		change func(*v1alpha1.InferenceAutoscaler)
		first  string
		remedy string
	}{
		"all is well":             {func(*v1alpha1.InferenceAutoscaler) {}, "ml/vllm: 6 replicas wanted; 5 asked for before, 4 ready, 1 starting", ""},
		"no conditions, and well": {func(a *v1alpha1.InferenceAutoscaler) { a.Status.Conditions = nil }, "ml/vllm: 6 replicas wanted; 5 asked for before", ""},
		"nobody has seen it": {
			func(a *v1alpha1.InferenceAutoscaler) { a.Status = v1alpha1.InferenceAutoscalerStatus{} },
			"NOT SEEN: Preheat has said nothing about it yet", "kubectl get pods,leases -n preheat-system",
		},
		"nobody decides any more": {
			func(a *v1alpha1.InferenceAutoscaler) {
				a.Status.LastDecision.Time = metav1.NewTime(now.Add(-2 * time.Hour))
			}, "STALE: the last decision is 120m old", "kubectl get pods,leases -n preheat-system",
		},
		"blind": {
			condition(v1alpha1.ConditionBlind, metav1.ConditionTrue, "NoFreshData", "not seen: pod a"), "BLIND for 60s: not seen: pod a", "spec.metrics: engine, port, path",
		},
		"half blind": {
			condition(v1alpha1.ConditionBlind, metav1.ConditionFalse, "PartialData", "not seen: pod a"), "PARTLY BLIND for ", "nothing is scaled down",
		},
		"a rival": {
			condition(v1alpha1.ConditionConflict, metav1.ConditionTrue, "RivalAutoscaler", "HPA web scales it too; delete it"), "CONFLICT for 60s: HPA web scales it too; delete it", "",
		},
		"a write that fails": {
			condition(v1alpha1.ConditionReady, metav1.ConditionFalse, "WriteFailed", "not allowed; grant it"), "NOT READY for 60s: not allowed; grant it", "",
		},
		"paused": {
			condition(v1alpha1.ConditionReady, metav1.ConditionFalse, "Paused", "held"), "PAUSED for 60s: held", "set spec.paused to false",
		},
		"paused by others": {
			condition(v1alpha1.ConditionReady, metav1.ConditionFalse, "ScaledToZeroByOther", "zero"), "PAUSED for 60s: zero", "scale the target to one replica",
		},
		"no replica is ready": {
			condition(v1alpha1.ConditionReady, metav1.ConditionFalse, "NoReadyReplica", "none"), "NO REPLICA READY for 60s: none", "kubectl get pods -n ml -l app=vllm",
		},
		"out of GPUs": {
			condition(v1alpha1.ConditionLimited, metav1.ConditionTrue, "GPUsUnavailable", "needs 9"), "LIMITED for 60s: needs 9", "free GPUs or add nodes; what waits for them: kubectl get pods",
		},
		"at the maximum": {
			condition(v1alpha1.ConditionLimited, metav1.ConditionTrue, "AtMaximum", "needs 9"), "LIMITED for 60s: needs 9", "raise spec.maxReplicas",
		},
		"at its GPUs": {
			condition(v1alpha1.ConditionLimited, metav1.ConditionTrue, "AtGPUBudget", "needs 9"), "LIMITED for 60s: needs 9", "raise spec.maxGPUs",
		},
		"bounded by a rate": {
			condition(v1alpha1.ConditionLimited, metav1.ConditionTrue, "RateLimited", "needs 9"), "LIMITED for 60s: needs 9", "it goes on by itself",
		},
		"the budget is spent": {
			condition(v1alpha1.ConditionBudgetSpent, metav1.ConditionTrue, "BudgetSpent", "97.9%"), "BUDGET SPENT for 60s: 97.9%", "misses have become dearer",
		},
		"the volume of the history fails": {
			condition(v1alpha1.ConditionHistoryKept, metav1.ConditionFalse, "VolumeFailed", "no space"), "HISTORY IN MEMORY for 60s: no space", "--state-dir",
		},
		"a spec that is not taken up yet": {func(a *v1alpha1.InferenceAutoscaler) { a.Generation = 4 }, "CHANGED: the spec was changed since", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := example(t, "healthy")
			tt.change(a)
			e := explain(a, now)
			if text := e.String(); !strings.HasPrefix(text, tt.first) {
				t.Errorf("want it to begin with %q:\n%s", tt.first, text)
			}
			if tt.remedy == "" {
				return
			}
			if len(e.Troubles) == 0 || !strings.Contains(e.Troubles[0].Remedy, tt.remedy) {
				t.Errorf("want the remedy %q in %+v", tt.remedy, e.Troubles)
			}
		})
	}
}

func TestSeveralTroublesTheWorstFirst(t *testing.T) {
	a := example(t, "limited-and-spent")
	for _, kind := range []string{v1alpha1.ConditionBlind, v1alpha1.ConditionConflict} {
		meta.SetStatusCondition(&a.Status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "Any", Message: "any"})
	}
	meta.SetStatusCondition(&a.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Any", Message: "any"})
	a.Status.LastDecision.Time = metav1.NewTime(time.Now().Add(-time.Hour))
	var got []string
	for _, x := range explain(a, time.Now()).Troubles {
		got = append(got, x.Name)
	}
	if diff := cmp.Diff([]string{"Stale", "Conflict", "Blind", "Limited", "Budget spent"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnOldDecisionIsNoWonderWhereNothingCanBeDecided(t *testing.T) {
	a := example(t, "target-gone")
	a.Status.LastDecision = example(t, "healthy").Status.LastDecision
	e := explain(a, time.Now())
	if len(e.Troubles) != 1 || e.Troubles[0].Name != "Not ready" || e.Undone {
		t.Errorf("got %+v, not carried out %v", e.Troubles, e.Undone)
	}
}

func TestStepsHaveWhatTheyAskedForBesideThem(t *testing.T) {
	steps := []string{"demand: 1", "doubt: a", "doubt: b", "bounds: c", "without colon"}
	asked := []v1alpha1.StageReplicas{{Stage: "doubt", Replicas: 4}, {Stage: "doubt", Replicas: 5}, {Stage: "bounds", Replicas: 3}}
	want := []explainedStep{
		{Stage: "demand", Text: "1"},
		{Stage: "doubt", Text: "a", Replicas: new(int32(4))},
		{Stage: "doubt", Text: "b", Replicas: new(int32(5))},
		{Stage: "bounds", Text: "c", Replicas: new(int32(3)), Decided: true},
		{Stage: "without colon"},
	}
	if diff := cmp.Diff(want, explainSteps(steps, asked)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExplanationAsData(t *testing.T) {
	var e explanation
	if err := json.Unmarshal([]byte(must(t, "explain", "-f", "testdata/explain/conflict.yaml", "-o", "json")), &e); err != nil {
		t.Fatal(err)
	}
	if *e.Wanted != 6 || !e.Undone || len(e.Troubles) != 1 || *e.ErrorBudget.SpentPercent != 58 || !e.Steps[len(e.Steps)-1].Decided {
		t.Errorf("got %+v", e)
	}
	var several struct{ Items []explanation }
	both := filepath.Join(t.TempDir(), "both.yaml")
	write(t, both, contents(t, "testdata/explain")["healthy.yaml"]+"---\n"+contents(t, "testdata/explain")["blind.yaml"])
	if err := yaml.Unmarshal([]byte(must(t, "explain", "-f", both, "-o", "yaml")), &several); err != nil || len(several.Items) != 2 {
		t.Errorf("%d items, %v", len(several.Items), err)
	}
}

// TestALineOfAReplayIsExplained takes the decisions of a real one.
func TestALineOfAReplayIsExplained(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	must(t, "replay", "--trace", "steady:length=10m,rate=5", "--policy", "preheat", "--initial", "1", "--max", "5", "--out", dir)
	lines := strings.Split(strings.TrimSpace(contents(t, dir)["decisions.jsonl"]), "\n")
	path := filepath.Join(t.TempDir(), "line.json")
	write(t, path, lines[len(lines)-1])
	out := must(t, "explain", "-f", path)
	for _, part := range []string{"preheat: ", "  why: ", "after the start of the trace", "demand ahead", "capacity", "lead time", "an HPA on queue length", "reactive"} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is missing:\n%s", part, out)
		}
	}
	write(t, path, strings.Join(lines[:3], "\n"))
	if out := must(t, "explain", "-f", path); strings.Count(out, "\n") != 4 {
		t.Errorf("three lines make a table of:\n%s", out)
	}
}

func TestFilesThatCannotBeExplained(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"another kind":         {"kind: Deployment", `kind is "Deployment", must be InferenceAutoscaler`},
		"nothing":              {"---\n", "kubectl get ia NAME -o yaml"},
		"no YAML":              {"a: b: c", "yaml"},
		"a wrong field":        {"kind: InferenceAutoscaler\nstatus: {recommendedReplicas: many}", "recommendedReplicas"},
		"another kind in list": {"kind: List\nitems: [{kind: Pod}]", `items[0]: kind is "Pod"`},
	} {
		path := filepath.Join(t.TempDir(), "object.yaml")
		write(t, path, tt.text)
		code, out, errs := call(t.Context(), "explain", "-f", path)
		if code != exitFault || out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: exit %d, output %q, want a fault that says %q: %s", name, code, out, tt.want, errs)
		}
	}
}

func TestFaultsOfTheCommandLineOfExplain(t *testing.T) {
	for args, want := range map[string]string{
		"explain a b":                    "accepts at most 1 arg",
		"explain -o wide":                "--output wide: must be text, json or yaml",
		"explain vllm -A":                "--all-namespaces",
		"explain vllm -f x.yaml":         "leave out the name vllm",
		"explain --request-timeout -1s":  "--request-timeout -1s",
		"explain -f nowhere.yaml -o xml": "--output xml",
	} {
		if code, out, errs := call(t.Context(), strings.Fields(args)...); code != exitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, output %q, want %q in: %s", args, code, out, want, errs)
		}
	}
}

// apiServer answers as one that has healthy ml/vllm and blind ml/chat, and knows of no such kind in namespace old.
func apiServer(t *testing.T) *httptest.Server {
	t.Helper()
	healthy, blind := example(t, "healthy"), example(t, "blind")
	blind.Name = "chat"
	for _, a := range []*v1alpha1.InferenceAutoscaler{healthy, blind} {
		a.Status.LastDecision.Time = metav1.NewTime(time.Now().Add(-20 * time.Second))
	}
	refusal := func(code int32, reason metav1.StatusReason, message string) (int, any) {
		return int(code), metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: reason, Code: code, Message: message}
	}
	answers := map[string]any{
		"/inferenceautoscalers":                    v1alpha1.InferenceAutoscalerList{Items: []v1alpha1.InferenceAutoscaler{*healthy, *blind}},
		"/namespaces/ml/inferenceautoscalers":      v1alpha1.InferenceAutoscalerList{Items: []v1alpha1.InferenceAutoscaler{*healthy, *blind}},
		"/namespaces/void/inferenceautoscalers":    v1alpha1.InferenceAutoscalerList{},
		"/namespaces/ml/inferenceautoscalers/vllm": healthy,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, code := strings.TrimPrefix(r.URL.Path, "/apis/preheat.dev/v1alpha1"), http.StatusOK
		answer, ok := answers[path]
		switch {
		case strings.HasPrefix(path, "/namespaces/old/"):
			http.NotFound(w, r)
			return
		case strings.HasPrefix(path, "/namespaces/secret/"):
			code, answer = refusal(403, metav1.StatusReasonForbidden, "inferenceautoscalers.preheat.dev is forbidden")
		case !ok:
			code, answer = refusal(404, metav1.StatusReasonNotFound, `inferenceautoscalers.preheat.dev "x" not found`)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server
}

// kubeconfig writes one with contexts ml and void, named by their namespaces, and dead, where nobody listens.
func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	write(t, path, fmt.Sprintf(`
apiVersion: v1
kind: Config
current-context: ml
clusters:
- {name: here, cluster: {server: %q}}
- {name: gone, cluster: {server: "http://127.0.0.1:1"}}
contexts:
- {name: ml, context: {cluster: here, namespace: ml, user: me}}
- {name: void, context: {cluster: here, namespace: void, user: me}}
- {name: dead, context: {cluster: gone, user: me}}
users:
- {name: me, user: {}}
`, server))
	return path
}

func TestExplainReadsACluster(t *testing.T) {
	config := kubeconfig(t, apiServer(t).URL)
	for args, tt := range map[string]struct {
		code      int
		out, errs string // parts
	}{
		"vllm":                        {exitOK, "ml/vllm: 6 replicas wanted", ""},
		"vllm --namespace ml":         {exitOK, "s ago; last scaled ", ""},
		"vllm --context void -n ml":   {exitOK, "ml/vllm: 6 replicas wanted", ""},
		"vllm -o json":                {exitOK, `"wantedReplicas": 6`, ""},
		"":                            {exitOK, "BLIND: replicas are held; not seen", ""},
		"-A":                          {exitOK, "demand one lead time ahead needs more", ""},
		"-A -o yaml":                  {exitOK, "items:\n- ", ""},
		"-n void":                     {exitOK, "", "No InferenceAutoscalers found"},
		"--context void":              {exitOK, "", "No InferenceAutoscalers found"},
		"-n void -o json":             {exitOK, `"items": []`, ""},
		"x":                           {exitFault, "", "not found in namespace ml; name another by -n"},
		"vllm -n old":                 {exitFault, "", "does not know InferenceAutoscalers; install Preheat"},
		"-n secret":                   {exitFault, "", "kubectl get ia"},
		"vllm --context dead":         {exitFault, "", "the cluster at http://127.0.0.1:1 does not answer; check --context"},
		"vllm --context nowhere":      {exitFault, "", "nowhere"},
		"vllm --kubeconfig nowhere":   {exitFault, "", "nowhere"},
		"vllm --request-timeout soon": {exitUsage, "", "--request-timeout"},
	} {
		code, out, errs := call(t.Context(), append([]string{"explain", "--kubeconfig", config}, strings.Fields(args)...)...)
		if code != tt.code || !strings.Contains(out, tt.out) || !strings.Contains(errs, tt.errs) || (out == "") != (tt.out == "") {
			t.Errorf("explain %s: exit %d, want %d with %q and %q:\n%s%s", args, code, tt.code, tt.out, tt.errs, out, errs)
		}
	}
}
