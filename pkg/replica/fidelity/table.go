package fidelity

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Print writes one line for each point and the medians below: measured and
// predicted means in milliseconds, the error, and the error of the prediction by
// other models if there was cross-validation.
func Print(w io.Writer, all []Comparison) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "model\tGPUs\tload\tin/out\tITL\tmodel\toff\tunseen\tTTFT\tmodel\toff\tunseen\tE2E\tmodel\toff\tunseen\t")
	for _, c := range all {
		line(t, c)
	}
	seen := Medians(all, func(c Comparison) *Latencies { return &c.Predicted })
	unseen := Medians(all, func(c Comparison) *Latencies { return c.Unseen })
	fmt.Fprintf(t, "median of the errors\t\t\t\t\t\t%s\t%s\t\t\t%s\t%s\t\t\t%s\t%s\t\n",
		share(seen.ITL), share(unseen.ITL), share(seen.TTFT), share(unseen.TTFT), share(seen.E2E), share(unseen.E2E))
	return t.Flush()
}

func line(w io.Writer, c Comparison) {
	load := fmt.Sprintf("%g/s", c.Rate)
	if c.Clients > 0 {
		load = fmt.Sprintf("%d clients", c.Clients)
	}
	fmt.Fprintf(w, "%s\t%d %s\t%s\t%g/%g\t", c.Model, c.TP, c.GPU, load, c.Prompt, c.Output)
	off, unseen := c.Off(c.Predicted), Errors{}
	if c.Unseen != nil {
		unseen = c.Off(*c.Unseen)
	}
	latency(w, c.Measured.ITL, c.Predicted.ITL, off.ITL, unseen.ITL)
	latency(w, c.Measured.TTFT, c.Predicted.TTFT, off.TTFT, unseen.TTFT)
	latency(w, c.Measured.E2E, c.Predicted.E2E, off.E2E, unseen.E2E)
	fmt.Fprintln(w)
}

func latency(w io.Writer, measured, predicted float64, off, unseen *float64) {
	if measured == 0 {
		fmt.Fprintf(w, "\t%.1f\t\t\t", predicted)
		return
	}
	fmt.Fprintf(w, "%.1f\t%.1f\t%s\t%s\t", measured, predicted, signed(off), signed(unseen))
}

func signed(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%+.1f %%", 100**v)
}

func share(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100**v)
}
