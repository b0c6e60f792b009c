package series

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/fileutil"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

// Lengths are in milliseconds.
const (
	minuteLength = int64(time.Minute / time.Millisecond)
	windowLength = 2 * 60 * minuteLength
	dayLength    = 24 * 60 * minuteLength
	weekLength   = 7 * dayLength

	// never is before all time.
	never = math.MinInt64
	// maxWindows bounds what is in memory, where no block can be written: four to six hours.
	maxWindows = 3
	// maxSamples is below what one chunk can hold.
	maxSamples = 60_000
	// ahead is how far the newest sample may lie in the future before a clock is taken to have been wrong.
	ahead = 60 * minuteLength
	// asideFor is how long what was not believed is kept for a person to look at.
	asideFor = 7 * 24 * time.Hour
)

// errNotNewer says that a batch is not newer than the last one: nothing of it is kept.
var errNotNewer = errors.New("not newer than the last batch")

// errFuture says that what is on disk lies in the future: the clock is behind, or was ahead.
var errFuture = errors.New("what is there lies more than an hour in the future: the clock is behind now, or was ahead")

// doubts is how often a folder is left alone because of that: for ten minutes, in which a clock that is behind is set.
const doubts = 20

// errLocked says that another process has the folder open.
var errLocked = errors.New("another process writes there")

// Limits bound what is kept on disk. Zero values are Preheat's own: a day, five weeks, 1 GiB.
type Limits struct {
	// Ticks is for how long each tick is kept, Minutes for how long each minute is.
	Ticks, Minutes time.Duration
	// Bytes bounds all blocks together: the oldest are deleted first. The log has at most six hours beside them.
	Bytes int64
}

// withDefaults fills in what is not set.
func (l Limits) withDefaults() Limits {
	if l.Ticks == 0 {
		l.Ticks = 24 * time.Hour
	}
	if l.Minutes == 0 {
		l.Minutes = 5 * 7 * 24 * time.Hour
	}
	if l.Bytes == 0 {
		l.Bytes = 1 << 30
	}
	return l
}

// Store keeps series in memory, and in a folder while one is attached. Append, Attach and Detach are for one goroutine;
// Maintain may run beside Append, and Range beside all.
type Store struct {
	dir    string
	limits Limits
	log    *slog.Logger

	mem     sync.Mutex
	windows windows // guarded by mem; those that have ended do not change
	newest  int64   // guarded by mem

	lock    fileutil.Releaser
	doubted int      // how often errFuture has been said
	journal *journal // nil while not attached
	stale   *journal // one that could not be closed, the volume being full

	disk           sync.RWMutex
	ticks, minutes *shelf // guarded by disk; nil while not attached
	filled         *shelf // guarded by disk; minutes of a past that others recorded, nil while not attached
}

// NewStore returns a store that nothing is attached to.
func NewStore(dir string, limits Limits, log *slog.Logger) *Store {
	return &Store{dir: dir, limits: limits.withDefaults(), log: log, newest: never}
}

// Attach opens the folder, reads what is there, and writes there from now on, first of all what is in memory. It fails
// where another process has the folder open, or it cannot be written to.
func (s *Store) Attach(now time.Time) (err error) {
	defer guard(&err)()
	if s.stale != nil {
		if err := s.stale.wal.Close(); err != nil {
			return fmt.Errorf("end the log: %w", err)
		}
		s.stale = nil
	}
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	if s.lock, err = lock(filepath.Join(s.dir, "lock")); err != nil {
		return err
	}
	if err := s.open(now.UnixMilli() + ahead); err != nil {
		begun := s.journal
		err = errors.Join(err, s.Detach())
		if begun != nil { // its segments have what is in memory, and in the old ones
			err = errors.Join(err, begun.remove(s.logDir()))
		}
		return err
	}
	return nil
}

// lock takes a folder's lock, where its file system has locks. Beside it the lease keeps others away.
func lock(path string) (fileutil.Releaser, error) {
	releaser, _, err := fileutil.Flock(path)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errLocked
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOSYS):
		return nil, nil //nolint:nilnil // no lock, and no reason not to write
	case err != nil:
		return nil, fmt.Errorf("lock the folder: %w", err)
	}
	return releaser, nil
}

