package activator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// idleConnTimeout is below the 5 s after which uvicorn, and with it vLLM and SGLang, closes a silent connection: a request
// that is sent while the engine closes is lost without it being known whether the engine saw it.
const idleConnTimeout = 4 * time.Second

// dialError says that no connection came about, so that nothing has reached the endpoint.
type dialError struct {
	address string
	err     error
}

func (e *dialError) Error() string { return fmt.Sprintf("dial %s: %v", e.address, e.err) }
func (e *dialError) Unwrap() error { return e.err }

// transports are the ways to an endpoint.
type transports struct {
	http1, http2 *http.Transport
}

func newTransports(o Options) transports {
	dialer := &net.Dialer{Timeout: o.ConnectTimeout}
	transport := func(choose func(*http.Protocols)) *http.Transport {
		protocols := new(http.Protocols)
		choose(protocols)
		return &http.Transport{
			Protocols: protocols,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, &dialError{address, err}
				}
				return &deadlineConn{conn, o.ResponseHeaderTimeout}, nil
			},
			ResponseHeaderTimeout: o.ResponseHeaderTimeout,
			IdleConnTimeout:       idleConnTimeout,
			MaxIdleConnsPerHost:   1024,
			DisableCompression:    true, // bytes pass as they are
		}
	}
	return transports{
		http1: transport(func(p *http.Protocols) { p.SetHTTP1(true) }),
		http2: transport(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }),
	}
}

// of is the way for a request: HTTP/1.1, which every engine speaks, but for gRPC.
func (t transports) of(r *http.Request) http.RoundTripper {
	if isGRPC(r) {
		return t.http2
	}
	return t.http1
}

func (t transports) closeIdle() {
	t.http1.CloseIdleConnections()
	t.http2.CloseIdleConnections()
}

func isGRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// deadlineConn bounds each write: an endpoint that accepts and does not read would hold a large request for ever.
type deadlineConn struct {
	net.Conn
	timeout time.Duration
}

func (c *deadlineConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// bufferPool lends the buffers with which responses are copied.
type bufferPool struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (p *bufferPool) Put(b []byte) { p.pool.Put(&b) }
