package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// inspected is what inspect writes as JSON and YAML. INSPECT.md says what its fields mean, and that they stay.
type inspected struct {
	Engine      string                    `json:"engine"`
	Gateway     *inspectedGateway         `json:"gateway,omitempty"`
	Versions    []string                  `json:"versions"`
	Notes       []string                  `json:"notes"`
	From        string                    `json:"from"`
	ContentType string                    `json:"contentType,omitempty"`
	Bytes       int                       `json:"bytes"`
	Started     *time.Time                `json:"started,omitempty"`
	Metrics     map[string]inspectedValue `json:"metrics"`
	Missing     []inspectedMissing        `json:"missing"`

	// order are the names of Metrics in the order of the vocabulary, for people.
	order []string
}

// inspectedValue is one value, of a distribution its mean.
type inspectedValue struct {
	// Value is nil where a distribution has no observation.
	Value  *float64 `json:"value"`
	Source string   `json:"source"`
	Kind   string   `json:"kind"`
	// Derived says that it is made of other values of this page.
	Derived bool `json:"derived,omitempty"`
	*observed
}

// observed is what a distribution tells beside its mean.
type observed struct {
	Count float64 `json:"count"`
	Sum   float64 `json:"sum"`
	// Quantiles are absent where there are no buckets or nothing was observed; Saturated are those that are larger than
	// said, since they lie above the last bucket.
	Quantiles map[string]float64 `json:"quantiles,omitempty"`
	Saturated []string           `json:"saturated,omitempty"`
}

// inspectedMissing is one name without a value.
type inspectedMissing struct {
	Name    string   `json:"name"`
	Reason  string   `json:"reason"`
	Sought  []string `json:"sought"`
	Matters string   `json:"matters"`
}

// distribution is the kind of a latency; gauge and counter are the others.
const distribution = "distribution"

var quantilesTold = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}}

// newInspected tells an inspection of a page.
func newInspected(in *exposition.Inspection, page inspectedPage) inspected {
	out := inspected{
		Engine: in.Engine, Versions: append([]string{}, in.Versions...), Notes: append([]string{}, in.Notes...),
		From: page.from, ContentType: page.ContentType, Bytes: len(page.Text),
		Metrics: map[string]inspectedValue{}, Missing: []inspectedMissing{},
	}
	if started := in.Reading.Started; !started.IsZero() {
		out.Started = &started
	}
	for i := range in.Values {
		v := &in.Values[i]
		out.order = append(out.order, v.Name)
		out.Metrics[v.Name] = valueTold(v)
	}
	for _, m := range in.Missing {
		out.Missing = append(out.Missing, inspectedMissing{m.Name, m.Reason, append([]string{}, m.Sought...), m.Matters})
	}
	return out
}

func valueTold(v *exposition.Value) inspectedValue {
	told := inspectedValue{Value: &v.Scalar, Source: v.Source, Kind: "gauge", Derived: v.Derived}
	if m, ok := signals.MetricNamed(v.Name); ok && m.Kind() == signals.Counter {
		told.Kind = "counter"
	}
	h := v.Distribution
	if h == nil {
		return told
	}
	told.Kind, told.observed = distribution, &observed{Count: h.Count(), Sum: h.Sum, Quantiles: map[string]float64{}}
	if h.Count() == 0 {
		told.Value = nil
	}
	for _, want := range quantilesTold {
		q, beyond, ok := h.Quantile(want.q)
		if ok {
			told.Quantiles[want.name] = q
		}
		if beyond {
			told.Saturated = append(told.Saturated, want.name)
		}
	}
	return told
}

// write tells it in the format that was asked for.
func (o *inspectOptions) write(out io.Writer, in inspected) error {
	if o.format != "table" {
		return encode(out, o.format, in)
	}
	return in.writeTable(out)
}

// writeTable tells it to people.
func (in *inspected) writeTable(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	in.writeHead(w)
	in.writeScalars(w)
	in.writeLatencies(w)
	in.writeMissing(w)
	return w.Flush()
}

