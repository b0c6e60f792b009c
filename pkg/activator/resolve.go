package activator

import (
	"bytes"
	"encoding/json"
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
func ByModel(limit int64, targets func(model string) (target string, ok bool)) Resolver {
	return func(r *http.Request) (string, error) {
		var seen bytes.Buffer
		body := r.Body
		model, err := modelOf(io.TeeReader(io.LimitReader(body, limit), &seen))
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(&seen, body), body}
		if err != nil {
			return "", fmt.Errorf("find \"model\" in the first %d bytes of the JSON body: %w", limit, err)
		}
		if target, ok := targets(model); ok {
			return target, nil
		}
		return "", fmt.Errorf("%w: %q", ErrUnknownTarget, model)
	}
}

// modelOf is the value of "model" in an object of which nothing is read after it.
func modelOf(r io.Reader) (string, error) {
	decoder := json.NewDecoder(r)
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return "", errors.Join(errors.New("not an object"), err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return "", err
		}
		if key == "model" {
			var model string
			err := decoder.Decode(&model)
			return model, err
		}
		var skipped json.RawMessage
		if err := decoder.Decode(&skipped); err != nil {
			return "", err
		}
	}
	return "", errors.New("no such field")
}
