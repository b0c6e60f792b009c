package prom

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// A few scrapes of a pod fail. The gap is taken for the scrape interval: the pod is not asked for during as long again,
// and the metrics API serves a value three times as old.
func TestFailedScrapesAreTakenForTheInterval(t *testing.T) {
	e := pod("a")
	e.Staleness = 30 * time.Second
	w := newWorld(t, e)
	for s := -300; s <= 0; s += 15 {
		page := vllm(1, 2, float64(1000+s))
		if s != -240 && s != 0 { // between these two all scrapes fail: up 0
			page = ""
		}
		w.scrape(start.Add(time.Duration(s)*time.Second), page, on("a")...)
	}
	w.at(1 * time.Second)
	w.wantValue("a", signals.RequestsWaiting, 1)
	for s := 15; s <= 120; s += 15 { // scrapes work, and the queue explodes
		w.scrape(start.Add(time.Duration(s)*time.Second), vllm(500, 2, float64(1000+s)), on("a")...)
		w.at(time.Duration(s+1) * time.Second)
	}
	if got, _ := w.reading("a").Value(signals.RequestsWaiting); got != 500 {
		t.Errorf("two minutes of good scrapes later waiting is %v, of %v", got, w.reading("a").Time.Sub(start))
	}
	if s, ok := w.store.Pod(e.Pod, store.RequestsWaiting, w.now); ok && w.now.Sub(s.Time) > e.Staleness {
		t.Errorf("a value of %v is served as fresh; the bound is %v", w.now.Sub(s.Time), e.Staleness)
	}
}

// A recording rule that an expression reads has stopped; its last value is told as of now for five minutes.
func TestExpressionOfARuleThatStopped(t *testing.T) {
	e := pod("a")
	e.Expressions = &Expressions{Of: map[signals.Metric]string{signals.RequestsWaiting: "pod:waiting:sum"}}
	w := newWorld(t, e)
	app := w.storage.Appender(t.Context())
	w.append(app, labels.FromStrings("__name__", "pod:waiting:sum", "namespace", "ml", "pod", "a"), start.Add(-60*time.Second), 0)
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	for s := -60; s <= 225; s += 15 {
		w.scrape(start.Add(time.Duration(s)*time.Second), vllm(80, 2, float64(1000+s)), on("a")...)
	}
	w.at(230 * time.Second)
	r, ok := w.store.Latest(e.Pod)
	if ok && w.now.Sub(r.Time) < e.Staleness {
		v, _ := r.Value(signals.RequestsWaiting)
		t.Errorf("a value of %v ago, %v, is told as %v old (bound %v); the engine's own page says 80", 290*time.Second, v, w.now.Sub(r.Time), e.Staleness)
	}
}

// An expression that gives two values for a pod (two Prometheus replicas, two jobs): they are added.
func TestExpressionWithTwoValuesForAPod(t *testing.T) {
	e := pod("a")
	e.Expressions = &Expressions{Of: map[signals.Metric]string{
		signals.RequestsWaiting: "my_queue", signals.KVCacheUtilization: "my_kv",
	}}
	w := newWorld(t, e)
	for _, replica := range []string{"a", "b"} {
		w.scrape(start.Add(-5*time.Second), "my_queue 6\nmy_kv 0.9\n"+vllm(6, 1, 1), append(on("a"), "prometheus_replica", replica)...)
	}
	w.at(0)
	r, ok := w.store.Latest(e.Pod)
	if !ok {
		return // held: right
	}
	q, _ := r.Value(signals.RequestsWaiting)
	kv, _ := r.Value(signals.KVCacheUtilization)
	if q != 6 || kv > 1 {
		t.Errorf("waiting %v (is 6), KV utilization %v (is 0.9)", q, kv)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Https://prometheus redirects to http://prometheus (a proxy that ends TLS and builds its own address): the token
// follows in the clear.
func TestTokenFollowsARedirectToPlainHTTP(t *testing.T) {
	var leaked string
	a := &authorized{host: "prometheus.example", connection: Connection{URL: "https://prometheus.example", TokenFile: secretFile(t, "secret")}}
	a.next = transport(func(r *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		if r.URL.Scheme == "https" {
			h.Set("Location", "http://prometheus.example/api/v1/query")
			return &http.Response{StatusCode: 307, Header: h, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
		}
		leaked = r.Header.Get("Authorization")
		return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
	})
	res, err := (&http.Client{Transport: a}).Get("https://prometheus.example/api/v1/query")
	if err == nil {
		res.Body.Close()
	}
	if leaked != "" {
		t.Errorf("sent over http: %q", leaked)
	}
}

func authority(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	c := &x509.Certificate{
		SerialNumber: n, Subject: pkix.Name{CommonName: n.String()}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// The CA is rotated, its file too: blind until a restart.
func TestCAFileIsRotated(t *testing.T) {
	first, firstPEM := authority(t)
	second, secondPEM := authority(t)
	current := first
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Connection", "close")
		w.Write([]byte(`{"status":"success","data":{"resultType":"vector","result":[]}}`))
	}))
	web.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &current, nil }}
	web.StartTLS()
	defer web.Close()
	web.TLS.Certificates = nil
	ca := secretFile(t, string(firstPEM))
	api, err := Connect(Connection{URL: web.URL, CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := api.Query(t.Context(), "up", time.Unix(1, 0)); err != nil {
		t.Fatalf("before: %v", err)
	}
	current = second
	if err := os.WriteFile(ca, secondPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := api.Query(t.Context(), "up", time.Unix(1, 0)); err != nil {
		t.Errorf("after a rotation of certificate and file: %v", err)
	}
}
