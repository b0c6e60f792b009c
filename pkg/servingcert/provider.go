package servingcert

import (
	"bytes"
	"slices"
	"sync"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

// Provider holds the pair being served, in memory. It is a dynamiccertificates.CertKeyContentProvider: a server that
// was given it serves each new pair from the next handshake on, without a restart. It is safe for concurrent use.
type Provider struct {
	mu        sync.RWMutex
	serving   pair
	listeners []dynamiccertificates.Listener
}

var _ dynamiccertificates.CertKeyContentProvider = (*Provider)(nil)

// Name says where the certificate comes from, for the server's log.
func (p *Provider) Name() string { return "preheat serving certificate" }

// CurrentCertKeyContent returns certificate and key in PEM, both empty before the first one is known.
func (p *Provider) CurrentCertKeyContent() (certificate, key []byte) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.serving.cert, p.serving.key
}

// AddListener has listener told of every later change.
func (p *Provider) AddListener(listener dynamiccertificates.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listeners = append(p.listeners, listener)
}

// set replaces the pair and tells the listeners; it reports whether anything changed.
func (p *Provider) set(serving pair) bool {
	p.mu.Lock()
	if bytes.Equal(p.serving.cert, serving.cert) && bytes.Equal(p.serving.key, serving.key) {
		p.mu.Unlock()
		return false
	}
	p.serving = serving
	listeners := slices.Clone(p.listeners)
	p.mu.Unlock()
	for _, listener := range listeners {
		listener.Enqueue()
	}
	return true
}
