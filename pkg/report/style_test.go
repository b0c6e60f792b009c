package report

import (
	"fmt"
	"testing"
)

func TestNoTwoPoliciesLookAlike(t *testing.T) {
	names := []string{"preheat-last-value", "preheat-reactive", "preheat-seasonal", "somebody-else", "mine", "yours"}
	for name := range styles {
		names = append(names, name)
	}
	seen := map[style]string{}
	for i, s := range stylesOf(names) {
		if other, ok := seen[s]; ok {
			t.Errorf("%s and %s are both drawn as %v", names[i], other, s)
		}
		seen[s] = names[i]
		if s.Hue < 0 || s.Hue >= hues || s.Dash < 0 || s.Dash >= dashes || s.Shape < 0 || s.Shape >= shapes {
			t.Errorf("%s is drawn as %v, which the page does not know", names[i], s)
		}
	}
}

func TestAPolicyLooksTheSameInEveryReport(t *testing.T) {
	alone := stylesOf([]string{"mine"})[0]
	if got := stylesOf([]string{"preheat", "keda", "mine", "cron"})[2]; got != alone {
		t.Errorf("drawn as %v beside others, %v alone", got, alone)
	}
	if got := stylesOf([]string{"preheat-x"})[0]; got.Hue != styles[Preheat].Hue {
		t.Errorf("a variant of Preheat has hue %d, want Preheat's", got.Hue)
	}
}

// A report with more policies than there are looks still gives each one, though not one of its own.
func TestManyPoliciesHaveALook(t *testing.T) {
	var names []string
	for i := range 300 {
		names = append(names, fmt.Sprintf("preheat-%d", i))
	}
	if n := len(stylesOf(names)); n != 300 {
		t.Errorf("%d looks for 300 policies", n)
	}
}