// open reads blocks and log, and begins a new log with all that is in no block.
func (s *Store) open(until int64) error {
	dir := s.logDir()
	if s.doubted < doubts {
		future, err := s.future(dir, until)
		if err != nil {
			return err
		}
		if future {
			s.doubted++
			return errFuture
		}
	}
	if err := s.openShelves(until); err != nil {
		return err
	}
	kept, err := replay(dir, func(start int64) bool { return start <= until })
	if err != nil { // not a log: files are missing in it
		s.log.Warn("the log of the history is not used, and is put aside", "folder", dir, "error", err)
		if err := putAside(dir); err != nil {
			return err
		}
	}
	if kept.damage > 0 {
		s.log.Info("parts of the history's log were not whole, as after a kill", "folder", dir, "parts", kept.damage)
	}
	s.mem.Lock()
	kept.windows.take(s.windows, kept.windows.newest())
	s.windows = kept.windows // a block may have a part of one: what is in both counts once
	s.newest = s.windows.newest()
	for _, b := range s.ticks.blocks {
		s.newest = max(s.newest, min(b.MaxTime()-1, until-ahead)) // a block goes to the end of its window, whenever its last sample was
	}
	s.mem.Unlock()
	return s.beginLog(dir)
}

// future reports whether something on disk lies after an instant.
func (s *Store) future(dir string, until int64) (bool, error) {
	if err := s.openShelves(math.MaxInt64); err != nil {
		return false, err
	}
	s.disk.Lock()
	defer s.disk.Unlock()
	found := false
	var faults []error
	for _, on := range []*shelf{s.ticks, s.minutes, s.filled} {
		found = found || slices.ContainsFunc(on.blocks, func(b *tsdb.Block) bool { return b.MinTime() > until })
		faults = append(faults, on.close())
	}
	s.ticks, s.minutes, s.filled = nil, nil, nil
	if kept, err := replay(dir, func(start int64) bool { return start > until }); err == nil { // else open says so
		found = found || len(kept.windows) > 0
	}
	return found, errors.Join(faults...)
}

func (s *Store) logDir() string { return filepath.Join(s.dir, "log") }

func (s *Store) openShelves(until int64) error {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.ticks = &shelf{dir: filepath.Join(s.dir, "ticks"), block: windowLength, merged: 4 * windowLength}
	s.minutes = &shelf{dir: filepath.Join(s.dir, "minutes"), block: dayLength, merged: weekLength}
	s.filled = &shelf{dir: filepath.Join(s.dir, "filled"), block: dayLength, merged: weekLength}
	return errors.Join(s.reload(s.ticks, until), s.reload(s.minutes, until), s.reload(s.filled, until))
}

// reload opens new blocks. The caller holds disk.
func (s *Store) reload(on *shelf, until int64) error {
	bad, err := on.reload(until)
	for _, b := range bad {
		s.log.Warn("a block of the history is not used, and is put aside", "block", b)
	}
	return err
}

// beginLog writes what is in memory to a new log and deletes the old one. A kill in between leaves both: of what is in both
// one is read.
func (s *Store) beginLog(dir string) error {
	j, err := openJournal(dir)
	if err != nil {
		return err
	}
	s.journal = j
	if err := j.rewrite(s.windows); err != nil {
		return err
	}
	for _, w := range s.windows {
		w.segment = j.first
	}
	if err := j.wal.Truncate(j.first); err != nil {
		return fmt.Errorf("delete the old log: %w", err)
	}
	return nil
}

// Detach closes the folder; what is in memory stays there.
func (s *Store) Detach() error {
	var faults []error
	if s.journal != nil {
		if err := s.journal.wal.Close(); err != nil {
			s.stale = s.journal
			faults = append(faults, fmt.Errorf("end the log: %w", err))
		}
		s.journal = nil
	}
	s.disk.Lock()
	for _, shelf := range []*shelf{s.ticks, s.minutes, s.filled} {
		if shelf != nil {
			faults = append(faults, shelf.close())
		}
	}
	s.ticks, s.minutes, s.filled = nil, nil, nil
	s.disk.Unlock()
	if s.lock != nil {
		faults = append(faults, s.lock.Release())
		s.lock = nil
	}
	return errors.Join(faults...)
}

