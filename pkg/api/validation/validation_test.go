package validation

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

func TestParseRefusesWhatIsNotAnInferenceAutoscaler(t *testing.T) {
	cases := map[string]struct{ manifest, says string }{
		"another kind":        {strings.Replace(string(manifest(bounded)), "kind: InferenceAutoscaler", "kind: Autoscaler", 1), `kind: Unsupported value: "Autoscaler"`},
		"another version":     {strings.Replace(string(manifest(bounded)), "v1alpha1", "v1", 1), `apiVersion: Unsupported value: "preheat.dev/v1"`},
		"no name":             {strings.Replace(string(manifest(bounded)), "name: chat, ", "", 1), "metadata.name: Required value"},
		"no metadata":         {`{"apiVersion": "preheat.dev/v1alpha1", "kind": "InferenceAutoscaler", "spec": {"maxReplicas": 8, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "vllm"}}}`, "metadata.name: Required value"},
		"a name in capitals":  {strings.Replace(string(manifest(bounded)), "name: chat", "name: Chat", 1), "metadata.name: Invalid value"},
		"a name too long":     {strings.Replace(string(manifest(bounded)), "name: chat", "name: "+strings.Repeat("x", 64), 1), "at most 63 characters"},
		"a field twice":       {string(manifest(bounded + "maxReplicas: 9")), `already set`},
		"no YAML at all":      {"{", "parse InferenceAutoscaler"},
		"nothing":             {"", "kind: Unsupported value"},
		"a list at the top":   {"- a", "parse InferenceAutoscaler"},
		"no spec":             {"apiVersion: preheat.dev/v1alpha1\nkind: InferenceAutoscaler\nmetadata: {name: chat}", "spec: Required value"},
		"every fault at once": {string(manifest(bounded + "minReplicas: 9\nslo: {ttft: 0s}")), "ttft must be a duration"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tc.manifest))
			if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "internal error") {
				t.Errorf("got %v, want an error that says %q", err, tc.says)
			}
		})
	}
}

func TestParseReportsEveryFaultAtOnce(t *testing.T) {
	_, err := Parse(manifest(bounded + "minReplicas: 9\nslo: {ttft: 0s}\nforecast: {quantile: 10%}"))
	for _, says := range []string{"maxReplicas must be at least", "ttft must be", "quantile must be"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want it to say %q as well", err, says)
		}
	}
}

func TestDefaultsInGoAreThoseOfTheSchema(t *testing.T) {
	specs := map[string]string{
		"the smallest spec":          bounded,
		"with a schedule":            scheduled(`{name: day, start: "08:30", end: "18:00", minReplicas: 4}`),
		"with everything else set":   bounded + "mode: Own\nminReplicas: 0\nslo: {attainment: 95%}\nforecast: {quantile: 50%, timeZone: Asia/Kolkata}\nmetrics: {engine: vllm, stalenessBound: 10s}",
		"with some fields of a part": bounded + "slo: {ttft: 2s}\nmetrics: {port: http}\nforecast: {disabled: true}",
	}
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			want, err := Parse(manifest(spec))
			if err != nil {
				t.Fatal(err)
			}
			got := &v1alpha1.InferenceAutoscaler{}
			if err := yaml.UnmarshalStrict(manifest(spec), got); err != nil {
				t.Fatal(err)
			}
			got.SetDefaults()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("SetDefaults differs from the schema (-schema +Go):\n%s", diff)
			}
			once := got.DeepCopy()
			got.SetDefaults()
			if diff := cmp.Diff(once, got); diff != "" {
				t.Errorf("a second SetDefaults changed something:\n%s", diff)
			}
		})
	}
}

func TestValidateJudgesObjectsMadeInGo(t *testing.T) {
	good := func() *v1alpha1.InferenceAutoscaler {
		return &v1alpha1.InferenceAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: "chat", Namespace: "default"},
			Spec: v1alpha1.InferenceAutoscalerSpec{
				ScaleTargetRef: v1alpha1.ScaleTargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "vllm"},
				MaxReplicas:    8,
				SLO:            v1alpha1.SLO{TTFT: &metav1.Duration{Duration: 1500 * time.Millisecond}},
				Capacity:       v1alpha1.Capacity{RequestsPerSecond: new(resource.MustParse("2.5"))},
			},
		}
	}
	a := good()
	if err := Validate(a); err != nil {
		t.Errorf("a good object is refused: %v", err)
	}
	if diff := cmp.Diff(good(), a); diff != "" {
		t.Errorf("Validate changed its argument:\n%s", diff)
	}
	a.Spec.MinReplicas = new(int32(9))
	if err := Validate(a); err == nil || !strings.Contains(err.Error(), "default/chat: spec.maxReplicas: ") {
		t.Errorf("got %v, want a fault of default/chat at spec.maxReplicas", err)
	}
	if err := Validate(&v1alpha1.InferenceAutoscaler{}); err == nil || !strings.Contains(err.Error(), "metadata.name: Required") {
		t.Errorf("got %v for an empty object, want metadata.name: Required", err)
	}
}

// A full status is what the API server must take from the service: every field in the way we write it.
func TestAFullStatusIsAdmittedAndSurvivesTheRoundTrip(t *testing.T) {
	want, err := Parse(manifest(bounded))
	if err != nil {
		t.Fatal(err)
	}
	want.Status = fullStatus()
	if err := Validate(want); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(sameTime)); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
}

func sameTime(a, b metav1.Time) bool { return a.Time.Equal(b.Time) }

