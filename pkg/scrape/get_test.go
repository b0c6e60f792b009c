package scrape

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestGetFetchesWhatAPersonNames(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer open" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, goodPage)
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	known := &tls.Config{RootCAs: roots}
	page, err := Get(t.Context(), Request{URL: server.URL + "/metrics", Token: "open", TLS: known})
	if err != nil || string(page.Text) != goodPage || page.ContentType != "text/plain" {
		t.Errorf("%q, %v", page.Text, err)
	}
	for name, c := range map[string]struct {
		r    Request
		says string
	}{
		"an unknown certificate": {Request{URL: server.URL}, "name the authority"},
		"no token":               {Request{URL: server.URL, TLS: known}, "HTTP status 401 Unauthorized; check the path"},
		"no listener":            {Request{URL: "http://127.0.0.1:1/metrics"}, "nothing listens there"},
		"no scheme":              {Request{URL: "localhost:8000/metrics"}, "write http://HOST:PORT/PATH"},
		"no URL":                 {Request{URL: "http://%"}, "bad endpoint address"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Get(t.Context(), c.r); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

func TestGetIsBounded(t *testing.T) {
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			for line := bytes.Repeat([]byte("a 1\n"), 1<<14); ; {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		case "/slow":
			<-stop
		case "/elsewhere":
			http.Redirect(w, r, "/endless", http.StatusFound)
		}
	}))
	defer server.Close()
	defer close(stop)
	for path, says := range map[string]string{"/endless": "exceeds the limit of 4194304 bytes", "/slow": "allow more time", "/elsewhere": `to "/endless", which is not followed`} {
		if _, err := Get(t.Context(), Request{URL: server.URL + path, Timeout: 300 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", path, err, says)
		}
	}
	if _, err := Read(strings.NewReader(strings.Repeat("#", defaultBodyLimit+1))); err == nil {
		t.Error("a file beyond the limit is read")
	}
	for _, text := range []string{goodPage, byteOrderMark + goodPage} {
		if page, err := Read(strings.NewReader(text)); err != nil || string(page.Text) != goodPage {
			t.Errorf("%q, %v", page.Text, err)
		}
	}
}
