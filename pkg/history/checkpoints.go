package history

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

// Options say where and how often checkpoints are kept. Dir may be empty: then nothing outlives the process, and
// Unsaved tells so.
type Options struct {
	// Dir is a folder of this service's own. Several of its replicas may share it.
	Dir string
	// Period is the time between two saves of one target; zero means five minutes.
	Period time.Duration
	// MaxBytes bounds one checkpoint; zero means 16 MiB.
	MaxBytes int
	// Leads reports whether this process is the one that writes; nil means that it is.
	Leads func() bool
	// Unsaved is told, at each tick, how much of what was learned of a target a restart would forget now: the time since
	// its last checkpoint, or since learning began where there is none. Nil leaves it out.
	Unsaved func(controlloop.TargetID, time.Duration)
	// Failed is told of each checkpoint that could not be read, "load", or written, "save". Nil leaves it out.
	Failed func(operation string)
	Log    *slog.Logger
}

const (
	defaultPeriod   = 5 * time.Minute
	defaultMaxBytes = 16 << 20
	// retries is how often a failed save is tried again within a period.
	retries = 10
	// orphaned is after how many periods a checkpoint that nobody writes is written by a process that does not lead: where
	// each process has a folder of its own, nobody else ever will.
	orphaned = 3
	// maxPending bounds the checkpoints that wait to be written; where the disk is slower, targets wait for their turn.
	maxPending = 32
	// ahead is how far a checkpoint may lie in the future, by clocks that do not agree.
	ahead = time.Minute
)

// Checkpoints keep what is learned of each target in a folder. It is a controlloop.Archive, safe for concurrent use.
type Checkpoints struct {
	options Options
	disk    disk
	log     *slog.Logger

	mu      sync.Mutex
	entries map[controlloop.TargetID]*entry
	pending map[controlloop.TargetID]save
	// broken is set while saves fail; finish once the process is about to end.
	broken bool
	finish context.Context
	wake   chan struct{}
}

var _ controlloop.Archive = (*Checkpoints)(nil)

// entry is what is known of one target's checkpoint.
type entry struct {
	uid, subject string
	// recalled is set once the disk has been asked, led where this process was the leader then.
	recalled, led bool
	// saved is the time of the newest checkpoint that this process read or wrote, zero where there is none; mine is set
	// where it wrote it. onDisk is that of the newest one seen, whoever wrote it.
	saved, onDisk time.Time
	mine          bool
	// turn is the period in which the last save was taken; retry is when one that failed is tried again.
	turn  int64
	retry time.Time
	// bytes is the size of the last one.
	bytes int
}

// save is a checkpoint that waits to be written.
type save struct {
	target controlloop.Target
	at     time.Time
	data   []byte
}

// New returns checkpoints of which none has been read or written.
func New(o Options) *Checkpoints {
	if o.Period == 0 {
		o.Period = defaultPeriod
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Leads == nil {
		o.Leads = func() bool { return true }
	}
	if o.Unsaved == nil {
		o.Unsaved = func(controlloop.TargetID, time.Duration) {}
	}
	if o.Failed == nil {
		o.Failed = func(string) {}
	}
	return &Checkpoints{
		options: o, disk: disk{dir: o.Dir, most: o.MaxBytes}, log: o.Log,
		entries: map[controlloop.TargetID]*entry{}, pending: map[controlloop.TargetID]save{}, wake: make(chan struct{}, 1),
	}
}

// Open makes the folder where it does not exist, and says whether it can be written to. Where it cannot, what is there is
// read all the same, and saving is tried again and again.
func (c *Checkpoints) Open() error {
	if c.options.Dir == "" {
		return nil
	}
	if err := c.disk.open(); err != nil {
		return fmt.Errorf("checkpoints in %s: %w", c.options.Dir, err)
	}
	return nil
}

// entryOf returns what is known of a target's checkpoint, anew where it is another target now. The caller holds the lock.
func (c *Checkpoints) entryOf(t controlloop.Target, now time.Time) *entry {
	e, ok := c.entries[t.ID]
	if !ok || e.uid != t.UID || e.subject != t.Subject {
		e = &entry{uid: t.UID, subject: t.Subject, turn: c.turn(t.ID, now)}
		c.entries[t.ID] = e
	}
	return e
}

// turn numbers the periods of a target. Each target's begin at another instant, so that each tick saves about as many.
func (c *Checkpoints) turn(id controlloop.TargetID, now time.Time) int64 {
	h := fnv.New64a()
	fmt.Fprint(h, id)
	offset := int64(h.Sum64() % uint64(c.options.Period))
	return (now.UnixNano() - offset) / int64(c.options.Period)
}

// Recall implements controlloop.Archive: it asks the disk when a target is first seen, and when this process has become
// the leader, since the one before may have learned for longer.
func (c *Checkpoints) Recall(t controlloop.Target, since, now time.Time) (controlloop.Lesson, bool) {
	if c.options.Dir == "" || !c.ask(t, since, now) {
		return controlloop.Lesson{}, false
	}
	name := fileName(t.ID)
	kept, err := c.load(name, t, now)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return controlloop.Lesson{}, false
	case err != nil:
		c.distrust(name, t, err)
		return controlloop.Lesson{}, false
	}
	own := now.Sub(since)
	log := c.log.With("target", t.ID.String(), "file", name, "saved", kept.Saved, "learned-over", kept.span().Round(time.Second))
	if kept.span() <= own {
		log.Debug("kept what this process has learned: it is no less than the checkpoint has", "own", own)
		return controlloop.Lesson{}, false
	}
	c.mu.Lock()
	e := c.entryOf(t, now)
	e.saved, e.onDisk, e.mine = kept.Saved, kept.Saved, false
	c.mu.Unlock()
	log.Info("restored what was learned", "age", now.Sub(kept.Saved).Round(time.Second), "learned-anew", kept.skipped)
	return kept.lesson, true
}

