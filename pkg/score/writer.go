package score

import (
	"fmt"
	"io"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// The first lines of the files that have one.
const (
	TimelineHeader = "policy,t_s,desired,starting,ready,draining,unschedulable\n"
	RequestsHeader = "policy,id,arrival_s,input_tokens,output_tokens,ttft_s,tpot_s,e2e_s,replica,outcome\n"
)

// Streams are where a Writer writes; nil ones are not written. Headers are their owner's.
type Streams struct {
	Timeline, Requests, Decisions io.Writer
}

// Writer writes the rows of one policy's run as they come: a replay.Sink of constant memory.
type Writer struct {
	policy string // as a CSV field
	quoted string // as a JSON string
	target string
	start  time.Time

	timeline, requests, decisions lines
}

// NewWriter returns a Writer for one run of a policy on one target, the empty one for whatever comes. start is the date
// of the trace's zero.
func NewWriter(policy, target string, start time.Time, s Streams) *Writer {
	return &Writer{
		policy: csvField(policy), quoted: string(appendJSON(nil, policy)), target: target, start: start,
		timeline: lines{to: s.Timeline}, requests: lines{to: s.Requests}, decisions: lines{to: s.Decisions},
	}
}

func (w *Writer) concerns(target string) bool { return w.target == "" || w.target == target }

// Counted writes a row of the timeline.
func (w *Writer) Counted(c replay.Census) {
	if w.timeline.to == nil || !w.concerns(c.Target) {
		return
	}
	b := append(w.timeline.begin(), w.policy...)
	b = appendSeconds(append(b, ','), c.At)
	for _, n := range [...]int32{c.Desired, c.Starting, c.Ready, c.Draining, c.Unschedulable} {
		b = appendInt(append(b, ','), int64(n))
	}
	w.timeline.end(append(b, '\n'))
}

// Ended writes a row of the requests.
func (w *Writer) Ended(r replay.Request) {
	if w.requests.to == nil || !w.concerns(r.Target) {
		return
	}
	b := append(w.requests.begin(), w.policy...)
	b = appendInt(append(b, ','), int64(r.ID))
	b = appendMicros(append(b, ','), r.Arrival)
	b = appendInt(append(b, ','), int64(r.PromptTokens))
	b = appendInt(append(b, ','), int64(r.OutputTokens))
	b = appendMicros(append(b, ','), r.TTFT)
	b = append(b, ',')
	if r.OutputTokens > 1 {
		b = appendMicros(b, r.TPOT)
	}
	b = appendMicros(append(b, ','), r.E2E)
	b = append(b, ',')
	if r.Replica >= 0 {
		b = appendInt(b, int64(r.Replica))
	}
	b = append(append(b, ','), r.Outcome.String()...)
	w.requests.end(append(b, '\n'))
}

// Decided writes a decision.
func (w *Writer) Decided(target string, d scaling.Decision, g baseline.Gateway) {
	if w.decisions.to == nil || !w.concerns(target) {
		return
	}
	b := append(w.decisions.begin(), `{"policy":`...)
	b = append(b, w.quoted...)
	b = appendSeconds(append(b, `,"t_s":`...), d.Time.Sub(w.start))
	w.decisions.end(append(appendDecision(b, &d, &g), '}', '\n'))
}

// Flush writes what is left, and returns the first error that any write had.
func (w *Writer) Flush() error {
	for _, f := range []struct {
		name string
		rows *lines
	}{{"timeline", &w.timeline}, {"requests", &w.requests}, {"decisions", &w.decisions}} {
		if err := f.rows.flush(); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	return nil
}

// lines buffers what is appended to it; after an error it drops all.
type lines struct {
	to  io.Writer
	buf []byte
	err error
}

// full is the size, in bytes, at which a buffer is written.
const full = 64 << 10

func (l *lines) begin() []byte { return l.buf }

func (l *lines) end(b []byte) {
	if l.buf = b; len(b) >= full {
		_ = l.flush() // kept for Flush
	}
}

func (l *lines) flush() error {
	if l.err == nil && len(l.buf) > 0 {
		_, l.err = l.to.Write(l.buf)
	}
	l.buf = l.buf[:0]
	return l.err
}
