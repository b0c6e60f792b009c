package prom

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

// Why Prometheus does not answer whatever it is asked.
var (
	// ErrUnreachable means that nothing answers at the address.
	ErrUnreachable = errors.New("prometheus cannot be reached")
	// ErrUntrusted means that the server's certificate is not trusted.
	ErrUntrusted = errors.New("the certificate of prometheus is not trusted")
	// ErrDenied means that the server wants to know who asks.
	ErrDenied = errors.New("prometheus denies access")
	// ErrElsewhere means that something else answers than Prometheus' API.
	ErrElsewhere = errors.New("no prometheus answers at this address")
)

// Obstacle is which of these a failed query met, nil where it is none or where the query itself is at fault.
func Obstacle(err error) error {
	if answer, ok := errors.AsType[*v1.Error](err); ok {
		return refusal(answer)
	}
	dial, isNet := errors.AsType[*net.OpError](err)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, isPlain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return nil
	case isNet && dial.Op == "dial":
		return ErrUnreachable // also after the time for dialling, which is shorter than that for a query
	case errors.Is(err, context.DeadlineExceeded):
		return nil
	case isCertificate:
		return ErrUntrusted
	case isPlain, errors.Is(err, http.ErrSchemeMismatch):
		return ErrElsewhere
	case isNet && dial.Op == "remote error": // a TLS alert: it wants a client certificate, or another one
		return ErrDenied
	case isNet, errors.Is(err, io.EOF):
		return ErrUnreachable
	}
	return nil
}

// refusal is what an answer that holds no data comes of. Prometheus' own words on a query are of other types.
func refusal(answer *v1.Error) error {
	switch answer.Type {
	case v1.ErrClient:
		if strings.HasSuffix(answer.Msg, " 401") || strings.HasSuffix(answer.Msg, " 403") {
			return ErrDenied
		}
		return ErrElsewhere
	case v1.ErrBadResponse:
		return ErrElsewhere
	case v1.ErrServer:
		return ErrUnreachable // a proxy's word, for Prometheus has its own
	default:
		return nil
	}
}