// ask reports whether the disk is to be asked for a target, and notes that it was. Learning that begins now knows nothing.
func (c *Checkpoints) ask(t controlloop.Target, since, now time.Time) bool {
	leads := c.options.Leads()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entryOf(t, now)
	due := !e.recalled || leads && !e.led || since.Equal(now)
	e.recalled, e.led = true, leads
	return due
}

// load reads a target's checkpoint.
func (c *Checkpoints) load(name string, t controlloop.Target, now time.Time) (*checkpoint, error) {
	data, err := c.disk.read(name)
	if err != nil {
		return nil, err
	}
	kept, err := decode(data)
	if err != nil {
		return nil, err
	}
	if err := kept.of(t); err != nil {
		return nil, err
	}
	if kept.Saved.After(now.Add(ahead)) { // a forecaster takes no row that is older than its newest
		kept.dropForecast()
		kept.skipped = append(kept.skipped, "forecast, saved in the future: a clock was wrong")
	}
	return kept, nil
}

// distrust puts a checkpoint aside; a process that does not lead leaves that to the one that does.
func (c *Checkpoints) distrust(name string, t controlloop.Target, why error) {
	c.options.Failed("load")
	log := c.log.With("target", t.ID.String(), "file", c.disk.path(name), "error", why)
	if !c.options.Leads() {
		log.Warn("the checkpoint is not used: the target is learned anew")
		return
	}
	if err := c.disk.aside(name); err != nil {
		log.Warn("the checkpoint is not used, and could not be put aside: the target is learned anew", "aside", err)
		return
	}
	log.Warn("the checkpoint is not used, and was put aside: the target is learned anew", "aside", c.disk.path(name+asideExtension))
}

// Due implements controlloop.Archive.
func (c *Checkpoints) Due(t controlloop.Target, since, now time.Time) bool {
	c.mu.Lock()
	e := c.entryOf(t, now)
	unsaved := now.Sub(since)
	if !e.onDisk.IsZero() {
		unsaved = now.Sub(e.onDisk)
	}
	due := c.options.Dir != "" && c.dueNow(t.ID, e, now)
	seen := *e
	c.mu.Unlock()
	c.options.Unsaved(t.ID, max(0, unsaved))
	return due && c.mayWrite(t.ID, seen, now)
}

// dueNow reports whether it is a target's turn, and takes it. The caller holds the lock.
func (c *Checkpoints) dueNow(id controlloop.TargetID, e *entry, now time.Time) bool {
	if c.finish != nil {
		return c.finish.Err() == nil
	}
	turn := c.turn(id, now)
	switch {
	case !e.retry.IsZero() && now.Before(e.retry), e.retry.IsZero() && turn == e.turn, len(c.pending) >= maxPending:
		return false
	}
	e.turn, e.retry = turn, time.Time{}
	return true
}

