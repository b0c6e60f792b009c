package loadgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// Options configure a Driver.
type Options struct {
	Router *Router
	// Model is the model name to ask for.
	Model string
	// Timeout bounds one request, its wait for an endpoint included. Zero means
	// two minutes.
	Timeout time.Duration
	// MaxDuration bounds a whole run; zero means the trace's length plus
	// Timeout. Requests still under way then are recorded as failed.
	MaxDuration time.Duration
	// Prompt makes the text for a number of tokens. Nil sends one word and tells
	// the emulator the number in a header, which costs nothing.
	Prompt func(tokens int) string
	// Dial connects to an endpoint; nil connects from where the driver runs. It
	// lets a driver reach replicas of another network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	// promptTokensHeader is the emulator's; repeated here so that the driver
	// does not link it.
	promptTokensHeader = "X-Emulated-Prompt-Tokens"
	// maxAttempts bounds the endpoints tried while a request has got no answer:
	// a gateway retries connections that are refused.
	maxAttempts = 5
	// retryPause between attempts, times the number of the attempt.
	retryPause = 20 * time.Millisecond
	// dialTimeout bounds a connection attempt: a gateway gives a dead replica up
	// in about that time.
	dialTimeout = 2 * time.Second
	// maxUnderWay bounds the requests at one time; more fail at once, since the
	// measurement is worthless when the driver itself is overrun.
	maxUnderWay = 50_000
)

// Record is what one request got.
type Record struct {
	// Arrival is the time since the start of the run at which it was sent.
	Arrival time.Duration
	// PromptTokens and OutputTokens were asked for, Received came.
	PromptTokens, OutputTokens, Received int
	// TTFT is the time from arrival to the first token; zero if none came.
	TTFT time.Duration
	// TPOT is the mean time per token after the first; zero for one token.
	TPOT time.Duration
	// E2E is the time from arrival to the end, good or bad.
	E2E time.Duration
	// Endpoint served it, or was tried last.
	Endpoint string
	// Attempts counts endpoints tried.
	Attempts int
	// Err says why it failed; empty for success.
	Err string
}

// Driver sends one trace.
type Driver struct {
	options Options
	client  *http.Client

	mu       sync.Mutex
	arrived  int
	underWay int
	records  []Record
}

// New makes a driver with its own connection pool.
func New(o Options) (*Driver, error) {
	if o.Router == nil {
		return nil, errors.New("load driver: a router is required")
	}
	if o.Timeout < 0 || o.MaxDuration < 0 {
		return nil, fmt.Errorf("load driver: timeout %v and maximum duration %v must not be negative", o.Timeout, o.MaxDuration)
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	transport := &http.Transport{
		DialContext:         o.Dial,
		MaxIdleConnsPerHost: 1024,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
	return &Driver{options: o, client: &http.Client{Transport: transport}}, nil
}

// Run sends the requests, which must be in order of time, and returns when each
// has ended. It may be called once. The error is ctx's, if that cut it short.
func (d *Driver) Run(ctx context.Context, requests []trace.Request) error {
	limit := d.options.MaxDuration
	if limit == 0 && len(requests) > 0 {
		limit = requests[len(requests)-1].At + d.options.Timeout
	}
	running, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer d.client.CloseIdleConnections()
	var sent sync.WaitGroup
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for _, q := range requests {
		timer.Reset(time.Until(start.Add(q.At)))
		select {
		case <-running.Done():
		case <-timer.C:
		}
		if running.Err() != nil {
			break
		}
		arrival := time.Since(start)
		if !d.arrive() {
			d.add(Record{Arrival: arrival, PromptTokens: q.PromptTokens, OutputTokens: q.OutputTokens, Err: "the driver is overrun"})
			continue
		}
		sent.Go(func() { d.add(d.one(running, start, arrival, q)) })
	}
	sent.Wait()
	return ctx.Err()
}

// arrive counts a request in, unless there are too many already.
func (d *Driver) arrive() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arrived++
	d.underWay++
	return d.underWay <= maxUnderWay
}

func (d *Driver) add(r Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.underWay--
	d.records = append(d.records, r)
}

// Records returns what has ended so far, in order of ending.
func (d *Driver) Records() []Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Record(nil), d.records...)
}

// Live is a driver's progress.
type Live struct{ Arrived, UnderWay, Ended int }

// Live describes the run now.
func (d *Driver) Live() Live {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Live{Arrived: d.arrived, UnderWay: d.underWay, Ended: len(d.records)}
}

// errRefused means that an endpoint took no work; another may.
var errRefused = errors.New("endpoint refused")

// one carries a request through all its attempts.
func (d *Driver) one(ctx context.Context, start time.Time, arrival time.Duration, q trace.Request) Record {
	ctx, cancel := context.WithTimeout(ctx, d.options.Timeout)
	defer cancel()
	record := Record{Arrival: arrival, PromptTokens: q.PromptTokens, OutputTokens: q.OutputTokens}
	began := start.Add(arrival)
	var err error
	for record.Attempts = 1; ; record.Attempts++ {
		err = d.attempt(ctx, began, &record)
		if !errors.Is(err, errRefused) || record.Attempts == maxAttempts || !pause(ctx, retryPause*time.Duration(record.Attempts)) {
			break
		}
	}
	record.E2E = time.Since(began)
	if err != nil {
		record.Err = err.Error()
	}
	return record
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// attempt tries one endpoint.
func (d *Driver) attempt(ctx context.Context, began time.Time, record *Record) error {
	e, err := d.options.Router.acquire(ctx)
	if err != nil {
		return err
	}
	defer d.options.Router.release(e)
	record.Endpoint = e.address
	response, err := d.send(ctx, e.address, record)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.options.Router.refused(e)
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusServiceUnavailable {
		d.options.Router.refused(e)
		return fmt.Errorf("%w: %s", errRefused, response.Status)
	}
	if response.StatusCode != http.StatusOK {
		message, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(message))
	}
	return receive(response.Body, began, record)
}

func (d *Driver) send(ctx context.Context, address string, record *Record) (*http.Response, error) {
	prompt := "x"
	if d.options.Prompt != nil {
		prompt = d.options.Prompt(record.PromptTokens)
	}
	body := fmt.Sprintf(`{"model":%q,"prompt":%q,"max_tokens":%d,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}`,
		d.options.Model, prompt, record.OutputTokens)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/v1/completions", bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if d.options.Prompt == nil {
		request.Header.Set(promptTokensHeader, strconv.Itoa(record.PromptTokens))
	}
	return d.client.Do(request)
}
