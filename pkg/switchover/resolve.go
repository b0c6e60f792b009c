package switchover

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/preheat-autoscaler/preheat/pkg/activator"
	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// TargetHeader names the target of a request, as namespace/name of its InferenceAutoscaler, for gateways that can set headers.
const TargetHeader = "Preheat-Target"

// modelLimit is how much of a body is read to find its model. In bytes.
const modelLimit = 1 << 20

type targetKey struct{}

// WithTarget marks a request as one for a target, since it came in by that target's own port.
func WithTarget(ctx context.Context, target string) context.Context {
	return context.WithValue(ctx, targetKey{}, target)
}

// Resolver says which target a request is for: the one whose port it came in by; else, for gateways, the one that TargetHeader
// names, the one whose Service the host names (service.namespace, with or without svc and the cluster's domain), and at last
// the one that has the body's model in spec.activator.models.
func Resolver(c *Caches) activator.Resolver {
	byModel := activator.ByModel(modelLimit, c.targetOfModel)
	return func(r *http.Request) (string, error) {
		if target, ok := r.Context().Value(targetKey{}).(string); ok {
			return target, nil
		}
		if asked := r.Header.Get(TargetHeader); asked != "" {
			namespace, name, _ := strings.Cut(asked, "/")
			a, ok := c.autoscaler(types.NamespacedName{Namespace: namespace, Name: name})
			if !ok || a.Spec.Activator == nil {
				return "", fmt.Errorf("%w: header %s is %q, and no InferenceAutoscaler of that namespace/name has spec.activator", activator.ErrUnknownTarget, TargetHeader, asked)
			}
			return asked, nil
		}
		if target, ok := c.targetOfHost(r.Host); ok {
			return target, nil
		}
		return byModel(r)
	}
}

// targetOfHost is the target whose Service a host names.
func (c *Caches) targetOfHost(host string) (string, bool) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	labels := strings.Split(host, ".")
	if len(labels) < 2 || len(labels) > 2 && labels[2] != "svc" {
		return "", false
	}
	a := c.firstOf(labels[1], labels[0])
	if a == nil {
		return "", false
	}
	return nameOf(a).String(), true
}

// targetOfModel is the target that serves a model, the oldest where several say so.
func (c *Caches) targetOfModel(model string) (string, bool) {
	var oldest *v1alpha1.InferenceAutoscaler
	for _, a := range c.autoscalers() {
		if slices.Contains(a.Spec.Activator.Models, model) && (oldest == nil || older(a, oldest)) {
			oldest = a
		}
	}
	if oldest == nil {
		return "", false
	}
	return nameOf(oldest).String(), true
}
