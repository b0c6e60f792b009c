package score

import (
	"encoding/json"
	"fmt"
	"io"
)

// Version is that of summary.json.
const Version = 1

// Summary is a whole comparison; summary.json is its JSON.
type Summary struct {
	Version int `json:"version"`
	// Command is the command line that made it, Settings what it was run with, defaults included: name to value.
	Command  string            `json:"command,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
	Trace    Trace             `json:"trace"`
	SLO      Objectives        `json:"slo"`
	// Seeds and LeadTimes (seconds) are those that were run.
	Seeds     []uint64  `json:"seeds"`
	LeadTimes []float64 `json:"lead_times_s"`
	// Oracle is the name of the policy that ratios refer to, empty where it was not run.
	Oracle string `json:"oracle,omitempty"`
	// Policies are the results by the policy's name, one for each lead time.
	Policies map[string][]Judged `json:"policies"`
	// Frontier and Sweep are absent where nobody asked for them.
	Frontier []Point    `json:"frontier,omitempty"`
	Sweep    []SweepRow `json:"lead_time_sweep,omitempty"`
	// Incomplete is set where the comparison was ended before its time. Unfinished names the runs that are missing, CutShort
	// those of the oracle that are there and whose search was ended: they show the best schedule found until then.
	Incomplete bool     `json:"incomplete,omitempty"`
	Unfinished []string `json:"unfinished,omitempty"`
	CutShort   []string `json:"cut_short,omitempty"`
}

// Trace is what is known of the load. Means are absent where there are no requests.
type Trace struct {
	Name     string `json:"name"`
	Requests uint64 `json:"requests"`
	// Duration is in seconds.
	Duration         float64 `json:"duration_s"`
	MeanRate         float64 `json:"mean_requests_per_s,omitempty"`
	PeakRate         float64 `json:"peak_requests_per_s,omitempty"`
	MeanInputTokens  float64 `json:"mean_input_tokens,omitempty"`
	MeanOutputTokens float64 `json:"mean_output_tokens,omitempty"`
}

// Objectives are an SLO's in seconds, absent where there is none.
type Objectives struct {
	TTFT       float64 `json:"ttft_s,omitempty"`
	TPOT       float64 `json:"tpot_s,omitempty"`
	Attainment float64 `json:"attainment,omitempty"`
}

// Objectives returns the SLO as it stands in files.
func (s SLO) Objectives() Objectives {
	return Objectives{TTFT: s.TTFT.Seconds(), TPOT: s.TPOT.Seconds(), Attainment: s.Attainment}
}

// ByPolicy groups cells by the policy's name, each in its order, and says how each stands to the SLO.
func ByPolicy(cells []Cell, slo SLO) map[string][]Judged {
	out := map[string][]Judged{}
	for _, c := range cells {
		out[c.Policy] = append(out[c.Policy], Judged{c.Standing(slo), c})
	}
	return out
}

// WriteJSON writes the summary, indented, with its version. The same summary gives the same bytes.
func (s Summary) WriteJSON(w io.Writer) error {
	s.Version = Version
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode summary: %w", err)
	}
	if _, err := w.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}
