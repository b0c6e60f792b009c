package kube

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

const (
	appsResources = `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"apps/v1","resources":[
		{"name":"deployments","singularName":"deployment","namespaced":true,"kind":"Deployment","verbs":["get"]},
		{"name":"deployments/scale","namespaced":true,"group":"autoscaling","version":"v1","kind":"Scale","verbs":["get","update"]}]}`
	scaleObject = `{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"vllm","namespace":"ml","resourceVersion":"42"},"spec":{"replicas":3},"status":{"replicas":3,"selector":"app=vllm"}}`
)

// apiServer answers discovery of apps/v1, and the scale of Deployment ml/vllm with what answer says.
func apiServer(t *testing.T, answer http.HandlerFunc) *scales {
	t.Helper()
	reply := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, body)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/api", reply(`{"kind":"APIVersions","versions":[]}`))
	mux.HandleFunc("/apis", reply(`{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}}]}`))
	mux.HandleFunc("/apis/apps/v1", reply(appsResources))
	mux.HandleFunc("/apis/apps/v1/namespaces/ml/deployments/vllm/scale", answer)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	clients, err := Connect(&rest.Config{Host: server.URL}, "")
	if err != nil {
		t.Fatal(err)
	}
	return &scales{client: clients.Scales, mapping: &mapping{mapper: clients.Mapper, period: time.Minute}, manager: "preheat"}
}

func status(code int, reason string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"no","details":{"name":"vllm"}}`, reason, code)
	}
}

func TestReadFaultsNameWhatToCheck(t *testing.T) {
	target := scaleTarget{"ml", "apps", "Deployment", "vllm"}
	for name, tt := range map[string]struct {
		target scaleTarget
		answer http.HandlerFunc
		want   scaling.Reason
		says   string
	}{
		"an object that does not exist":      {target, status(404, "NotFound"), TargetNotFound, "Deployment ml/vllm does not exist; create it or check"},
		"a kind without a scale subresource": {target, http.NotFound, TargetNotScalable, "has no scale subresource"},
		"a kind that nobody knows":           {scaleTarget{"ml", "apps", "Deploymint", "vllm"}, http.NotFound, TargetNotScalable, `no kind Deploymint in group "apps"`},
		"a right that is missing":            {target, status(403, "Forbidden"), ReadFailed, "grant get on deployments.apps/scale"},
		"a server in trouble":                {target, status(500, "InternalError"), ReadFailed, "cannot read the scale of Deployment ml/vllm"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := apiServer(t, tt.answer).read(t.Context(), tt.target, t0)
			if got := ReasonOf(err); got != tt.want || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("reason %q, error %v; want %q with %q", got, err, tt.want, tt.says)
			}
		})
	}
}

func TestScaleIsWrittenWithItsResourceVersion(t *testing.T) {
	var written, manager string
	s := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPut {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			written, manager = string(body), r.URL.Query().Get("fieldManager")
		}
		fmt.Fprint(w, scaleObject)
	})
	read, err := s.read(t.Context(), scaleTarget{"ml", "apps", "Deployment", "vllm"}, t0)
	if err != nil || read.replicas() != 3 {
		t.Fatalf("read %d replicas, %v; want 3", read.replicas(), err)
	}
	if err := s.write(t.Context(), read, 5); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"resourceVersion":"42"`, `"replicas":5`} {
		if !strings.Contains(written, part) {
			t.Errorf("written %s, want %s in it", written, part)
		}
	}
	if manager != "preheat" {
		t.Errorf("field manager %q, want preheat", manager)
	}
}

func TestPodSelector(t *testing.T) {
	for name, tt := range map[string]struct {
		selector string
		fails    string
	}{
		"labels":                {"app=vllm,tier in (a,b)", ""},
		"none selects nothing":  {"", "names no pod selector"},
		"one that is no syntax": {"app=(", "cannot be parsed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := scaleRead{scale: &autoscalingv1.Scale{Status: autoscalingv1.ScaleStatus{Selector: tt.selector}}}
			got, err := r.podSelector()
			if tt.fails == "" && (err != nil || got.String() != tt.selector) {
				t.Errorf("selector %v, %v; want %s", got, err, tt.selector)
			}
			if tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails) || ReasonOf(err) != TargetNotScalable) {
				t.Errorf("error %v, want TargetNotScalable with %q", err, tt.fails)
			}
		})
	}
}

// countingMapper knows no kind, and counts how often it was told to look again.
type countingMapper struct {
	meta.RESTMapper
	resets int
}

func (m *countingMapper) Reset() { m.resets++ }

func (m *countingMapper) RESTMapping(gk schema.GroupKind, _ ...string) (*meta.RESTMapping, error) {
	return nil, &meta.NoKindMatchError{GroupKind: gk}
}

func TestUnknownKindsAreLookedUpAnewOncePerPeriod(t *testing.T) {
	mapper := &countingMapper{}
	m := &mapping{mapper: mapper, period: time.Minute}
	for second := range 125 {
		_, err := m.resource(schema.GroupKind{Kind: "Unknown"}, t0.Add(time.Duration(second)*time.Second))
		if !meta.IsNoMatchError(err) {
			t.Fatalf("error %v, want no match", err)
		}
	}
	if mapper.resets != 3 {
		t.Errorf("%d discoveries in 125 s, want 3", mapper.resets)
	}
}

func TestFaultsKeepTheirCause(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("observe: %w", &Fault{Reason: ReadFailed, Message: "cannot read", Err: cause})
	if !errors.Is(err, cause) || ReasonOf(err) != ReadFailed || err.Error() != "observe: cannot read: cause" {
		t.Errorf("error %v, reason %q", err, ReasonOf(err))
	}
}