// Forget drops what is in memory: another process writes from now on.
func (s *Store) Forget() {
	s.mem.Lock()
	defer s.mem.Unlock()
	s.windows, s.newest = nil, never
}

// entry is a sample on its way to its line.
type entry struct {
	key  key
	line *line
	at   point
}

// Append takes the rows of one tick, to the second. Without an error they are on disk, where a folder is attached; with
// one they are in memory, unless it is that they are not newer than the last ones.
func (s *Store) Append(now time.Time, rows []Row) error {
	t := now.Round(time.Second).UnixMilli()
	w, made, entries, err := s.enter(t, rows)
	if err != nil {
		return err
	}
	if s.journal != nil {
		if made {
			w.segment, err = s.journal.cut()
		}
		if err == nil {
			for _, e := range entries {
				s.journal.add(e.key, e.line, e.at)
			}
			err = s.journal.write()
		}
	}
	s.mem.Lock()
	defer s.mem.Unlock()
	for _, e := range entries {
		e.line.put(e.at)
	}
	s.newest = t
	return errors.Join(err, s.bound())
}

// enter finds the places of a batch.
func (s *Store) enter(t int64, rows []Row) (w *window, made bool, entries []entry, err error) {
	s.mem.Lock()
	defer s.mem.Unlock()
	if t < 0 || t <= s.newest && t > s.newest-ahead {
		return nil, false, nil, errNotNewer
	}
	if t <= s.newest { // a clock was ahead
		s.log.Warn("the clock was set back: what was recorded after the present is dropped", "now", time.UnixMilli(t), "newest", time.UnixMilli(s.newest))
		s.windows.cut(t, nil)
	}
	w, made = s.windows.at(t)
	for i := range rows {
		for q := range numQuantities {
			if v, known := rows[i].Value(q); known {
				k := key{rows[i].Target, q}
				entries = append(entries, entry{k, w.line(k), point{t, v}})
			}
		}
	}
	return w, made, entries, nil
}

// bound drops the oldest window where too many wait to become blocks. The caller holds mem.
func (s *Store) bound() error {
	if len(s.windows) <= maxWindows {
		return nil
	}
	s.windows = slices.Delete(s.windows, 0, len(s.windows)-maxWindows)
	if s.journal == nil {
		return nil
	}
	return s.journal.wal.Truncate(s.windows[0].segment)
}

// ended returns the windows that no sample will come to any more.
func (s *Store) ended() (ended []*window) {
	s.mem.Lock()
	defer s.mem.Unlock()
	for _, w := range s.windows {
		if w.end() <= windowOf(s.newest) {
			ended = append(ended, w)
		}
	}
	return ended
}

// Due reports whether there is something for Maintain to do.
func (s *Store) Due() bool {
	return s.journal != nil && len(s.ended()) > 0
}

// Maintain makes blocks of the windows that have ended, minutes of the days that have, and deletes what is too old or too
// much. What fails is tried again at the next call; the error joins all that did.
func (s *Store) Maintain(ctx context.Context) error {
	faults := []error{}
	if ended := s.ended(); len(ended) > 0 {
		// A clock that is wrong for a moment ends the window before, and must not make all that there is old.
		until := ended[len(ended)-1].end()
		faults = append(faults, s.store(ctx, ended))
		if faults[0] == nil { // else days may not be whole
			faults = append(faults, s.condense(ctx, until))
		}
		faults = append(faults, s.expire(until))
	}
	for _, on := range []*shelf{s.ticks, s.minutes, s.filled} {
		_, err := s.merge(ctx, on)
		faults = append(faults, err)
	}
	return errors.Join(append(faults, s.sweep())...)
}

// merge makes one block of several, once, and reports whether there were such.
func (s *Store) merge(ctx context.Context, on *shelf) (bool, error) {
	merged, err := on.merge(ctx)
	return len(merged) > 0, errors.Join(err, s.change(on, func(b *tsdb.Block) bool { return slices.Contains(merged, b.Dir()) }))
}

// change deletes blocks and opens new ones.
func (s *Store) change(on *shelf, unwanted func(*tsdb.Block) bool) error {
	s.disk.Lock()
	defer s.disk.Unlock()
	return errors.Join(on.drop(unwanted), s.reload(on, math.MaxInt64))
}

