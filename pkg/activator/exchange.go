package activator

import (
	"bytes"
	"container/list"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"time"
)

// exchange is one request on its way. Its handler's goroutine has it, but for what the Activator's mutex guards.
type exchange struct {
	a       *Activator
	w       *response
	r       *http.Request
	target  *target // the activator's unresolved one until it is known
	arrived time.Time

	body     []byte // what is buffered
	buffered bool   // the body can be sent again
	kept     *kept  // the body of a held gRPC request while it is in flight

	// Guarded by the Activator's mutex.
	seq      uint64        // order of arrival
	place    *list.Element // in the target's queue; nil where it is not held
	ripe     bool          // held, and arrived in full
	reserved int64         // bytes
	turn     chan error    // gets one verdict for each time that it is held: nil is an endpoint
	endpoint *endpoint     // where it is in flight
}

// resolve finds the request's target.
func (x *exchange) resolve() error {
	name, err := x.ask()
	var known *refusal
	switch {
	case errors.As(err, &known):
		return &refusal{known.reason, err.Error()}
	case errors.Is(err, ErrUnknownTarget):
		return &refusal{UnknownTarget, err.Error()}
	case err != nil:
		return &refusal{BadRequest, err.Error()}
	}
	x.a.mu.Lock()
	defer x.a.mu.Unlock()
	read := x.reserved
	x.a.unbuffer(x)
	x.target = x.a.target(name)
	x.a.account(x, read)
	x.target.arrivals++
	return nil
}

// ask asks the resolver, which may read the body.
func (x *exchange) ask() (target string, err error) {
	if x.r.Body == nil || x.r.Body == http.NoBody {
		return x.a.opts.Resolve(x.r)
	}
	x.bound(x.arrived.Add(x.a.opts.MaxAge))
	defer x.bound(time.Time{})
	body := &peeked{ReadCloser: x.r.Body, x: x}
	x.r.Body = body
	target, err = x.a.opts.Resolve(x.r)
	body.resolved = true
	if x.r.Body == body {
		x.r.Body = body.ReadCloser
	}
	return target, err
}

// admit returns when the request has an endpoint.
func (x *exchange) admit() error {
	held, err := x.a.take(x)
	if err != nil || !held {
		return err
	}
	if err := x.buffer(); err != nil {
		return x.a.withdraw(x, err)
	}
	x.a.ripen(x)
	return x.wait()
}

// bound sets until when the client may take to send; the zero time is for ever. Where the connection knows no deadlines,
// the wait is bounded by the request's context alone.
func (x *exchange) bound(deadline time.Time) {
	_ = http.NewResponseController(x.w).SetReadDeadline(deadline)
}

// interrupt ends the reading of the body.
func (x *exchange) interrupt() { x.bound(time.Unix(1, 0)) }

// newProxy is what the proxies of all requests have in common.
func newProxy(o Options) httputil.ReverseProxy {
	return httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme = "http"
			p.Out.URL.RawQuery = p.In.URL.RawQuery
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.SetXForwarded()
		},
		FlushInterval: -1,
		BufferPool:    &bufferPool{},
		ErrorLog:      slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
}

// forward sends the request to its endpoint and passes the answer on.
func (x *exchange) forward() {
	proxy := x.a.proxy
	proxy.Transport = x
	proxy.ModifyResponse = x.w.adapt
	proxy.ErrorHandler = func(_ http.ResponseWriter, _ *http.Request, err error) { x.fail(err) }
	proxy.ServeHTTP(x.w, x.r)
}

// RoundTrip implements http.RoundTripper for the request's proxy: it tries the endpoint that the request has, and goes on to
// the next only where it is certain that no engine has worked on it.
func (x *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	for {
		resp, err := x.a.transports.of(x.r).RoundTrip(x.outgoing(r))
		if !x.refusedBy(resp, err) {
			if err == nil {
				x.a.answered(x)
			}
			return resp, err
		}
		x.a.bounced(x)
		if err := x.admit(); err != nil {
			return nil, err
		}
	}
}

// refusedBy tells whether the endpoint certainly did not take the request, and the request can be sent again.
func (x *exchange) refusedBy(resp *http.Response, err error) bool {
	var dial *dialError
	switch {
	case x.r.Context().Err() != nil:
		return false
	case errors.As(err, &dial):
		return true
	case err == nil && x.stillLoading(resp) && x.canRepeat():
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
		resp.Body.Close()
		return true
	default:
		return false
	}
}

// grpcUnavailable is the status code UNAVAILABLE of gRPC.
const grpcUnavailable = "14"

// stillLoading tells whether an endpoint says that it does not serve yet. The status of a gRPC call is among the headers only
// where nothing else is to follow (trailers-only).
func (x *exchange) stillLoading(resp *http.Response) bool {
	return resp.StatusCode == http.StatusServiceUnavailable || isGRPC(x.r) && resp.Header.Get("Grpc-Status") == grpcUnavailable
}

// canRepeat tells whether the body can be sent again: it was buffered, or has been kept as a whole by now.
func (x *exchange) canRepeat() bool {
	if body, ok := x.kept.whole(); ok {
		x.body, x.buffered = body, true
	}
	return x.buffered
}

// outgoing is the request as this attempt sends it.
func (x *exchange) outgoing(r *http.Request) *http.Request {
	out := r.WithContext(r.Context())
	url := *r.URL
	url.Host = x.endpoint.Address
	out.URL = &url
	if x.w.begun {
		out.Header.Del("Accept-Encoding") // the stream has begun without
	}
	switch {
	case x.buffered && len(x.body) == 0:
		out.Body, out.ContentLength = http.NoBody, 0
	case x.buffered:
		out.Body, out.ContentLength, out.TransferEncoding = &replay{left: x.body}, int64(len(x.body)), nil
	case x.kept != nil && r.Body != nil:
		x.kept.from = r.Body
		out.Body = io.NopCloser(x.kept)
	case r.Body != nil:
		out.Body = io.NopCloser(r.Body) // an attempt that reads nothing must not close it; the proxy does
	}
	return out
}

// lingering is how long net/http may read the rest of a body before it sends an error, so that the connection can be used
// again.
const lingering = time.Second

// fail answers with an error, and counts it.
func (x *exchange) fail(err error) {
	why := x.refusalOf(err)
	x.a.mu.Lock()
	x.target.refused[why.reason]++
	x.a.mu.Unlock()
	if x.w.begun {
		x.w.event(why.body())
		return
	}
	if !x.buffered {
		x.bound(time.Now().Add(lingering))
	}
	why.answer(x.w, x.a.opts.RetryAfter)
}

// replay is a buffered body that is let go of when it has been read: the transport keeps the request for as long as the
// response streams.
type replay struct{ left []byte }

func (b *replay) Read(p []byte) (int, error) {
	if len(b.left) == 0 {
		b.left = nil
		return 0, io.EOF
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

// WriteTo implements io.WriterTo, so that the body is not copied on its way.
func (b *replay) WriteTo(w io.Writer) (int64, error) {
	n, err := bytes.NewReader(b.left).WriteTo(w)
	b.left = nil
	return n, err
}

// Close implements io.Closer.
func (*replay) Close() error { return nil }
