package prom

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the reader's own.
type metrics struct {
	duration prometheus.Histogram
	failures *prometheus.CounterVec
	pods     prometheus.Gauge
}

// newMetrics makes the metrics and registers them where there is a registerer.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "preheat_prometheus_query_duration_seconds", Help: "Time that Prometheus took to answer a query for readings.",
			Buckets: prometheus.ExponentialBuckets(0.004, 2, 12),
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "preheat_prometheus_query_failures_total", Help: "Queries for readings that Prometheus did not answer well, by reason.",
		}, []string{"reason"}),
		pods: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "preheat_prometheus_pods", Help: "Engine pods that are read out of Prometheus.",
		}),
	}
	for _, why := range append(reasons, otherReason) {
		m.failures.WithLabelValues(why.name)
	}
	if r == nil {
		return m, nil
	}
	return m, errors.Join(r.Register(m.duration), r.Register(m.failures), r.Register(m.pods))
}

// reason is why a query failed; the set is closed and labels the failure metric.
type reason struct {
	name, remedy string
	of           error
}

// reasons in the order in which they are asked; a timeout can end any stage.
var reasons = []reason{
	{"timeout", "it is overloaded or far away: raise --prometheus-timeout, or look at its load", context.DeadlineExceeded},
	{"too_large", "one pod has too many series: see whether its metrics have labels without bound, or raise --prometheus-max-bytes", ErrTooLarge},
	{"partial", "a store behind it does not answer: look at the stores of Thanos or Mimir, or whatever answers the queries", ErrPartial},
	{"answer", "check that --prometheus-url is Prometheus' own API", errAnswer},
	{"unreachable", "check --prometheus-url, and network policies", ErrUnreachable},
	{"untrusted", "give --prometheus-ca-file or --prometheus-server-name", ErrUntrusted},
	{"denied", "check --prometheus-bearer-token-file, the user and its password, or the client certificate", ErrDenied},
	{"elsewhere", "check --prometheus-url: http or https, the port, and the path before /api/v1", ErrElsewhere},
}

var otherReason = reason{name: "query", remedy: "it refused the query: check the expressions in the spec"}

// reasonOf finds an error's reason.
func reasonOf(err error) reason {
	met := Obstacle(err)
	for _, why := range reasons {
		if errors.Is(err, why.of) || met != nil && errors.Is(met, why.of) {
			return why
		}
	}
	return otherReason
}

// cause takes the method and URL off a client's error, which may hold a password, and says what the API said.
func cause(err error, timeout time.Duration) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %v: %w", timeout, context.DeadlineExceeded)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	if answer, ok := errors.AsType[*v1.Error](err); ok {
		return fmt.Errorf("%s: %s", answer.Type, answer.Msg)
	}
	return err
}
