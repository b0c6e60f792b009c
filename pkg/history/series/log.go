package series

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"math"
	"os"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/encoding"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
)

const (
	// pageSize is that of tsdb's log: what is corrupt costs the rest of its page at least.
	pageSize = 32 << 10
	// segmentSize bounds one file of the log, and so what replaying holds in memory beside the samples.
	segmentSize = 512 * pageSize
	// refsPerSegment is how many series can be named in a segment before numbers of the next one are used.
	refsPerSegment = 1 << 24
)

// journal is the log of all batches that are in no block yet.
type journal struct {
	wal     *wlog.WL
	encoder record.Encoder
	first   int    // its first segment
	ref     uint64 // the last one given
	names   []record.RefSeries
	samples []record.RefSample
}

// openJournal begins a segment of its own: what another process may still write goes to another file.
func openJournal(dir string) (*journal, error) {
	wal, err := wlog.NewSize(slog.New(slog.DiscardHandler), nil, dir, segmentSize, compression.Snappy)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	j := &journal{wal: wal}
	_, segment, err := wlog.Segments(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("list the log: %w", err), wal.Close())
	}
	j.first, j.ref = segment, uint64(segment)*refsPerSegment // no number is used twice, whatever of the log is lost
	return j, nil
}

// remove deletes the segments of a log that could not be written as a whole: each try would leave some.
func (j *journal) remove(dir string) error {
	_, last, err := wlog.Segments(dir)
	if err != nil {
		return fmt.Errorf("list the log: %w", err)
	}
	var faults []error
	for n := j.first; n <= last; n++ {
		if err := os.Remove(wlog.SegmentName(dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, fmt.Errorf("delete a part of the log: %w", err))
		}
	}
	return errors.Join(faults...)
}

// cut begins a segment and returns its number.
func (j *journal) cut() (int, error) {
	n, err := j.wal.NextSegmentSync()
	if err != nil {
		return 0, fmt.Errorf("begin a segment of the log: %w", err)
	}
	return n, nil
}

// add gathers a sample for the next write, and names its series in the log where that has not been done.
func (j *journal) add(k key, l *line, p point) {
	if l.ref == 0 {
		j.ref++
		l.ref = j.ref
		j.names = append(j.names, record.RefSeries{Ref: chunks.HeadSeriesRef(l.ref), Labels: k.labels()})
	}
	j.samples = append(j.samples, record.RefSample{Ref: chunks.HeadSeriesRef(l.ref), T: p.t, V: p.v})
}

// write puts what was gathered on disk, all or nothing.
func (j *journal) write() error {
	names, samples := j.names, j.samples
	j.names, j.samples = j.names[:0], j.samples[:0]
	var records [][]byte
	if len(names) > 0 {
		records = append(records, j.encoder.Series(names, nil))
	}
	if len(samples) == 0 {
		return nil
	}
	records = append(records, j.encoder.Samples(samples, nil))
	if err := j.wal.Log(records...); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	if err := j.wal.Sync(); err != nil {
		return fmt.Errorf("sync the log: %w", err)
	}
	return nil
}

// rewrite puts whole windows into the log.
func (j *journal) rewrite(ws windows) error {
	for _, w := range ws {
		w.each(func(_ key, l *line) { l.ref = 0 })
		var err error
		w.each(func(k key, l *line) {
			for _, p := range l.points() {
				j.add(k, l, p)
			}
			if len(j.samples) > 1<<14 && err == nil {
				err = j.write()
			}
		})
		if err = errors.Join(err, j.write()); err != nil {
			return err
		}
	}
	return nil
}

// replayed is what was read from a log.
type replayed struct {
	windows windows
	// damage counts the places at which something could not be read.
	damage int
}

// replay reads what a log has, and passes over what is damaged. Keep says whether a window is wanted.
func replay(dir string, keep func(start int64) bool) (replayed, error) {
	var r replayed
	first, last, err := wlog.Segments(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r, nil
	case err != nil:
		return r, fmt.Errorf("list the log: %w", err)
	case first < 0:
		return r, nil
	}
	reader := newLogReader(&r, keep)
	for n := first; n <= last; n++ {
		data, err := os.ReadFile(wlog.SegmentName(dir, n))
		if err != nil {
			r.damage++
			continue
		}
		reader.segment(data)
	}
	return r, nil
}

