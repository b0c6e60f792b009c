package activator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ErrUnknownTarget is what a Resolver returns for a request that is for no target; the client gets a 404. Any other error
// gives a 400.
var ErrUnknownTarget = errors.New("there is no such model")

// Resolver says which target a request is for, by its host, its path or the model in its body. It names only targets that
// there are, since something is kept of each that it names until Activator.Remove. One that reads the body puts back what
// it read, as ByModel does. It is called from many goroutines.
type Resolver func(*http.Request) (target string, err error)

// ByModel resolves by the field "model" of a JSON body, of which it reads no more than it must, and at most limit bytes.
// targets maps the model's name to its target, and says whether there is one.
func ByModel(limit int, targets func(model string) (target string, ok bool)) Resolver {
	return func(r *http.Request) (string, error) {
		body := r.Body
		if body == nil {
			body = http.NoBody
		}
		w := &window{from: body, limit: limit}
		model, err := w.model()
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(w.seen), body), body}
		if err != nil {
			return "", fmt.Errorf("find \"model\" in the JSON body: %w", err)
		}
		if target, ok := targets(model); ok {
			return target, nil
		}
		return "", fmt.Errorf("%w: %q", ErrUnknownTarget, model)
	}
}

// peeked is a body of which a resolver reads: for what it reads, and keeps, room is made in the bounds first.
type peeked struct {
	io.ReadCloser
	x        *exchange
	read     int64
	resolved bool
}

// Read implements io.Reader.
func (p *peeked) Read(b []byte) (int, error) {
	if p.resolved {
		return p.ReadCloser.Read(b)
	}
	if err := p.x.makeRoom(p.read + int64(len(b))); err != nil {
		return 0, err
	}
	n, err := p.ReadCloser.Read(b)
	p.read += int64(n)
	return n, err
}

// makeRoom reserves so many bytes in all, before it is known for which target.
func (x *exchange) makeRoom(bytes int64) error {
	x.a.mu.Lock()
	defer x.a.mu.Unlock()
	more := bytes - x.reserved
	if more <= 0 {
		return nil
	}
	if !x.a.pushOut(x.target, 0, more) {
		return &refusal{QueueFull, "too many bytes of requests wait for models to load already"}
	}
	x.a.account(x, more)
	return nil
}
