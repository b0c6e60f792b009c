package main

import (
	"fmt"
	"slices"
)

// scale is what a number is multiplied by.
type scale string

// The scales.
const (
	halved  scale = "halved"
	doubled scale = "doubled"
)

var scales = []scale{halved, doubled}

// vary halves and doubles a number, in the order of scales, unless it is left out. It is where one of the two does not
// compile, as of what sizes a table.
func (p *program) vary(n *number) (out []changed) {
	if n.LeftOut != "" {
		return nil
	}
	for _, s := range scales {
		with, err := p.scaled(n, s)
		if err != nil {
			n.LeftOut = fmt.Sprintf("%s it does not compile: %v", s, err)
			return nil
		}
		out = append(out, with)
	}
	return out
}

// scaled is the file of a number with the number scaled, or why it does not compile so.
func (p *program) scaled(n *number, s scale) (changed, error) {
	with := n.rewrite(p.texts[n.File], s, false)
	_, err := p.check(n.unit, with)
	if err == nil {
		return with, nil
	}
	// A half that may be none where whole numbers are counted.
	rounded := n.rewrite(p.texts[n.File], s, true)
	if _, again := p.check(n.unit, rounded); again == nil {
		return rounded, nil
	}
	return nil, err
}

// rewrite scales all places of a number, the last first so that none moves another.
func (n *number) rewrite(text []byte, s scale, round bool) changed {
	text = slices.Clone(text)
	for _, x := range slices.Backward(n.places) {
		was := string(text[x.from:x.to])
		text = slices.Replace(text, x.from, x.to, []byte(x.scaled(was, s, round))...)
	}
	return changed{n.File: text}
}

// scaled writes an expression scaled. A half is rounded up where only whole numbers do: of one that has no type, where
// nothing else compiles.
func (x place) scaled(text string, s scale, round bool) string {
	switch {
	case x.share:
		x.share = false
		return "(1 - " + x.scaled("1 - ("+text+")", s, round) + ")"
	case s == doubled:
		return "((" + text + ") * 2)"
	case !x.whole, x.untyped && x.odd && !round:
		return "((" + text + ") / 2.)"
	case x.odd:
		return "((" + text + " + 1) / 2)"
	}
	return "((" + text + ") / 2)"
}
