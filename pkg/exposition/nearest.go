package exposition

import (
	"slices"
	"strings"
	"unicode"
)

const (
	// likeness is from where on two names are taken for one another's, 0 to 1.
	likeness = 0.4
	// familiar is what the first word of a name weighs beside the others: it is mostly that of the engine.
	familiar = 0.25
	// maxNames bounds the names of a page that are looked at; engines have some hundred.
	maxNames = 2048
)

// unitWords are words of a name that say how it is counted and not what.
var unitWords = map[string]bool{
	"total": true, "second": true, "millisecond": true, "microsecond": true, "ms": true, "us": true, "byte": true,
	"ratio": true, "perc": true, "percent": true, "bucket": true, "count": true, "sum": true,
}

// sameWords are words that engines use for one another.
var sameWords = map[string]string{
	"queue": "waiting", "queued": "waiting", "pending": "waiting", "active": "running", "processing": "running",
	"success": "finished", "completed": "finished", "complete": "finished", "req": "request", "reqs": "request",
}

// states are words that exclude one another: what runs does not wait.
var states = []string{"waiting", "running", "finished", "swapped", "failed"}

// otherwise reports whether a name is of another state than the one that is sought.
func otherwise(sought []string, name string) bool {
	isState := func(w string) bool { return slices.Contains(states, w) }
	at := slices.IndexFunc(sought, isState)
	has := wordsOf(name)
	return at >= 0 && slices.ContainsFunc(has, isState) && !slices.Contains(has, sought[at])
}

// wordsOf are what a name is about, in lower case and the singular, without its unit; the first is the engine's as a rule.
func wordsOf(name string) []string {
	parts := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	words := parts[:0]
	for _, w := range parts {
		if len(w) > 3 && !strings.HasSuffix(w, "ss") {
			w = strings.TrimSuffix(w, "s")
		}
		if same, ok := sameWords[w]; ok {
			w = same
		}
		if !unitWords[w] && !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	return words
}

// nameIndex is the names of a page by their words. A word that many names have weighs little.
type nameIndex struct {
	names []string
	// weights are the sums of the weights of each name's words.
	weights []float64
	// having are the names that have a word, first is the word that each begins with.
	having map[string][]int
	first  []string
	// slips remembers what known has found.
	slips map[string]string
}

func newNameIndex(names []string) *nameIndex {
	names = names[:min(len(names), maxNames)]
	v := &nameIndex{names: names, weights: make([]float64, len(names)), first: make([]string, len(names)), having: map[string][]int{}, slips: map[string]string{}}
	for i, name := range names {
		for j, w := range wordsOf(name) {
			v.having[w] = append(v.having[w], i)
			if j == 0 {
				v.first[i] = w
			}
		}
	}
	for w, in := range v.having {
		for _, i := range in {
			v.weights[i] += v.weight(w, w == v.first[i])
		}
	}
	return v
}

// weight is what a word tells of the name that has it.
func (v *nameIndex) weight(w string, leads bool) float64 {
	weight := 1 / float64(max(1, len(v.having[w])))
	if leads {
		return weight * familiar
	}
	return weight
}

// known is the word of the page that a word is, or is a slip of the pen from; empty where there is none.
func (v *nameIndex) known(w string) string {
	if _, ok := v.having[w]; ok {
		return w
	}
	best, done := v.slips[w]
	if done {
		return best
	}
	for have := range v.having {
		if len(w) >= 5 && oneEdit(w, have) && (best == "" || have < best) {
			best = have
		}
	}
	v.slips[w] = best
	return best
}

// oneEdit reports whether one letter put in, left out or exchanged makes one word of the other.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i == len(a) || a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}

// near is a name of the page and how like it is to what was sought, 0 to 1.
type near struct {
	name string
	like float64
}

// nearest are the names that are like a name that is sought, most like first.
func (v *nameIndex) nearest(sought string) []near {
	words := wordsOf(sought)
	shared, total := map[int]float64{}, 0.
	for j, w := range words {
		have := v.known(w)
		total += v.weight(have, j == 0)
		for _, i := range v.having[have] {
			shared[i] += v.weight(have, j == 0 || have == v.first[i])
		}
	}
	var found []near
	for i, s := range shared {
		if like := s / (total + v.weights[i] - s); like >= likeness && !otherwise(words, v.names[i]) {
			found = append(found, near{v.names[i], like})
		}
	}
	slices.SortFunc(found, byLikeness)
	return found
}

// byLikeness puts the most like first, of equals by name.
func byLikeness(a, b near) int {
	switch {
	case a.like > b.like+1e-9:
		return -1
	case b.like > a.like+1e-9:
		return 1
	}
	return strings.Compare(a.name, b.name)
}

// Nearest returns which of the names that are present are most like those that were sought, by what their words say
// whatever their order, prefix and unit; at most the given number, best first. Of a very long list the first 2,048 are
// looked at.
func Nearest(sought, present []string, most int) []string {
	return newNameIndex(present).nearestOf(sought, most)
}

func (v *nameIndex) nearestOf(sought []string, most int) []string {
	var all []near
	for _, s := range sought {
		all = append(all, v.nearest(s)...)
	}
	slices.SortFunc(all, byLikeness)
	var names []string
	for _, n := range all {
		if len(names) < most && !slices.Contains(names, n.name) {
			names = append(names, n.name)
		}
	}
	return names
}
