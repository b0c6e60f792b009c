package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strings"
)

// core are the packages whose numbers are varied.
var core = []string{"pkg/capacity", "pkg/scaling", "pkg/leadtime", "pkg/forecast"}

// number is one that is written into the planner's code.
type number struct {
	// Name is "capacity.usualPrice" of a constant, "forecast.Record.reconsider:-0.15" of a number within a function.
	Name string `json:"constant"`
	File string `json:"file"`
	Line int    `json:"line"`
	// Value is as it is written, with "of 1" where its distance from one is varied.
	Value string `json:"value"`
	// LeftOut says why it is not varied, empty where it is.
	LeftOut string `json:"left_out,omitempty"`

	unit   *unit
	places []place
}

// place is an expression in a file: what is there to be multiplied.
type place struct {
	from, to int
	// whole says that it is to stay a whole number, odd that its half is none.
	whole, untyped, odd bool
	// share says that its distance from one is to be multiplied.
	share bool
}

const (
	toldOnly = "for what is told to people alone"
	spoken   = "the user's objective, which is part of each cell"
)

// noChoice are numbers that nobody could have chosen otherwise.
var noChoice = map[string]string{
	"leadtime.levels":                        "levels at which normal has the quantiles",
	"leadtime.normal":                        "quantiles of the normal distribution",
	"forecast.nanosADay":                     "length of a day",
	"forecast.nanosAWeek":                    "length of a week",
	"forecast.chosen.golden":                 "golden ratio",
	"capacity.Steepness:99":                  "odds of the hundredth that the law of headroom is of",
	"forecast.Clock.phase:7":                 "days of a week",
	"forecast.Clock.phase:7#2":               "days of a week",
	"forecast.Clock.phase:7#3":               "days of a week",
	"forecast.Clock.phase:4":                 "weekday of 1 January 1970",
	"forecast.packed":                        "size of a triangle",
	"forecast.unknown":                       "mark of a row that is not known",
	"capacity.Edge.text.hardly":              toldOnly,
	"leadtime.Estimate.parts:time.Second":    toldOnly,
	"leadtime.readable:time.Minute":          toldOnly,
	"scaling.namedExperts":                   toldOnly,
	"scaling.queuePerReplica":                toldOnly,
	"scaling.shares.least":                   toldOnly,
	"scaling.Default:2 * time.Second":        spoken,
	"scaling.Default:100 * time.Millisecond": spoken,
	"scaling.Default:0.99":                   spoken,
	"forecast.maxResidual":                   "bound of what is written to 32 bits",
}

// shares are numbers of which not the half and the double are tried, but those of their distance from one: twice a share of
// 0.9 is none.
var shares = []string{
	"capacity.climb", "capacity.law.room:0.75", "capacity.usableKV", "forecast.levels:0.9", "forecast.levels:0.97", "forecast.tail:0.8",
	"forecast.tail:0.985", "leadtime.samples.phase:0.9", "leadtime.Distribution.Remaining:1-1e-6", "scaling.Default:0.9",
}

// numbers finds those of a package; the first part of each Name is the last one of its folder.
func (p *program) numbers(folder string) ([]number, error) {
	u := p.packages[folder]
	if u == nil {
		return nil, fmt.Errorf("%s: no such package in %s", folder, measuring)
	}
	c, err := p.check(u, nil)
	if err != nil {
		return nil, err
	}
	f := &finder{checked: c, texts: p.texts, seen: map[string]int{}, places: map[types.Object]bool{}}
	for _, tree := range c.trees {
		ast.Inspect(tree, f.indices)
	}
	for _, tree := range c.trees {
		for _, d := range tree.Decls {
			f.declaration(d)
		}
	}
	return f.found, nil
}

// finder collects the numbers of a package.
type finder struct {
	*checked
	texts map[string][]byte
	found []number
	// scope is the name of the declaration that is gone through.
	scope string
	// seen counts names, places are the constants that number places in tables.
	seen   map[string]int
	places map[types.Object]bool
}

