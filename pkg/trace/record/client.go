package record

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	promapi "github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Connection says how to reach Prometheus.
type Connection struct {
	// URL is the address, http or https, with the path prefix if there is one, and user:password@ for basic
	// authentication.
	URL string
	// TokenFile holds a bearer token. It is read for each query, because tokens are rotated.
	TokenFile string
	// CAFile holds the certificates, in PEM, that the server's is signed by; empty: those of the system.
	CAFile string
	// Insecure takes any certificate.
	Insecure bool
}

// Validate says what is wrong with the address; files are looked at by Connect.
func (c Connection) Validate() error {
	_, err := c.address()
	return err
}

func (c Connection) address() (*url.URL, error) {
	address, err := url.Parse(c.URL)
	if err != nil || address.Host == "" || (address.Scheme != "http" && address.Scheme != "https") {
		return nil, fmt.Errorf("prometheus %q: want http://HOST:PORT or https://HOST:PORT", redacted(address, c.URL))
	}
	return address, nil
}

// Connect returns an API. It does not connect yet.
func Connect(c Connection) (API, error) {
	address, err := c.address()
	if err != nil {
		return nil, err
	}
	if c.TokenFile != "" {
		if _, err := readToken(c.TokenFile); err != nil {
			return nil, err
		}
	}
	settings, err := c.tls()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own
	transport.TLSClientConfig = settings
	client, err := promapi.NewClient(promapi.Config{
		Address: c.URL, RoundTripper: &authorized{next: transport, host: address.Host, tokenFile: c.TokenFile},
	})
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	return api{v1.NewAPI(client)}, nil
}

// redacted keeps passwords out of errors.
func redacted(address *url.URL, raw string) string {
	if address == nil {
		if i := strings.LastIndex(raw, "@"); i >= 0 {
			return "…" + raw[i:]
		}
		return raw
	}
	return address.Redacted()
}

// api leaves out what recording does not look at.
type api struct{ v1.API }

// QueryRange asks for a range.
func (a api) QueryRange(ctx context.Context, query string, r v1.Range, opts ...v1.Option) (model.Value, v1.Warnings, error) {
	value, warnings, _, err := a.API.QueryRange(ctx, query, r, opts...)
	return value, warnings, err
}

func (c Connection) tls() (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure}
	if c.CAFile == "" {
		return settings, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("prometheus: CA file: %w", err)
	}
	settings.RootCAs = x509.NewCertPool()
	if !settings.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("prometheus: CA file %s holds no certificate in PEM", c.CAFile)
	}
	return settings, nil
}

// authorized sends the token to the host it is for, and to no other that a redirect leads to.
type authorized struct {
	next            http.RoundTripper
	host, tokenFile string
}

// RoundTrip sends the request with the token where it may have it.
func (a *authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.tokenFile == "" || r.URL.Host != a.host {
		return a.next.RoundTrip(r)
	}
	token, err := readToken(a.tokenFile)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return a.next.RoundTrip(r)
}

func readToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("prometheus: token file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", errors.New("prometheus: token file " + path + " is empty")
	}
	return token, nil
}
