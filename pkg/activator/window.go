package activator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// smallestWindow is how much of a body is read at first, in bytes: most bodies begin with their model.
const smallestWindow = 512

// window is the beginning of a body, read and kept as far as it was asked for. What comes before the model is passed over
// byte by byte, so that nothing is kept twice; whether it is valid is for the engine to say.
type window struct {
	from  io.Reader
	limit int // in bytes
	seen  []byte
	at    int
}

// next is the next byte.
func (w *window) next() (byte, error) {
	for w.at == len(w.seen) {
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
	w.at++
	return w.seen[w.at-1], nil
}

// fill reads some more.
func (w *window) fill() error {
	if len(w.seen) >= w.limit {
		return &refusal{ModelTooFar, fmt.Sprintf("\"model\" is not in the first %d bytes of the JSON body: send it before the long fields, or name the model's own Service as the host", w.limit)}
	}
	if len(w.seen) == cap(w.seen) {
		w.seen = append(make([]byte, 0, min(w.limit, max(smallestWindow, 2*cap(w.seen)))), w.seen...)
	}
	n, err := w.from.Read(w.seen[len(w.seen):cap(w.seen)])
	w.seen = w.seen[:len(w.seen)+n]
	switch {
	case n > 0:
		return nil // an error comes again
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// token is the next byte that is no space.
func (w *window) token() (byte, error) {
	for {
		switch b, err := w.next(); {
		case err != nil:
			return 0, err
		case b != ' ' && b != '\t' && b != '\n' && b != '\r':
			return b, nil
		}
	}
}

// expect takes one token.
func (w *window) expect(want byte) error {
	switch got, err := w.token(); {
	case err != nil:
		return err
	case got != want:
		return fmt.Errorf("%q where %q should be", got, want)
	}
	return nil
}

// text is the string whose first quote has been read.
func (w *window) text() (s string, err error) {
	start := w.at - 1
	if err := w.skipText(); err != nil {
		return "", err
	}
	return s, json.Unmarshal(w.seen[start:w.at], &s)
}

// skipText goes behind the last quote of a string.
func (w *window) skipText() error {
	for {
		switch b, err := w.next(); {
		case err != nil:
			return err
		case b == '"':
			return nil
		case b == '\\':
			if _, err := w.next(); err != nil {
				return err
			}
		}
	}
}

// skipValue goes behind a value, and returns the comma or brace behind it.
func (w *window) skipValue() (byte, error) {
	for depth := 0; ; {
		b, err := w.next()
		if err != nil {
			return 0, err
		}
		switch b {
		case '"':
			if err := w.skipText(); err != nil {
				return 0, err
			}
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return b, nil
			}
			if b != ',' {
				depth--
			}
		}
	}
}

// model is the string "model" of an object of which nothing is read after it.
func (w *window) model() (string, error) {
	if err := w.expect('{'); err != nil {
		return "", fmt.Errorf("not an object: %w", err)
	}
	for behind := byte(','); behind == ','; {
		if err := w.expect('"'); err != nil {
			return "", err
		}
		key, err := w.text()
		if err != nil {
			return "", err
		}
		if err := w.expect(':'); err != nil {
			return "", err
		}
		if key == "model" {
			return w.name()
		}
		if behind, err = w.skipValue(); err != nil {
			return "", err
		}
	}
	return "", errors.New("no such field")
}

// name is the value of the model.
func (w *window) name() (string, error) {
	if err := w.expect('"'); err != nil {
		return "", err
	}
	return w.text()
}
