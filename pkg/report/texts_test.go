package report

import (
	"strings"
	"testing"
)

// fill puts the numbers back, as the page's script does.
func (t *texts) fill(place int, numbers string) string {
	s := t.list[place]
	for n := range strings.FieldsSeq(numbers) {
		s = strings.Replace(s, blank, n, 1)
	}
	return s
}

func TestSentencesComeBackWithTheirNumbers(t *testing.T) {
	var x texts
	for _, s := range []string{
		"", "no number", "5 requests/s a replica, declared", "12.50 requests/s expected in 2m0s, 90% quantile 1.3e+06",
		"skill -0.189 of 28", "a \"quote\", a \\ and a </script>", "1.2.3.4:8080", "٣ is no figure of ours",
	} {
		place, numbers := x.sentence(s)
		if got := x.fill(place, numbers); got != s {
			t.Errorf("got %q back of %q", got, s)
		}
	}
	if place, numbers := x.sentence("evil\x01mark 7"); x.fill(place, numbers) != "evilmark 7" {
		t.Errorf("a mark in a text stands for a number: %q", x.fill(place, numbers))
	}
}

func TestSentencesThatDifferInNumbersShareAnEntry(t *testing.T) {
	var x texts
	a, _ := x.sentence("3 wanted, 2.5 needed")
	b, _ := x.sentence("17 wanted, 16 needed")
	c, _ := x.sentence("17 wanted, 16 desired")
	if a != b || a == c {
		t.Errorf("places %d, %d, %d; want the first two equal, the third another", a, b, c)
	}
}
