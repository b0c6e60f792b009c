package history

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// What can be wrong with a checkpoint, beside errors of the disk.
var (
	// errCorrupt: cut short, altered, or no checkpoint at all.
	errCorrupt = errors.New("is not whole")
	// errVersion: written by a program that writes checkpoints in another way.
	errVersion = errors.New("is of another version")
	// errOther: of another target, or of another one of the same name.
	errOther = errors.New("is of another target")
)

// magic begins the first line of every checkpoint: magic, version, length and CRC-32C of all that follows the line.
const (
	magic   = "preheat-checkpoint"
	version = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the second line, JSON: what a checkpoint is of. It can be read with `sed -n 2p`.
type header struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Subject   string `json:"subject"`
	// Since is when learning began, Saved the time of the last tick that is in.
	Since time.Time `json:"since"`
	Saved time.Time `json:"saved"`
	Parts []section `json:"parts"`
}

// section is one part's place: they follow the header in this order.
type section struct {
	Name   string `json:"name"`
	Schema string `json:"schema"`
	Bytes  int    `json:"bytes"`
}

// checkpoint is a lesson with what it is of.
type checkpoint struct {
	header
	lesson controlloop.Lesson
	// skipped names the parts that were kept in another form and are learned anew.
	skipped []string
}

// span is how long was learned until it was saved.
func (h *header) span() time.Duration { return h.Saved.Sub(h.Since) }

// of returns an error where the checkpoint is not this target's.
func (h *header) of(t controlloop.Target) error {
	switch {
	case h.Namespace != t.ID.Namespace || h.Name != t.ID.Name:
		return fmt.Errorf("%w, %s/%s", errOther, h.Namespace, h.Name)
	case h.UID != t.UID:
		return fmt.Errorf("%w: an InferenceAutoscaler of this name that was deleted, UID %q", errOther, h.UID)
	case h.Subject != t.Subject:
		return fmt.Errorf("%w: the InferenceAutoscaler scaled %q then", errOther, h.Subject)
	}
	return nil
}

// encode returns the bytes of a checkpoint. hint is about how many there will be.
func encode(t controlloop.Target, l controlloop.Lesson, saved time.Time, hint int) ([]byte, error) {
	h := header{Namespace: t.ID.Namespace, Name: t.ID.Name, UID: t.UID, Subject: t.Subject, Since: l.Since, Saved: saved}
	body := bytes.NewBuffer(make([]byte, 0, hint))
	for _, p := range parts {
		before := body.Len()
		if err := gob.NewEncoder(body).Encode(p.of(&l.Learned)); err != nil {
			return nil, fmt.Errorf("encode %s: %w", p.name, err)
		}
		h.Parts = append(h.Parts, section{Name: p.name, Schema: schemas()[p.name], Bytes: body.Len() - before})
	}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode header: %w", err)
	}
	return sealed(head, []byte("\n"), body.Bytes()), nil
}

// sealed returns texts one after the other, behind the first line that proves them whole.
func sealed(texts ...[]byte) []byte {
	length, sum := 0, uint32(0)
	for _, text := range texts {
		length, sum = length+len(text), crc32.Update(sum, castagnoli, text)
	}
	first := fmt.Sprintf("%s %d %d %08x\n", magic, version, length, sum)
	return slices.Concat(append([][]byte{[]byte(first)}, texts...)...)
}

// decode reads what encode wrote. Parts in another form are skipped; anything else that is wrong is an error.
func decode(data []byte) (*checkpoint, error) {
	rest, err := verify(data)
	if err != nil {
		return nil, err
	}
	h, body, err := readHeader(rest)
	if err != nil {
		return nil, err
	}
	c := &checkpoint{header: *h, lesson: controlloop.Lesson{Since: h.Since}}
	for _, s := range h.Parts {
		if s.Bytes < 0 || s.Bytes > len(body) {
			return nil, fmt.Errorf("%w: part %s has %d bytes of %d", errCorrupt, s.Name, s.Bytes, len(body))
		}
		if err := c.take(s, body[:s.Bytes]); err != nil {
			return nil, err
		}
		body = body[s.Bytes:]
	}
	return c, nil
}

// verify checks the first line and returns what follows it.
func verify(data []byte) ([]byte, error) {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	var v, length int
	var sum uint32
	var word string
	if n, _ := fmt.Sscanf(string(line[:min(len(line), 128)]), "%s %d", &word, &v); !ok || n != 2 || word != magic {
		return nil, fmt.Errorf("%w: does not begin with %q", errCorrupt, magic)
	}
	if v != version {
		return nil, fmt.Errorf("%w: %d, this program writes %d", errVersion, v, version)
	}
	if _, err := fmt.Sscanf(string(line), magic+" %d %d %x", &v, &length, &sum); err != nil {
		return nil, fmt.Errorf("%w: first line: %w", errCorrupt, err)
	}
	if len(rest) != length {
		return nil, fmt.Errorf("%w: %d bytes follow the first line, %d were written", errCorrupt, len(rest), length)
	}
	if got := crc32.Checksum(rest, castagnoli); got != sum {
		return nil, fmt.Errorf("%w: CRC-32C is %08x, %08x was written", errCorrupt, got, sum)
	}
	return rest, nil
}

// readHeader returns the header and the parts after it.
func readHeader(rest []byte) (*header, []byte, error) {
	line, body, _ := bytes.Cut(rest, []byte("\n"))
	h := &header{}
	if err := json.Unmarshal(line, h); err != nil {
		return nil, nil, fmt.Errorf("%w: header: %w", errCorrupt, err)
	}
	return h, body, nil
}

// take reads one part into the lesson.
func (c *checkpoint) take(s section, data []byte) error {
	for _, p := range parts {
		if p.name != s.Name || schemas()[p.name] != s.Schema {
			continue
		}
		if err := gob.NewDecoder(bytes.NewReader(data)).Decode(p.of(&c.lesson.Learned)); err != nil {
			return fmt.Errorf("%w: part %s: %w", errCorrupt, s.Name, err)
		}
		return nil
	}
	c.skipped = append(c.skipped, s.Name)
	return nil
}

// dropForecast forgets the forecasts, whose rows bear times that have not come.
func (c *checkpoint) dropForecast() {
	fresh := scaling.Learned{}
	c.lesson.Learned.Forecast, c.lesson.Learned.Tokens = fresh.Forecast, fresh.Tokens
}
