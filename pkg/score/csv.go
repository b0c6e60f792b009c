package score

import (
	"fmt"
	"io"
	"strconv"
)

// bounded are the figures whose intervals stand in the CSV.
var bounded = []string{"attainment", "gpu_hours"}

// WriteCSV writes the comparison with one row for each cell. Columns are policy, target, lead_time_s, seeds, the mean of
// each of Figures by its name, attainment_low, attainment_high, gpu_hours_low, gpu_hours_high, and the ratio to the
// oracle of each as <name>_to_oracle; the last one is slo, the Standing. A field is empty where there is no such figure.
func WriteCSV(w io.Writer, cells []Cell, slo SLO) error {
	text := csvHeader()
	for _, c := range cells {
		text = append(c.appendCSV(text), ","+string(c.Standing(slo))+"\n"...)
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("write comparison: %w", err)
	}
	return nil
}

func csvHeader() []byte {
	b := []byte("policy,target,lead_time_s,seeds")
	for _, f := range Figures() {
		b = append(append(b, ','), f.Name...)
	}
	for _, name := range bounded {
		b = append(b, ","+name+"_low,"+name+"_high"...)
	}
	for _, f := range Figures() {
		b = append(b, ","+f.Name+"_to_oracle"...)
	}
	return append(b, ",slo\n"...)
}

// appendCSV appends a row up to its standing.
func (c Cell) appendCSV(b []byte) []byte {
	b = append(b, csvField(c.Policy)+","+csvField(c.Target)+","...)
	b = appendFloat(b, c.LeadTime)
	b = strconv.AppendInt(append(b, ','), int64(len(c.Runs)), 10)
	for _, f := range Figures() {
		b = appendMean(append(b, ','), c.Figures, f.Name)
	}
	for _, name := range bounded {
		i := c.Figures[name]
		b = appendBound(append(b, ','), i.Low)
		b = appendBound(append(b, ','), i.High)
	}
	for _, f := range Figures() {
		b = appendMean(append(b, ','), c.ToOracle, f.Name)
	}
	return b
}

func appendMean(b []byte, m map[string]Interval, name string) []byte {
	if i, ok := m[name]; ok {
		return appendFloat(b, i.Mean)
	}
	return b
}

func appendBound(b []byte, x *float64) []byte {
	if x == nil {
		return b
	}
	return appendFloat(b, *x)
}
