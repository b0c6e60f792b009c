package report

import (
	"encoding/json"
	"strings"
)

// texts is the page's store of words. Texts that differ only in their numbers share one entry: the explanations of
// thousands of decisions are some dozens of sentences.
type texts struct {
	index map[string]int
	list  []string
}

// blank stands in a sentence for a number; it occurs in no text of ours and is taken out of others'.
const blank = "\x01"

// word stores a text as it is and returns its place.
func (t *texts) word(s string) int {
	if i, ok := t.index[s]; ok {
		return i
	}
	if t.index == nil {
		t.index = map[string]int{}
	}
	t.index[s] = len(t.list)
	t.list = append(t.list, s)
	return len(t.list) - 1
}

// sentence stores a text without its numbers and returns its place and the numbers, separated by spaces.
func (t *texts) sentence(s string) (place int, numbers string) {
	s = strings.ReplaceAll(s, blank, "")
	var words, found []byte
	for len(s) > 0 {
		n := digits(s)
		if n == 0 {
			words, s = append(words, s[0]), s[1:]
			continue
		}
		if len(found) > 0 {
			found = append(found, ' ')
		}
		words, found, s = append(words, blank...), append(found, s[:n]...), s[n:]
	}
	return t.word(string(words)), string(found)
}

// digits is the length of the number that a text begins with, a fraction included.
func digits(s string) int {
	n := figuresIn(s)
	if n > 0 && n < len(s) && s[n] == '.' {
		if f := figuresIn(s[n+1:]); f > 0 {
			n += 1 + f
		}
	}
	return n
}

// figuresIn is the number of digits that a text begins with.
func figuresIn(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// MarshalJSON writes the texts in order.
func (t *texts) MarshalJSON() ([]byte, error) {
	if t.list == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(t.list)
}
