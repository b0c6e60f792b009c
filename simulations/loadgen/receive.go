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
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long chunk holds nothing we need
			_, err = in.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return errors.New("stream broke off before its end")
		}
		if err != nil {
			return fmt.Errorf("stream: %w", err)
		}
		event, ok := bytes.CutPrefix(line, dataPrefix)
		if !ok {
			continue
		}
		if bytes.HasPrefix(event, errorMarker) {
			return fmt.Errorf("stream: %s", bytes.TrimSpace(event))
		}
		since := time.Since(began)
		switch {
		case bytes.HasPrefix(event, doneMarker):
			return drain(in, record, since)
		case record.TTFT == 0:
			record.TTFT = since
		}
		if n, ok := usage(event); ok {
			record.Received = n
		}
	}
}

// drain reads to the end, so that the connection can be used again, and closes
// the record.
func drain(in *bufio.Reader, record *Record, since time.Duration) error {
	if record.Received == 0 {
		return errors.New("stream ended without a usage block")
	}
	if record.Received > 1 {
		record.TPOT = (since - record.TTFT) / time.Duration(record.Received-1)
	}
	_, _ = in.WriteTo(io.Discard) // all tokens are here already
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
