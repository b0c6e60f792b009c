package activator

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func TestWhatAResolverReadsIsWithinTheBounds(t *testing.T) {
	const limit = 64 << 10
	r := newRig(t, func(o *Options) {
		o.Total.Bytes = limit
		o.Resolve = ByModel(limit, func(string) (string, bool) { return "m", true })
	})
	r.SetEndpoints("m", []Endpoint{engine(t, echo)})
	ctx, leave := context.WithCancel(t.Context())
	body, send := io.Pipe()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, r.url, body)
		r.do(req)
	}()
	go func() { _, _ = io.WriteString(send, `{"prompt":"`+strings.Repeat("x", limit/2+1)) }() // and no more
	r.eventually("what is kept of it is counted", func() bool { return r.Snapshot().HeldBytes > limit/2 })
	late := `{"prompt":"` + strings.Repeat("x", limit/2) + `","model":"a"}`
	if got := r.post(t.Context(), "/", late); got.code != 429 || got.reason(t) != QueueFull {
		t.Errorf("got %d %.100q, want a 429, since both have no room", got.code, got.body)
	}
	leave()
	send.Close()
	receive(t, "the client's end", gone)
	r.quiet()
	if got := r.post(t.Context(), "/", late); got.code != 200 || got.body != late {
		t.Errorf("got %d %.100q, want it served, since there is room again", got.code, got.body)
	}
	r.quiet()
}

func TestABodyThatNamesItsModelTooLateSaysHowToMendIt(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Resolve = ByModel(100, func(string) (string, bool) { return "m", true }) })
	got := r.post(t.Context(), "/", `{"prompt":"`+strings.Repeat("x", 100)+`","model":"a"}`)
	if got.code != 413 || got.reason(t) != ModelTooFar || !strings.Contains(got.body, "first 100 bytes") || !strings.Contains(got.body, "before the long fields") {
		t.Errorf("got %d %s, want a 413 with the remedy", got.code, got.body)
	}
	r.quiet()
}

// FuzzModel compares with a decoder of all of the body: of valid JSON both say the same.
func FuzzModel(f *testing.F) {
	for _, seed := range []string{
		`{"model":"a"}`, "\n{ \"x\\\"y\" : [1, {\"model\":\"b\"}, \"]}\"] ,\t\"model\" : \"\\u0061\"}", `{"\u006dodel":"a"}`, `{"model":7}`, `{}`, `[]`, `"model"`, ``,
		`{"a":null,"b":-1e9,"c":{},"d":[],"model":"z"}`, `{"a":"\\","model":"z","model":"y"}`, `{"model":null}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		whole := &window{from: strings.NewReader(body), limit: 1 << 20}
		got, err := whole.model()
		slow := &window{from: iotest.OneByteReader(strings.NewReader(body)), limit: 1 << 20}
		if again, errSlow := slow.model(); again != got || (err == nil) != (errSlow == nil) {
			t.Errorf("byte by byte %q, %v; at once %q, %v", again, errSlow, got, err)
		}
		if !strings.HasPrefix(body, string(whole.seen)) {
			t.Errorf("kept %q of %q", whole.seen, body)
		}
		if !json.Valid([]byte(body)) {
			return
		}
		if want, errWant := modelOf(strings.NewReader(body)); want != got || (err == nil) != (errWant == nil) {
			t.Errorf("%q, %v; the decoder finds %q, %v", got, err, want, errWant)
		}
	})
}

// modelOf is the simple way.
func modelOf(r io.Reader) (string, error) {
	decoder := json.NewDecoder(r)
	decoder.UseNumber()
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return "", errors.New("not an object")
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return "", err
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			return "", err
		}
		if key == "model" {
			model, ok := value.(string)
			if !ok {
				return "", errors.New("not a string")
			}
			return model, nil
		}
	}
	return "", errors.New("no such field")
}
