package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Severity says how much a finding matters.
type Severity string

// The severities. What could not be looked at is Unknown, never OK.
const (
	OK      Severity = "ok"
	Warning Severity = "warning"
	Problem Severity = "problem"
	Unknown Severity = "unknown"
)

// Finding is one thing that was looked at.
type Finding struct {
	// Check is the word for what was looked at, of a closed set: see Checks.
	Check string `json:"check"`
	// Object is what it was seen on, "Kind name" or "Kind namespace/name"; empty where that is the cluster.
	Object string `json:"object,omitempty"`
	// Severity says how much it matters.
	Severity Severity `json:"severity"`
	// Seen is a sentence: what was seen.
	Seen string `json:"seen"`
	// Remedy is a command to run or a field to change; empty for OK.
	Remedy string `json:"remedy,omitempty"`
}

// Summary counts findings.
type Summary struct {
	OK       int `json:"ok"`
	Warnings int `json:"warnings"`
	Problems int `json:"problems"`
	Unknown  int `json:"unknown"`
}

// Report is what was found, in a fixed order.
type Report struct {
	// Server is the address of the API server.
	Server string `json:"server"`
	// Time is when the examination began, by the API server's clock where it told.
	Time time.Time `json:"time"`
	// Summary counts Findings.
	Summary Summary `json:"summary"`
	// Findings are in the order of Checks, and of objects by namespace and name.
	Findings []Finding `json:"findings"`
}

// count fills Summary.
func (r *Report) count() {
	for _, f := range r.Findings {
		switch f.Severity {
		case OK:
			r.Summary.OK++
		case Warning:
			r.Summary.Warnings++
		case Problem:
			r.Summary.Problems++
		default:
			r.Summary.Unknown++
		}
	}
}

// ward collects the findings of one check on one object.
type ward struct {
	check, object string
	found         []Finding
}

func (w *ward) add(s Severity, seen, remedy string) {
	w.found = append(w.found, Finding{Check: w.check, Object: w.object, Severity: s, Seen: seen, Remedy: remedy})
}

func (w *ward) ok(format string, args ...any) { w.add(OK, fmt.Sprintf(format, args...), "") }

func (w *ward) warn(remedy, format string, args ...any) {
	w.add(Warning, fmt.Sprintf(format, args...), remedy)
}

func (w *ward) problem(remedy, format string, args ...any) {
	w.add(Problem, fmt.Sprintf(format, args...), remedy)
}

func (w *ward) unknown(remedy, format string, args ...any) {
	w.add(Unknown, fmt.Sprintf(format, args...), remedy)
}

// right is what a read takes.
type right struct{ verb, resource, namespace string }

// String names it as `kubectl auth can-i` wants it.
func (r right) String() string {
	switch r.namespace {
	case "":
		return fmt.Sprintf("%s %s -A", r.verb, r.resource)
	case clusterScope:
		return fmt.Sprintf("%s %s", r.verb, r.resource)
	}
	return fmt.Sprintf("%s %s -n %s", r.verb, r.resource, r.namespace)
}

// clusterScope is in place of the namespace of a right on what has none.
const clusterScope = "\x00"

// unread reports what could not be read, with the right that is missing where that is why.
func (w *ward) unread(r right, err error) {
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		w.unknown("ask for the right; 'kubectl auth can-i "+r.String()+"' tells when you have it", "not looked at: you lack the right to %s", r)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err):
		w.unknown("give a longer --timeout", "not looked at: no answer in time to %s", r)
	default:
		w.unknown("see that the API server serves it: kubectl get --raw /readyz?verbose", "not looked at: %s: %s", r, oneLine(err))
	}
}

// oneLine is the text of an error without line breaks.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
