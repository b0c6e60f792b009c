package scrape

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
)

// reason is why a scrape failed; the set is closed and labels the failure metric.
type reason string

const (
	reasonAddress       reason = "address"
	reasonTimeout       reason = "timeout"
	reasonRefused       reason = "refused"
	reasonConnection    reason = "connection"
	reasonRedirect      reason = "redirect"
	reasonStatus        reason = "status"
	reasonTooLarge      reason = "too_large"
	reasonTorn          reason = "torn"
	reasonNotExposition reason = "not_exposition"
	reasonNoEngine      reason = "no_engine"
	reasonProfile       reason = "profile"
	reasonOverlap       reason = "overlap" // the pod's last scrape still ran
)

// remedies say what to look at.
var remedies = map[reason]string{
	reasonAddress:       "check the metrics port, path and scheme in the spec or the pod's annotations",
	reasonTimeout:       "check that the engine is not overloaded or loading, and that network policies let this pod reach the port",
	reasonRefused:       "nothing listens there: check the metrics port, and whether the engine has started",
	reasonConnection:    "check the metrics port and scheme, and network policies",
	reasonRedirect:      "set the metrics path to where the page really is",
	reasonStatus:        "check the metrics path, and whether the engine was started with metrics enabled",
	reasonTooLarge:      "check that the path is the engine's metric page",
	reasonTorn:          "the engine or a proxy before it broke off; if it lasts, look at the engine's log",
	reasonNotExposition: "check the metrics path: something else answers there",
	reasonNoEngine:      "check the metrics port and path, and that the engine's metrics are enabled",
	reasonProfile:       "correct the engine name in the spec",
}

// failure is an error with its reason, for people.
type failure struct {
	reason reason
	err    error
	text   string
}

// Error names the URL, what went wrong and what to check.
func (f *failure) Error() string { return f.text }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

// explain adds to an error where it happened and what to check.
func explain(e Endpoint, err error) error {
	why := classify(err)
	text := fmt.Sprintf("scrape pod %s/%s at %s: %v; %s", e.Pod.Namespace, e.Pod.Name, e.URL, cause(err), remedies[why])
	return &failure{reason: why, err: err, text: text}
}

// reasonOf returns the reason of an explained error.
func reasonOf(err error) reason {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.reason
	}
	return classify(err)
}

// classify finds an error's reason; timeouts come first, since they can end any stage.
func classify(err error) reason {
	var network net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout() {
		return reasonTimeout
	}
	if status, ok := errors.AsType[*statusError](err); ok {
		if status.redirects() {
			return reasonRedirect
		}
		return reasonStatus
	}
	for _, known := range []struct {
		target error
		reason reason
	}{
		{errAddress, reasonAddress},
		{errTooLarge, reasonTooLarge},
		{errBody, reasonTorn},
		{errProfile, reasonProfile},
		{exposition.ErrTorn, reasonTorn},
		{exposition.ErrNotExposition, reasonNotExposition},
		{exposition.ErrNoEngine, reasonNoEngine},
		{syscall.ECONNREFUSED, reasonRefused},
	} {
		if errors.Is(err, known.target) {
			return known.reason
		}
	}
	return reasonConnection
}

// cause takes the method and URL, which are said already, off an HTTP client's error.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) && !errors.Is(err, errAddress) {
		return u.Err
	}
	return err
}