func fullStatus() v1alpha1.InferenceAutoscalerStatus {
	now := metav1.NewTime(time.Date(2026, 11, 20, 8, 15, 0, 0, time.UTC))
	minutes := func(n int) metav1.Duration { return metav1.Duration{Duration: time.Duration(n) * time.Minute} }
	return v1alpha1.InferenceAutoscalerStatus{
		ObservedGeneration:  3,
		Conditions:          []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Forecast", Message: "fresh data", LastTransitionTime: now}},
		Selector:            "app=vllm",
		Replicas:            &v1alpha1.ReplicaStatus{Desired: 4, Current: 4, Ready: 2, Starting: 1, Unschedulable: 1},
		RecommendedReplicas: new(int32(4)),
		LeadTime: &v1alpha1.LeadTimeStatus{
			P50: minutes(3), P90: minutes(4), Samples: 12, Source: v1alpha1.SourceMeasured,
			Phases: []v1alpha1.LeadTimePhase{{Name: "schedule", P50: minutes(0), P90: minutes(1)}, {Name: "load", P50: minutes(3), P90: minutes(3)}},
		},
		Capacity: &v1alpha1.CapacityStatus{Source: v1alpha1.SourceLearned, RequestsPerSecond: new(resource.MustParse("2500m")), Message: "from 40 windows near saturation"},
		Demand: &v1alpha1.DemandStatus{
			RequestsPerSecond: new(resource.MustParse("7")), TokensPerSecond: new(resource.MustParse("9k")),
			WaitingRequests: new(int64(0)), RunningRequests: new(int64(31)), Time: &now,
		},
		Forecast: &v1alpha1.ForecastStatus{
			State: v1alpha1.ForecastActive, RequestsPerSecond: new(resource.MustParse("9500m")), Quantile: "90%",
			PromptTokensPerSecond: new(resource.MustParse("11k")), GenerationTokensPerSecond: new(resource.MustParse("1200500m")), TokensPerSecond: new(resource.MustParse("12200500m")),
			Quantiles: []v1alpha1.ForecastQuantile{
				{Quantile: "50%", RequestsPerSecond: resource.MustParse("8")}, {Quantile: "90%", RequestsPerSecond: resource.MustParse("9500m")},
			},
			Horizon: new(minutes(4)), Model: "seasonal", SkillPercent: new(int32(-3)), Message: "two days of history",
			SkillOverHoursPercent: new(int32(12)), SkillAgainstSeasonalPercent: new(int32(40)), Coverage: "89.4%", BiasPercent: new(int32(-2)),
			Due: new(int32(5760)), Weights: []v1alpha1.ForecastWeight{{Name: "last-value", Share: "61%"}, {Name: "regression", Share: "39%"}},
		},
		ErrorBudget: &v1alpha1.ErrorBudgetStatus{Attained: "99.42%", Wanted: "99%", SpentPercent: new(int32(58)), MissPrice: new(resource.MustParse("9"))},
		LastDecision: &v1alpha1.DecisionStatus{
			Time: now, Replicas: 4, Reason: "Forecast", Steps: []string{"demand: 7 requests/s", "bounds: 4 within 1..8"},
			Asked: []v1alpha1.StageReplicas{{Stage: "bounds", Replicas: 4}},
		},
		LastScaleTime: &now,
	}
}

func TestShippedSamplesAreAdmitted(t *testing.T) {
	files, err := filepath.Glob("../../../deploy/samples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(data), "\n---\n") {
			if !strings.Contains(document, "kind: "+v1alpha1.Kind+"\n") {
				continue
			}
			seen++
			if _, err := Parse([]byte(document)); err != nil {
				t.Errorf("%s: %v", filepath.Base(file), err)
			}
		}
	}
	if seen < 5 {
		t.Errorf("found %d InferenceAutoscalers in the samples, want at least 5", seen)
	}
}

func FuzzWhatIsAdmittedCanBeDecoded(f *testing.F) {
	f.Add("1h", "99%", "2.5", "Europe/Berlin", "2026-12-25")
	f.Add("1.5s", "99.5%", "1e3", "Etc/UTC", "2028-02-29")
	f.Add("2m", "99.9%", "1E99999999", "UTC", "2027-02-29")
	f.Add("9999999h", "50.1%", "1e1.5", "Local", "2026-12-25")
	f.Fuzz(func(t *testing.T, duration, percent, quantity, zone, date string) {
		a := map[string]any{
			"apiVersion": "preheat.dev/v1alpha1", "kind": "InferenceAutoscaler", "metadata": map[string]any{"name": "chat"},
			"spec": map[string]any{
				"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "vllm"},
				"maxReplicas":    8,
				"slo":            map[string]any{"ttft": duration, "attainment": percent},
				"capacity":       map[string]any{"requestsPerSecond": quantity},
				"forecast":       map[string]any{"timeZone": zone, "holidays": []any{date}},
				"schedules":      []any{map[string]any{"name": "a", "timeZone": zone, "start": "08:00", "end": "09:00", "minReplicas": 1}},
			},
		}
		data, err := json.Marshal(a)
		if err != nil {
			t.Skip(err)
		}
		begin := time.Now()
		got, err := Parse(data)
		if took := time.Since(begin); took > 2*time.Second { // some ms are usual; the server would be held up as long
			t.Errorf("judged in %v", took)
		}
		if err != nil {
			if strings.Contains(err.Error(), "decode") {
				t.Errorf("admitted, but not decodable, which would stop every watch: %v", err)
			}
			return
		}
		if _, err := got.Spec.SLO.Attainment.Fraction(); err != nil {
			t.Error(err)
		}
		location, err := time.LoadLocation(got.Spec.Schedules[0].TimeZone)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := got.Spec.Forecast.Holidays[0].Start(location); err != nil {
			t.Error(err)
		}
	})
}
