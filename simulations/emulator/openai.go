package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

const (
	maxBody             = 8 << 20 // bytes
	charactersPerToken  = 4
	defaultOutputTokens = 128 // where a model would stop by itself
	filler              = " tok"
)

// completion is a parsed request of either endpoint.
type completion struct {
	chat   bool
	stream bool
	usage  bool // a usage chunk at the end of the stream
	req    replica.Request
	max    int    // max_tokens
	reason string // how it will finish
}

// body is the part of the OpenAI request that matters here.
type body struct {
	Model         string          `json:"model"`
	Prompt        json.RawMessage `json:"prompt"`
	Messages      json.RawMessage `json:"messages"`
	MaxTokens     *int            `json:"max_tokens"`
	MaxCompletion *int            `json:"max_completion_tokens"`
	Stream        bool            `json:"stream"`
	IgnoreEOS     bool            `json:"ignore_eos"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// apiError is an answer in the API's own error format.
type apiError struct {
	status  int
	message string
}

func (e apiError) Error() string { return e.message }

func badRequest(format string, args ...any) error {
	return apiError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func (p *PodServer) parse(w http.ResponseWriter, r *http.Request, chat bool) (completion, error) {
	var b body
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&b); err != nil {
		return completion{}, badRequest("body: %v", err)
	}
	if b.Model != "" && b.Model != p.options.ModelName {
		return completion{}, apiError{http.StatusNotFound, fmt.Sprintf("the model %q does not exist; served is %q", b.Model, p.options.ModelName)}
	}
	c := completion{chat: chat, stream: b.Stream, usage: b.StreamOptions.IncludeUsage}
	text := b.Prompt
	if chat {
		text = b.Messages
	}
	if len(text) == 0 {
		return completion{}, badRequest("prompt or messages missing")
	}
	var err error
	if c.req.PromptTokens, err = headerCount(r, PromptTokensHeader, max(1, len(text)/charactersPerToken)); err != nil {
		return completion{}, err
	}
	if c.req.CachedTokens, err = headerCount(r, CachedTokensHeader, 0); err != nil {
		return completion{}, err
	}
	natural, err := headerCount(r, OutputTokensHeader, defaultOutputTokens)
	if err != nil {
		return completion{}, err
	}
	return c, p.length(&c, b, natural)
}

// length settles how many tokens come out and why it ends there.
func (p *PodServer) length(c *completion, b body, natural int) error {
	c.max = 16 // the completions API's default
	if c.chat {
		c.max = p.options.Profile.MaxModelLen - c.req.PromptTokens
	}
	for _, given := range []*int{b.MaxTokens, b.MaxCompletion} {
		if given != nil {
			c.max = *given
		}
	}
	if c.max < 1 {
		return badRequest("max_tokens must be at least 1, got %d", c.max)
	}
	c.req.OutputTokens, c.reason = c.max, "length"
	if !b.IgnoreEOS && natural < c.max {
		c.req.OutputTokens, c.reason = natural, "stop"
	}
	return nil
}

func headerCount(r *http.Request, name string, otherwise int) (int, error) {
	given := r.Header.Get(name)
	if given == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 0 {
		return 0, badRequest("%s: %q is not a count of tokens", name, given)
	}
	return n, nil
}

// complete serves one completion from parsing to its last byte.
func (p *PodServer) complete(w http.ResponseWriter, r *http.Request, chat bool) {
	c, err := p.parse(w, r, chat)
	if err != nil {
		writeError(w, err)
		return
	}
	s := newStream(c.max, c.reason)
	if err := p.engine.admit(r.Context(), c.req, s); err != nil {
		abandon(r, err)
		if errors.Is(err, replica.ErrTooLong) || errors.Is(err, replica.ErrBadRequest) {
			err = badRequest("%v", err)
		}
		writeError(w, err)
		return
	}
	defer p.engine.cancel(s)
	if p.options.Took != nil {
		p.options.Took(r.Header.Get("X-Request-Id"))
	}
	answer := newAnswer(c, s.id, p.options.ModelName)
	answer.token, answer.numbered = p.sleeper.token(), p.options.NumberTokens
	if c.stream {
		answer.stream(w, r, s)
		return
	}
	answer.whole(w, r, s)
}

// answer writes one response.
type answer struct {
	completion
	head string // of every chunk
	id   string
	kind string
	made int64 // Unix seconds
	name string
	// token is the text of one token.
	token string
	// numbered has each token followed by its number, of which sent is the next.
	numbered bool
	sent     int
	buf      []byte
}

func newAnswer(c completion, id uint64, model string) *answer {
	a := &answer{completion: c, id: fmt.Sprintf("cmpl-%d", id), kind: "text_completion", made: time.Now().Unix(), name: model}
	if c.chat {
		a.id, a.kind = "chat"+a.id, "chat.completion"
	}
	chunk := a.kind
	if c.chat {
		chunk += ".chunk"
	}
	a.head = fmt.Sprintf(`data: {"id":%q,"object":%q,"created":%d,"model":%q,"choices":[`, a.id, chunk, a.made, model)
	return a
}

// stream writes server-sent events as tokens come.
func (a *answer) stream(w http.ResponseWriter, r *http.Request, s *stream) {
	flusher := http.NewResponseController(w)
	produced := 0
	for {
		tokens, done, err := s.next(r.Context())
		if err != nil {
			abandon(r, err)
			return
		}
		if produced == 0 {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			a.opening()
		}
		produced += tokens
		if done {
			a.reason = s.outcome()
		}
		a.chunk(tokens, done)
		if done {
			a.ending(produced)
		}
		if _, err := w.Write(a.buf); err != nil {
			return // the client has gone; cancelling frees its KV blocks
		}
		if done {
			return // the server flushes with the end of the body
		}
		if err := flusher.Flush(); err != nil {
			return
		}
		a.buf = a.buf[:0]
	}
}

// abandon drops the connection of a stream that the engine gave up, as a
// crashing server does; a client that left needs nothing.
func abandon(r *http.Request, err error) {
	if errors.Is(err, errRestarted) && r.Context().Err() == nil {
		panic(http.ErrAbortHandler)
	}
}

// opening is the chunk that carries the role and no text.
func (a *answer) opening() {
	if a.chat {
		a.buf = append(a.buf, a.head...)
		a.buf = append(a.buf, `{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}`+"\n\n"...)
	}
}

func (a *answer) chunk(tokens int, done bool) {
	before, after := `{"index":0,"text":"`, `"`
	if a.chat {
		before, after = `{"index":0,"delta":{"content":"`, `"}`
	}
	a.buf = append(append(a.buf, a.head...), before...)
	for range tokens {
		a.text()
	}
	a.buf = append(append(a.buf, after...), `,"logprobs":null,"finish_reason":`...)
	if done {
		a.buf = strconv.AppendQuote(a.buf, a.reason)
	} else {
		a.buf = append(a.buf, "null"...)
	}
	a.buf = append(a.buf, "}]}\n\n"...)
}

// text appends the text of the next token.
func (a *answer) text() {
	a.buf = append(a.buf, a.token...)
	if a.numbered {
		a.buf = strconv.AppendInt(a.buf, int64(a.sent), 10)
		a.sent++
	}
}

func (a *answer) ending(produced int) {
	if a.usage {
		a.buf = append(a.buf, a.head...)
		a.buf = append(a.buf, `],"usage":`...)
		a.buf = append(a.buf, a.usageBlock(produced)...)
		a.buf = append(a.buf, "}\n\n"...)
	}
	a.buf = append(a.buf, "data: [DONE]\n\n"...)
}

func (a *answer) usageBlock(produced int) string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d}`, a.req.PromptTokens, a.req.PromptTokens+produced, produced)
}

// whole answers with one JSON document when everything is computed.
func (a *answer) whole(w http.ResponseWriter, r *http.Request, s *stream) {
	produced := 0
	for done := false; !done; {
		var tokens int
		var err error
		if tokens, done, err = s.next(r.Context()); err != nil {
			abandon(r, err)
			return
		}
		produced += tokens
	}
	a.reason = s.outcome()
	for range produced {
		a.text()
	}
	text := string(a.buf)
	out := document{ID: a.id, Object: a.kind, Created: a.made, Model: a.name, Usage: json.RawMessage(a.usageBlock(produced))}
	if a.chat {
		out.Choices = []documentChoice{{FinishReason: a.reason, Message: &message{Role: "assistant", Content: text}}}
	} else {
		out.Choices = []documentChoice{{FinishReason: a.reason, Text: &text}}
	}
	writeJSON(w, http.StatusOK, out)
}

// document is the answer to a request that did not ask for a stream.
type document struct {
	ID      string           `json:"id"`
	Object  string           `json:"object"`
	Created int64            `json:"created"`
	Model   string           `json:"model"`
	Choices []documentChoice `json:"choices"`
	Usage   json.RawMessage  `json:"usage"`
}

type documentChoice struct {
	Index        int      `json:"index"`
	Text         *string  `json:"text,omitempty"`
	Message      *message `json:"message,omitempty"`
	FinishReason string   `json:"finish_reason"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// problem is the API's error format.
type problem struct {
	Error struct {
		Message string `json:"message"`
		Type    string `json:"type"`
		Code    int    `json:"code"`
	} `json:"error"`
}

func writeError(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if known, ok := errors.AsType[apiError](err); ok {
		status = known.status
	}
	var out problem
	out.Error.Message, out.Error.Type, out.Error.Code = err.Error(), http.StatusText(status), status
	writeJSON(w, status, out)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone is not an error
}
