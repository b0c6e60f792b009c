package prom

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secretFile writes a secret.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConnectionSendsWhatItIsTold(t *testing.T) {
	var got *http.Request
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"status":"success","data":{"resultType":"vector","result":[]}}`))
	}))
	defer web.Close()
	ca := secretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})))
	token := secretFile(t, "first\n")
	ask := func(c Connection) error {
		t.Helper()
		c.URL = web.URL
		api, err := Connect(c)
		if err != nil {
			t.Fatal(err)
		}
		_, _, _, err = api.Query(t.Context(), "up", time.Unix(1, 0))
		return err
	}
	c := Connection{CAFile: ca, ServerName: "example.com", TokenFile: token, Headers: map[string]string{"X-Scope-OrgID": "ml"}}
	if err := ask(c); err != nil || got.Header.Get("Authorization") != "Bearer first" || got.Header.Get("X-Scope-OrgID") != "ml" || got.Method != http.MethodPost {
		t.Errorf("%v, %v", got, err)
	}
	if err := os.WriteFile(token, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ask(c); err != nil || got.Header.Get("Authorization") != "Bearer second" {
		t.Errorf("a token that was rotated: %v, %v", got, err)
	}
	if err := ask(Connection{CAFile: ca, User: "u", PasswordFile: token}); err != nil {
		t.Error(err)
	}
	if user, password, ok := got.BasicAuth(); !ok || user != "u" || password != "second" {
		t.Errorf("%s %s %v", user, password, ok)
	}
	for name, c := range map[string]Connection{"no CA": {}, "another name": {CAFile: ca, ServerName: "elsewhere.org"}} {
		if err := ask(c); !errors.Is(Obstacle(err), ErrUntrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConnectionShowsItsCertificate(t *testing.T) {
	var shown *x509.Certificate
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown = r.TLS.PeerCertificates[0]
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"status":"success","data":{"resultType":"vector","result":[]}}`))
	}))
	web.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	defer web.Close()
	own := web.TLS.Certificates[0] // any will do
	der, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(c Connection) error {
		t.Helper()
		c.URL, c.Insecure = web.URL, true
		api, err := Connect(c)
		if err != nil {
			t.Fatal(err)
		}
		_, _, _, err = api.Query(t.Context(), "up", time.Unix(1, 0))
		return err
	}
	if err := ask(Connection{}); Obstacle(err) == nil { // the server may hang up before its alert is read
		t.Errorf("without a certificate: %v", err)
	}
	if err := (&net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}); !errors.Is(Obstacle(err), ErrDenied) {
		t.Errorf("a TLS alert is %v", Obstacle(err))
	}
	cert := secretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]})))
	key := secretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	if err := ask(Connection{CertFile: cert, KeyFile: key}); err != nil || !shown.Equal(web.Certificate()) {
		t.Errorf("%v, shown %v", err, shown)
	}
}

func TestConnectionsThatCannotBeMeant(t *testing.T) {
	for name, tc := range map[string]struct {
		c    Connection
		want string
	}{
		"no scheme":                  {Connection{URL: "prometheus:9090"}, "want http://"},
		"a token and a user":         {Connection{URL: "http://x", TokenFile: "t", User: "u", PasswordFile: "p"}, "exclude each other"},
		"a user without a password":  {Connection{URL: "http://x", User: "u"}, "needs a password file"},
		"a certificate alone":        {Connection{URL: "https://x", CertFile: "c"}, "needs its key"},
		"a certificate that is none": {Connection{URL: "https://x", CertFile: secretFile(t, "c"), KeyFile: secretFile(t, "k")}, "client certificate"},
		"a token file that is empty": {Connection{URL: "http://x", TokenFile: secretFile(t, " \n")}, "is empty"},
	} {
		if _, err := Connect(tc.c); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tc.want)
		}
	}
}
