package baseline

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Knob is one number that a user of a policy can set.
type Knob struct {
	// Name is the key in Setup.Settings.
	Name string
	// Doc says in a sentence what it does, its unit included.
	Doc string
	// Default is what the policy's own documentation or source gives.
	Default float64
	// Low and High bound what is accepted.
	Low, High float64
	// Grid are the values that tuning tries, in ascending order; empty for a number that tuning leaves alone.
	Grid []float64
}

// tuned returns the knob with a grid for tuning.
func (k Knob) tuned(grid ...float64) Knob {
	k.Grid = grid
	return k
}

// number is a knob with any value from low to high.
func number(name string, def, low, high float64, doc string) Knob {
	return Knob{Name: name, Doc: doc, Default: def, Low: low, High: high}
}

// seconds is a knob that holds a duration of up to a day.
func seconds(name string, def float64, doc string) Knob {
	return number(name, def, 0, 86400, doc+", in seconds")
}

// choice is a knob that picks one of a few variants by its position, the first by default; doc names them.
func choice(name, doc string, variants ...string) Knob {
	for i, v := range variants {
		doc += fmt.Sprintf("; %d: %s", i, v)
	}
	return number(name, 0, 0, float64(len(variants)-1), doc)
}

// values are the knobs of one policy with the user's settings applied. Asking for a name that is not there is a
// programmer's mistake and panics.
type values map[string]float64

func (v values) of(name string) float64 {
	x, ok := v[name]
	if !ok {
		panic("baseline: no knob " + name)
	}
	return x
}

func (v values) duration(name string) time.Duration {
	return time.Duration(v.of(name) * float64(time.Second))
}

func (v values) choice(name string) int { return int(math.Round(v.of(name))) }

// resolve applies the user's settings to the knobs of a policy.
func resolve(knobs []Knob, settings map[string]float64) (values, error) {
	out := make(values, len(knobs))
	names := make([]string, 0, len(knobs))
	for _, k := range knobs {
		out[k.Name] = k.Default
		names = append(names, k.Name)
	}
	for _, name := range sortedNames(settings) {
		i := slices.IndexFunc(knobs, func(k Knob) bool { return k.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown setting %q: known are %s", name, strings.Join(names, ", "))
		}
		x := settings[name]
		if k := knobs[i]; !(x >= k.Low && x <= k.High) {
			return nil, fmt.Errorf("setting %s is %v: must lie between %v and %v (%s)", name, x, k.Low, k.High, k.Doc)
		}
		out[name] = x
	}
	return out, nil
}

func sortedNames(settings map[string]float64) []string {
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
