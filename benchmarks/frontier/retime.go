package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// The bounds of re-timing.
const (
	// mostDilation is by how much times and needs may be multiplied or divided.
	mostDilation = 2
	// The mean number of busy replicas stays within these.
	leastNeed, mostNeed = 3, 12
	// mostRequests is how many a cell may have: the need is lowered where there would be more, then the end is cut off.
	mostRequests = 1_200_000
)

// retimed is the load with the offset, the scale and the dilation of a seed: windows move by up to half of their length,
// times and needs are multiplied by 0.5 to 2, evenly in their logarithm. Seed 1 leaves all of it as it is written.
func (l load) retimed(seed uint64) load {
	if seed == 1 {
		return l
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(l.name)) // never fails
	rng := rand.New(rand.NewPCG(seed, h.Sum64()))
	factor := func() float64 { return math.Pow(mostDilation, 2*rng.Float64()-1) }
	dilation, scale, move := factor(), factor(), rng.Float64()-0.5
	l.compress = l.compression() / dilation
	l.need = min(mostNeed, max(leastNeed, l.need*scale))
	if l.length > 0 {
		// The window lasts as long as before once it is dilated.
		l.length = time.Duration(float64(l.length) / dilation)
		l.from = max(0, l.from+time.Duration(move*float64(l.length)))
	}
	return l
}

// compression is by how much times are divided.
func (l load) compression() float64 { return cmp.Or(l.compress, 1) }

// open begins to read the load with its number of requests multiplied.
func (l load) open(folder string, rate float64, seed uint64) (trace.Stream, error) {
	o := trace.Options{From: l.from, For: l.length, Compress: l.compress, Rate: rate, Jitter: l.jitter, Mix: l.mix, Seed: int64(seed)}
	if strings.HasSuffix(l.mix, ".gz") {
		o.Mix = filepath.Join(folder, l.mix)
	}
	file := strings.TrimPrefix(l.file, ":")
	if !l.generated() {
		file = filepath.Join(folder, l.file)
	}
	t, err := trace.Open(file, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.name, err)
	}
	return t, nil
}

// arrivals are requests that are held, and how long the load lasts.
type arrivals struct {
	requests []trace.Request
	span     time.Duration
}

// read holds all requests of the load.
func (l load) read(folder string, rate float64, seed uint64) (arrivals, error) {
	s, err := l.open(folder, rate, seed)
	if err != nil {
		return arrivals{}, err
	}
	if c, ok := s.(io.Closer); ok {
		defer c.Close()
	}
	requests, err := trace.Collect(s)
	if err != nil {
		return arrivals{}, fmt.Errorf("%s: %w", l.name, err)
	}
	if len(requests) == 0 {
		return arrivals{}, fmt.Errorf("%s: no requests", l.name)
	}
	end, _ := trace.EndOf(s)
	return arrivals{requests, max(end, requests[len(requests)-1].At, time.Minute)}, nil
}

// rate is in requests per second.
func (a arrivals) rate() float64 { return float64(len(a.requests)) / a.span.Seconds() }

// mix is the mean request.
func (a arrivals) mix() replica.Mix {
	var m replica.Mix
	for _, q := range a.requests {
		m.PromptTokens += float64(q.PromptTokens)
		m.OutputTokens += float64(q.OutputTokens)
	}
	n := float64(len(a.requests))
	m.PromptTokens, m.OutputTokens = m.PromptTokens/n, m.OutputTokens/n
	return m
}

// stream is a reader of the requests from their start.
func (a arrivals) stream() trace.Stream { return &held{arrivals: a} }

// held reads requests that are in memory.
type held struct {
	arrivals
	next int
}

// Next implements trace.Stream.
func (h *held) Next() (trace.Request, error) {
	if h.next >= len(h.requests) {
		return trace.Request{}, io.EOF
	}
	h.next++
	return h.requests[h.next-1], nil
}

// End implements trace.Ending.
func (h *held) End() (time.Duration, bool) { return h.span, true }

// hash tells loads apart.
func (a arrivals) hash() uint64 {
	h := fnv.New64a()
	var b [24]byte
	for _, q := range a.requests {
		binary.LittleEndian.PutUint64(b[:], uint64(q.At))
		binary.LittleEndian.PutUint64(b[8:], uint64(q.PromptTokens))
		binary.LittleEndian.PutUint64(b[16:], uint64(q.OutputTokens))
		_, _ = h.Write(b[:]) // never fails
	}
	return h.Sum64() ^ uint64(a.span)
}

// subject is a load at the rate that gives its replicas the wanted need.
type subject struct {
	load
	arrivals
	profile replica.Profile
	slo     score.SLO
	// capacity is what one replica sustains of the mean request within the objective, in requests per second; zero where
	// that misses the objective even alone.
	capacity float64
}

// objective is that of the issue: a first token within 2 s, a token each 100 ms, or 50 ms of a small model.
func objective(profile string) score.SLO {
	slo := score.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond, Attainment: 0.99}
	if sizeOf.FindString(profile) == "8b" {
		slo.TPOT = 50 * time.Millisecond
	}
	return slo
}

// The share of a trace's requests that a first reading takes to learn their mean, and how many suffice.
const (
	probe  = 0.05
	enough = 20_000
)

// errSparse says that a rate would have to be multiplied by more than a trace takes.
var errSparse = errors.New("has too few requests for the need")

// prepare reads a load so that its mean need is as wanted.
func prepare(l load, profile, folder string, seed uint64) (*subject, error) {
	p, err := replica.ProfileNamed(profile)
	if err != nil {
		return nil, err
	}
	s := &subject{load: l, profile: p, slo: objective(profile)}
	rate := probe
	first, err := l.read(folder, rate, seed)
	if err == nil && len(first.requests) < enough {
		rate = 1
		first, err = l.read(folder, rate, seed)
	}
	if err != nil {
		return nil, err
	}
	s.capacity = replica.Sustainable(p, first.mix(), s.slo.TTFT, s.slo.TPOT)
	if s.capacity > 0 {
		s.fit(first.span)
		rate *= s.need * s.capacity / first.rate()
	} else {
		s.need, rate = 0, 1
	}
	if rate > 1000 {
		return nil, fmt.Errorf("%s: %w of %v replicas", l.name, errSparse, l.need)
	}
	s.arrivals, err = s.read(folder, rate, seed)
	return s, err
}

// fit lowers the need, and cuts the end off where that is not enough, so that a load of that span has no more requests
// than can be replayed.
func (s *subject) fit(span time.Duration) {
	most := mostRequests / s.capacity / span.Seconds() // replicas
	s.need = min(s.need, max(leastNeed, most))
	if s.need > most {
		s.length = time.Duration(float64(span) * s.compression() * most / s.need)
	}
}

// warmUp is how long it is served before it is scored.
func (s *subject) warmUp() time.Duration { return time.Duration(s.warm * float64(s.span)) }
