package servingcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// backdate is how long before its issue a certificate is valid, so that a peer whose clock is behind accepts it.
const backdate = 5 * time.Minute

// pair is a serving certificate with its key, in PEM.
type pair struct{ cert, key []byte }

// DNSNames returns the names under which a Service is reached within a cluster, and localhost.
func DNSNames(namespace, service string) []string {
	host := service + "." + namespace + ".svc"
	return []string{host, host + ".cluster.local", service + "." + namespace, "localhost"}
}

// issue makes a CA and has it sign one serving certificate for names. The CA's key does not outlive the call.
func issue(names []string, now time.Time, lifetime time.Duration) (serving pair, ca []byte, err error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, nil, fmt.Errorf("generate CA key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, nil, fmt.Errorf("generate serving key: %w", err)
	}
	caTemplate, template, err := templates(names, now, lifetime)
	if err != nil {
		return pair{}, nil, err
	}
	caDER, err := x509.CreateCertificate(rand.Reader, caTemplate, caTemplate, &caKey.PublicKey, caKey)
	if err != nil {
		return pair{}, nil, fmt.Errorf("sign CA: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, caTemplate, &key.PublicKey, caKey)
	if err != nil {
		return pair{}, nil, fmt.Errorf("sign serving certificate: %w", err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return pair{}, nil, fmt.Errorf("encode serving key: %w", err)
	}
	return pair{cert: encode("CERTIFICATE", der), key: encode("EC PRIVATE KEY", keyDER)}, encode("CERTIFICATE", caDER), nil
}

// templates describes the CA and the certificate that it signs. Each CA has a name of its own: two CAs of one name in
// a bundle make verifiers try the wrong one first.
func templates(names []string, now time.Time, lifetime time.Duration) (ca, serving *x509.Certificate, err error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("draw serial number: %w", err)
	}
	ca = &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: fmt.Sprintf("preheat serving CA %x", serial.Bytes()[:4])},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	serving = &x509.Certificate{
		SerialNumber:          new(big.Int).Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{CommonName: names[0]},
		DNSNames:              names,
		NotBefore:             ca.NotBefore,
		NotAfter:              ca.NotAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	return ca, serving, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// leaf returns the pair's certificate, an error where certificate and key are not a pair.
func (p pair) leaf() (*x509.Certificate, error) {
	certificate, err := tls.X509KeyPair(p.cert, p.key)
	if err != nil {
		return nil, err
	}
	return certificate.Leaf, nil
}
