package loadgen

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

var (
	dataPrefix  = []byte("data: ")
	doneMarker  = []byte("[DONE]")
	usageMarker = []byte(`"completion_tokens":`)
	errorMarker = []byte(`{"error"`)
)

// readers are kept for reuse: one stream needs 4 KiB for its life.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4096) }}

// receive reads a stream of server-sent events to its end. It looks only for
// the first chunk, the usage block and the end, and does not decode JSON: the
// driver must cost little beside what it measures.
func receive(body io.Reader, began time.Time, record *Record) error {
	in := readers.Get().(*bufio.Reader)
	in.Reset(body)
	defer readers.Put(in)
	for {
		line, err := in.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if errors.Is(err, io.EOF) {
			return errors.New("stream broke off before its end")
		}
		if err != nil && !long {
			return fmt.Errorf("stream: %w", err)
		}
		if done, err := see(line, began, record); done || err != nil {
			_, _ = in.WriteTo(io.Discard) // so that the connection can be used again
			return err
		}
		for long { // the rest of a long chunk is text
			_, err = in.ReadSlice('\n')
			long = errors.Is(err, bufio.ErrBufferFull)
		}
	}
}

// see books one line of the stream, or its first 4 KiB, and says whether it is
// the last.
func see(line []byte, began time.Time, record *Record) (done bool, err error) {
	event, ok := bytes.CutPrefix(line, dataPrefix)
	if !ok {
		return false, nil
	}
	if bytes.HasPrefix(event, errorMarker) {
		return false, fmt.Errorf("stream: %s", bytes.TrimSpace(event))
	}
	since := time.Since(began)
	if bytes.HasPrefix(event, doneMarker) {
		return true, record.close(since)
	}
	if record.TTFT == 0 {
		record.TTFT = since
	}
	if n, ok := usage(event); ok {
		record.Received = n
	}
	return false, nil
}

// close books the end of a complete stream.
func (r *Record) close(since time.Duration) error {
	if r.Received == 0 {
		return errors.New("stream ended without a usage block")
	}
	if r.Received > 1 {
		r.TPOT = (since - r.TTFT) / time.Duration(r.Received-1)
	}
	return nil
}

// usage finds the number of tokens in a chunk that has a usage block.
func usage(event []byte) (int, bool) {
	at := bytes.LastIndex(event, usageMarker)
	if at < 0 {
		return 0, false
	}
	digits := bytes.TrimLeft(event[at+len(usageMarker):], " ")
	end := 0
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(string(digits[:end]))
	return n, err == nil
}
