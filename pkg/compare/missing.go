package compare

import (
	"fmt"
	"strings"
)

// Complete says whether every run went through to its end, and every search too.
func (o *Outcome) Complete() bool { return len(o.Unfinished) == 0 && len(o.CutShort()) == 0 }

// CutShort are the oracle's runs whose search the caller ended.
func (o *Outcome) CutShort() []Key {
	var out []Key
	for _, p := range o.Proofs {
		if p.CutShort {
			out = append(out, p.Key)
		}
	}
	return out
}

// Missing says in words what is not there, or not what it would have been; empty where the outcome is complete.
func (o *Outcome) Missing() string {
	var parts []string
	if n := len(o.Unfinished); n > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d runs are missing: %s", n, n+len(o.Scores), named(o.Unfinished)))
	}
	if cut := o.CutShort(); len(cut) > 0 {
		parts = append(parts, "cut short and with the best schedule found until then: "+named(cut))
	}
	return strings.Join(parts, "; ")
}

// mostNamed bounds the runs that a sentence names.
const mostNamed = 4

// named lists the first of some runs.
func named(keys []Key) string {
	text := strings.Join(names(keys[:min(len(keys), mostNamed)]), ", ")
	if more := len(keys) - mostNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func names(keys []Key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.String())
	}
	return out
}
