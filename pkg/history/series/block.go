package series

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

const (
	asideExtension = ".aside"
	// unfinished is in the names of what a compactor has not ended.
	unfinished = ".tmp-for-"
	// blockFileSize bounds one file of a block. Files are allocated in full before they are written, so a small volume
	// needs a small bound.
	blockFileSize = 4 << 20
)

// shelf is a folder of blocks of one resolution, in the order of their times.
type shelf struct {
	dir string
	// block is the length of what is written, merged that of what becomes one of several.
	block, merged int64
	blocks        []*tsdb.Block
}

// compactor writes and merges blocks.
func (s *shelf) compactor(ctx context.Context) (*tsdb.LeveledCompactor, error) {
	return tsdb.NewLeveledCompactorWithOptions(ctx, nil, slog.New(slog.DiscardHandler), []int64{s.block, s.merged}, nil,
		tsdb.LeveledCompactorOptions{MaxBlockChunkSegmentSize: blockFileSize, EnableOverlappingCompaction: true})
}

// reload opens blocks that are new in the folder and drops what a writer that was killed left behind. Those that are not
// whole, or wholly after a time, are put aside and named. The caller must be the only one who writes to the folder.
func (s *shelf) reload(until int64) (bad []string, err error) {
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list blocks: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(s.dir, e.Name())
		if strings.Contains(e.Name(), unfinished) {
			if err := os.RemoveAll(path); err != nil {
				return bad, fmt.Errorf("remove an unfinished block: %w", err)
			}
			continue
		}
		if _, err := ulid.ParseStrict(e.Name()); err != nil || s.has(path) {
			continue
		}
		b, err := openBlock(path)
		if err == nil && b.MinTime() > until {
			err = errors.Join(errors.New("lies in the future"), b.Close())
		}
		if err != nil {
			bad = append(bad, fmt.Sprintf("%s: %v", path, err))
			if err := putAside(path); err != nil {
				return bad, err
			}
			continue
		}
		s.blocks = append(s.blocks, b)
	}
	slices.SortFunc(s.blocks, func(a, b *tsdb.Block) int {
		return int(min(max(a.MinTime()-b.MinTime(), -1), 1))
	})
	return bad, nil
}

// openBlock opens a block, and makes an error of what tsdb panics at in files that are damaged.
func openBlock(path string) (b *tsdb.Block, err error) {
	defer guard(&err)()
	b, err = tsdb.OpenBlock(slog.New(slog.DiscardHandler), path, nil, nil)
	if err != nil {
		return nil, err
	}
	if b.MinTime() < 0 || b.MaxTime() <= b.MinTime() {
		return nil, errors.Join(fmt.Errorf("times %d to %d", b.MinTime(), b.MaxTime()), b.Close())
	}
	return b, nil
}

// guard makes an error of a panic, also of reading a mapped file that has become shorter or whose disk fails. It is used as
// defer guard(&err)().
func guard(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if fault := recover(); fault != nil {
			*err = errors.Join(*err, fmt.Errorf("damaged: %v", fault))
		}
	}
}

// putAside renames what is not believed, so that a person can look at it.
func putAside(path string) error {
	aside := path + asideExtension
	if err := errors.Join(os.RemoveAll(aside), os.Rename(path, aside)); err != nil {
		return fmt.Errorf("put aside %s: %w", path, err)
	}
	return nil
}

func (s *shelf) has(path string) bool {
	return slices.ContainsFunc(s.blocks, func(b *tsdb.Block) bool { return b.Dir() == path })
}

// drop closes and deletes the blocks that are not wanted.
func (s *shelf) drop(unwanted func(*tsdb.Block) bool) error {
	var faults []error
	s.blocks = slices.DeleteFunc(s.blocks, func(b *tsdb.Block) bool {
		if !unwanted(b) {
			return false
		}
		gone := b.Dir() + unfinished + "deletion" // at once, so that no half of it is ever opened
		err := errors.Join(b.Close(), os.Rename(b.Dir(), gone), os.RemoveAll(gone))
		if err != nil {
			faults = append(faults, fmt.Errorf("delete a block: %w", err))
		}
		return true
	})
	return errors.Join(faults...)
}

func (s *shelf) close() error {
	var faults []error
	for _, b := range s.blocks {
		faults = append(faults, b.Close())
	}
	s.blocks = nil
	return errors.Join(faults...)
}

// size is in bytes.
func (s *shelf) size() (n int64) {
	for _, b := range s.blocks {
		n += b.Size()
	}
	return n
}

// covers reports whether a block lies over an instant.
func (s *shelf) covers(t int64) bool {
	return slices.ContainsFunc(s.blocks, func(b *tsdb.Block) bool { return b.MinTime() <= t && t < b.MaxTime() })
}

// points returns the samples of one series in [from, to), in order, and what could be read where not all could be.
func (s *shelf) points(ctx context.Context, k key, from, to int64) ([]point, error) {
	l := k.labels()
	var matchers []*labels.Matcher
	l.Range(func(l labels.Label) {
		matchers = append(matchers, labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value))
	})
	var ps []point
	var faults []error
	for _, b := range s.blocks {
		if b.MaxTime() <= from || b.MinTime() >= to {
			continue
		}
		err := eachSeries(ctx, b, from, to, func(_ labels.Labels, found []point) { ps = append(ps, found...) }, matchers...)
		if err != nil {
			faults = append(faults, err)
		}
	}
	return inOrder(ps), errors.Join(faults...)
}

