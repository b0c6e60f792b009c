package prom

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Confine returns an expression with matchers added to each of its selectors, so that it can tell of nothing else. The
// error is of an expression that is no PromQL, or does not give one value for each series.
func Confine(expression string, to ...*labels.Matcher) (string, error) {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		return "", fmt.Errorf("%q is no PromQL: %w", expression, err)
	}
	if parsed.Type() != parser.ValueTypeVector {
		return "", fmt.Errorf("%q gives a %s; write an expression that gives an instant vector with the label of the pod", expression, parser.DocumentedType(parsed.Type()))
	}
	selectors := 0
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			selectors++
			s.LabelMatchers = append(slices.Clone(s.LabelMatchers), to...)
		}
		return nil
	})
	if selectors == 0 {
		return "", fmt.Errorf("%q selects no series; write for example sum by (pod) (vllm:num_requests_waiting)", expression)
	}
	return parsed.String(), nil
}
