package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// subject is a series to forecast, in requests or tokens per second.
type subject struct {
	backtest.Series
	calendar forecast.Calendar
}

// group is a set of series that is summed up together.
type group struct {
	name     string
	subjects []subject
	// runs are the passes over a subject's series that its score is made of.
	runs func(o *options, s *subject) []backtest.Run
}

// groups are all there are, without their subjects.
func groups() []group {
	return []group{
		{"recorded", nil, secondHalf},
		{"recorded-first-hours", nil, firstHours},
		{"generated", nil, secondHalf},
		{"generated-first-hours", nil, firstHours},
	}
}

func groupNames() []string {
	var out []string
	for _, g := range groups() {
		out = append(out, g.name)
	}
	return out
}

// subjects are the groups to score. What is recorded but not there is left out with a message.
func subjects(o options, aside io.Writer) ([]group, error) {
	made := map[string][]subject{}
	var out []group
	for _, g := range groups() {
		if len(o.groups) > 0 && !slices.Contains(o.groups, g.name) {
			continue
		}
		kind, _, _ := strings.Cut(g.name, "-")
		if _, ok := made[kind]; !ok {
			all, err := ofKind(kind, o, aside)
			if err != nil {
				return nil, err
			}
			made[kind] = all
		}
		if g.subjects = made[kind]; len(g.subjects) > 0 {
			out = append(out, g)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no series to score: see --only, --group and --traces")
	}
	return out, nil
}

// ofKind are the series that are wanted, recorded or generated.
func ofKind(kind string, o options, aside io.Writer) ([]subject, error) {
	if kind == "recorded" {
		return readAll(o, aside)
	}
	var out []subject
	for _, g := range generators {
		if o.wants(g.name) {
			out = append(out, g.series())
		}
	}
	return out, nil
}

// readAll reads the recorded series that are wanted.
func readAll(o options, aside io.Writer) ([]subject, error) {
	var out []subject
	missing := 0
	for _, r := range recorded() {
		if !o.wants(r.name) {
			continue
		}
		s, err := r.read(o.traces)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing++
			continue
		case err != nil:
			return nil, err
		}
		s.Name = r.name
		out = append(out, subject{Series: s})
	}
	if missing > 0 {
		fmt.Fprintf(aside, "forecast-bench: %d recorded series are left out: their files are not in %s (--traces)\n", missing, o.traces)
	}
	return out, nil
}

// firstSpan is what counts as the first hours of a series, of which there are firstStarts.
const (
	firstSpan   = 6 * time.Hour
	firstStarts = 8
)

// secondHalf is one pass with origins in the second half.
func secondHalf(o *options, s *subject) []backtest.Run {
	origins := s.SecondHalf(o.most)
	if o.every > 0 {
		half := s.End(len(s.Values) / 2)
		origins = s.Every(o.every)
		for len(origins) > 0 && origins[0].Before(half) {
			origins = origins[1:]
		}
	}
	return []backtest.Run{{Series: s.Series, Spec: o.spec(s), Origins: origins}}
}

// firstHours are passes that begin with the series' first row and with ones further on, evenly spread, each as if nothing
// had been known before, with an origin at every row of six hours. Where the series is shorter there is one pass.
func firstHours(o *options, s *subject) []backtest.Run {
	rows := int(firstSpan / s.Step)
	beyond := int(horizons[len(horizons)-1] / s.Step) // rows that only show what came true
	starts := max(1, min(firstStarts, len(s.Values)/(rows+beyond)))
	var out []backtest.Run
	for k := range starts {
		first := k * (len(s.Values) - rows - beyond) / max(1, starts-1)
		cut := s.Cut(max(0, first), rows+beyond)
		out = append(out, backtest.Run{Series: cut, Spec: o.spec(s), Origins: cut.Origins(0, rows, 1)})
	}
	return out
}