// inOrder sorts samples and leaves one of each instant.
func inOrder(ps []point) []point {
	slices.SortStableFunc(ps, func(a, b point) int { return int(min(max(a.t-b.t, -1), 1)) })
	return slices.CompactFunc(ps, func(a, b point) bool { return a.t == b.t })
}

// eachSeries calls f with the samples of each series of a block in [from, to). Those of a series that is damaged are left
// out from there on.
func eachSeries(ctx context.Context, b *tsdb.Block, from, to int64, f func(labels.Labels, []point), matchers ...*labels.Matcher) (err error) {
	defer guard(&err)()
	q, err := tsdb.NewBlockQuerier(b, from, to-1)
	if err != nil {
		return fmt.Errorf("read block %s: %w", b, err)
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	set := q.Select(ctx, true, nil, matchers...)
	for set.Next() {
		var ps []point
		it := set.At().Iterator(nil)
		for it.Next() == chunkenc.ValFloat {
			t, v := it.At()
			ps = append(ps, point{t, v})
		}
		if fault := it.Err(); fault != nil {
			err = errors.Join(err, fmt.Errorf("read %s in block %s: %w", set.At().Labels(), b, fault))
		}
		if len(ps) > 0 {
			f(set.At().Labels(), ps)
		}
	}
	if fault := set.Err(); fault != nil {
		err = errors.Join(err, fmt.Errorf("read block %s: %w", b, fault))
	}
	return err
}

// write makes a block of series for a span of time.
func (s *shelf) write(ctx context.Context, series []chunkSeries, from, to int64) (err error) {
	defer guard(&err)()
	if len(series) == 0 {
		return nil
	}
	c, err := s.compactor(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(series, func(a, b chunkSeries) int { return labels.Compare(a.labels, b.labels) })
	if _, err := c.Write(s.dir, source{series: series}, from, to, nil); err != nil {
		return fmt.Errorf("write a block: %w", err)
	}
	return nil
}

// merge makes one block of several, of a span that has ended, and returns the folders of those that it stands for now. A
// merge that a kill interrupts is done again.
func (s *shelf) merge(ctx context.Context) (merged []string, err error) {
	defer guard(&err)()
	c, err := s.compactor(ctx)
	if err != nil {
		return nil, err
	}
	dirs, err := c.Plan(s.dir)
	if err != nil || len(dirs) == 0 {
		return nil, err
	}
	if _, err := c.Compact(s.dir, dirs, nil); err != nil {
		return nil, fmt.Errorf("merge blocks: %w", err)
	}
	return dirs, nil
}

// chunkSeries is one series that becomes part of a block.
type chunkSeries struct {
	labels      labels.Labels
	chunk       chunkenc.Chunk
	first, last int64
}

// source is what tsdb's compactor reads a new block from. Series are numbered in their order, from 1.
type source struct {
	tsdb.BlockReader // not set: only what a compactor asks for is there
	series           []chunkSeries
}

// Index implements tsdb.BlockReader.
func (s source) Index() (tsdb.IndexReader, error) { return sourceIndex{series: s.series}, nil }

// Chunks implements tsdb.BlockReader.
func (s source) Chunks() (tsdb.ChunkReader, error) { return sourceChunks{s.series}, nil }

// Tombstones implements tsdb.BlockReader.
func (s source) Tombstones() (tombstones.Reader, error) { return tombstones.NewMemTombstones(), nil }

// Meta implements tsdb.BlockReader.
func (s source) Meta() tsdb.BlockMeta { return tsdb.BlockMeta{} }

type sourceIndex struct {
	tsdb.IndexReader // not set
	series           []chunkSeries
}

// Symbols implements tsdb.IndexReader.
func (s sourceIndex) Symbols() index.StringIter {
	found := map[string]bool{}
	for _, x := range s.series {
		x.labels.Range(func(l labels.Label) { found[l.Name], found[l.Value] = true, true })
	}
	symbols := make([]string, 0, len(found))
	for name := range found {
		symbols = append(symbols, name)
	}
	slices.Sort(symbols)
	return index.NewStringListIter(symbols)
}

// Postings implements tsdb.IndexReader: it is asked for all series only.
func (s sourceIndex) Postings(context.Context, string, ...string) (index.Postings, error) {
	refs := make([]storage.SeriesRef, len(s.series))
	for i := range refs {
		refs[i] = storage.SeriesRef(i + 1)
	}
	return index.NewListPostings(refs), nil
}

// SortedPostings implements tsdb.IndexReader.
func (s sourceIndex) SortedPostings(p index.Postings) index.Postings { return p }

// Series implements tsdb.IndexReader.
func (s sourceIndex) Series(ref storage.SeriesRef, builder *labels.ScratchBuilder, metas *[]chunks.Meta) error {
	x := s.series[ref-1]
	builder.Assign(x.labels)
	*metas = append((*metas)[:0], chunks.Meta{Ref: chunks.ChunkRef(ref), MinTime: x.first, MaxTime: x.last})
	return nil
}

// Close implements tsdb.IndexReader.
func (s sourceIndex) Close() error { return nil }

type sourceChunks struct{ series []chunkSeries }

// ChunkOrIterable implements tsdb.ChunkReader.
func (s sourceChunks) ChunkOrIterable(m chunks.Meta) (chunkenc.Chunk, chunkenc.Iterable, error) {
	return s.series[m.Ref-1].chunk, nil, nil
}

// Close implements tsdb.ChunkReader.
func (s sourceChunks) Close() error { return nil }
