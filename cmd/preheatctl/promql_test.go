package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestPromQLOfAnEngine(t *testing.T) {
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := newPromQL(streams{Out: &out, Err: &out})
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		cmd.SetArgs(args)
		err := cmd.Execute()
		return out.String(), err
	}
	text, err := run("vllm", "--selector", `namespace="ml"`, "--by", "pod", "--window", "2m")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# inference_requests_waiting\nsum by (pod) (max without (pid) (vllm:num_requests_waiting{namespace=\"ml\"}))\n",
		"[2m]", "histogram_quantile(0.95, ",
		"# vllm:cache_config_info is left out, of which a label is the value\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if _, err := run("vlm"); err == nil || !strings.Contains(err.Error(), "vllm") {
		t.Errorf("an unknown engine: %v", err)
	}
}