// mayWrite reports whether a target's file is this process's to write: it leads, or nobody else writes it. At the end the
// lease is given up already; then a newer file is another leader's.
func (c *Checkpoints) mayWrite(id controlloop.TargetID, e entry, now time.Time) bool {
	c.mu.Lock()
	finish := c.finish != nil
	c.mu.Unlock()
	if !finish && c.options.Leads() {
		return true
	}
	h, err := c.disk.peek(fileName(id))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true
	case err != nil: // no checkpoint, or one that is not whole
		return finish && e.led
	case finish:
		return !h.Saved.After(e.saved)
	}
	c.seen(id, e, h)
	return e.mine && h.Saved.Equal(e.saved) || now.Sub(h.Saved) > orphaned*c.options.Period
}

// seen notes the checkpoint that another process wrote.
func (c *Checkpoints) seen(id controlloop.TargetID, e entry, h *header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, ok := c.entries[id]; ok && h.UID == now.uid && e.uid == now.uid {
		now.onDisk = h.Saved
	}
}

// Forget drops what is known of a target that is gone; its file stays for a while.
func (c *Checkpoints) Forget(id controlloop.TargetID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, id)
	delete(c.pending, id)
}

// Keep implements controlloop.Archive: it encodes at once and leaves the writing to Run, or writes where the process is
// about to end.
func (c *Checkpoints) Keep(t controlloop.Target, l controlloop.Lesson, now time.Time) {
	c.mu.Lock()
	hint := c.entryOf(t, now).bytes
	finish := c.finish != nil
	c.mu.Unlock()
	data, err := encode(t, l, now, hint+hint/8)
	s := save{target: t, at: now, data: data}
	switch {
	case err != nil:
		c.written(s, err)
	case finish:
		c.written(s, c.disk.write(fileName(t.ID), data))
	default:
		c.mu.Lock()
		c.pending[t.ID] = s
		c.mu.Unlock()
		select {
		case c.wake <- struct{}{}:
		default: // it is awake
		}
	}
}

// Run writes what is kept until the context ends. What waits then is left: Finish asks for it anew.
func (c *Checkpoints) Run(ctx context.Context) {
	if c.options.Dir == "" {
		return
	}
	hourly := time.NewTicker(time.Hour)
	defer hourly.Stop()
	c.sweep(time.Now())
	for ctx.Err() == nil {
		if s, ok := c.next(); ok {
			c.written(s, c.disk.write(fileName(s.target.ID), s.data))
			continue
		}
		select {
		case <-ctx.Done():
		case <-c.wake:
		case now := <-hourly.C:
			c.sweep(now)
		}
	}
}

// Finish makes every target due until the context ends, and Keep write by itself. It is called when Run has returned and
// no tick runs any more, before the loop's last Keep.
func (c *Checkpoints) Finish(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finish = ctx
	clear(c.pending)
}

// next takes one checkpoint that waits.
func (c *Checkpoints) next() (save, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.pending {
		delete(c.pending, id)
		return s, true
	}
	return save{}, false
}

// written notes what came of a save. The first failure is logged, and the first success after it; in between they are
// counted.
func (c *Checkpoints) written(s save, err error) {
	c.mu.Lock()
	e, known := c.entries[s.target.ID]
	if !known || e.uid != s.target.UID {
		e = &entry{} // gone in the meantime
	}
	broke, mended := err != nil && !c.broken, err == nil && c.broken
	c.broken = err != nil
	if err == nil {
		e.saved, e.onDisk, e.mine, e.bytes = s.at, s.at, true, len(s.data)
	} else {
		e.retry = s.at.Add(c.options.Period / retries)
	}
	c.mu.Unlock()
	if err != nil {
		c.options.Failed("save")
	}
	switch log := c.log.With("target", s.target.ID.String(), "folder", c.options.Dir); {
	case broke:
		log.Warn("a checkpoint cannot be saved; the last one stays, and saving is tried again. See that the volume has room and may be written to", "error", err)
	case mended:
		log.Info("checkpoints can be saved again")
	}
}

// sweep removes old files, where this process is the one that writes.
func (c *Checkpoints) sweep(now time.Time) {
	if !c.options.Leads() {
		return
	}
	removed, err := c.disk.sweep(now)
	if err != nil {
		c.log.Warn("old checkpoints cannot be removed", "folder", c.options.Dir, "error", err)
	}
	if removed > 0 {
		c.log.Info("removed checkpoints that nobody needs", "files", removed)
	}
}
