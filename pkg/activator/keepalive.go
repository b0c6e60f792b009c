package activator

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// response is the client's. Once a keep-alive was sent, status and headers are out, and all that follows is a part of the
// event stream.
type response struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(code int) {
	if !w.begun {
		w.ResponseWriter.WriteHeader(code)
	}
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// comment sends a line that readers of event streams skip.
func (w *response) comment() {
	if !w.begun {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		w.WriteHeader(http.StatusOK)
		w.begun = true
	}
	w.send([]byte(": the model is loading\n\n"))
}

// event sends a body as an event.
func (w *response) event(body []byte) { w.send(asEvent(body)) }

// send writes to the stream. That the client has left is seen by the request's context.
func (w *response) send(b []byte) {
	_, _ = w.Write(b)
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

func asEvent(body []byte) []byte {
	lines := bytes.ReplaceAll(bytes.TrimSpace(body), []byte("\n"), []byte("\ndata: "))
	return append(append([]byte("data: "), lines...), "\n\n"...)
}

// maxErrorBytes is how much of an endpoint's answer that is no stream goes into one that has begun.
const maxErrorBytes = 64 << 10

// adapt makes an event of an answer that is no event stream, where the stream has begun.
func (w *response) adapt(resp *http.Response) error {
	if !w.begun || (resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")) {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	resp.Body.Close()
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(asEvent(body)))
	return nil
}

// beats ticks whenever a held client is to be sent a comment, and never for one that did not ask for an event stream.
func (x *exchange) beats() (beat <-chan time.Time, stop func()) {
	if x.a.opts.KeepAlive == 0 || !x.wantsStream() {
		return nil, func() {}
	}
	ticker := time.NewTicker(x.a.opts.KeepAlive)
	return ticker.C, ticker.Stop
}

// wantsStream tells whether the client asked for an event stream.
func (x *exchange) wantsStream() bool {
	if strings.Contains(x.r.Header.Get("Accept"), "text/event-stream") {
		return true
	}
	var body struct {
		Stream bool `json:"stream"`
	}
	return json.Unmarshal(x.body, &body) == nil && body.Stream
}
