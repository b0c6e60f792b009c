package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
)

// metricsReader reads custom metrics through the API server, as kubectl get --raw does.
type metricsReader struct{ client rest.Interface }

func newMetricsReader(kube kubernetes.Interface) *metricsReader {
	return &metricsReader{kube.Discovery().RESTClient()}
}

// errUnknown means that the metrics API has no value for now.
var errUnknown = errors.New("no value")

// pods returns how many pods of a namespace's workload have a value of a metric.
func (m *metricsReader) pods(ctx context.Context, namespace, metric string) (int, error) {
	list, err := m.read(ctx, namespace, "pods/*", metric)
	if errors.Is(err, errUnknown) {
		return 0, nil
	}
	return len(list.Items), err
}

// object returns the value of a metric of one object, such as "deployments.apps/chat". It is errUnknown while there is
// none.
func (m *metricsReader) object(ctx context.Context, namespace, object, metric string) (float64, error) {
	list, err := m.read(ctx, namespace, object, metric)
	if err != nil {
		return 0, err
	}
	if len(list.Items) == 0 {
		return 0, errUnknown
	}
	return list.Items[0].Value.AsApproximateFloat64(), nil
}

func (m *metricsReader) read(ctx context.Context, namespace, object, metric string) (v1beta2.MetricValueList, error) {
	var list v1beta2.MetricValueList
	path := fmt.Sprintf("/apis/%s/namespaces/%s/%s/%s", v1beta2.SchemeGroupVersion, namespace, object, metric)
	body, err := m.client.Get().AbsPath(path).DoRaw(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return list, errUnknown
	case err != nil:
		return list, fmt.Errorf("read %s: %w", path, err)
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return list, fmt.Errorf("decode %s: %w", path, err)
	}
	return list, nil
}