// indices notes the constants of which places in tables are made.
func (f *finder) indices(n ast.Node) bool {
	x, ok := n.(*ast.IndexExpr)
	if !ok {
		return true
	}
	ast.Inspect(x.Index, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if c, ok := f.info.Uses[id].(*types.Const); ok {
				f.places[c] = true
			}
		}
		_, call := n.(*ast.CallExpr) // what a place is found by is none
		return !call
	})
	return true
}

// declaration goes through one at the top of a file.
func (f *finder) declaration(d ast.Decl) {
	base := path.Base(f.folder)
	switch d := d.(type) {
	case *ast.GenDecl:
		f.scope = base
		ast.Inspect(d, f.visit)
	case *ast.FuncDecl:
		f.scope = base + "." + function(d)
		if d.Body != nil {
			ast.Inspect(d.Body, f.visit)
		}
	}
}

// function is a function's name, with its receiver's type.
func function(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + d.Name.Name
	}
	return d.Name.Name
}

// visit takes the numbers of a node, and says whether to look within it.
func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return f.general(n)
	case *ast.ArrayType:
		return false
	case *ast.IndexExpr:
		ast.Inspect(n.X, f.visit)
		return false
	case *ast.SliceExpr:
		ast.Inspect(n.X, f.visit)
		return false
	case ast.Expr:
		return f.expression(n)
	}
	return true
}

// general takes constants and tables.
func (f *finder) general(d *ast.GenDecl) bool {
	if d.Tok != token.CONST && d.Tok != token.VAR {
		return d.Tok != token.TYPE
	}
	for _, s := range d.Specs {
		spec := s.(*ast.ValueSpec)
		if d.Tok == token.CONST {
			f.constants(d, spec)
			continue
		}
		f.variables(spec)
	}
	return false
}

// constants takes those of one line, but for enumerations and texts.
func (f *finder) constants(d *ast.GenDecl, spec *ast.ValueSpec) {
	if mentions(d, func(id *ast.Ident) bool { return id.Name == "iota" }) {
		return
	}
	for i, e := range spec.Values {
		v := f.info.Types[e].Value
		if v == nil || !numeric(v) {
			continue
		}
		n := f.add(spec.Names[i].Name, e, f.place(e))
		switch object := f.info.Defs[spec.Names[i]]; {
		case n.LeftOut != "":
		case f.places[object]:
			n.LeftOut = "numbers a place in a table"
		case constant.Sign(v) == 0:
			n.LeftOut = "nothing has no half"
		}
	}
}

// variables takes tables of numbers as one each, and what else there is one by one.
func (f *finder) variables(spec *ast.ValueSpec) {
	outer := f.scope
	for i, e := range spec.Values {
		if places, ok := f.table(e); ok {
			f.add(spec.Names[i].Name, e, places...)
			continue
		}
		f.scope = outer + "." + spec.Names[i].Name
		ast.Inspect(e, f.visit)
	}
	f.scope = outer
}

// table is where the numbers of a table are, false where it is none.
func (f *finder) table(e ast.Expr) (places []place, ok bool) {
	list, ok := e.(*ast.CompositeLit)
	if !ok || len(list.Elts) == 0 {
		return nil, false
	}
	for _, x := range list.Elts {
		if v := f.info.Types[x].Value; v == nil || !numeric(v) || !f.quantity(x) {
			return nil, false
		}
		places = append(places, f.place(x))
	}
	return places, true
}

// expression takes the largest constant expression in which no other constant of the planner is named, and says whether to look
// within it.
func (f *finder) expression(e ast.Expr) bool {
	if call, ok := e.(*ast.CallExpr); ok && f.beside(call) {
		return false
	}
	v := f.info.Types[e].Value
	if v == nil {
		return true
	}
	named := mentions(e, func(id *ast.Ident) bool {
		c, ok := f.info.Uses[id].(*types.Const)
		return ok && c.Pkg() != nil && c.Pkg().Path() != "time" && c.Pkg().Path() != "math"
	})
	if named {
		return true
	}
	if numeric(v) && f.quantity(e) && !f.structure(e, v) {
		f.add("", e, f.place(e))
	}
	return false
}

