package activator

import "fmt"

// grow makes room for more of a target: requests that wait and bytes that are buffered. Where the total is what is
// exceeded, the newest requests of the target that holds the most give way, if it still holds no less than t afterwards:
// the longest queue is pushed out, which shares the total as evenly as the demand allows.
func (a *Activator) grow(t *target, requests int, bytes int64) error {
	if t.held.Len()+requests > a.opts.PerTarget.Requests {
		return &refusal{QueueFull, fmt.Sprintf("%d requests wait for the model to load already", t.held.Len())}
	}
	if bytes > 0 && t.bytes+bytes > a.opts.PerTarget.Bytes {
		return &refusal{QueueFull, fmt.Sprintf("the model is loading, and a body of %d bytes has no room beside the %d that wait", bytes, t.bytes)}
	}
	if !a.pushOut(t, requests, bytes) {
		return &refusal{QueueFull, "too many requests wait for models to load already"}
	}
	return nil
}

// pushOut tells whether the total has room for more of t, after others have given way.
func (a *Activator) pushOut(t *target, requests int, bytes int64) bool {
	if excess := a.held + requests - a.opts.Total.Requests; excess > 0 {
		most := a.largest(func(t *target) int64 { return int64(t.held.Len()) })
		if most.held.Len()-excess < t.held.Len()+requests {
			return false
		}
		for range excess {
			a.displace(most)
		}
	}
	if excess := a.bytes + bytes - a.opts.Total.Bytes; bytes > 0 && excess > 0 {
		most := a.largest(func(t *target) int64 { return t.bytes })
		if most == nil || most.bytes-excess < t.bytes+bytes {
			return false
		}
		for a.bytes+bytes > a.opts.Total.Bytes {
			if most.held.Len() == 0 { // what is left is on its way to endpoints
				return false
			}
			a.displace(most)
		}
	}
	return true
}

// largest is the target that holds the most; there is one where more requests are held than may be.
func (a *Activator) largest(size func(*target) int64) *target {
	var most *target
	for _, t := range a.targets {
		if most == nil || size(t) > size(most) {
			most = t
		}
	}
	return most
}

// displace gives up the newest request of a target.
func (a *Activator) displace(t *target) {
	x := t.held.Back().Value.(*exchange)
	a.reject(x, &refusal{Displaced, "the room was needed for another model, of which fewer requests wait"})
}

// reserve makes room for more of a held request's body.
func (a *Activator) reserve(x *exchange, bytes int64) error {
	if err := a.grow(x.target, 0, bytes); err != nil {
		return err
	}
	a.account(x, bytes)
	return nil
}

func (a *Activator) account(x *exchange, bytes int64) {
	x.reserved += bytes
	x.target.bytes += bytes
	a.bytes += bytes
}

// unbuffer gives the room of a request's body back.
func (a *Activator) unbuffer(x *exchange) {
	if x.reserved == 0 {
		return
	}
	x.target.bytes -= x.reserved
	a.bytes -= x.reserved
	x.reserved = 0
}
