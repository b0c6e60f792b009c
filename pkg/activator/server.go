package activator

import (
	"net/http"
	"time"
)

// NewServer is an http.Server for an Activator: HTTP/1.1 and HTTP/2 without TLS (h2c with prior knowledge), headers within
// 10 s and 64 KiB, and windows in which a held gRPC request keeps no more than 64 KiB. Bodies have no time limit here: the
// Activator bounds them while it holds, and streams may last.
func NewServer(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		HTTP2:             &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10},
	}
}