func none(*tsdb.Block) bool { return false }

// store makes a block of each window, and deletes its part of the log.
func (s *Store) store(ctx context.Context, ended []*window) error {
	for _, w := range ended {
		var series []chunkSeries
		w.each(func(k key, l *line) {
			series = append(series, chunkSeries{labels: k.labels(), chunk: l.chunk, first: l.first, last: l.last})
		})
		if err := s.ticks.write(ctx, series, w.start, w.end()); err != nil {
			return err
		}
		if err := s.change(s.ticks, none); err != nil {
			return err
		}
		if err := s.release(w); err != nil {
			return err
		}
	}
	return nil
}

// release drops a window that is in a block, and its part of the log.
func (s *Store) release(w *window) error {
	s.mem.Lock()
	defer s.mem.Unlock()
	s.windows = slices.DeleteFunc(s.windows, func(other *window) bool { return other == w })
	if len(s.windows) == 0 {
		return nil
	}
	if err := s.journal.wal.Truncate(s.windows[0].segment); err != nil {
		return fmt.Errorf("delete the log of a block: %w", err)
	}
	return nil
}

// condense makes minutes of each day that has ended by an instant.
func (s *Store) condense(ctx context.Context, until int64) error {
	days := map[int64]bool{}
	for _, b := range s.ticks.blocks {
		if day := floor(b.MinTime(), dayLength); day+dayLength <= until && !s.minutes.covers(day) {
			days[day] = true
		}
	}
	for day := range days {
		series, err := s.minutesOf(ctx, day)
		if err != nil {
			s.log.Warn("parts of a day's history cannot be read and are left out", "day", time.UnixMilli(day).UTC(), "error", err)
		}
		if err := s.minutes.write(ctx, series, day, day+dayLength); err != nil {
			return err
		}
	}
	return s.change(s.minutes, none)
}

