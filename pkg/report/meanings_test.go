package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Every reason that pkg/scaling declares is told in a sentence.
func TestEveryReasonHasAMeaning(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../scaling/decision.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Reason" {
			return true
		}
		found++
		reason, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if Meaning(scaling.Reason(reason)) == "" {
			t.Errorf("%s has no meaning", reason)
		}
		return true
	})
	if found != len(meanings) {
		t.Errorf("%d reasons are declared, %d have a meaning", found, len(meanings))
	}
}
