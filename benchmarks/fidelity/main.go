// Command fidelity prints how far the replica model is from measured runs.
//
//	go run ./benchmarks/fidelity --points runs.csv
//
// The file has the columns exp,model,tp,stage,rate,inp,out,kv_tokens,max_seqs,mbt,ttft_mean,itl,e2e, and may have gpu
// and computed_share: milliseconds, tokens and requests/s.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/preheat-autoscaler/preheat/pkg/replica/fidelity"
)

// What is compared unless told otherwise: runs of one engine and version whose
// coefficients Derive has, and figures of others.
const (
	runs    = "../shared/profiles/vllm_H100_measured_with_rates.csv"
	serving = "../shared/profiles/measured_serving_points.csv"
)

func main() {
	path := flag.String("points", runs, "CSV file of measured runs")
	computed := flag.Float64("computed", fidelity.Default().ComputedShare, "share of the prompt tokens that the prefix cache does not supply, 0 to 1, where a run does not say it (column computed_share); 1 for independent prompts")
	flag.Parse()
	if err := run(*path, *computed); err != nil {
		fmt.Fprintln(os.Stderr, "fidelity:", err)
		os.Exit(1)
	}
}

func run(path string, computed float64) error {
	if !(computed >= 0 && computed <= 1) {
		return fmt.Errorf("--computed is %v, must be from 0 to 1", computed)
	}
	assumptions := fidelity.Default()
	assumptions.ComputedShare = computed
	points, err := read(path, fidelity.ReadPoints)
	if errors.Is(err, fs.ErrNotExist) && path == runs {
		fmt.Println("There are no measured runs beside the repository; give a file of them with --points.")
		return nil
	}
	if err != nil {
		return err
	}
	all, left := fidelity.Compare(points, assumptions)
	if err := fidelity.CrossValidate(all, assumptions); err != nil {
		return err
	}
	fmt.Printf("Means in ms, measured and by the model; unseen: with coefficients calibrated on all other models.\n\n")
	if err := fidelity.Print(os.Stdout, all); err != nil {
		return err
	}
	if left != nil {
		return fmt.Errorf("left out of the table:\n%w", left)
	}
	if path != runs {
		return nil
	}
	return others(assumptions)
}

// others compares with engines, versions and GPUs that the coefficients are not of.
func others(assumptions fidelity.Assumptions) error {
	points, err := read(serving, fidelity.ReadServing)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := fidelity.Compare(points, assumptions)
	if err != nil {
		return err
	}
	fmt.Printf("\nFigures of other versions and GPUs, of which only the cost of a layer on A100 was calibrated.\n\n")
	return fidelity.Print(os.Stdout, all)
}

func read(path string, parse func(io.Reader, string) ([]fidelity.Point, error)) ([]fidelity.Point, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parse(file, path)
}
