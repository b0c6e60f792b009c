package servingcert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clientv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	k8stesting "k8s.io/client-go/testing"
)

// start is any instant: certificates are checked against the test's clock only.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// published remembers the bundle, or fails with err.
type published struct {
	bundle []byte
	err    error
}

func (p *published) Publish(_ context.Context, bundle []byte) error {
	if p.err != nil {
		return p.err
	}
	p.bundle = bytes.Clone(bundle)
	return nil
}

func secretsOf(client *fake.Clientset) clientv1.SecretInterface {
	return client.CoreV1().Secrets("preheat-system")
}

// versioned makes a fake clientset count resourceVersions and refuse writes on old ones, as the API server does.
func versioned(client *fake.Clientset) *fake.Clientset {
	version := 0
	client.PrependReactor("*", "secrets", func(action k8stesting.Action) (bool, runtime.Object, error) {
		write, ok := action.(interface{ GetObject() runtime.Object })
		if !ok {
			return false, nil, nil
		}
		secret := write.GetObject().(*corev1.Secret)
		if action.GetVerb() == "update" {
			stored, err := client.Tracker().Get(action.GetResource(), action.GetNamespace(), secret.Name)
			if err == nil && stored.(*corev1.Secret).ResourceVersion != secret.ResourceVersion {
				return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, secret.Name, errors.New("changed"))
			}
		}
		version++
		secret.ResourceVersion = strings.Repeat("i", version)
		return false, nil, nil
	})
	return client
}

func rotator(t *testing.T, client *fake.Clientset, publisher Publisher) *Rotator {
	t.Helper()
	r, err := New(Options{
		Secrets: secretsOf(client), SecretName: "preheat-serving", DNSNames: DNSNames("preheat-system", "preheat"),
		Publisher: publisher, Lifetime: 2 * time.Minute, Overlap: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// handshake connects over TLS as the kube-apiserver does and returns the certificate's serial number.
func handshake(t *testing.T, r *Rotator, bundle []byte, now time.Time) (string, error) {
	t.Helper()
	certificate, err := tls.X509KeyPair(r.Provider().CurrentCertKeyContent())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	a, b := net.Pipe()
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{certificate}})
	go func() { _ = server.Handshake() }()
	client := tls.Client(b, &tls.Config{
		RootCAs: roots, ServerName: "preheat.preheat-system.svc", Time: func() time.Time { return now },
	})
	defer a.Close()
	defer b.Close()
	if err := client.HandshakeContext(t.Context()); err != nil {
		return "", err
	}
	return client.ConnectionState().PeerCertificates[0].SerialNumber.Text(16), nil
}

func certificates(bundle []byte) int {
	n := 0
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		n++
	}
	return n
}

// TestRotation follows two replicas that share one Secret through five lives of a two-minute certificate. At every
// second, clients that trust the bundle published last can verify both replicas.
func TestRotation(t *testing.T) {
	client := versioned(fake.NewClientset())
	trusted := &published{}
	replicas := []*Rotator{rotator(t, client, trusted), rotator(t, client, trusted)}
	serials := map[string]bool{}
	for second := range 600 {
		now := start.Add(time.Duration(second) * time.Second)
		// The second replica is slower: it looks every 7 s.
		if err := replicas[0].Sync(t.Context(), now); err != nil {
			t.Fatalf("second %d: %v", second, err)
		}
		if second%7 == 0 {
			if err := replicas[1].Sync(t.Context(), now); err != nil {
				t.Fatalf("second %d: %v", second, err)
			}
		}
		for i, r := range replicas {
			serial, err := handshake(t, r, trusted.bundle, now)
			if err != nil {
				t.Fatalf("second %d, replica %d: %v", second, i, err)
			}
			serials[serial] = true
		}
		if n := certificates(trusted.bundle); n < 1 || n > 3 {
			t.Fatalf("second %d: bundle of %d CAs", second, n)
		}
	}
	// A certificate is replaced after 80 s (two thirds of its life) and 10 s of overlap, but issued when it was
	// prepared: one every 80 s.
	if n := len(serials); n < 6 || n > 8 {
		t.Errorf("%d certificates in 10 minutes, want about 7", n)
	}
}

