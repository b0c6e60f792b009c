package servingcert

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The keys of the Secret. CAKey holds all the CAs to trust, the newest last; the next pair is there only between its
// preparation and its promotion.
const (
	CertKey     = corev1.TLSCertKey       // tls.crt
	KeyKey      = corev1.TLSPrivateKeyKey // tls.key
	CAKey       = "ca.crt"
	nextCertKey = "next.crt"
	nextKeyKey  = "next.key"
)

// material is the content of the Secret.
type material struct {
	current pair
	// next is empty where no rotation is under way.
	next pair
	// bundle is every CA to trust, in PEM.
	bundle []byte
}

func materialOf(secret *corev1.Secret) material {
	d := secret.Data
	return material{
		current: pair{d[CertKey], d[KeyKey]},
		next:    pair{d[nextCertKey], d[nextKeyKey]},
		bundle:  d[CAKey],
	}
}

// into writes the material into a Secret and leaves what else is there alone.
func (m material) into(secret *corev1.Secret) {
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Data[CertKey], secret.Data[KeyKey], secret.Data[CAKey] = m.current.cert, m.current.key, m.bundle
	delete(secret.Data, nextCertKey)
	delete(secret.Data, nextKeyKey)
	if len(m.next.cert) > 0 {
		secret.Data[nextCertKey], secret.Data[nextKeyKey] = m.next.cert, m.next.key
	}
}

func (m material) equal(o material) bool {
	return bytes.Equal(m.current.cert, o.current.cert) && bytes.Equal(m.current.key, o.current.key) &&
		bytes.Equal(m.next.cert, o.next.cert) && bytes.Equal(m.bundle, o.bundle)
}

// policy says what a certificate must be and when it is replaced.
type policy struct {
	names    []string
	lifetime time.Duration
	overlap  time.Duration
}

// usable reports whether a pair can be served at now: it parses, has every name, is valid and is signed by a CA of
// the bundle.
func (p policy) usable(serving pair, bundle []byte, now time.Time) bool {
	leaf, err := serving.leaf()
	if err != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	for _, name := range p.names {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now}); err != nil {
			return false
		}
	}
	return true
}

// prepare returns the material with what is missing at now: a first pair, or the next one when two thirds of the
// current one's life are over. Expired CAs are dropped from the bundle.
func (p policy) prepare(m material, now time.Time) (material, error) {
	m.bundle = withoutExpired(m.bundle, now)
	if !p.usable(m.current, m.bundle, now) {
		serving, ca, err := issue(p.names, now, p.lifetime)
		if err != nil {
			return material{}, err
		}
		return material{current: serving, bundle: join(m.bundle, ca)}, nil
	}
	if p.usable(m.next, m.bundle, now) || !p.renewable(m.current, now) {
		return m, nil
	}
	serving, ca, err := issue(p.names, now, p.lifetime)
	if err != nil {
		return material{}, err
	}
	m.next, m.bundle = serving, join(m.bundle, ca)
	return m, nil
}

// promote makes the next pair the current one once its CA has been published for the overlap.
func (p policy) promote(m material, now time.Time) material {
	if !p.usable(m.next, m.bundle, now) {
		return m
	}
	leaf, err := m.next.leaf()
	if err != nil || now.Before(issuedAt(leaf).Add(p.overlap)) {
		return m
	}
	m.current, m.next = m.next, pair{}
	return m
}

// renewable reports whether two thirds of a usable pair's life are over.
func (p policy) renewable(serving pair, now time.Time) bool {
	leaf, err := serving.leaf()
	if err != nil {
		return true
	}
	issued := issuedAt(leaf)
	return !now.Before(issued.Add(leaf.NotAfter.Sub(issued) * 2 / 3))
}

func issuedAt(leaf *x509.Certificate) time.Time { return leaf.NotBefore.Add(backdate) }

// join appends a CA to a bundle.
func join(bundle, ca []byte) []byte { return append(bytes.Clone(bundle), ca...) }

// withoutExpired returns the bundle without expired certificates and without what is no certificate.
func withoutExpired(bundle []byte, now time.Time) []byte {
	var kept []byte
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		ca, err := x509.ParseCertificate(block.Bytes)
		if err == nil && now.Before(ca.NotAfter) {
			kept = append(kept, pem.EncodeToMemory(block)...)
		}
	}
	return kept
}
