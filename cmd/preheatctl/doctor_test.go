package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/doctor"
)

// examined is a report with each severity.
func examined() doctor.Report {
	return doctor.Report{
		Server: "https://cluster.example:6443", Time: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
		Summary: doctor.Summary{OK: 1, Warnings: 1, Problems: 1, Unknown: 1},
		Findings: []doctor.Finding{
			{Check: "api-server", Severity: doctor.OK, Seen: "answers in 4ms, v1.36.0"},
			{Check: "certificate", Object: "Secret preheat-system/preheat-serving-cert", Severity: doctor.Unknown, Seen: "not looked at: you lack the right to get secrets", Remedy: "ask for the right"},
			{Check: "lead-time", Object: "InferenceAutoscaler ml/vllm", Severity: doctor.Warning, Seen: "assumed, not learned: 5m0s, with 0 starts seen", Remedy: "set spec.leadTime.prior"},
			{Check: "rivals", Object: "InferenceAutoscaler ml/vllm", Severity: doctor.Problem, Seen: "in mode Own, and HorizontalPodAutoscaler web scales Deployment ml/vllm too", Remedy: "kubectl -n ml delete hpa web"},
		},
	}
}

func TestFindingsAreWritten(t *testing.T) {
	for format, name := range map[string]string{"table": "findings.txt", "json": "findings.json", "yaml": "findings.yaml"} {
		var out bytes.Buffer
		o := doctorOptions{format: format}
		if err := o.write(&out, examined()); err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("doctor", name), out.String())
	}
}

func TestDoctorsExitCodes(t *testing.T) {
	for name, tt := range map[string]struct {
		summary doctor.Summary
		strict  bool
		want    int
	}{
		"all ok":                 {doctor.Summary{OK: 3}, true, exitOK},
		"warnings":               {doctor.Summary{Warnings: 1}, false, exitOK},
		"warnings, strict":       {doctor.Summary{Warnings: 1}, true, exitProblems},
		"problems":               {doctor.Summary{Problems: 1, Unknown: 1}, false, exitProblems},
		"unknown":                {doctor.Summary{OK: 5, Unknown: 1}, false, exitSomeUnseen},
		"warnings, some unknown": {doctor.Summary{Warnings: 1, Unknown: 1}, true, exitProblems},
	} {
		code := exitOK
		if err := (&doctorOptions{strict: tt.strict}).judge(tt.summary); err != nil {
			var v verdict
			if !errors.As(err, &v) {
				t.Fatalf("%s: %v is no verdict", name, err)
			}
			code = v.code
		}
		if code != tt.want {
			t.Errorf("%s: exit %d, want %d", name, code, tt.want)
		}
	}
}

// TestDoctorOnTheCommandLine has an API server that knows only its version: all else is a problem or refused.
func TestDoctorOnTheCommandLine(t *testing.T) {
	forbid := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		code, reason := 404, metav1.StatusReasonNotFound
		if forbid {
			code, reason = 403, metav1.StatusReasonForbidden
		}
		if r.URL.Path == "/version" {
			json.NewEncoder(w).Encode(map[string]string{"gitVersion": "v1.36.0"})
			return
		}
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: reason, Code: int32(code)})
	}))
	t.Cleanup(server.Close)
	config := kubeconfig(t, server.URL)
	doctorOn := func(args ...string) (int, string, string) {
		return call(t.Context(), append([]string{"doctor", "--kubeconfig", config}, args...)...)
	}
	if code, out, errs := doctorOn("-A", "-o", "json"); code != exitProblems || !strings.Contains(out, `"severity": "problem"`) || errs != "preheatctl: "+problemsOf(t, out)+" problems\n" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	forbid = true
	if code, out, errs := doctorOn("-n", "ml"); code != exitSomeUnseen || !strings.Contains(out, "list inferenceautoscalers.preheat.dev -n ml") || strings.Contains(out, "\nproblem") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	for args, want := range map[string]int{"--context dead": exitNotLooked, "--context nowhere": exitNotLooked, "-o text": exitUsage, "--timeout 0s": exitUsage, "more": exitUsage} {
		if code, out, errs := doctorOn(strings.Fields(args)...); code != want || out != "" {
			t.Errorf("doctor %s: exit %d, want %d: %s%s", args, code, want, out, errs)
		}
	}
}

func problemsOf(t *testing.T, text string) string {
	t.Helper()
	var r struct {
		Summary struct{ Problems json.Number }
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r.Summary.Problems.String()
}