// minutesOf returns the series of a day by the minute, and what could be read where not all could be.
func (s *Store) minutesOf(ctx context.Context, day int64) ([]chunkSeries, error) {
	lines := map[key]*line{}
	var faults []error
	for _, b := range s.ticks.blocks {
		if b.MaxTime() <= day || b.MinTime() >= day+dayLength {
			continue
		}
		faults = append(faults, eachSeries(ctx, b, day, day+dayLength, func(l labels.Labels, ps []point) {
			k, ok := keyOf(l)
			if !ok {
				return
			}
			if lines[k] == nil {
				lines[k] = &line{}
			}
			for _, p := range folded(k.quantity, ps, 0, minuteLength) {
				if quantities[k.quantity].mean {
					p.v = rounded(p.v, minuteBits)
				}
				lines[k].put(p)
			}
		}, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+")))
	}
	series := make([]chunkSeries, 0, len(lines))
	for k, l := range lines {
		series = append(series, chunkSeries{labels: k.labels(), chunk: l.chunk, first: l.first, last: l.last})
	}
	return series, errors.Join(faults...)
}

// folded returns one sample for each step from an instant on in which there is one, at the step's beginning.
func folded(q Quantity, ps []point, from, step int64) (out []point) {
	var values []float64
	for i, p := range ps {
		values = append(values, p.v)
		begin := from + floor(p.t-from, step)
		if i+1 == len(ps) || ps[i+1].t >= begin+step {
			out = append(out, point{begin, q.fold(values)})
			values = values[:0]
		}
	}
	return out
}

// expire deletes what is older than the limits by an instant, and then the oldest while there is too much. Ticks are kept for as long
// again where their minutes could not be written.
func (s *Store) expire(until int64) error {
	ticks, minutes := until-s.limits.Ticks.Milliseconds(), until-s.limits.Minutes.Milliseconds()
	err := errors.Join(
		s.change(s.ticks, func(b *tsdb.Block) bool {
			condensed := s.minutes.covers(floor(b.MinTime(), dayLength))
			return b.MaxTime() <= ticks && (condensed || b.MaxTime() <= ticks-s.limits.Ticks.Milliseconds())
		}),
		s.change(s.minutes, func(b *tsdb.Block) bool { return b.MaxTime() <= minutes }),
		s.change(s.filled, func(b *tsdb.Block) bool { return b.MaxTime() <= minutes }))
	over := s.ticks.size() + s.minutes.size() + s.filled.size() - s.limits.Bytes
	tooMuch := func(b *tsdb.Block) bool {
		if over <= 0 {
			return false
		}
		over -= b.Size()
		return true
	}
	return errors.Join(err, s.change(s.filled, tooMuch), s.change(s.minutes, tooMuch), s.change(s.ticks, tooMuch))
}

// sweep deletes what was put aside long ago.
func (s *Store) sweep() error {
	var faults []error
	for _, pattern := range []string{"*", "*/*"} {
		found, err := filepath.Glob(filepath.Join(s.dir, pattern+asideExtension))
		faults = append(faults, err)
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > asideFor {
				faults = append(faults, os.RemoveAll(path))
			}
		}
	}
	return errors.Join(faults...)
}

// Bytes returns how much is on disk, log and blocks.
func (s *Store) Bytes() (log, blocks int64) {
	s.disk.RLock()
	defer s.disk.RUnlock()
	if s.ticks == nil || s.minutes == nil {
		return 0, 0
	}
	log, err := fileutil.DirSize(s.logDir())
	if err != nil {
		log = 0
	}
	return log, s.ticks.size() + s.minutes.size() + s.filled.size()
}

// Sample is one value of a series.
type Sample struct {
	Time  time.Time
	Value float64
}

// Range returns a target's samples in [from, to), one for each step in which there is one, at the step's beginning: the
// mean of a rate or a number of requests, the last value of all else. A step of zero returns all that there are: each tick
// where these are kept, each minute before. A step without a sample has none: it is not zero. An error goes with what could be read.
func (s *Store) Range(ctx context.Context, id controlloop.TargetID, q Quantity, from, to time.Time, step time.Duration) ([]Sample, error) {
	begin, end := from.UnixMilli(), to.UnixMilli()
	if q >= numQuantities || step < 0 || step > 0 && step < time.Millisecond {
		return nil, fmt.Errorf("range of %s by %v: name a quantity, and a step of a millisecond at least or zero", q, step)
	}
	if begin >= end {
		return nil, nil
	}
	ps, err := s.points(ctx, key{id, q}, begin, end)
	if step > 0 {
		ps = folded(q, ps, begin, step.Milliseconds())
	}
	var samples []Sample
	for _, p := range ps {
		samples = append(samples, Sample{Time: time.UnixMilli(p.t).UTC(), Value: p.v})
	}
	return samples, err
}

// points returns the samples of one series in [from, to), in order: ticks, and minutes in which there is no tick.
func (s *Store) points(ctx context.Context, k key, from, to int64) (ps []point, err error) {
	s.disk.RLock()
	defer s.disk.RUnlock()
	var ticks, minutes, filled []point
	if s.ticks != nil && s.minutes != nil {
		var faults [3]error
		ticks, faults[0] = s.ticks.points(ctx, k, from, to)
		minutes, faults[1] = s.minutes.points(ctx, k, from, to)
		filled, faults[2] = s.filled.points(ctx, k, from, to)
		err = errors.Join(faults[:]...)
	}
	for _, p := range s.remembered(k) {
		if from <= p.t && p.t < to {
			ticks = append(ticks, p)
		}
	}
	return beside(beside(inOrder(ticks), minutes), filled), err
}

// beside adds, in order, those minutes in which there is no sample yet.
func beside(ps, minutes []point) []point {
	all := slices.Clone(ps)
	for _, m := range minutes {
		i, _ := slices.BinarySearchFunc(ps, m.t, func(p point, t int64) int { return int(min(max(p.t-t, -1), 1)) })
		if i == len(ps) || ps[i].t >= m.t+minuteLength {
			all = append(all, m)
		}
	}
	return inOrder(all)
}

// remembered returns what is in memory of a series.
func (s *Store) remembered(k key) (ps []point) {
	s.mem.Lock()
	defer s.mem.Unlock()
	for _, w := range s.windows {
		if lines, ok := w.targets[k.target]; ok {
			ps = append(ps, lines[k.quantity].points()...)
		}
	}
	return ps
}
