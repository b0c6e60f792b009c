package kube

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/warmpool"
)

const (
	// atOnce is how many engines are put to sleep or woken at once; what is over waits for the next tick.
	atOnce = 128
	// handTimeout bounds one sleep or wake with all its calls: the longest reload of weights that was measured takes half.
	handTimeout = 3 * time.Minute
	// dialTimeout tells a pod whose node is gone from one that is slow.
	dialTimeout = 3 * time.Second
	// wakeFailures is how often in a row an engine may fail to wake until its pod is replaced.
	wakeFailures = 3
	// noAPIPause is for how long a target whose engines have no sleep mode is not asked again.
	noAPIPause = 10 * time.Minute
)

// hands puts engines to sleep and wakes them, each in a goroutine of its own since that takes seconds: at most one for each
// pod, and atOnce of them. Each ends within handTimeout.
type hands struct {
	// sleeper returns the sleep mode of the engine at a URL, which is in a phase as far as is known.
	sleeper func(engine, url string, known warmpool.Phase) (warmpool.Sleeper, error)
	now     func() time.Time
	// backoff is the pause after the first failure of an engine; it doubles with each.
	backoff time.Duration
	slots   chan struct{}
	running sync.WaitGroup

	mu   sync.Mutex
	pods map[types.UID]*handled
	// noAPI is since when a target's engines are known to have no sleep mode.
	noAPI map[controlloop.TargetID]time.Time
}

// handled is what is known of one engine.
type handled struct {
	sleeper warmpool.Sleeper
	busy    bool
	// asleep is when the engine proved to sleep, zero where it is not known to; process is when that engine was started.
	asleep, process time.Time
	// failures is how often in a row it failed, wakes how often it failed to wake; last is why, retryAt when it is tried again.
	failures, wakes int
	last            error
	retryAt         time.Time
}

func newHands(now func() time.Time) *hands {
	client := &http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, IdleConnTimeout: time.Minute,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, // as spec.metrics.scheme says
	}}
	return &hands{
		sleeper: func(engine, url string, known warmpool.Phase) (warmpool.Sleeper, error) {
			return newSleeper(engine, warmpool.Options{URL: url, Client: client}, known)
		},
		now: now, backoff: time.Second, slots: make(chan struct{}, atOnce),
		pods: map[types.UID]*handled{}, noAPI: map[controlloop.TargetID]time.Time{},
	}
}

// newSleeper returns the sleep mode of an engine; what is not known to be another is taken for a vLLM.
func newSleeper(engine string, o warmpool.Options, known warmpool.Phase) (warmpool.Sleeper, error) {
	if engine == "sglang" {
		return warmpool.NewSGLang(o, warmpool.State{Phase: known})
	}
	return warmpool.NewVLLM(o)
}

// engineURL is the base of the engine's API: it is served where the metric page is.
func engineURL(page string) (string, error) {
	u, err := url.Parse(page)
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String(), nil
}

// levelOf is how deeply the engines of a target sleep.
func levelOf(a *v1alpha1.InferenceAutoscaler) v1alpha1.SleepLevel {
	if a.Spec.Warm != nil && a.Spec.Warm.Asleep != nil && a.Spec.Warm.Asleep.Level == v1alpha1.SleepDiscard {
		return v1alpha1.SleepDiscard
	}
	return v1alpha1.SleepOffload
}

// job is one engine that is to sleep or to wake.
type job struct {
	target controlloop.TargetID
	member *member
	// engine and url are its kind and the base of its API.
	engine, url string
	wakes       bool
	do          func(context.Context, warmpool.Sleeper) error
	// done is told that it has been done, failed that it could not be, nil for nobody; both in the same goroutine.
	done, failed func(context.Context)
}

// start begins a job, unless one of its pod runs, failed not long ago, or there are too many.
func (h *hands) start(ctx context.Context, j job) {
	uid := j.member.pod.UID
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.pods[uid]
	if !ok {
		p = &handled{}
		h.pods[uid] = p
	}
	if p.busy || h.now().Before(p.retryAt) {
		return
	}
	if p.sleeper == nil {
		known := warmpool.Awake
		if j.wakes {
			known = warmpool.Asleep
		}
		if p.sleeper, p.last = h.sleeper(j.engine, j.url, known); p.last != nil {
			return
		}
	}
	select {
	case h.slots <- struct{}{}:
	default:
		return
	}
	p.busy = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handTimeout)
	h.running.Go(func() {
		defer cancel()
		err := j.do(ctx, p.sleeper)
		h.settle(j, p, err)
		switch {
		case err == nil:
			j.done(ctx)
		case j.failed != nil:
			j.failed(context.WithoutCancel(ctx))
		}
		<-h.slots
		h.mu.Lock()
		defer h.mu.Unlock()
		p.busy = false
	})
}

