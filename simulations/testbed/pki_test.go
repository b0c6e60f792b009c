package testbed

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func fixedNow() time.Time { return testTime }

func TestAnIssuedCertificateIsGoodForWhatItsIdentitySays(t *testing.T) {
	ca, err := newAuthority("test-ca", fixedNow)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := newAuthority("test-ca", fixedNow)
	if err != nil {
		t.Fatal(err)
	}
	server := identity{commonName: "s", dnsNames: []string{"preheat.ns.svc"}, ips: []net.IP{net.IPv4(127, 0, 0, 1)}}
	client := identity{commonName: "u", organizations: []string{"system:masters"}}
	for name, tc := range map[string]struct {
		id    identity
		roots *authority
		opts  x509.VerifyOptions
		ok    bool
	}{
		"a server by its name":                        {server, ca, x509.VerifyOptions{DNSName: "preheat.ns.svc"}, true},
		"a server by its address":                     {server, ca, x509.VerifyOptions{DNSName: "127.0.0.1"}, true},
		"a server by another name is refused":         {server, ca, x509.VerifyOptions{DNSName: "other.ns.svc"}, false},
		"a server as client is refused":               {server, ca, x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, false},
		"a client":                                    {client, ca, x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true},
		"a client as server is refused":               {client, ca, x509.VerifyOptions{}, false},
		"a server of a namesake authority is refused": {server, stranger, x509.VerifyOptions{}, false},
		"a clock some seconds behind is accepted":     {server, ca, x509.VerifyOptions{CurrentTime: testTime.Add(-30 * time.Second)}, true},
		"a clock an hour behind is refused":           {server, ca, x509.VerifyOptions{CurrentTime: testTime.Add(-time.Hour)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			certificate := issueForTest(t, ca, tc.id)
			tc.opts.Roots = x509.NewCertPool()
			tc.opts.Roots.AddCert(tc.roots.certificate)
			if tc.opts.CurrentTime.IsZero() {
				tc.opts.CurrentTime = testTime
			}
			if _, err := certificate.Verify(tc.opts); (err == nil) != tc.ok {
				t.Errorf("Verify: %v, want success %t", err, tc.ok)
			}
		})
	}
}

func issueForTest(t *testing.T, ca *authority, id identity) *x509.Certificate {
	t.Helper()
	cert, key, err := ca.issue(id)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key) // fails when they do not belong together
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

func TestPKIKeepsKeysFromOtherUsers(t *testing.T) {
	p, err := newPKI(t.TempDir(), []net.IP{net.IPv4(127, 0, 0, 1)}, fixedNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"server.key", "sa.key", "front-proxy-client.key", "kubelet-client.key"} {
		info, err := os.Stat(p.file(name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, got)
		}
	}
}

func TestServiceAccountKeysAreAPair(t *testing.T) {
	p, err := newPKI(t.TempDir(), nil, fixedNow)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(pemBytes(t, p.file("sa.key")))
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(pemBytes(t, p.file("sa.pub")))
	if err != nil {
		t.Fatal(err)
	}
	if !private.(*ecdsa.PrivateKey).PublicKey.Equal(public) {
		t.Error("sa.pub does not belong to sa.key")
	}
}

func pemBytes(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		t.Fatalf("%s holds no PEM block", file)
	}
	return block.Bytes
}

func TestKubeconfigAuthenticatesItsUserAtItsServer(t *testing.T) {
	ca, err := newAuthority("test-ca", fixedNow)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/kubeconfig"
	id := identity{commonName: "alice", organizations: []string{"sre"}}
	if err := writeKubeconfig(path, "https://127.0.0.1:6443", ca, id); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://127.0.0.1:6443" || string(config.CAData) != string(ca.pem()) {
		t.Errorf("server %q or its authority differ from what was asked for", config.Host)
	}
	pair, err := tls.X509KeyPair(config.CertData, config.KeyData)
	if err != nil {
		t.Fatal(err)
	}
	if subject := pair.Leaf.Subject.String(); subject != "CN=alice,O=sre" {
		t.Errorf("the user's certificate is for %q, want CN=alice,O=sre", subject)
	}
}
