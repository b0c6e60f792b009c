package pools

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/client"
	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// NewClient narrows a connection to the WarmPools of a namespace, or of all.
func NewClient(c *client.Client, namespace string) Client { return connection{c, namespace} }

type connection struct {
	all       *client.Client
	namespace string
}

// Served implements Client. A missing right counts as a missing kind, which older rights do not know: that stops nobody who
// has no pool.
func (c connection) Served(ctx context.Context) (bool, error) {
	_, err := c.all.PoolsInNamespace(c.namespace).List(ctx, metav1.ListOptions{Limit: 1})
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return false, nil
	}
	return false, fmt.Errorf("list WarmPools: %w", err)
}

// UpdateStatus implements Client.
func (c connection) UpdateStatus(ctx context.Context, p *v1alpha1.WarmPool) error {
	_, err := c.all.PoolsInNamespace(p.Namespace).UpdateStatus(ctx, p, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it is gone, or the next look sees it as it is
	}
	return err
}