// settle remembers what came of a job.
func (h *hands) settle(j job, p *handled, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		p.failures, p.last, p.retryAt = 0, nil, time.Time{}
		if j.wakes {
			p.wakes = 0
		}
	case errors.Is(err, warmpool.ErrBusy):
		p.retryAt = h.now().Add(h.backoff)
	case errors.Is(err, warmpool.ErrNoSleepAPI):
		h.noAPI[j.target], p.last = h.now(), err
	default:
		p.last = err
		p.retryAt = h.now().Add(h.backoff << min(p.failures, 5))
		p.failures++
		if j.wakes {
			p.wakes++
		}
	}
}

// sleep puts an engine to sleep, unless it is known to sleep.
func (h *hands) sleep(ctx context.Context, j job, level v1alpha1.SleepLevel) {
	process := startedAt(j.member.pod.Status.ContainerStatuses, j.member.engine)
	if h.sleeps(j.member, process) {
		return
	}
	deep := map[v1alpha1.SleepLevel]warmpool.Level{v1alpha1.SleepOffload: warmpool.Offload, v1alpha1.SleepDiscard: warmpool.Discard}[level]
	j.do = func(ctx context.Context, s warmpool.Sleeper) error {
		if err := s.Sleep(ctx, deep); !errors.Is(err, warmpool.ErrLevel) {
			return err
		}
		return nil // it sleeps at another level, which is deep enough until it wakes
	}
	j.done = func(context.Context) { h.note(j.member.pod.UID, h.now(), process) }
	h.start(ctx, j)
}

// wake wakes an engine, and calls done once it has computed a token.
func (h *hands) wake(ctx context.Context, j job, done func(context.Context)) {
	j.wakes = true
	j.do = func(ctx context.Context, s warmpool.Sleeper) error {
		if err := s.Wake(ctx); !errors.Is(err, warmpool.ErrNoSleepAPI) {
			return err
		}
		return nil // what cannot sleep is awake
	}
	j.done = func(ctx context.Context) {
		h.note(j.member.pod.UID, time.Time{}, time.Time{})
		done(ctx)
	}
	h.start(ctx, j)
}

func (h *hands) note(uid types.UID, asleep, process time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, ok := h.pods[uid]; ok {
		p.asleep, p.process = asleep, process
	}
}

// sleeps reports whether an engine has proved to sleep and has not been started again, or said that it is awake, since.
func (h *hands) sleeps(m *member, process time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.pods[m.pod.UID]
	if !ok || p.asleep.IsZero() || !p.process.Equal(process) {
		return false
	}
	if m.reading == nil || !m.reading.Time.After(p.asleep) {
		return true
	}
	awake, known := m.reading.Value(signals.EnginesAwake)
	return !known || awake == 0
}

// rests reports whether an engine has proved to sleep and nobody is at it or has failed to wake it since.
func (h *hands) rests(m *member) bool {
	if !h.sleeps(m, startedAt(m.pod.Status.ContainerStatuses, m.engine)) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.pods[m.pod.UID]
	return ok && !p.busy && p.wakes == 0
}

// unwakable is how often in a row a pod's engine failed to wake and why, none while it is being tried.
func (h *hands) unwakable(uid types.UID) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.pods[uid]
	if !ok || p.busy {
		return 0, nil
	}
	return p.wakes, p.last
}

// noSleepMode returns a fault while a target's engines are known to have no sleep mode.
func (h *hands) noSleepMode(id controlloop.TargetID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, ok := h.noAPI[id]
	if !ok || h.now().Sub(at) >= noAPIPause {
		return nil
	}
	return &Fault{Reason: WarmUnavailable, Message: fmt.Sprintf(
		"the engines of this target cannot be put to sleep, so none are kept asleep; start vLLM with --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1, or remove spec.warm.asleep; it is tried again at %s",
		at.Add(noAPIPause).UTC().Format(time.RFC3339))}
}

// forget drops a pod that is gone.
func (h *hands) forget(uid types.UID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pods, uid)
}

// forgetTarget drops a target that is gone.
func (h *hands) forgetTarget(id controlloop.TargetID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.noAPI, id)
}
