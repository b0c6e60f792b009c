package fidelity

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// keptUp is the share of the offered rate that a run must have achieved: what an
// overloaded engine does depends on how long it was.
const keptUp = 0.85

// ReadServing reads CSV of published serving figures of several engines and
// clients, with the columns model, gpu, tp, inp, out, load, achieved_rps,
// ttft_ms, itl_ms and source. Of the loads it knows "poisson@RATE" and
// "closed c=CLIENTS"; rows of other loads, without lengths, or of GPUs that there are no figures for, are left out,
// and so are TTFTs that a source says contain the network.
func ReadServing(r io.Reader, name string) ([]Point, error) {
	all, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read %s: no header line", name)
	}
	at := map[string]int{}
	for i, column := range all[0] {
		at[column] = i
	}
	var out []Point
	for i, fields := range all[1:] {
		p, ok, err := served(record{fields, at})
		if err != nil {
			return nil, fmt.Errorf("read %s: line %d: %w", name, i+2, err)
		}
		if ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// served makes a point of a row, if it can be predicted.
func served(r record) (p Point, ok bool, err error) {
	p = Point{Run: r.text("source"), Model: r.text("model"), GPU: r.text("gpu"), ComputedShare: 1}
	if _, err := accelerator(p.GPU); err != nil {
		return p, false, nil
	}
	if _, err := strconv.ParseFloat(r.text("inp"), 64); err != nil {
		return p, false, nil
	}
	load := r.text("load")
	if rate, found := strings.CutPrefix(load, "poisson@"); found {
		p.Rate, err = strconv.ParseFloat(rate, 64)
	} else if clients, found := strings.CutPrefix(load, "closed c="); found {
		p.Clients, err = strconv.Atoi(clients)
	} else {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("load %q: %w", load, err)
	}
	n := func(column string) float64 { return r.number(column, &err) }
	p.TP, p.Prompt, p.Output = int(n("tp")), n("inp"), n("out")
	p.Measured = Latencies{TTFT: n("ttft_ms"), ITL: n("itl_ms")}
	if strings.Contains(p.Run, "network") {
		p.Measured.TTFT = 0
	}
	return p, n("achieved_rps") >= keptUp*p.Rate, err
}
