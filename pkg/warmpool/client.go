package warmpool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Options say where an engine is and how long it may take.
type Options struct {
	// URL is the engine's base, for example http://10.0.0.7:8000.
	URL string
	// Model is the served model that the probe asks; empty means the first of /v1/models.
	Model string
	// APIKey is sent as a bearer token where it is not empty.
	APIKey string
	// Client does the calls; nil means http.DefaultClient. It must not have a
	// Timeout below CallTimeout.
	Client *http.Client
	// CallTimeout bounds a single call, and the wait for the state to follow
	// it; zero means a minute, ten times the longest wake reported (5.4 s for
	// 235B parameters on four GPUs).
	CallTimeout time.Duration
	// ServeTimeout bounds the wait for a woken engine's first token; zero
	// means 30 s.
	ServeTimeout time.Duration
	// Poll is the pause between two looks; zero means 100 ms.
	Poll time.Duration
}

func (o Options) completed() (Options, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return o, fmt.Errorf("engine URL %q: give one like http://10.0.0.7:8000", o.URL)
	}
	if o.CallTimeout < 0 || o.ServeTimeout < 0 || o.Poll < 0 {
		return o, fmt.Errorf("engine %s: timeouts (%v, %v) and poll (%v) must not be negative", o.URL, o.CallTimeout, o.ServeTimeout, o.Poll)
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	o.Client = or(o.Client, http.DefaultClient)
	o.CallTimeout = or(o.CallTimeout, time.Minute)
	o.ServeTimeout = or(o.ServeTimeout, 30*time.Second)
	o.Poll = or(o.Poll, 100*time.Millisecond)
	return o, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// client talks to one engine. Its operations take turns.
type client struct {
	Options
	turn chan struct{} // capacity 1
}

func newClient(o Options) (client, error) {
	o, err := o.completed()
	return client{Options: o, turn: make(chan struct{}, 1)}, err
}

// begin waits for the turn; the caller ends it.
func (c *client) begin(ctx context.Context) (end func(), err error) {
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// maxAnswer bounds what is read of an answer; metric pages are below 1 MiB.
const maxAnswer = 16 << 20 // bytes

// statusError is an answer other than 200.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("HTTP %d %s", e.status, e.text))
}

// request is one call to an engine.
type request struct {
	doing, method, path string
	body                any // sent as JSON unless nil
}

// call sends a request and returns the body of its answer.
func (c *client) call(ctx context.Context, r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.CallTimeout)
	defer cancel()
	body, err := c.do(ctx, r)
	if err != nil {
		return nil, c.fault(r, err)
	}
	return body, nil
}

func (c *client) do(ctx context.Context, r request) ([]byte, error) {
	var sent io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(b)
	}
	out, err := http.NewRequestWithContext(ctx, r.method, c.URL+r.path, sent)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		out.Header.Set("Content-Type", "application/json")
	}
	if c.APIKey != "" {
		out.Header.Set("Authorization", "Bearer "+c.APIKey)
	}
	response, err := c.Client.Do(out)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the rest repeats the endpoint
		}
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, &statusError{response.StatusCode, string(body[:min(len(body), 300)])}
	}
	return body, nil
}

// fault names the endpoint and the remedy of a call that failed.
func (c *client) fault(r request, err error) error {
	out := &CallError{Doing: r.doing, Endpoint: c.endpoint(r), Err: err}
	status, answered := errors.AsType[*statusError](err)
	switch {
	case errors.Is(err, context.Canceled):
		out.Remedy = "the caller gave up; the engine may still be at it"
	case errors.Is(err, context.DeadlineExceeded):
		out.Remedy = fmt.Sprintf("look at the engine's log, or raise the timeout (%v for a call) if it is only slow", c.CallTimeout)
	case !answered:
		out.Remedy = "look whether the engine's process still runs and its port is open"
	case status.status == http.StatusServiceUnavailable:
		out.Remedy = "the engine loads or shuts down; try again when it is ready"
	case status.status == http.StatusUnauthorized || status.status == http.StatusForbidden:
		out.Remedy = "give the engine's API key"
	default:
		out.Remedy = "look at the engine's log; where it is out of GPU memory, put another engine of the GPU to sleep first"
	}
	return out
}