// logReader makes windows of segments.
type logReader struct {
	to      *replayed
	keep    func(start int64) bool
	decoder record.Decoder
	names   map[chunks.HeadSeriesRef]key
	samples []record.RefSample
	last    map[key]record.RefSample
}

func newLogReader(to *replayed, keep func(int64) bool) *logReader {
	return &logReader{
		to: to, keep: keep, decoder: record.NewDecoder(labels.NewSymbolTable(), slog.New(slog.DiscardHandler)),
		names: map[chunks.HeadSeriesRef]key{}, last: map[key]record.RefSample{},
	}
}

// segment reads all records of a segment. After one that is damaged it goes on at the next page.
func (r *logReader) segment(data []byte) {
	for at := 0; at < len(data); {
		records := wlog.NewReader(bytes.NewReader(data[at:]))
		for records.Next() {
			r.record(records.Record())
		}
		if records.Err() == nil {
			return
		}
		r.to.damage++
		at = resume(data, (at+int(records.Offset())+pageSize)/pageSize*pageSize)
	}
}

// Kinds of fragments and the length of their headers, as in tsdb/wlog: kind, length, checksum.
const (
	fragmentFull   = 1
	fragmentMiddle = 3
	fragmentLast   = 4
	fragmentKind   = 7
	headerLength   = 7
)

// resume returns the first page from one on at which records can be read again. The rest of a record whose beginning is
// lost is made one that means nothing, since tsdb reads whole pages only.
func resume(data []byte, at int) int {
	for ; at+headerLength <= len(data); at += pageSize {
		switch data[at] & fragmentKind {
		case fragmentMiddle: // it fills its page
		case fragmentLast:
			end := headerLength + int(binary.BigEndian.Uint16(data[at+1:]))
			if end > pageSize || at+end > len(data) {
				continue
			}
			rest := data[at+headerLength : at+end]
			for i := range rest {
				rest[i] = 0xff
			}
			data[at] = fragmentFull
			binary.BigEndian.PutUint32(data[at+3:], crc32.Checksum(rest, crc32.MakeTable(crc32.Castagnoli)))
			return at
		default:
			return at
		}
	}
	return len(data)
}

// record takes one record.
func (r *logReader) record(data []byte) {
	var err error
	switch r.decoder.Type(data) {
	case record.Series:
		err = r.name(data)
	case record.Samples:
		r.samples, err = r.decoder.Samples(data, r.samples[:0])
		for _, s := range r.samples {
			r.sample(s)
		}
	default: // nothing that this package writes
	}
	if err != nil {
		r.to.damage++
	}
}

// errNoNames says that a record does not name series as this package does.
var errNoNames = errors.New("not the names of series")

// name takes the names of a record. tsdb's own decoder believes any number of labels, and fills the memory with them.
func (r *logReader) name(data []byte) error {
	in := encoding.Decbuf{B: data[1:]}
	for in.Len() > 0 {
		ref, n := in.Be64(), in.Uvarint()
		if n != namesPerSeries {
			return errNoNames
		}
		builder := labels.NewScratchBuilder(namesPerSeries)
		for range namesPerSeries {
			builder.Add(string(in.UvarintBytes()), string(in.UvarintBytes()))
		}
		if in.Err() != nil {
			return in.Err()
		}
		builder.Sort()
		if k, ok := keyOf(builder.Labels()); ok {
			r.names[chunks.HeadSeriesRef(ref)] = k
		}
	}
	return nil
}

// sample takes one sample of a series that was named.
func (r *logReader) sample(s record.RefSample) {
	k, named := r.names[s.Ref]
	if !named || s.T < 0 || s.T > math.MaxInt64/2 || math.IsNaN(s.V) || math.IsInf(s.V, 0) {
		return
	}
	// Where time goes back in what one process has written, the clock had been ahead. Another writes it again.
	if last := r.last[k]; s.Ref/refsPerSegment == last.Ref/refsPerSegment && s.T <= last.T-ahead {
		r.to.windows.cut(s.T, &k)
	}
	r.last[k] = s
	if !r.keep(windowOf(s.T)) {
		return
	}
	w, _ := r.to.windows.at(s.T)
	w.line(k).put(point{s.T, s.V})
	if ws := &r.to.windows; len(*ws) > maxWindows {
		*ws = (*ws)[len(*ws)-maxWindows:]
	}
}
