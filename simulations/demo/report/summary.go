package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Summary is the content of summary.json.
type Summary struct {
	Policies map[string]Outcome `json:"policies"`
	Settings Settings           `json:"settings"`
}

// Summary returns the outcome of each policy, with the conditions.
func (r *Run) Summary() Summary {
	s := Summary{Policies: map[string]Outcome{}, Settings: r.Settings}
	for _, p := range r.Policies {
		s.Policies[p.Name] = p.Outcome
	}
	s.Settings.LateP99Seconds = r.Machine.LateP99.Seconds()
	if r.Machine.Busy >= 0 {
		s.Settings.Busy = &r.Machine.Busy
	}
	return s
}

// WriteJSON writes s, indented.
func (s Summary) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// heading names the columns of Row.
var heading = []string{"policy", "requests", "errors", "SLO attained", "TTFT p50", "TTFT p99", "GPU-seconds", "scale events"}

// row is a policy's line of the table.
func (p *Policy) row() []string {
	o := p.Outcome
	return []string{
		p.Name, fmt.Sprint(o.Requests), fmt.Sprint(o.Errors), fmt.Sprintf("%.2f %%", 100*o.Attainment),
		fmt.Sprintf("%.2f s", o.P50TTFT), fmt.Sprintf("%.2f s", o.P99TTFT), fmt.Sprintf("%.0f", o.GPUSeconds), fmt.Sprint(o.ScaleEvents),
	}
}

// WriteTable writes the outcomes for a terminal.
func (r *Run) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, strings.Join(heading, "\t")+"\t")
	for i := range r.Policies {
		fmt.Fprintln(table, strings.Join(r.Policies[i].row(), "\t")+"\t")
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}
