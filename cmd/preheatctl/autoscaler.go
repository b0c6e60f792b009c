package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/api/validation"
	"github.com/preheat-autoscaler/preheat/pkg/compare"
)

// autoscaler returns the spec that Preheat's policies follow: that of the file, or the defaults.
func (o *options) autoscaler(stdin io.Reader) (*v1alpha1.InferenceAutoscaler, error) {
	if o.target.autoscaler == "" {
		return compare.PlainAutoscaler(), nil
	}
	data, err := readAll(o.target.autoscaler, stdin)
	if err != nil {
		return nil, fmt.Errorf("read InferenceAutoscaler: %w", err)
	}
	document, err := onlyAutoscaler(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.target.autoscaler, err)
	}
	ia, err := validation.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.target.autoscaler, err)
	}
	return ia, nil
}

func readAll(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(path)
}

// onlyAutoscaler finds the one InferenceAutoscaler among the documents of a manifest.
func onlyAutoscaler(data []byte) ([]byte, error) {
	var found [][]byte
	for reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			return nil, err
		}
		if kind.Kind == v1alpha1.Kind {
			found = append(found, document)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d documents of kind %s, must be one", len(found), v1alpha1.Kind)
	}
	return found[0], nil
}

// follow lets flags that were not given have the values of the spec, as far as it has any.
func (o *options) follow(ia *v1alpha1.InferenceAutoscaler) error {
	if o.target.autoscaler == "" {
		return nil
	}
	spec, t := ia.Spec, &o.target
	adopt(o, "slo-ttft", &t.ttft, duration(spec.SLO.TTFT))
	adopt(o, "slo-tpot", &t.tpot, duration(spec.SLO.TPOT))
	attainment, err := spec.SLO.Attainment.Fraction()
	if err != nil {
		return fmt.Errorf("%s: spec.slo.attainment: %w", t.autoscaler, err)
	}
	adopt(o, "slo-attainment", &t.attainment, new(share(attainment)))
	adopt(o, "min", &t.min, spec.MinReplicas)
	adopt(o, "max", &t.max, &spec.MaxReplicas)
	var f faults
	t.validate(&f, o.origin)
	return f.err()
}

// fields are those of a spec that flags go before.
var fields = map[string]string{
	"slo-ttft": "spec.slo.ttft", "slo-tpot": "spec.slo.tpot", "slo-attainment": "spec.slo.attainment",
	"min": "spec.minReplicas", "max": "spec.maxReplicas",
}

// origin names what a value comes from: the flag, or the field of the file where the user did not write the flag.
func (o *options) origin(flag string) string {
	if o.target.autoscaler == "" || o.given(flag) {
		return asFlag(flag)
	}
	return fields[flag] + " of " + o.target.autoscaler
}

// adopt sets a flag's value where the user did not and the spec does.
func adopt[T any](o *options, flag string, value, spec *T) {
	if spec != nil && !o.given(flag) {
		*value = *spec
	}
}

func duration(d *metav1.Duration) *time.Duration {
	if d == nil {
		return nil
	}
	return &d.Duration
}
