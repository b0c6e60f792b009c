// Package emulator stands in for vLLM where there is no GPU: it serves the
// OpenAI-compatible API and vLLM's own metric page, with the timing of a
// continuous-batching engine (pkg/replica) run against the real clock.
//
// A PodServer is one replica. A Fleet gives every emulated Pod of a cluster its
// PodServer, on the Pod's own IP, in one process: it plays kubelet and container
// together, loads for a drawn time and then reports the Pod ready.
//
// Before a replica has loaded, its port is open and every path answers 503,
// the metric page included, because vLLM publishes no page before its engine
// is up. With Options.SleepMode it has vLLM's sleep mode too: POST /sleep,
// POST /wake_up, GET /is_sleeping, and POST /collective_rpc for the reload that
// a wake from level 2 needs, with the states of sleep.go. A request that carries
// CachedTokensHeader is believed even if a sleep has dropped the KV cache since.
//
// What real engines do with tokens is not emulated: texts are filler, and a
// request says how long it is by its size or by the headers below.
//
// It must not decide anything about scaling, and nothing of Preheat's service
// may import it.
package emulator

import (
	"errors"
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// Request headers that spare a load test megabytes of prompt.
const (
	// PromptTokensHeader is the length of the prompt in tokens; without it the
	// prompt counts as one token per four characters.
	PromptTokensHeader = "X-Emulated-Prompt-Tokens"
	// CachedTokensHeader is the number of prompt tokens found in the prefix cache.
	CachedTokensHeader = "X-Emulated-Cached-Tokens"
	// OutputTokensHeader is the length at which the model would stop by itself,
	// unless ignore_eos is set; without it 128.
	OutputTokensHeader = "X-Emulated-Output-Tokens"
)

const (
	prefix = "simulations.preheat.dev/"
	// EngineSelector selects the Pods a Fleet may serve.
	EngineSelector = prefix + "engine=vllm"
	// ReadinessAnnotation must be "emulator" on the Pods a Fleet serves; it
	// also keeps kwok from making them ready.
	ReadinessAnnotation = prefix + "readiness"
	// LoadTimeAnnotation is the median time to load, as a Go duration.
	LoadTimeAnnotation = prefix + "load-time"
	// LoadJitterAnnotation is the sigma of the lognormal load time.
	LoadJitterAnnotation = prefix + "load-jitter"
	// ProfileAnnotation names the serving profile of the Pod.
	ProfileAnnotation = prefix + "profile"
)

// Options say what a replica emulates.
type Options struct {
	// Profile is the speed and configuration of the replica. A zero
	// StreamInterval becomes 8 tokens.
	Profile replica.Profile
	// ModelName is the served model; empty means Profile.Model.
	ModelName string
	// Version is the vLLM version to claim; empty means 0.26.0.
	Version string
	// SleepMode is vLLM's --enable-sleep-mode together with
	// VLLM_SERVER_DEV_MODE=1: without both its endpoints do not exist.
	SleepMode bool
	// SleepTimes hold in sleep mode; the zero value means DefaultSleepTimes.
	SleepTimes SleepTimes
	// NumberTokens puts its number after each token of an answer, so that a
	// client can tell whether any is missing or out of order.
	NumberTokens bool
	// Took, where it is not nil, is called with the X-Request-Id of each
	// completion that the engine takes.
	Took func(requestID string)
}

// DefaultStreamInterval is the number of tokens in one streamed chunk. One, as
// vLLM does by default, costs a system call and a wake-up per token.
const DefaultStreamInterval = 8

func (o Options) completed() (Options, error) {
	if o.Profile.StreamInterval == 0 {
		o.Profile.StreamInterval = DefaultStreamInterval
	}
	if o.ModelName == "" {
		o.ModelName = o.Profile.Model
	}
	if o.Version == "" {
		o.Version = "0.26.0"
	}
	if o.SleepTimes == (SleepTimes{}) {
		o.SleepTimes = DefaultSleepTimes
	}
	if t := o.SleepTimes; t.Copy < 0 || t.Map < 0 || t.Reload < 0 {
		return o, fmt.Errorf("sleep times %+v must not be negative", t)
	}
	if o.ModelName == "" {
		return o, errors.New("neither the options nor the profile name a model")
	}
	if err := o.Profile.Validate(); err != nil {
		return o, fmt.Errorf("profile %q: %w", o.Profile.Name, err)
	}
	return o, nil
}

// Fault is a way in which a replica goes wrong: its metric page, or its waking up.
type Fault string

// The faults that can be injected at run time.
const (
	// NoFault is the healthy page.
	NoFault Fault = "none"
	// StaleFault repeats the page of the moment the fault was set.
	StaleFault Fault = "stale"
	// GarbageFault answers 200 with bytes that are no metric page.
	GarbageFault Fault = "garbage"
	// ErrorFault answers HTTP 500.
	ErrorFault Fault = "error"
	// HangFault accepts the request and does not answer.
	HangFault Fault = "hang"
	// NaNFault has NaN for every value of the engine.
	NaNFault Fault = "nan"
	// LieFault answers /wake_up at once and says that nothing sleeps, in
	// /is_sleeping and on the metric page, while the wake still takes its time.
	LieFault Fault = "lie"
	// WakeErrorFault answers HTTP 500 where the KV cache is to wake and leaves
	// it asleep; weights that were to wake with it are awake by then.
	WakeErrorFault Fault = "wake-error"
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{NoFault, StaleFault, GarbageFault, ErrorFault, HangFault, NaNFault, LieFault, WakeErrorFault}
}

// hangLimit bounds HangFault: no scraper waits longer.
const hangLimit = 2 * time.Minute