func (in *inspected) writeHead(w io.Writer) {
	page := fmt.Sprintf("%s, %d bytes", in.From, in.Bytes)
	if in.ContentType != "" {
		page += ", " + in.ContentType
	}
	if in.Gateway != nil {
		fmt.Fprintf(w, "Gateway:\t%s (%s)\nPools:\t%s\n", in.Engine, in.Gateway.Kind, orElse(strings.Join(in.Gateway.Pools, ", "), "the page does not tell"))
	} else {
		in.writeEngine(w)
	}
	fmt.Fprintf(w, "Page:\t%s\n", page)
	for i, note := range in.Notes {
		label := ""
		if i == 0 {
			label = "Notes:"
		}
		fmt.Fprintf(w, "%s\t%s\n", label, note)
	}
}

// writeEngine tells which it is.
func (in *inspected) writeEngine(w io.Writer) {
	fmt.Fprintf(w, "Engine:\t%s\nVersion:\t%s\n", in.Engine, orElse(strings.Join(plainVersions(in.Versions), "; "), "the page does not tell"))
	if in.Started != nil {
		fmt.Fprintf(w, "Started:\t%s\n", in.Started.Format(time.RFC3339))
	}
}

// plainVersions leaves out what the first, which tells most, implies.
func plainVersions(versions []string) []string {
	if len(versions) == 0 {
		return nil
	}
	implied := func(v string) bool { return strings.HasSuffix(v, " or later") }
	return append(versions[:1:1], slices.DeleteFunc(slices.Clone(versions[1:]), implied)...)
}

func (in *inspected) writeScalars(w io.Writer) {
	scalars := slices.DeleteFunc(slices.Clone(in.order), func(name string) bool { return in.Metrics[name].Kind == distribution })
	if len(scalars) == 0 {
		return
	}
	fmt.Fprint(w, "\nVALUE\tIS\tFROM\n")
	for _, name := range scalars {
		v := in.Metrics[name]
		from := v.Source
		if v.Derived {
			from = "derived: " + from
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, numberText(*v.Value), from)
	}
}

func (in *inspected) writeLatencies(w io.Writer) {
	latencies := slices.DeleteFunc(slices.Clone(in.order), func(name string) bool { return in.Metrics[name].Kind != distribution })
	if len(latencies) == 0 {
		return
	}
	fmt.Fprint(w, "\nLATENCY\tCOUNT\tMEAN\tP50\tP95\tP99\tFROM\n")
	for _, name := range latencies {
		v := in.Metrics[name]
		mean := "-"
		if v.Value != nil {
			mean = secondsText(*v.Value)
		}
		cells := []string{name, numberText(v.Count), mean}
		for _, q := range quantilesTold {
			cells = append(cells, v.quantile(q.name))
		}
		fmt.Fprintln(w, strings.Join(append(cells, v.Source), "\t"))
	}
}

// quantile writes one, with > where it is larger than that.
func (o *observed) quantile(name string) string {
	q, ok := o.Quantiles[name]
	switch {
	case !ok:
		return "-"
	case slices.Contains(o.Saturated, name):
		return ">" + secondsText(q)
	}
	return secondsText(q)
}

// writeMissing tells first what is missing on this page, and then what such an engine never tells.
func (in *inspected) writeMissing(w io.Writer) {
	title := "\nMISSING ON THIS PAGE\tSOUGHT\tSO\n"
	for _, m := range in.Missing {
		if len(m.Sought) > 0 {
			fmt.Fprintf(w, "%s%s\t%s\t%s\n", title, m.Name, m.sought(), m.Matters)
			title = ""
		}
	}
	title = "\nNOT TOLD BY " + in.Engine + "\tSO\n"
	for _, m := range in.Missing {
		if len(m.Sought) == 0 {
			fmt.Fprintf(w, "%s%s\t%s\n", title, m.Name, m.Matters)
			title = ""
		}
	}
}

// sought is what would tell, and what is wrong with it where it is there.
func (m *inspectedMissing) sought() string {
	if m.Reason == exposition.NotOnPage {
		return strings.Join(m.Sought, ", ")
	}
	return m.Reason
}

// numberText writes a whole number whole, and another to four digits.
func numberText(v float64) string {
	if v == math.Trunc(v) && v < 1e15 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// secondsText writes a time to three digits.
func secondsText(v float64) string {
	unit := "s"
	for _, smaller := range []string{"ms", "µs"} {
		if v < 1 && v > 0 {
			v, unit = v*1000, smaller
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + unit
}
