package trace

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"
)

// plainHeader and blocksColumn are the columns of the plain format. The last one is there only for traces that know
// prefixes: block hashes separated by spaces.
const (
	plainHeader  = "arrival_s,input_tokens,output_tokens"
	blocksColumn = "prefix_blocks"
)

// Writer writes requests in the plain format.
type Writer struct {
	// Blocks adds the column of prefix blocks; set it before the first Write.
	Blocks bool

	out     *bufio.Writer
	line    []byte
	started bool
}

// NewWriter writes to w; call Flush at the end.
func NewWriter(w io.Writer) *Writer { return &Writer{out: bufio.NewWriterSize(w, 64<<10)} }

// Write writes one request, and before the first one the header.
func (w *Writer) Write(q Request) error {
	w.head()
	w.line = appendSeconds(w.line[:0], q.At)
	w.line = append(w.line, ',')
	w.line = strconv.AppendInt(w.line, int64(q.PromptTokens), 10)
	w.line = append(w.line, ',')
	w.line = strconv.AppendInt(w.line, int64(q.OutputTokens), 10)
	if w.Blocks {
		w.line = appendBlocks(append(w.line, ','), q.Blocks)
	}
	w.line = append(w.line, '\n')
	_, err := w.out.Write(w.line)
	return err
}

// head writes the header once; bufio keeps its error for later.
func (w *Writer) head() {
	if w.started {
		return
	}
	w.started = true
	fmt.Fprint(w.out, plainHeader)
	if w.Blocks {
		fmt.Fprint(w.out, ","+blocksColumn)
	}
	fmt.Fprintln(w.out)
}

// Flush writes what is buffered; a trace without requests has its header.
func (w *Writer) Flush() error {
	w.head()
	return w.out.Flush()
}

// Copy writes all requests of a stream and flushes.
func (w *Writer) Copy(s Stream) error {
	for {
		q, err := s.Next()
		if err == io.EOF { //nolint:errorlint // the end of a Stream is io.EOF itself, as of a Reader
			return w.Flush()
		}
		if err != nil {
			return err
		}
		if err := w.Write(q); err != nil {
			return fmt.Errorf("write trace: %w", err)
		}
	}
}

// appendSeconds writes a time as decimal seconds, exactly and without needless zeros.
func appendSeconds(b []byte, d time.Duration) []byte {
	b = strconv.AppendInt(b, int64(d/time.Second), 10)
	nanos := int64(d % time.Second)
	if nanos == 0 {
		return b
	}
	b = append(b, '.')
	for unit := int64(time.Second) / 10; nanos > 0; unit /= 10 {
		b = append(b, byte('0'+nanos/unit))
		nanos %= unit
	}
	return b
}

func appendBlocks(b []byte, blocks []uint64) []byte {
	for i, block := range blocks {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendUint(b, block, 10)
	}
	return b
}

// parseBlocks is the inverse of appendBlocks; an empty field is nil.
func parseBlocks(field []byte) ([]uint64, error) {
	var out []uint64
	for word := range bytes.FieldsSeq(field) {
		block, err := strconv.ParseUint(string(word), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a block hash, a whole number of 64 bits", clip(word))
		}
		out = append(out, block)
	}
	return out, nil
}
