package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// publicTrace is where the public chat trace may be, seen from the root of the repository.
const publicTrace = "../shared/traces/AzureLLMInferenceTrace_conv.csv.gz"

// loadRequests reads or generates the trace and re-times it.
func (d *demo) loadRequests() error {
	requests, source, err := d.rawRequests()
	if err != nil {
		return err
	}
	o := d.options
	requests, err = trace.Apply(requests, trace.Options{
		For: time.Duration(float64(o.Duration) * o.Compress), Rate: o.Scale, Compress: o.Compress, Seed: o.Seed,
	})
	if err != nil {
		return fmt.Errorf("re-time %s: %w", source, err)
	}
	if length(requests) < shortest {
		return fmt.Errorf("%s lasts %v after compression, which is below %v: lower --compress or take another trace", source, length(requests), shortest)
	}
	d.requests, d.source = requests, source
	return nil
}

func (d *demo) rawRequests() ([]trace.Request, string, error) {
	path := d.options.Trace
	if path == "" {
		path = filepath.Join(root(), publicTrace)
		if _, err := os.Stat(path); err != nil {
			requests, err := generate(d.options)
			return requests, "generated chat workload", err
		}
	}
	requests, err := trace.ReadFile(path)
	return requests, filepath.Base(path), err
}

// generate makes a workload of the public trace's kind: about as many requests, and a slow hump.
func generate(o Options) ([]trace.Request, error) {
	chat := trace.DefaultChat()
	chat.Length = time.Duration(float64(o.Duration) * o.Compress)
	chat.Day, chat.Low, chat.High, chat.Seed = time.Hour, 3.5, 8, o.Seed
	return chat.Generate()
}

// root is the folder of go.mod, in or above the working directory; the working directory where there is none.
func root() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}