// failed is a fault that no call reports.
func (c *client) failed(r request, remedy string, err error) error {
	return &CallError{Doing: r.doing, Endpoint: c.endpoint(r), Remedy: remedy, Err: err}
}

func (c *client) endpoint(r request) string { return r.method + " " + c.URL + r.path }

// hasStatus says whether the engine answered with one of the codes.
func hasStatus(err error, codes ...int) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && slices.Contains(codes, e.status)
}

// pause waits for the next look.
func (c *client) pause(ctx context.Context) error {
	timer := time.NewTimer(c.Poll)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func pageOf(doing string) request { return request{doing, http.MethodGet, "/metrics", nil} }

// page reads the metric page.
func (c *client) page(ctx context.Context, doing string) (map[string]*dto.MetricFamily, error) {
	r := pageOf(doing)
	text, err := c.call(ctx, r)
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, c.fault(r, fmt.Errorf("not a metric page: %w", err))
	}
	return families, nil
}

// idle is nil where every one of the gauges is on the page and zero.
func (c *client) idle(ctx context.Context, gauges ...string) error {
	const remedy = "take it out of its endpoints and let its requests finish first"
	families, err := c.page(ctx, "sleep")
	if err != nil {
		return err
	}
	for _, name := range gauges {
		samples := families[name].GetMetric()
		if len(samples) == 0 {
			return c.failed(pageOf("sleep"), "have the engine publish its metrics", fmt.Errorf("%w: no %s on its page", ErrBusy, name))
		}
		for _, m := range samples {
			if v := gauge(m); v != 0 { // NaN too
				return c.failed(pageOf("sleep"), remedy, fmt.Errorf("%w: %s is %v", ErrBusy, name, v))
			}
		}
	}
	return nil
}

// gauge is a sample's value; families without a declared type are untyped.
func gauge(m *dto.Metric) float64 {
	if m.GetGauge() != nil {
		return m.GetGauge().GetValue()
	}
	return m.GetUntyped().GetValue()
}

var (
	modelsRequest = request{"probe", http.MethodGet, "/v1/models", nil}
	probeRequest  = request{"probe", http.MethodPost, "/v1/completions", nil}
)

// serves returns when the engine has computed a token. /health proves nothing:
// vLLM answers it in its sleep.
func (c *client) serves(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, c.ServeTimeout)
	defer cancel()
	for {
		err := c.probe(bounded)
		if err == nil || hasStatus(err, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound) {
			return err
		}
		if bounded.Err() == nil && c.pause(bounded) == nil {
			continue
		}
		if ctx.Err() != nil {
			return c.failed(probeRequest, "the caller gave up", ctx.Err())
		}
		return c.failed(probeRequest, "it says that it is awake: keep it out of its endpoints and restart it",
			fmt.Errorf("%w: no token within %v: %w", ErrNotServing, c.ServeTimeout, err))
	}
}

// probe asks for one token.
func (c *client) probe(ctx context.Context) error {
	name := c.Model
	if name == "" {
		var list struct {
			Data []struct {
				ID string `json:"id"`
			} `json:"data"`
		}
		if err := c.ask(ctx, modelsRequest, &list); err != nil {
			return err
		}
		if len(list.Data) == 0 {
			return c.failed(modelsRequest, "name the model", errors.New("no model is served"))
		}
		name = list.Data[0].ID
	}
	var answer struct {
		Choices []struct {
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
	}
	r := probeRequest
	r.body = map[string]any{"model": name, "prompt": "a", "max_tokens": 1}
	if err := c.ask(ctx, r, &answer); err != nil {
		return err
	}
	if len(answer.Choices) == 0 || answer.Choices[0].FinishReason == "abort" {
		return c.fault(r, errors.New("the request was aborted without a token"))
	}
	return nil
}

// ask is a call with a JSON answer.
func (c *client) ask(ctx context.Context, r request, into any) error {
	body, err := c.call(ctx, r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return c.fault(r, fmt.Errorf("not the JSON expected: %w", err))
	}
	return nil
}
