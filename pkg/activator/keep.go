package activator

import (
	"io"
	"sync"
)

// kept is the body of a held gRPC request on its way to an endpoint. It may not end before there are answers, so that it is not
// buffered while it is held; what an endpoint reads of it is kept instead, where there is room to spare, until it has answered.
type kept struct {
	x    *exchange
	from io.Reader

	mu    sync.Mutex
	read  []byte
	ended bool // all of it is in read
	done  bool // nothing is kept any more
}

// Read implements io.Reader.
func (k *kept) Read(b []byte) (int, error) {
	n, err := k.from.Read(b)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done {
		return n, err
	}
	if err != nil && err != io.EOF || !k.x.a.spare(k.x, int64(n)) {
		k.done, k.read = true, nil
		return n, err
	}
	k.read = append(k.read, b[:n]...)
	k.ended = err == io.EOF
	return n, err
}

// whole is the body where all of it was kept, and ends the keeping.
func (k *kept) whole() (body []byte, ok bool) {
	if k == nil {
		return nil, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	body, ok = k.read, k.ended && !k.done
	k.done, k.read = true, nil
	return body, ok
}

// spare reserves room for more of a request's body where nobody has to give way.
func (a *Activator) spare(x *exchange, bytes int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if x.target.bytes+bytes > a.opts.PerTarget.Bytes || a.bytes+bytes > a.opts.Total.Bytes {
		return false
	}
	a.account(x, bytes)
	return true
}
