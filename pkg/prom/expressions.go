package prom

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Confine returns an expression with matchers added to each of its selectors, so that it can tell of nothing else. The
// error is of an expression that is no PromQL, or does not give one value for each series.
func Confine(expression string, to ...*labels.Matcher) (string, error) {
	return confine(expression, 0, to...)
}

// confine is Confine, and has a selector see no sample that is older than a bound: else a recording rule that has stopped would
// be told as fresh for as long as Prometheus looks back. Zero leaves that to Prometheus.
func confine(expression string, oldest time.Duration, to ...*labels.Matcher) (string, error) {
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
	if oldest > 0 {
		parsed = within(parsed, oldest)
	}
	return parsed.String(), nil
}

// within has the instant selectors of an expression look back no further than a bound. What selects over a time of its own, and
// what asks for the time of a sample, stays.
func within(e parser.Expr, oldest time.Duration) parser.Expr {
	switch n := e.(type) {
	case *parser.VectorSelector:
		return &parser.Call{
			Func: parser.Functions["last_over_time"], Args: parser.Expressions{&parser.MatrixSelector{VectorSelector: n, Range: oldest}},
		}
	case *parser.BinaryExpr:
		n.LHS, n.RHS = within(n.LHS, oldest), within(n.RHS, oldest)
	case *parser.AggregateExpr:
		n.Expr = within(n.Expr, oldest)
	case *parser.ParenExpr:
		n.Expr = within(n.Expr, oldest)
	case *parser.UnaryExpr:
		n.Expr = within(n.Expr, oldest)
	case *parser.Call:
		for i := range n.Args {
			if n.Func.Name != "timestamp" {
				n.Args[i] = within(n.Args[i], oldest)
			}
		}
	}
	return e
}
