package report

import (
	"fmt"
	"math"
	"strings"
)

// Preheat is the name of the policy that the others are compared with.
const Preheat = "preheat"

// The rule by which one policy beats another.
const (
	// maxCost is the most that a policy which attains more may cost, as a multiple of the other's GPU-seconds.
	maxCost = 1.1
	// asMuch is by how much of all requests the attainment of a cheaper policy may fall short.
	asMuch = 0.002
)

// Beats says whether o is better than other: it attains more for at most 1.1 times the GPU-seconds, or as much, within
// 0.2 points, for fewer.
func (o Outcome) Beats(other Outcome) bool {
	more := o.Attainment > other.Attainment && o.GPUSeconds <= maxCost*other.GPUSeconds
	cheaper := o.Attainment >= other.Attainment-asMuch && o.GPUSeconds < other.GPUSeconds
	return more || cheaper
}

// Reading says in one sentence what the run showed, whoever won.
func (r *Run) Reading() string {
	var preheat *Policy
	var rivals []*Policy
	for i := range r.Policies {
		if p := &r.Policies[i]; p.Name == Preheat {
			preheat = p
		} else {
			rivals = append(rivals, p)
		}
	}
	if preheat == nil || len(rivals) == 0 {
		return "There is nothing to compare: " + r.list() + "."
	}
	var compared, beaten, unbeaten []string
	for _, rival := range rivals {
		compared = append(compared, preheat.against(rival))
		if preheat.Outcome.Beats(rival.Outcome) {
			beaten = append(beaten, rival.Name)
		} else {
			unbeaten = append(unbeaten, rival.Name)
		}
	}
	return fmt.Sprintf("Preheat attained %.2f %%, %s; it %s (better is: more attained for at most %.1f times the GPU-seconds, or as much, within %.1f points, for fewer).",
		100*preheat.Outcome.Attainment, join(compared), verdict(beaten, unbeaten), maxCost, 100*asMuch)
}

// against compares p with a rival in points of attainment and multiples of cost.
func (p *Policy) against(rival *Policy) string {
	points := 100 * (p.Outcome.Attainment - rival.Outcome.Attainment)
	difference := fmt.Sprintf("%.2f points more than %s", points, rival.Name)
	switch {
	case math.Abs(points) < 0.005:
		difference = "the same as " + rival.Name
	case points < 0:
		difference = fmt.Sprintf("%.2f points less than %s", -points, rival.Name)
	}
	if rival.Outcome.GPUSeconds <= 0 {
		return difference
	}
	return fmt.Sprintf("%s for %.2f times its GPU-seconds", difference, p.Outcome.GPUSeconds/rival.Outcome.GPUSeconds)
}

func verdict(beaten, unbeaten []string) string {
	switch {
	case len(unbeaten) == 0:
		return "was better than " + join(beaten)
	case len(beaten) == 0:
		return "was not better than " + strings.Join(unbeaten, " or ")
	}
	return "was better than " + join(beaten) + " and not better than " + strings.Join(unbeaten, " or ")
}

// list names each policy with what it attained.
func (r *Run) list() string {
	var out []string
	for _, p := range r.Policies {
		out = append(out, fmt.Sprintf("%s attained %.2f %% for %.0f GPU-seconds", p.Name, 100*p.Outcome.Attainment, p.Outcome.GPUSeconds))
	}
	if len(out) == 0 {
		return "no policy ran"
	}
	return join(out)
}

// join writes a list as people do.
func join(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// trouble is from which share of saturated seconds, and from which lateness in seconds, a run proves nothing.
const (
	saturatedTrouble = 0.1
	lateTrouble      = 0.1
)

// Doubt says why the run's figures should not be trusted, or nothing.
func (r *Run) Doubt() string {
	m := r.Machine
	late := m.LateP99.Seconds()
	switch {
	case m.Busy >= 0 && m.Saturated > saturatedTrouble:
		return fmt.Sprintf("The machine's %d cores were fully busy in %.0f %% of the seconds: latencies include its own delays, so run this again on an idle or larger machine, or with a lower --scale.",
			m.Cores, 100*m.Saturated)
	case late > lateTrouble:
		return fmt.Sprintf("The driver fell behind the trace by %.2f s (99th percentile): the machine is too slow for this load; lower --scale.", late)
	}
	return ""
}
