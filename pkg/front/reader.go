package front

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/activator"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

const (
	// look is how often the list of sources is asked for, and retry the pause before a broken stream is opened again.
	look  = 250 * time.Millisecond
	retry = 250 * time.Millisecond
	// silent is after how long without a line a stream is given up and opened again.
	silent = 5 * activator.DemandInterval
	// verdict is how long Kubernetes may take to find that the node of a source is lost: 50 s of node-monitor-grace-period, 5 s
	// until that is looked at, and some for EndpointSlices to follow.
	verdict = time.Minute
)

// Source is one process that holds requests.
type Source struct {
	// ID tells it from a later one at the same address.
	ID string
	// URL is where it streams its demand (activator.ServeDemand).
	URL string
	// Leaving sources take no new connections and may still get requests on old ones: what they say counts, that they fall
	// silent does not.
	Leaving bool
}

// Options are what a Reader is made of.
type Options struct {
	// Sources returns those that may hold requests now: all of them must be heard.
	Sources func() []Source
	// Held is called when requests are held for a target, at once and then each second for as long as they are. It must not
	// block.
	Held func(target string)
	// Client opens the streams. It must have no Timeout.
	Client *http.Client
	Log    *slog.Logger
}

// Reader hears all sources. It is safe for concurrent use.
type Reader struct {
	options Options

	mu      sync.Mutex
	voices  map[string]*voice // by the source's ID
	arrived map[string]float64
	// told is what each source said last, also of those that are not listed at present.
	told map[string]map[string]activator.TargetDemand
}

// voice is one source as it is heard.
type voice struct {
	source Source
	cancel context.CancelFunc
	// known is when the source was first listed, heard when the last line came: zero where none has.
	known, heard time.Time
	targets      map[string]activator.TargetDemand
	// fresh says that nothing is known yet of what came by it before, whole that the next line tells of all its targets.
	fresh, whole bool
}

// New returns a Reader that hears nobody before Run.
func New(o Options) *Reader {
	return &Reader{options: o, voices: map[string]*voice{}, arrived: map[string]float64{}, told: map[string]map[string]activator.TargetDemand{}}
}

// Run keeps a stream to each source until the context ends.
func (r *Reader) Run(ctx context.Context) {
	var streams sync.WaitGroup
	defer streams.Wait()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		r.follow(ctx, &streams)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// follow opens streams to new sources and closes those to sources that are gone.
func (r *Reader) follow(ctx context.Context, streams *sync.WaitGroup) {
	listed := map[string]bool{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.options.Sources() {
		listed[s.ID] = true
		if v := r.voices[s.ID]; v != nil {
			v.source.Leaving = s.Leaving
			continue
		}
		ctx, cancel := context.WithCancel(ctx)
		v := &voice{source: s, cancel: cancel, known: time.Now(), targets: r.told[s.ID]}
		if v.targets == nil {
			v.targets, v.fresh = map[string]activator.TargetDemand{}, true
			r.remember(s.ID, v.targets)
		}
		r.voices[s.ID] = v
		streams.Go(func() { r.hear(ctx, v) })
	}
	for id, v := range r.voices {
		if !listed[id] {
			v.cancel()
			delete(r.voices, id)
		}
	}
}

// mostRemembered is of how many sources it is remembered what they said, when they are gone.
const mostRemembered = 1000

// remember keeps what a source says, in place of all that are gone where these are too many.
func (r *Reader) remember(id string, said map[string]activator.TargetDemand) {
	if len(r.told) >= mostRemembered {
		for old := range r.told {
			if r.voices[old] == nil {
				delete(r.told, old)
			}
		}
	}
	r.told[id] = said
}

// hear reads a source's stream, again and again, until the context ends.
func (r *Reader) hear(ctx context.Context, v *voice) {
	for ctx.Err() == nil {
		err := r.read(ctx, v)
		if ctx.Err() != nil {
			return
		}
		r.options.Log.Warn("the stream of demand broke", "url", v.source.URL, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// read reads one stream until it breaks or falls silent.
func (r *Reader) read(ctx context.Context, v *voice) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(silent, func() { cancel(fmt.Errorf("nothing came for %v", silent)) })
	defer watchdog.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.source.URL, http.NoBody)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	response, err := r.options.Client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	r.mu.Lock()
	v.whole = true
	r.mu.Unlock()
	lines := json.NewDecoder(response.Body)
	for {
		var d activator.Demand
		if err := lines.Decode(&d); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return fmt.Errorf("read line: %w", err)
		}
		watchdog.Reset(silent)
		for _, target := range r.take(v, d, time.Now()) {
			r.options.Held(target)
		}
	}
}

// take notes a line, and returns the targets for which the source holds requests.
func (r *Reader) take(v *voice, d activator.Demand, now time.Time) (held []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v.heard = now
	if v.whole {
		for target, was := range v.targets {
			was.Held = 0
			v.targets[target] = was
		}
	}
	fresh := v.fresh
	v.fresh, v.whole = false, false
	for _, is := range d.Targets {
		was := v.targets[is.Target]
		came := is.Arrivals - was.Arrivals
		if is.Arrivals < was.Arrivals { // it began anew
			came = is.Arrivals
		}
		if fresh { // of what came before only what waits is known to be new
			came = uint64(is.Held)
		}
		r.arrived[is.Target] += float64(came)
		v.targets[is.Target] = is
	}
	for target, t := range v.targets {
		if t.Held > 0 {
			held = append(held, target)
		}
	}
	return held
}

// silentSince is since when nothing has been heard of the source.
func (v *voice) silentSince() time.Time {
	if v.heard.IsZero() {
		return v.known
	}
	return v.heard
}

// Of is what is known of a target: its Time is zero where no source that stays has been heard.
func (r *Reader) Of(target string) scaling.Front {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := scaling.Front{Time: r.time(), Arrived: r.arrived[target]}
	for _, v := range r.voices {
		f.Held += float64(v.targets[target].Held)
	}
	return f
}

// time is of when the reading is: when the last line came, but no later than the verdict on each source that is silent. Until
// then the others speak for it, since most often its node is lost and with it what it held.
func (r *Reader) time() (at time.Time) {
	for _, v := range r.voices {
		if !v.source.Leaving && v.heard.After(at) {
			at = v.heard
		}
	}
	for _, v := range r.voices {
		if end := v.silentSince().Add(verdict); !v.source.Leaving && end.Before(at) {
			at = end
		}
	}
	return at
}
