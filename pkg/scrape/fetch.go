package scrape

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// accept prefers the text format: for some engines OpenMetrics is served by another route with other names.
const accept = "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"

// fetcher gets pages over HTTP.
type fetcher struct {
	client    *http.Client
	timeout   time.Duration
	bodyLimit int64
}

func newFetcher(timeout time.Duration, bodyLimit int64, tlsConfig *tls.Config) *fetcher {
	transport := &http.Transport{
		Proxy:                  nil, // pods are asked directly
		DialContext:            (&net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    timeout,
		MaxIdleConns:           0,       // one a pod is kept: to connect anew costs as much as all else
		ReadBufferSize:         2 << 10, // for headers: a page is read past it
		WriteBufferSize:        1 << 10,
		MaxIdleConnsPerHost:    1,
		MaxConnsPerHost:        2,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &fetcher{
		timeout:   timeout,
		bodyLimit: bodyLimit,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// fetched is a page as it came. free gives its memory back; its bytes must not be used after that.
type fetched struct {
	body        *bytes.Buffer
	contentType string
	// at is when the answer began, which is when the engine had written the page.
	at time.Time
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func newBody() *bytes.Buffer { return bodies.Get().(*bytes.Buffer) }

func freeBody(b *bytes.Buffer) {
	const most = 1 << 20 // a rare large page must not stay in memory
	if b.Cap() <= most {
		b.Reset()
		bodies.Put(b)
	}
}

func (p *fetched) free() { freeBody(p.body) }

// fetch gets the page of a pod. Errors are *url.Error, *statusError or one of this package's sentinels.
func (f *fetcher) fetch(ctx context.Context, address string, clock func() time.Time) (*fetched, error) {
	if err := checkAddress(address); err != nil {
		return nil, err
	}
	return f.get(ctx, address, "", clock)
}

// get gets a page, with a bearer token where that is not empty. Errors are those of fetch.
func (f *fetcher) get(ctx context.Context, address, token string, clock func() time.Time) (*fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAddress, err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "preheat")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // all that matters has been read
	at := clock()
	if resp.StatusCode != http.StatusOK {
		return nil, &statusError{code: resp.StatusCode, location: resp.Header.Get("Location")}
	}
	body, err := f.read(resp.Body)
	if err != nil {
		return nil, err
	}
	return &fetched{body: body, contentType: resp.Header.Get("Content-Type"), at: at}, nil
}

// read takes a body of at most the limit.
func (f *fetcher) read(r io.Reader) (*bytes.Buffer, error) {
	body := newBody()
	n, err := body.ReadFrom(io.LimitReader(r, f.bodyLimit+1))
	switch {
	case err != nil:
		freeBody(body)
		return nil, fmt.Errorf("%w after %d bytes: %w", errBody, n, err)
	case n > f.bodyLimit:
		freeBody(body)
		return nil, fmt.Errorf("%w of %d bytes", errTooLarge, f.bodyLimit)
	}
	return body, nil
}

// checkAddress refuses everything but http(s) to an IP address: a name could be made to point anywhere.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errAddress, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%w: scheme %q is neither http nor https", errAddress, u.Scheme)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		return fmt.Errorf("%w: host %q is not an IP address", errAddress, u.Hostname())
	}
	return nil
}

// statusError is an answer other than 200.
type statusError struct {
	code     int
	location string
}

// Error names the status, and for a redirect where it leads.
func (e *statusError) Error() string {
	text := fmt.Sprintf("HTTP status %d %s", e.code, http.StatusText(e.code))
	if e.redirects() {
		return fmt.Sprintf("%s to %q, which is not followed", text, e.location)
	}
	return text
}

func (e *statusError) redirects() bool { return e.code >= 300 && e.code < 400 }

var (
	errAddress  = errors.New("bad endpoint address")
	errBody     = errors.New("page was cut off")
	errTooLarge = errors.New("page exceeds the limit")
	errProfile  = errors.New("no engine profile is named")
)