// quantity reports a plain number or a span of time: what has a type of its own is a name, and a length is that of a table.
func (f *finder) quantity(e ast.Expr) bool {
	t := f.info.Types[e].Type
	if types.TypeString(t, nil) == "time.Duration" {
		return true
	}
	_, basic := t.(*types.Basic)
	return basic && mentionsNumber(e)
}

// beside reports calls that decide nothing: what is told to people, sizes of storage, conversions of units, rounding.
func (f *finder) beside(call *ast.CallExpr) bool {
	switch of := call.Fun.(type) {
	case *ast.Ident:
		if of.Name == "make" {
			return true
		}
	case *ast.SelectorExpr:
		if of.Sel.Name == "Round" && f.info.Types[of.X].Type != nil { // of a time, not math.Round
			return true
		}
	}
	if conversion := f.info.Types[call.Fun].IsType(); conversion && !mentionsNumber(call) {
		return true
	}
	return slices.ContainsFunc(call.Args, func(e ast.Expr) bool {
		v := f.info.Types[e].Value
		return v != nil && v.Kind() == constant.String && strings.Contains(v.ExactString(), "%")
	})
}

// structure reports a number in a function that is no choice: 0, 1 and 2 and their kind are identities, signs, squares and
// means, 3600 is an hour in seconds, and what is made of π is mathematics.
func (f *finder) structure(e ast.Expr, v constant.Value) bool {
	if mentions(e, func(id *ast.Ident) bool {
		o := f.info.Uses[id]
		return o != nil && o.Pkg() != nil && o.Pkg().Path() == "math"
	}) {
		return true
	}
	x, _ := constant.Float64Val(constant.ToFloat(v))
	if x == 0 {
		return true
	}
	return slices.Contains([]float64{-2, -1, -0.5, 0.5, 1, 2, 3600}, x)
}

// add takes a number: a declared one by its name, another one by its declaration and its text.
func (f *finder) add(name string, e ast.Expr, places ...place) *number {
	at := f.files.Position(e.Pos())
	text := string(f.texts[at.Filename][at.Offset:f.files.Position(e.End()).Offset])
	if name == "" {
		name = f.scope + ":" + text
	} else {
		name = f.scope + "." + name
	}
	if f.seen[name]++; f.seen[name] > 1 {
		name = fmt.Sprintf("%s#%d", name, f.seen[name])
	}
	value := strings.Join(strings.Fields(text), " ")
	if slices.Contains(shares, name) {
		value += " of 1"
		for i := range places {
			places[i].share = true
		}
	}
	f.found = append(f.found, number{
		Name: name, File: at.Filename, Line: at.Line, Value: value, LeftOut: noChoice[name],
		unit: f.unit, places: places,
	})
	return &f.found[len(f.found)-1]
}

// place is where an expression is, and what kind of number is wanted there.
func (f *finder) place(e ast.Expr) place {
	x := place{from: f.files.Position(e.Pos()).Offset, to: f.files.Position(e.End()).Offset}
	tv := f.info.Types[e]
	if b, ok := tv.Type.Underlying().(*types.Basic); ok {
		x.whole, x.untyped = b.Info()&types.IsInteger != 0, b.Info()&types.IsUntyped != 0
	}
	if n, ok := constant.Int64Val(constant.ToInt(tv.Value)); ok {
		x.odd = n%2 != 0
	}
	return x
}

func numeric(v constant.Value) bool { return v.Kind() == constant.Int || v.Kind() == constant.Float }

// mentions reports whether a name that is wanted is somewhere in a node.
func mentions(n ast.Node, wanted func(*ast.Ident) bool) (found bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && wanted(id) {
			found = true
		}
		return !found
	})
	return found
}

// mentionsNumber reports whether a number is written somewhere in a node.
func mentionsNumber(n ast.Node) (found bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		_, is := n.(*ast.BasicLit)
		found = found || is
		return !found
	})
	return found
}
