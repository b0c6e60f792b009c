// Package metricsapitest runs a metrics API server in a test or benchmark as it runs in a cluster: over TLS on loopback,
// with a verified certificate, and with authentication and authorization delegated to a kube-apiserver, which is played
// here and lets one token do everything. It must not be used outside tests.
package metricsapitest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"github.com/preheat-autoscaler/preheat/pkg/metricsapi"
	"github.com/preheat-autoscaler/preheat/pkg/servingcert"
)

// token is the one that is let in.
const token = "reader"

// Server is a running metrics API server.
type Server struct {
	// Client reaches it as a reader of metrics. It has no rate limit.
	Client *rest.Config
	// Stop tells it to stop; Done yields its error once it has.
	Stop context.CancelFunc
	Done <-chan error
}

// Start runs a server until the test ends and waits until it is ready. Certificate is taken care of; delay is the
// shutdown delay.
func Start(t testing.TB, parts metricsapi.Parts, delay time.Duration) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options := metricsapi.NewServerOptions()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	options.AddFlags(flags)
	if err := flags.Parse([]string{
		"--kubeconfig=" + kubeconfig(t), "--authentication-skip-lookup", "--shutdown-delay-duration=" + delay.String(),
	}); err != nil {
		t.Fatal(err)
	}
	options.Listener = listener
	certificate, ca := certificate(t)
	parts.Certificate = certificate
	server, err := metricsapi.NewServer(options, parts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(cancel)
	s := &Server{Stop: cancel, Done: done, Client: &rest.Config{
		Host: listener.Addr().String(), BearerToken: token, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: ca, ServerName: "preheat.preheat-system.svc"},
	}}
	s.waitReady(t)
	return s
}

// certificate returns a provider that a Rotator has filled, and the CA bundle that it published.
func certificate(t testing.TB) (*servingcert.Provider, []byte) {
	t.Helper()
	var ca bundle
	rotator, err := servingcert.New(servingcert.Options{
		Secrets: fake.NewClientset().CoreV1().Secrets("preheat-system"), SecretName: "serving",
		DNSNames: servingcert.DNSNames("preheat-system", "preheat"), Publisher: &ca,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := rotator.Sync(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	return rotator.Provider(), ca
}

type bundle []byte

// Publish keeps the CA.
func (b *bundle) Publish(_ context.Context, ca []byte) error {
	*b = ca
	return nil
}

// Get returns the status and body of a path.
func (s *Server) Get(ctx context.Context, path string, header http.Header) (status int, body []byte, err error) {
	client, err := rest.HTTPClientFor(s.Client)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.Client.Host+path, nil)
	if err != nil {
		return 0, nil, err
	}
	maps.Copy(request.Header, header)
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

func (s *Server) waitReady(t testing.TB) {
	t.Helper()
	var status int
	var err error
	for range 200 {
		if status, _, err = s.Get(t.Context(), "/readyz", nil); err == nil && status == http.StatusOK {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("server is not ready: status %d, %v", status, err)
}

// kubeconfig starts the played kube-apiserver and returns a file that leads to it.
func kubeconfig(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(review))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"x",
"clusters":[{"name":"x","cluster":{"server":%q}}],"contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}],
"users":[{"name":"x","user":{}}]}`, server.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// review answers TokenReviews and SubjectAccessReviews, and knows nothing else.
func review(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var answer any
	err := errors.New("nothing here")
	switch r.URL.Path {
	case "/apis/authentication.k8s.io/v1/tokenreviews":
		var review authenticationv1.TokenReview
		err = json.NewDecoder(r.Body).Decode(&review)
		review.Status.Authenticated = review.Spec.Token == token
		review.Status.User = authenticationv1.UserInfo{Username: "reader"}
		answer = review
	case "/apis/authorization.k8s.io/v1/subjectaccessreviews":
		var review authorizationv1.SubjectAccessReview
		err = json.NewDecoder(r.Body).Decode(&review)
		review.Status.Allowed = review.Spec.User == "reader"
		answer = review
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}
