package scenarios_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// entry is a run of lines of a file: prose, or one command with what it shows.
type entry struct {
	line  int
	text  string // as it stands in the file
	shown string
}

const separator = "----"

// parse takes a file apart. What stands between the separator and the next empty line was shown by the command above.
func parse(file string) []entry {
	var out []entry
	lines := strings.Split(strings.TrimRight(file, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		e := entry{line: i + 1, text: lines[i]}
		if i+1 < len(lines) && lines[i+1] == separator {
			for i += 2; i < len(lines) && lines[i] != ""; i++ {
				e.shown += lines[i] + "\n"
			}
			i-- // the empty line is an entry of its own
		}
		out = append(out, e)
	}
	return out
}

// String is the entry as it stands in a file.
func (e entry) String() string {
	if e.shown == "" {
		return e.text + "\n"
	}
	return e.text + "\n" + separator + "\n" + e.shown
}

func (e entry) prose() bool { return e.text == "" || strings.HasPrefix(e.text, "#") }

// command is one line taken apart.
type command struct {
	words []string
	pairs map[string]string
	used  map[string]bool
}

func (e entry) command() *command {
	c := &command{pairs: map[string]string{}, used: map[string]bool{}}
	for w := range strings.FieldsSeq(e.text) {
		if key, value, ok := strings.Cut(w, "="); ok && key != "" && !strings.ContainsAny(key, "<>") {
			c.pairs[key] = value
		} else {
			c.words = append(c.words, w)
		}
	}
	return c
}

// fault is a command that makes no sense; it ends the scenario.
type fault struct{ error }

func fail(format string, args ...any) { panic(fault{fmt.Errorf(format, args...)}) }

// word returns the n-th word, the verb being the first.
func (c *command) word(n int) string {
	if n >= len(c.words) {
		fail("something is missing after %q", strings.Join(c.words, " "))
	}
	return c.words[n]
}

// are reports whether the words after the verb are these, where "_" stands for any.
func (c *command) are(words ...string) bool {
	return slices.EqualFunc(c.words[1:], words, func(has, want string) bool { return has == want || want == "_" })
}

// end complains about pairs that nothing has asked for.
func (c *command) end() {
	for key := range c.pairs {
		if !c.used[key] {
			fail("%s does not take %q", c.words[0], key)
		}
	}
}

// take calls set with the value of a pair, where it is there.
func (c *command) take(key string, set func(value string)) {
	c.used[key] = true
	if v, ok := c.pairs[key]; ok {
		set(v)
	}
}

func (c *command) number(key string, to *float64) {
	c.take(key, func(v string) { *to = number(v) })
}

func (c *command) count(key string, to *int) {
	c.take(key, func(v string) { *to = int(number(v)) })
}

func (c *command) duration(key string, to *time.Duration) {
	c.take(key, func(v string) { *to = duration(v) })
}

// number reads a number, or a share with its sign.
func number(s string) float64 {
	text, share := strings.CutSuffix(s, "%")
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		fail("%q is not a number", s)
	}
	if share {
		return x / 100
	}
	return x
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		fail("%q is not a time like 90s or 2m", s)
	}
	return d
}
