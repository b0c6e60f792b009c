package report

import (
	"hash/fnv"
	"strings"
)

// style is how a policy is drawn, told apart by more than colour: a hue of the palette of Okabe and Ito (2008), which
// people with any colour vision can tell apart, a dash of lines and a shape of points.
type style struct {
	Hue   int `json:"hue"`
	Dash  int `json:"dash"`
	Shape int `json:"shape"`
}

// The hues, dashes and shapes that assets know. Hue 0 is Preheat's, hue 1 the oracle's.
const (
	hues   = 8
	dashes = 4
	shapes = 6
)

// styles are those of the policies that are known; they are the same in every report.
var styles = map[string]style{
	Preheat:       {0, 0, 0},
	Oracle:        {1, 0, 5},
	"hpa-queue":   {2, 0, 1},
	"hpa-running": {2, 1, 2},
	"keda":        {3, 0, 2},
	"slo-aware":   {3, 1, 3},
	"kpa":         {4, 0, 3},
	"apa":         {4, 1, 4},
	"wva":         {5, 0, 4},
	"wva-v2":      {5, 1, 1},
	"dynamo":      {6, 0, 1},
	"ray-serve":   {6, 1, 2},
	"static-peak": {7, 0, 4},
	"cron":        {7, 1, 3},
}

// stylesOf gives each policy its style: the known ones theirs, variants of Preheat its hue with another dash, the rest
// one that follows from the name and is not taken.
func stylesOf(names []string) []style {
	taken := map[style]bool{}
	for _, s := range styles {
		taken[s] = true
	}
	out := make([]style, len(names))
	for i, name := range names {
		s, ok := styles[name]
		if !ok {
			s = free(first(name), taken)
		}
		taken[s], out[i] = true, s
	}
	return out
}

// first is the style that a name asks for.
func first(name string) style {
	h := fnv.New32a()
	h.Write([]byte(name))
	n := int(h.Sum32() >> 1)
	if strings.HasPrefix(name, Preheat) {
		return style{0, 1 + n%(dashes-1), 1 + n%(shapes-2)}
	}
	return style{2 + n%(hues-2), n / hues % dashes, n / (hues * dashes) % (shapes - 1)}
}

// free is the next style that is not taken; s itself where all are.
func free(s style, taken map[style]bool) style {
	for i := range dashes * shapes {
		next := style{s.Hue, (s.Dash + i) % dashes, (s.Shape + i/dashes) % shapes}
		if !taken[next] {
			return next
		}
	}
	return s
}
