package scrape

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Request is for one page at an address that a person gave, which unlike a pod's may be a name.
type Request struct {
	// URL is the page's address, http or https.
	URL string
	// Token is sent as a bearer token; empty for none.
	Token string
	// TLS configures https; nil verifies certificates with the system's roots.
	TLS *tls.Config
	// Timeout bounds all of it (default 3 s).
	Timeout time.Duration
}

// Page is one that was fetched or read.
type Page struct {
	Text        []byte
	ContentType string
}

// Get fetches one page within the bounds that a Scraper has: its size, its time, no redirect. Proxies are those of the
// environment. The error names the address and what to check.
func Get(ctx context.Context, r Request) (Page, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return Page{}, fmt.Errorf("%w: %w", errAddress, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return Page{}, fmt.Errorf("%w %q: write http://HOST:PORT/PATH, or https", errAddress, r.URL)
	}
	f := newFetcher(cmp.Or(r.Timeout, defaultTimeout), defaultBodyLimit, r.TLS)
	f.proxied()
	defer f.client.CloseIdleConnections()
	got, err := f.get(ctx, r.URL, r.Token, time.Now)
	if err != nil {
		return Page{}, fmt.Errorf("get %s: %w; %s", u.Redacted(), cause(err), asked(err))
	}
	return Page{Text: got.body.Bytes(), ContentType: got.contentType}, nil
}

// proxied lets the environment name a proxy.
func (f *fetcher) proxied() {
	if t, ok := f.client.Transport.(*http.Transport); ok {
		t.Proxy = http.ProxyFromEnvironment
	}
}

// asked is what to check where somebody asked for the page.
func asked(err error) string {
	switch why := classify(err); why {
	case reasonRefused:
		return "nothing listens there: check host and port, and whether the engine has started"
	case reasonConnection:
		return "check host, port and scheme; of a certificate that is not known here, name the authority"
	case reasonTimeout:
		return "check host, port and what lies between, or allow more time"
	case reasonRedirect:
		return "ask for the page where it is"
	case reasonStatus:
		return "check the path, whether the engine was started with metrics enabled, and whether it wants a token"
	default:
		return remedies[why]
	}
}

// byteOrderMark is what some editors put before a text.
const byteOrderMark = "\ufeff"

// Read takes a page of a file, of at most the size that a Scraper takes, without the mark that an editor left on it.
func Read(r io.Reader) (Page, error) {
	f := fetcher{bodyLimit: defaultBodyLimit}
	body, err := f.read(r)
	if err != nil {
		return Page{}, err
	}
	return Page{Text: bytes.TrimPrefix(body.Bytes(), []byte(byteOrderMark))}, nil
}
