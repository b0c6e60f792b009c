package compare

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
)

// Setting is one value for each of a policy's knobs; empty is the policy as documented.
type Setting map[string]float64

// String is for people: "quantile 0.95, stabilization 60".
func (s Setting) String() string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		words = append(words, fmt.Sprintf("%s %s", name, strconv.FormatFloat(s[name], 'g', 6, 64)))
	}
	if len(words) == 0 {
		return "as documented"
	}
	return strings.Join(words, ", ")
}

// grid lists every combination of the knobs' values, the last knob varying fastest; what else is set stays.
func grid(set Setting, knobs []baseline.Knob) []Setting {
	settings := []Setting{set}
	for _, k := range knobs {
		var more []Setting
		for _, s := range settings {
			for _, v := range k.Grid {
				with := Setting{k.Name: v}
				for name, other := range s {
					if name != k.Name {
						with[name] = other
					}
				}
				more = append(more, with)
			}
		}
		settings = more
	}
	return settings
}
