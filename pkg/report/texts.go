package report

import (
	"encoding/json"
	"regexp"
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

var figures = regexp.MustCompile(`\d+(?:\.\d+)?`)

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
	found := figures.FindAllString(s, -1)
	return t.word(figures.ReplaceAllLiteralString(s, blank)), strings.Join(found, " ")
}

// MarshalJSON writes the texts in order.
func (t *texts) MarshalJSON() ([]byte, error) {
	if t.list == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(t.list)
}