func TestNewCertificateWaitsForItsCAToBePublished(t *testing.T) {
	client := versioned(fake.NewClientset())
	trusted := &published{}
	r := rotator(t, client, trusted)
	if err := r.Sync(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	first, err := handshake(t, r, trusted.bundle, start)
	if err != nil {
		t.Fatal(err)
	}

	trusted.err = errors.New("apiserver is away")
	for _, after := range []time.Duration{81 * time.Second, 95 * time.Second, 110 * time.Second} {
		now := start.Add(after)
		if err := r.Sync(t.Context(), now); !errors.Is(err, trusted.err) {
			t.Fatalf("sync: %v, want %v", err, trusted.err)
		}
		if serial, err := handshake(t, r, trusted.bundle, now); err != nil || serial != first {
			t.Fatalf("after %v: serves %s (%v), want the old certificate %s", after, serial, err, first)
		}
	}

	trusted.err = nil
	now := start.Add(111 * time.Second)
	if err := r.Sync(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if serial, err := handshake(t, r, trusted.bundle, now); err != nil || serial == first {
		t.Errorf("serves %s (%v), want the new certificate", serial, err)
	}
}

func TestSync(t *testing.T) {
	valid := func(names ...string) *corev1.Secret {
		serving, ca, err := issue(names, start, 2*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "preheat-system", Name: "preheat-serving"}}
		material{current: serving, bundle: ca}.into(secret)
		return secret
	}
	edited := func(key string, value []byte) *corev1.Secret {
		secret := valid(DNSNames("preheat-system", "preheat")...)
		secret.Data[key] = value
		return secret
	}
	tests := map[string]struct {
		secret *corev1.Secret
		after  time.Duration
		kept   bool
	}{
		"a good certificate is kept":                             {valid(DNSNames("preheat-system", "preheat")...), time.Second, true},
		"a certificate for another Service is replaced at once":  {valid(DNSNames("elsewhere", "preheat")...), time.Second, false},
		"an expired certificate is replaced at once":             {valid(DNSNames("preheat-system", "preheat")...), 3 * time.Minute, false},
		"a certificate without its CA is replaced at once":       {edited(CAKey, nil), time.Second, false},
		"a key that is not the certificate's is replaced":        {edited(KeyKey, []byte("garbage")), time.Second, false},
		"an empty Secret, as a manifest may make it, is filled":  {&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "preheat-system", Name: "preheat-serving"}}, 0, false},
		"garbage in the bundle is dropped beside a good CA":      {edited(CAKey, append(valid("x").Data[CAKey], []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")...)), time.Second, false},
		"a next pair that is garbage does not replace the first": {edited(nextCertKey, []byte("garbage")), time.Second, true},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			trusted := &published{}
			r := rotator(t, fake.NewClientset(test.secret), trusted)
			now := start.Add(test.after)
			if err := r.Sync(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			if _, err := handshake(t, r, trusted.bundle, now); err != nil {
				t.Error(err)
			}
			cert, _ := r.Provider().CurrentCertKeyContent()
			if kept := bytes.Equal(cert, test.secret.Data[CertKey]); kept != test.kept {
				t.Errorf("kept: %v, want %v", kept, test.kept)
			}
		})
	}
}

// overtaken runs a function before its first Create.
type overtaken struct {
	clientv1.SecretInterface
	by func()
}

func (o *overtaken) Create(ctx context.Context, secret *corev1.Secret, opts metav1.CreateOptions) (*corev1.Secret, error) {
	if by := o.by; by != nil {
		o.by = nil
		by()
	}
	return o.SecretInterface.Create(ctx, secret, opts)
}

func TestReplicasThatStartTogetherShareOneCertificate(t *testing.T) {
	client := versioned(fake.NewClientset())
	a, b := rotator(t, client, &published{}), rotator(t, client, &published{})
	b.opts.Secrets = &overtaken{secretsOf(client), func() {
		if err := a.Sync(t.Context(), start); err != nil {
			t.Error(err)
		}
	}}
	if err := b.Sync(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	certA, _ := a.Provider().CurrentCertKeyContent()
	certB, _ := b.Provider().CurrentCertKeyContent()
	if !bytes.Equal(certA, certB) || len(certA) == 0 {
		t.Error("the replicas serve different certificates")
	}
}

func TestSyncKeepsServingWhenTheSecretCannotBeRead(t *testing.T) {
	client := fake.NewClientset()
	r := rotator(t, client, nil)
	if err := r.Sync(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	before, _ := r.Provider().CurrentCertKeyContent()
	client.PrependReactor("get", "secrets", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("forbidden")
	})
	if err := r.Sync(t.Context(), start.Add(time.Hour)); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Fatalf("sync: %v", err)
	}
	if after, _ := r.Provider().CurrentCertKeyContent(); !bytes.Equal(before, after) {
		t.Error("the certificate at hand is no longer served")
	}
}

type counter struct{ n int }

func (c *counter) Enqueue() { c.n++ }

func TestListenersAndObserversAreTold(t *testing.T) {
	var ends []time.Time
	r, err := New(Options{
		Secrets: secretsOf(fake.NewClientset()), SecretName: "s", DNSNames: []string{"localhost"}, Lifetime: 2 * time.Minute,
		Observe: func(end time.Time) { ends = append(ends, end) },
	})
	if err != nil {
		t.Fatal(err)
	}
	var told counter
	r.Provider().AddListener(&told)
	for _, after := range []time.Duration{0, time.Second, 85 * time.Second, 100 * time.Second} {
		if err := r.Sync(t.Context(), start.Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	if told.n != 2 {
		t.Errorf("told of %d changes, want 2: the first certificate and the second", told.n)
	}
	if len(ends) != 4 || !ends[0].Equal(start.Add(2*time.Minute)) || !ends[3].After(ends[0]) {
		t.Errorf("observed ends %v", ends)
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	_, err := New(Options{Lifetime: time.Minute, Overlap: time.Minute})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Secret", "DNS name", "overlap 1m0s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %q", err, want)
		}
	}
}
