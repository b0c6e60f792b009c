package exposition

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// pattern is something that a page may show.
type pattern struct {
	// text is a sample name, or the beginning of one, or the beginning of a comment.
	text            string
	prefix, comment bool
	// has and lacks are labels that some such sample carries and does not carry.
	has, lacks []string
}

// parsePattern reads one of
//
//	name              a sample of that name
//	prefix*           a sample whose name begins so and goes on
//	name{a,!b}        such a sample that carries label a and does not carry label b
//	# HELP name text  a comment line that begins so
func parsePattern(text string) (pattern, error) {
	if strings.HasPrefix(text, "#") {
		return pattern{text: text, comment: true}, nil
	}
	name, labels, braced := strings.Cut(text, "{")
	p := pattern{}
	p.text, p.prefix = strings.CutSuffix(name, "*")
	if p.text == "" || strings.ContainsAny(p.text, "*} ") {
		return p, fmt.Errorf("%q is no pattern: write name, prefix*, name{label,!label} or # HELP name", text)
	}
	if !braced {
		return p, nil
	}
	inside, closed := strings.CutSuffix(labels, "}")
	for label := range strings.SplitSeq(inside, ",") {
		without, negated := strings.CutPrefix(strings.TrimSpace(label), "!")
		if without == "" || !closed {
			return p, fmt.Errorf("%q is no pattern: its labels must stand as {label,!label}", text)
		}
		if negated {
			p.lacks = append(p.lacks, without)
		} else {
			p.has = append(p.has, without)
		}
	}
	return p, nil
}

func (p *pattern) ofName(name []byte) bool {
	if p.prefix {
		return len(name) > len(p.text) && string(name[:len(p.text)]) == p.text
	}
	return string(name) == p.text
}

func (p *pattern) ofLabels(labels []label) bool {
	carried := func(want string) bool {
		return slices.ContainsFunc(labels, func(l label) bool { return string(l.name) == want && len(l.value) > 0 })
	}
	return !slices.ContainsFunc(p.has, func(want string) bool { return !carried(want) }) && !slices.ContainsFunc(p.lacks, carried)
}

// lookout goes through a page once and notes which patterns it shows.
type lookout struct {
	patterns []pattern
	seen     []bool
	samples  int
	comments int

	// last is the name of the last sample, asked the patterns that want to know its labels too.
	last   []byte
	asked  []int
	labels []label
}

// look returns what a page shows of patterns. The error wraps ErrNotExposition, ErrTorn or, for a page of comments,
// ErrNoEngine.
func look(text []byte, patterns []pattern) (*lookout, error) {
	l := &lookout{patterns: patterns, seen: make([]bool, len(patterns))}
	for number := 1; len(text) > 0; number++ {
		line, rest, whole := cutLine(text)
		text = rest
		switch {
		case len(line) == 0:
		case line[0] == '#':
			l.comment(line)
		default:
			name, tail, inBraces, err := splitName(line)
			if err != nil {
				return nil, lineError(number, line, whole)
			}
			l.sample(name, tail, inBraces)
		}
	}
	if l.samples == 0 {
		return nil, noSample(l.comments > 0)
	}
	return l, nil
}

// noSample says what a page without samples is; one with comments is a metrics page that has nothing to tell yet.
func noSample(comments bool) error {
	if comments {
		return fmt.Errorf("%w: it has comments and no sample, as some engines' before their first request", errNothingTold)
	}
	return fmt.Errorf("%w: it is empty", ErrNotExposition)
}

func (l *lookout) comment(line []byte) {
	l.comments++
	for i := range l.patterns {
		p := &l.patterns[i]
		l.seen[i] = l.seen[i] || p.comment && bytes.HasPrefix(line, []byte(p.text))
	}
}

func (l *lookout) sample(name, tail []byte, inBraces bool) {
	l.samples++
	if !bytes.Equal(name, l.last) {
		l.last = name
		l.named(name)
	}
	if len(l.asked) == 0 {
		return
	}
	labels, _, err := parseLabels(l.labels[:0], tail, inBraces)
	l.labels = labels
	if err != nil {
		return // whoever decodes the page says so
	}
	l.asked = slices.DeleteFunc(l.asked, func(i int) bool {
		l.seen[i] = l.patterns[i].ofLabels(labels)
		return l.seen[i]
	})
}

// named notes the patterns of a new name, and which of them ask for its labels.
func (l *lookout) named(name []byte) {
	l.asked = l.asked[:0]
	for i := range l.patterns {
		p := &l.patterns[i]
		switch {
		case l.seen[i] || p.comment || !p.ofName(name):
		case len(p.has)+len(p.lacks) > 0:
			l.asked = append(l.asked, i)
		default:
			l.seen[i] = true
		}
	}
}

// detection is a detectSpec, or a piece of evidence, in terms of the patterns that a lookout looks for.
type detection struct{ any, all, none []int }

func (d *detection) holds(l *lookout) bool {
	shown := func(i int) bool { return l.seen[i] }
	return (len(d.any) == 0 || slices.ContainsFunc(d.any, shown)) &&
		!slices.ContainsFunc(d.all, func(i int) bool { return !l.seen[i] }) && !slices.ContainsFunc(d.none, shown)
}

// patternSet collects patterns; the profiles have been checked to have valid ones.
type patternSet struct{ patterns []pattern }

func (s *patternSet) add(texts []string) []int {
	var at []int
	for _, text := range texts {
		p, _ := parsePattern(text)
		at = append(at, len(s.patterns))
		s.patterns = append(s.patterns, p)
	}
	return at
}

// gatherPatterns makes detection ready.
func (ps *Profiles) gatherPatterns() {
	var set patternSet
	for _, p := range ps.all {
		d := &p.spec.Detect
		p.detect = detection{any: set.add(d.Any), all: set.add(d.All), none: set.add(d.None)}
	}
	ps.patterns = set.patterns
}

// Detect returns the first profile whose engine the page is of; the error wraps ErrNotExposition, ErrTorn or
// ErrNoEngine.
func (ps *Profiles) Detect(page []byte) (*Profile, error) {
	l, err := look(page, ps.patterns)
	if err != nil {
		return nil, err
	}
	for _, p := range ps.all {
		if p.detect.holds(l) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: none of its %d samples is of an engine that one of the %d profiles knows", ErrNoEngine, l.samples, len(ps.all))
}

// Evidence returns what a page tells of the engine's version, most telling first; nothing for a page that cannot be
// read.
func (p *Profile) Evidence(page []byte) []string {
	var set patternSet
	pieces := make([]detection, len(p.spec.Evidence))
	for i, e := range p.spec.Evidence {
		pieces[i] = detection{all: set.add(e.Present), none: set.add(e.Absent)}
	}
	l, err := look(page, set.patterns)
	if err != nil {
		return nil
	}
	var versions []string
	for i := range pieces {
		if pieces[i].holds(l) {
			versions = append(versions, p.spec.Evidence[i].Versions)
		}
	}
	return versions
}
