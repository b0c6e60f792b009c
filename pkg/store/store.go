package store

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// PodID names one pod. A pod made anew under an old name has another UID and is another pod.
type PodID struct{ Namespace, Name, UID string }

// Options bounds what a Store keeps and serves; zero fields take their defaults.
type Options struct {
	// Window is the time over which rates and quantiles are taken (default 1 min).
	Window time.Duration
	// Staleness is the age beyond which a reading serves nothing; three scrape intervals are sensible (default 15 s).
	Staleness time.Duration
}

const (
	defaultWindow    = time.Minute
	defaultStaleness = 15 * time.Second
	// maxReadings bounds the memory of one pod where readings come far too often; rates are then over less time.
	maxReadings = 128
)

// Store holds recent readings. Make one with New.
type Store struct {
	window, staleness time.Duration

	mu   sync.RWMutex
	pods map[PodID]*pod
}

// pod is what is kept of one pod.
type pod struct {
	// readings are in order of time. They reach back to the first one at or before the start of the window.
	readings []*signals.Reading
	failedAt time.Time
	failure  error
	// lack says what the newest reading lacks and what comes nearest, nil where it lacks nothing.
	lack error
	// staleness is the pod's own bound where its readings come seldom, else zero.
	staleness time.Duration
}

// New returns an empty store.
func New(o Options) *Store {
	return &Store{
		window:    cmp.Or(o.Window, defaultWindow),
		staleness: cmp.Or(o.Staleness, defaultStaleness),
		pods:      map[PodID]*pod{},
	}
}

// ErrFrozen is the problem of a pod whose page says that requests run while nothing on it moves.
var ErrFrozen = errors.New("the page is frozen: requests run, but no value has changed since the last scrape")

// Put adds a reading, which must not be changed any more. One that is not newer than the pod's newest is dropped; so is
// one off a frozen page, which is remembered as a problem instead, so that what is served grows old and is then absent.
func (s *Store) Put(id PodID, r *signals.Reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pod(id)
	if n := len(p.readings); n > 0 {
		switch newest := p.readings[n-1]; {
		case !r.Time.After(newest.Time):
			return
		case signals.Frozen(newest, r):
			p.failedAt, p.failure = r.Time, ErrFrozen
			return
		}
	}
	p.readings = append(p.readings, r)
	p.trim(r.Time.Add(-s.window), r.Time.Add(-s.window-max(s.staleness, p.staleness)))
}

// Expect says how often readings of a pod come. Where three times that is more than the staleness bound, it is the
// pod's own.
func (s *Store) Expect(id PodID, every time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pod(id).staleness = 3 * every
}

// pod returns the entry of a pod, made if need be; the caller holds the lock.
func (s *Store) pod(id PodID) *pod {
	p := s.pods[id]
	if p == nil {
		p = &pod{}
		s.pods[id] = p
	}
	return p
}

// trim drops readings from before the window, but for the last of them where it is no older than oldest.
func (p *pod) trim(windowStart, oldest time.Time) {
	drop := max(0, len(p.readings)-maxReadings)
	for drop+1 < len(p.readings) && (!p.readings[drop+1].Time.After(windowStart) || p.readings[drop].Time.Before(oldest)) {
		drop++
	}
	if drop == 0 {
		return
	}
	n := copy(p.readings, p.readings[drop:])
	clear(p.readings[n:])
	p.readings = p.readings[:n]
}

// Fail remembers that a pod could not be read, to explain why its values are absent.
func (s *Store) Fail(id PodID, at time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pod(id)
	p.failedAt, p.failure = at, err
}

// Lack remembers what the readings of a pod lack from now on and why, nil where nothing; like a failure it only explains.
func (s *Store) Lack(id PodID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pod(id).lack = err
}

// Lacking returns what was last told of a pod by Lack.
func (s *Store) Lacking(id PodID) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p := s.pods[id]; p != nil {
		return p.lack
	}
	return nil
}

// Keep forgets every pod that is not among ids.
func (s *Store) Keep(ids []PodID) {
	kept := make(map[PodID]struct{}, len(ids))
	for _, id := range ids {
		kept[id] = struct{}{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.pods {
		if _, ok := kept[id]; !ok {
			delete(s.pods, id)
		}
	}
}

// Latest returns the newest reading of a pod, whatever its age; false where there is none.
func (s *Store) Latest(id PodID) (*signals.Reading, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := s.pods[id]
	if p == nil || len(p.readings) == 0 {
		return nil, false
	}
	return p.readings[len(p.readings)-1], true
}

// Problem returns a pod's last failure if no reading came since; err is nil where there is no problem.
func (s *Store) Problem(id PodID) (at time.Time, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := s.pods[id]
	if p == nil || p.failure == nil {
		return time.Time{}, nil
	}
	if n := len(p.readings); n > 0 && p.readings[n-1].Time.After(p.failedAt) {
		return time.Time{}, nil
	}
	return p.failedAt, p.failure
}

// fresh appends a pod's readings to into, oldest first, and reports whether the newest is fresh at now.
func (s *Store) fresh(into []*signals.Reading, id PodID, now time.Time) ([]*signals.Reading, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := s.pods[id]
	if p == nil || len(p.readings) == 0 || now.Sub(p.readings[len(p.readings)-1].Time) > max(s.staleness, p.staleness) {
		return nil, false
	}
	return append(into, p.readings...), true
}
