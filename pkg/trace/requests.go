package trace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// requests makes a stream of a file's rows: the first at zero, and sizes from the mix where the file has none.
type requests struct {
	rows  *ordered
	zero  int64
	start time.Time
	// dated says that times are dates; fixed are the notes that do not depend on the rows.
	dated bool
	fixed []string
	// pending is the first row, read ahead to know the zero.
	pending row
	waiting bool

	mix   Mix
	sizes *rand.Rand
}

// newRequests reads as far as the first request.
func newRequests(text *lines, path string, format Format, o Options) (*requests, error) {
	rows, dated, err := newRows(text, path, format)
	if err != nil {
		return nil, err
	}
	r := &requests{rows: newOrdered(rows, reorderWindow), dated: dated, waiting: true}
	if r.pending, err = r.rows.next(); err != nil {
		return nil, err
	}
	if r.pending.prompt < 0 {
		if r.mix, err = o.mix(); err != nil {
			return nil, err
		}
		r.sizes = source(o.Seed, forSizes)
		r.fixed = append(r.fixed, "the file has no token counts: sizes are drawn from the mix")
	}
	r.zero = r.pending.at
	if o.KeepOffset {
		r.zero = ownZero(r.pending.at, dated)
	}
	r.start = dateOf(r.zero, dated)
	return r, nil
}

// notes are those of the file, and of the rows read so far.
func (r *requests) notes() []string { return append(slices.Clip(r.fixed), r.rows.notes(r.dated)...) }

// newRows opens the reader of a request format.
func newRows(text *lines, path string, format Format) (rows rowReader, dated bool, err error) {
	if format == Mooncake {
		return &mooncakeRows{file: path, lines: text}, false, notOneList(text, path)
	}
	if !format.requests() {
		return nil, false, &Error{File: path, Err: fmt.Errorf("%w of requests: %s holds rates", ErrFormat, format)}
	}
	t, err := openTable(text, path)
	if err != nil {
		return nil, false, err
	}
	for _, l := range layouts {
		if l.format != format {
			continue
		}
		if !l.fits(t) {
			return nil, false, t.headerFault(fmt.Errorf("%s needs the columns %s", format, joined(l.names())))
		}
		if err := t.once(append(l.names(), blocksColumn)...); err != nil {
			return nil, false, err
		}
		return newTableRows(t, l), l.dated, nil
	}
	return nil, false, &Error{File: path, Err: fmt.Errorf("%w: %s", ErrFormat, format)}
}

// ownZero is the file's own zero: the midnight before a date, zero for times since a start.
func ownZero(first int64, dated bool) int64 {
	if date := dateOf(first, dated); !date.IsZero() {
		return date.Truncate(24 * time.Hour).UnixNano()
	}
	return min(first, 0)
}

// Next returns the next row as a request.
func (r *requests) Next() (Request, error) {
	in := r.pending
	if !r.waiting {
		var err error
		if in, err = r.rows.next(); err != nil {
			return Request{}, err
		}
	}
	r.waiting, r.pending = false, row{}
	if in.prompt < 0 {
		in.prompt, in.output = r.mix.Draw(r.sizes)
	}
	// Real traces hold a few requests without prompt or output: they take a slot for a moment all the same.
	return Request{
		At:           time.Duration(in.at - r.zero),
		PromptTokens: max(1, in.prompt), OutputTokens: max(1, in.output),
		Blocks: in.blocks,
	}, nil
}
