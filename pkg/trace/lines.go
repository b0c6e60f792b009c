package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// blockBytes is how much is read at once; maxLine bounds one line, which in the wide formats and in the prefix hashes of
// long prompts is of some kilobytes.
const (
	blockBytes = 256 << 10
	maxLine    = 16 << 20
)

// lines hands out a file line by line without copying.
type lines struct {
	in         io.Reader
	buf        []byte
	start, end int
	// number counts the lines handed out.
	number int
	err    error
}

// openText undoes gzip where it finds its magic number, and skips a byte order mark.
func openText(r io.Reader) (*lines, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	magic, _ := in.Peek(2) // shorter than that: plain, and its reader says what is wrong
	l := &lines{in: in}
	if bytes.Equal(magic, gzipMagic) {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return nil, gzipFault(err)
		}
		l.in = gunzip{unzipped}
	}
	if bytes.HasPrefix(l.peek(3), []byte("\xef\xbb\xbf")) {
		l.start += 3
	}
	return l, nil
}

// gzipMagic is what a gzip file begins with.
var gzipMagic = []byte{0x1f, 0x8b}

// gunzip reads what is zipped, and says what is wrong with it.
type gunzip struct{ in io.Reader }

// Read implements io.Reader.
func (g gunzip) Read(p []byte) (int, error) {
	n, err := g.in.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a Reader's end is io.EOF itself
		err = gzipFault(err)
	}
	return n, err
}

// gzipFault tells a file that breaks off from one that is broken.
func gzipFault(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("truncated gzip: the file ends before its data does; was it copied whole?")
	}
	return fmt.Errorf("broken gzip: %w", err)
}

// next returns the next line without its end; it is valid until the next call.
func (l *lines) next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(l.buf[l.start:l.end], '\n'); i >= 0 {
			return l.take(i, 1), nil
		}
		if l.err != nil {
			return l.last()
		}
		l.fill()
	}
}

// last returns what stands after the last newline, then why there is no more.
func (l *lines) last() ([]byte, error) {
	if errors.Is(l.err, io.EOF) && l.start < l.end {
		return l.take(l.end-l.start, 0), nil
	}
	return nil, l.err
}

// take hands out n bytes and passes over the line's end, of the given length.
func (l *lines) take(n, end int) []byte {
	line := l.buf[l.start : l.start+n]
	l.start += n + end
	l.number++
	if n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// fill reads more behind what is still to be handed out.
func (l *lines) fill() {
	if l.start > 0 {
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
	}
	if l.end >= maxLine {
		l.err = fmt.Errorf("line %d is longer than %d bytes", l.number+1, maxLine)
		return
	}
	if l.end == len(l.buf) {
		l.buf = append(l.buf, make([]byte, max(blockBytes, len(l.buf)))...)
	}
	n, err := l.in.Read(l.buf[l.end:])
	l.end += n
	l.err = err
}

// peek returns up to n bytes without handing them out; fewer only at the end of the file.
func (l *lines) peek(n int) []byte {
	for l.end-l.start < n && l.err == nil {
		l.fill()
	}
	return l.buf[l.start:min(l.end, l.start+n)]
}

// Read hands out bytes, for formats that are not made of lines.
func (l *lines) Read(p []byte) (int, error) {
	if l.start < l.end {
		n := copy(p, l.buf[l.start:l.end])
		l.start += n
		return n, nil
	}
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.in.Read(p)
	l.err = err
	return n, err
}

// counter counts the bytes read from a file, for a progress bar.
type counter struct {
	in io.Reader
	n  int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err
}
