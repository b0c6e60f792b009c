package record

import (
	"context"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/preheat-autoscaler/preheat/pkg/prom"
)

// Connection says how to reach Prometheus.
type Connection = prom.Connection

// Why Prometheus does not answer whatever it is asked. Run wraps one of these where it can tell.
var (
	ErrUnreachable = prom.ErrUnreachable
	ErrUntrusted   = prom.ErrUntrusted
	ErrDenied      = prom.ErrDenied
	ErrElsewhere   = prom.ErrElsewhere
)

// Connect returns an API. It does not connect yet.
func Connect(c Connection) (API, error) {
	connected, err := prom.Connect(c)
	if err != nil {
		return nil, err
	}
	return api{connected}, nil
}

// api leaves out what recording does not look at.
type api struct{ v1.API }

// QueryRange asks for a range.
func (a api) QueryRange(ctx context.Context, query string, r v1.Range, opts ...v1.Option) (model.Value, v1.Warnings, error) {
	value, warnings, _, err := a.API.QueryRange(ctx, query, r, opts...)
	return value, warnings, err
}
