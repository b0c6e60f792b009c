package testbed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	certificateLife = 10 * 365 * 24 * time.Hour
	clockSkew       = time.Minute // certificates are valid from so long ago
)

// authority signs certificates. Its key never leaves the process.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	now         func() time.Time
}

// identity is what a certificate says about its holder. With names or addresses it is for a server, else for a client.
type identity struct {
	commonName    string // the user's name, for a client
	organizations []string
	dnsNames      []string
	ips           []net.IP
}

func newAuthority(commonName string, now func() time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key of %s: %w", commonName, err)
	}
	template, err := certificateTemplate(pkix.Name{CommonName: commonName}, now())
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("self-sign %s: %w", commonName, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse certificate of %s: %w", commonName, err)
	}
	return &authority{certificate: certificate, key: key, now: now}, nil
}

// issue returns a new certificate and its key, both as PEM.
func (a *authority) issue(id identity) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key of %s: %w", id.commonName, err)
	}
	template, err := certificateTemplate(pkix.Name{CommonName: id.commonName, Organization: id.organizations}, a.now())
	if err != nil {
		return nil, nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{id.usage()}
	template.DNSNames, template.IPAddresses = id.dnsNames, id.ips
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate of %s: %w", id.commonName, err)
	}
	keyPEM, err = encodeKey(key)
	return encodeCertificate(der), keyPEM, err
}

// pem returns the authority's own certificate.
func (a *authority) pem() []byte { return encodeCertificate(a.certificate.Raw) }

func (id identity) usage() x509.ExtKeyUsage {
	if len(id.dnsNames)+len(id.ips) > 0 {
		return x509.ExtKeyUsageServerAuth
	}
	return x509.ExtKeyUsageClientAuth
}

func certificateTemplate(subject pkix.Name, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject,
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(certificateLife),
	}, nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// pki is a cluster's two authorities and the folder its certificates live in.
type pki struct {
	dir        string
	cluster    *authority // signs servers, components and users
	frontProxy *authority // signs only what the API server shows to aggregated API servers
}

// newPKI makes the authorities and everything the control plane reads from dir. Servers are valid for hosts.
func newPKI(dir string, hosts []net.IP, now func() time.Time) (*pki, error) {
	clusterCA, err := newAuthority("kubernetes", now)
	if err != nil {
		return nil, err
	}
	frontProxyCA, err := newAuthority("front-proxy-ca", now)
	if err != nil {
		return nil, err
	}
	p := &pki{dir: dir, cluster: clusterCA, frontProxy: frontProxyCA}
	return p, p.writeControlPlane(hosts)
}

func (p *pki) writeControlPlane(hosts []net.IP) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return fmt.Errorf("make certificate folder: %w", err)
	}
	if err := p.write("ca.crt", p.cluster.pem()); err != nil {
		return err
	}
	if err := p.write("front-proxy-ca.crt", p.frontProxy.pem()); err != nil {
		return err
	}
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	if _, _, err := p.save("server", p.cluster, identity{commonName: "kube-apiserver", dnsNames: names, ips: hosts}); err != nil {
		return err
	}
	if _, _, err := p.save("front-proxy-client", p.frontProxy, identity{commonName: "front-proxy-client"}); err != nil {
		return err
	}
	kubeletClient := identity{commonName: "kube-apiserver-kubelet-client", organizations: []string{"system:masters"}}
	if _, _, err := p.save("kubelet-client", p.cluster, kubeletClient); err != nil {
		return err
	}
	return p.writeServiceAccountKey()
}

// writeServiceAccountKey makes the pair that signs and verifies service account tokens.
func (p *pki) writeServiceAccountKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generate service account key: %w", err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode service account key: %w", err)
	}
	if err := p.write("sa.key", private); err != nil {
		return err
	}
	return p.write("sa.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// save issues a certificate and writes it to NAME.crt and NAME.key.
func (p *pki) save(name string, by *authority, id identity) (certFile, keyFile string, err error) {
	cert, key, err := by.issue(id)
	if err != nil {
		return "", "", err
	}
	if err := p.write(name+".crt", cert); err != nil {
		return "", "", err
	}
	return p.file(name + ".crt"), p.file(name + ".key"), p.write(name+".key", key)
}

func (p *pki) write(name string, content []byte) error {
	if err := os.WriteFile(p.file(name), content, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }
