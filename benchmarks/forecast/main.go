// Command forecast scores the forecaster that the service uses on recorded and on generated series, beside forecasters
// that know nothing but their own errors.
//
//	make forecast-bench
//	go run ./benchmarks/forecast --only nasa,taxi -o json
//	go run ./benchmarks/forecast --group recorded --most 300 --ablate all
//
// Every forecast is made from the rows that end before it (see pkg/forecast/backtest, also for the measure). The same
// flags give the same figures.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	_ "time/tzdata" // a generated series goes by a zone with daylight saving
)

func main() {
	o := options{}
	var only, chosen, without, ablate, statistic string
	flag.StringVar(&o.traces, "traces", "../shared/traces", "folder of the recorded traces")
	flag.StringVar(&only, "only", "", "score only series whose name contains one of these, comma-separated")
	flag.StringVar(&chosen, "group", "", "score only these groups, comma-separated: "+strings.Join(groupNames(), ", "))
	flag.StringVar(&without, "without", "", "leave out these experts or stages, comma-separated")
	flag.StringVar(&ablate, "ablate", "", "print instead what leaving out each of these experts or stages does, comma-separated, a+b for two at once; all: each of them")
	flag.DurationVar(&o.every, "every", 0, "time between origins; 0 for every row, thinned to at most --most origins a series")
	flag.IntVar(&o.most, "most", 2000, "origins a series at most, where --every is not given")
	flag.StringVar(&statistic, "statistic", "value", "what is forecast: value or max")
	flag.StringVar(&o.output, "o", "table", "output: table or json")
	flag.IntVar(&o.workers, "workers", 0, "series scored at once; 0 for one on each processor")
	flag.Parse()
	o.only, o.groups, o.without, o.ablate = list(only), list(chosen), list(without), list(ablate)
	if err := o.set(statistic, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "forecast-bench:", err)
		os.Exit(2)
	}
	if err := run(o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "forecast-bench:", err)
		os.Exit(1)
	}
}

// list splits at commas; nothing is no entry.
func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// run scores everything and prints it; progress and what is missing go to aside.
func run(o options, out, aside io.Writer) error {
	began := time.Now()
	groups, err := subjects(o, aside)
	if err != nil {
		return err
	}
	if len(o.ablate) > 0 {
		err = ablation(o, groups, out, aside)
	} else {
		err = results(o, groups, out, aside)
	}
	fmt.Fprintf(aside, "forecast-bench: %v\n", time.Since(began).Round(time.Second))
	return err
}

// results prints the figures of every forecaster.
func results(o options, groups []group, out, aside io.Writer) error {
	all := make([]result, 0, len(groups))
	for _, g := range groups {
		r, err := evaluate(o, g, competitors(o.without), aside)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	if o.output == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	for i := range all {
		all[i].print(out)
	}
	printLegend(out)
	return nil
}
