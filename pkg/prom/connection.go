package prom

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

// Connection says how to reach Prometheus.
type Connection struct {
	// URL is the address, http or https, with the path prefix if there is one, and user:password@ for basic
	// authentication.
	URL string
	// TokenFile holds a bearer token. It is read for each query, because tokens are rotated.
	TokenFile string
	// User and PasswordFile are for basic authentication, in place of what stands in the URL; the file is read for each query.
	User, PasswordFile string
	// CAFile holds the certificates, in PEM, that the server's is signed by; it is read for each connection. Empty: those of the
	// system.
	CAFile string
	// CertFile and KeyFile hold the client's own certificate and its key, in PEM, where the server wants one. They are read for
	// each connection, because certificates are rotated.
	CertFile, KeyFile string
	// ServerName is the name that the server's certificate must have, empty: the URL's host.
	ServerName string
	// Insecure takes any certificate.
	Insecure bool
	// Headers are sent along, such as X-Scope-OrgID.
	Headers map[string]string
	// MaxBytes bounds an answer, after decompression; zero does not.
	MaxBytes int64
}

// Validate says what is wrong with the address and what excludes each other; files are looked at by Connect.
func (c Connection) Validate() error {
	_, err := c.address()
	if c.TokenFile != "" && c.User != "" {
		err = errors.Join(err, errors.New("prometheus: a bearer token and a user exclude each other; give one of them"))
	}
	if (c.User == "") != (c.PasswordFile == "") {
		err = errors.Join(err, errors.New("prometheus: a user needs a password file, and the other way round"))
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		err = errors.Join(err, errors.New("prometheus: a client certificate needs its key, and the other way round"))
	}
	return err
}

func (c Connection) address() (*url.URL, error) {
	address, err := url.Parse(c.URL)
	if err != nil || address.Host == "" || (address.Scheme != "http" && address.Scheme != "https") {
		return nil, fmt.Errorf("prometheus %q: want http://HOST:PORT or https://HOST:PORT", redacted(address, c.URL))
	}
	return address, nil
}

// Connect returns the API. It does not connect yet.
func Connect(c Connection) (v1.API, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	address, err := c.address()
	if err != nil {
		return nil, err
	}
	for _, file := range []string{c.TokenFile, c.PasswordFile} {
		if _, err := readSecret(file); file != "" && err != nil {
			return nil, err
		}
	}
	settings, err := c.tls(address.Hostname())
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own
	transport.TLSClientConfig = settings
	transport.DialContext = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	transport.MaxIdleConnsPerHost = 8
	client, err := api.NewClient(api.Config{
		Address: c.URL, RoundTripper: &authorized{next: transport, host: address.Host, connection: c},
	})
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	return v1.NewAPI(client), nil
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

// tls is how connections to a host are made and its certificate is verified.
func (c Connection) tls(host string) (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure, ServerName: c.ServerName}
	if c.CertFile != "" {
		if _, err := c.certificate(nil); err != nil {
			return nil, err
		}
		settings.GetClientCertificate = c.certificate
	}
	if c.CAFile == "" {
		return settings, nil
	}
	if _, err := c.authorities(); err != nil || c.Insecure {
		return settings, err
	}
	settings.InsecureSkipVerify = true // VerifyConnection does it, by the file as it is then
	settings.VerifyConnection = func(s tls.ConnectionState) error {
		return c.verify(cmp.Or(s.ServerName, c.ServerName, host), s.PeerCertificates)
	}
	return settings, nil
}

// authorities reads the CA file.
func (c Connection) authorities() (*x509.CertPool, error) {
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("prometheus: CA file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("prometheus: CA file %s holds no certificate in PEM", c.CAFile)
	}
	return roots, nil
}

// verify says whether a server of that name is who it says, by the authorities of now.
func (c Connection) verify(name string, chain []*x509.Certificate) error {
	roots, err := c.authorities()
	if err != nil {
		return err
	}
	o := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, intermediate := range chain[1:] {
		o.Intermediates.AddCert(intermediate)
	}
	if _, err := chain[0].Verify(o); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// certificate reads the client's own.
func (c Connection) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("prometheus: client certificate %s with key %s: %w", c.CertFile, c.KeyFile, err)
	}
	return &pair, nil
}

// authorized sends secrets and headers to the host that they are for, and to no other that a redirect leads to, nor there in
// the clear where the address is https.
type authorized struct {
	next       http.RoundTripper
	host       string
	connection Connection
}

// RoundTrip sends the request with what it may have, and bounds the answer.
func (a *authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == a.host && strings.HasPrefix(a.connection.URL, r.URL.Scheme+"://") {
		r = r.Clone(r.Context())
		if err := a.authorize(r); err != nil {
			return nil, err
		}
	}
	answer, err := a.next.RoundTrip(r)
	if err == nil && a.connection.MaxBytes > 0 {
		answer.Body = &bounded{body: answer.Body, left: a.connection.MaxBytes}
	}
	return answer, err
}

func (a *authorized) authorize(r *http.Request) error {
	for name, value := range a.connection.Headers {
		r.Header.Set(name, value)
	}
	file := a.connection.TokenFile + a.connection.PasswordFile // one of them at most
	if file == "" {
		return nil
	}
	secret, err := readSecret(file)
	if err != nil {
		return err
	}
	if a.connection.User != "" {
		r.SetBasicAuth(a.connection.User, secret)
		return nil
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	return nil
}

func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("prometheus: token file: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", errors.New("prometheus: token file " + path + " is empty")
	}
	return secret, nil
}

// ErrTooLarge says that an answer exceeds Connection.MaxBytes.
var ErrTooLarge = errors.New("the answer is too large")

// bounded fails where a body goes on beyond a bound.
type bounded struct {
	body io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	n, err := b.body.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// Close implements io.Closer.
func (b *bounded) Close() error { return b.body.Close() }
