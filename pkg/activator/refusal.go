package activator

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Reason is why a request was not handed on, or not answered by its endpoint: the error's code in the answer and the label
// of the metric.
type Reason string

// All reasons.
const (
	// QueueFull: as many requests or bytes are held as may be.
	QueueFull Reason = "queue_full"
	// Displaced: a target that holds less needed the room.
	Displaced Reason = "displaced"
	// HeldTooLong: no endpoint became ready within MaxAge.
	HeldTooLong Reason = "held_too_long"
	// Unavailable: the target cannot be woken.
	Unavailable Reason = "unavailable"
	// ShuttingDown: this activator ends; another takes the request.
	ShuttingDown Reason = "shutting_down"
	// UnknownTarget: the request is for no target that there is.
	UnknownTarget Reason = "model_not_found"
	// BadRequest: the request does not say whom it is for, or its body could not be read.
	BadRequest Reason = "bad_request"
	// ModelTooFar: the body does not name its model within as much of it as is read to find it.
	ModelTooFar Reason = "model_too_far"
	// EndpointTimeout: the endpoint took the request and did not answer in time.
	EndpointTimeout Reason = "endpoint_timeout"
	// EndpointFailed: the connection broke after the request may have reached the endpoint.
	EndpointFailed Reason = "endpoint_failed"
	// ClientGone: the client left before there was an answer.
	ClientGone Reason = "client_gone"
)

// status is the HTTP status code of each reason. Client libraries retry 429 and all from 500 on.
var status = map[Reason]int{
	QueueFull: http.StatusTooManyRequests, Displaced: http.StatusTooManyRequests,
	HeldTooLong: http.StatusServiceUnavailable, Unavailable: http.StatusServiceUnavailable, ShuttingDown: http.StatusServiceUnavailable,
	UnknownTarget: http.StatusNotFound, BadRequest: http.StatusBadRequest, ModelTooFar: http.StatusRequestEntityTooLarge,
	EndpointTimeout: http.StatusGatewayTimeout, EndpointFailed: http.StatusBadGateway,
	ClientGone: 499, // as nginx logs it; nobody reads it
}

// refusal is the error that is told to a client.
type refusal struct {
	reason  Reason
	message string
}

func (e *refusal) Error() string { return e.message }

// refusalOf is what the client is told about an error.
func (x *exchange) refusalOf(err error) *refusal {
	var known *refusal
	var timeout net.Error
	switch {
	case errors.As(err, &known):
		return known
	case x.r.Context().Err() != nil:
		return &refusal{ClientGone, "the client left"}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &refusal{EndpointTimeout, "the model's server did not answer in time; whether it did the work is not known"}
	default:
		return &refusal{EndpointFailed, "the connection to the model's server broke; whether it did the work is not known"}
	}
}

// body is the error in OpenAI's shape.
func (e *refusal) body() []byte {
	type fault struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    Reason  `json:"code"`
	}
	kind := "server_error"
	switch code := status[e.reason]; {
	case code == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case code < http.StatusInternalServerError:
		kind = "invalid_request_error"
	}
	body, err := json.Marshal(map[string]fault{"error": {Message: e.message, Type: kind, Code: e.reason}})
	if err != nil {
		panic(err) // strings always marshal
	}
	return body
}

// answer writes the refusal.
func (e *refusal) answer(w http.ResponseWriter, retryAfter time.Duration) {
	code := status[e.reason]
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	if e.reason == ShuttingDown {
		h.Set("Connection", "close")
	}
	w.WriteHeader(code)
	_, _ = w.Write(e.body()) // a client that has left reads no errors
}
