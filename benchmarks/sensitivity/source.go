package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// measuring is the program that every variant of the planner is built into.
const measuring = "./benchmarks/frontier"

// program is the source that the measuring program is built from, as it was when it was read: what is edited meanwhile
// changes no measurement.
type program struct {
	// root is the module's folder.
	root string
	// texts are the files of the module, by their paths from root.
	texts changed
	// packages are those of the module, by their folders from root.
	packages map[string]*unit
	imports  types.Importer
}

// unit is one package.
type unit struct {
	path, folder string
	files        []string
}

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	Module                  *struct {
		Main bool
		Dir  string
	}
}

// load reads the program of a folder within its module.
func load(ctx context.Context, folder string) (*program, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles,Module", measuring)
	var problem bytes.Buffer
	cmd.Dir, cmd.Stderr = folder, &problem
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w: %s", measuring, err, problem.String())
	}
	p := &program{texts: changed{}, packages: map[string]*unit{}}
	exports := map[string]string{}
	for decode := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := decode.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list %s: %w", measuring, err)
		}
		exports[l.ImportPath] = l.Export
		if l.Module != nil && l.Module.Main {
			if err := p.add(l); err != nil {
				return nil, err
			}
		}
	}
	p.imports = importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	return p, p.settle()
}

// settle has the program look for no better oracle where a variant beats the one that is known: variants are compared with
// each other, and a schedule of theirs is none of the yardsticks.
func (p *program) settle() error {
	const folder, name = "benchmarks/frontier", "campaign.improve"
	if u := p.packages[folder]; u == nil || !p.patch(u, patch{folder, name, `return nil`}, p.texts) {
		return fmt.Errorf("%s has no function %s any more: adapt benchmarks/sensitivity/source.go", folder, name)
	}
	return nil
}

// add reads a package's files.
func (p *program) add(l listed) error {
	p.root = l.Module.Dir
	folder, err := filepath.Rel(p.root, l.Dir)
	if err != nil {
		return err
	}
	u := &unit{path: l.ImportPath, folder: filepath.ToSlash(folder)}
	for _, name := range l.GoFiles {
		file := u.folder + "/" + name
		if p.texts[file], err = os.ReadFile(filepath.Join(p.root, file)); err != nil {
			return err
		}
		u.files = append(u.files, file)
	}
	p.packages[u.folder] = u
	return nil
}

// changed are files with other texts, by their paths from the module's folder.
type changed map[string][]byte

// checked is a package whose types are known.
type checked struct {
	*unit
	files *token.FileSet
	trees []*ast.File
	info  types.Info
}

// check finds out the types of a package, with some files changed, or why it does not compile.
func (p *program) check(u *unit, with changed) (*checked, error) {
	c := &checked{unit: u, files: token.NewFileSet(), info: types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
	}}
	for _, file := range u.files {
		text, ok := with[file]
		if !ok {
			text = p.texts[file]
		}
		tree, err := parser.ParseFile(c.files, file, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		c.trees = append(c.trees, tree)
	}
	config := types.Config{Importer: p.imports}
	_, err := config.Check(u.path, c.files, c.trees, &c.info)
	return c, err
}

// build compiles the measuring program, with some files changed. What it needs it writes into a folder.
func (p *program) build(ctx context.Context, with changed, dir, to string) error {
	list, err := p.overlay(with, dir)
	if err != nil {
		return err
	}
	// Nothing of the commit or of the folder may be in it: the same source is to be the same program.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-overlay", list, "-o", to, measuring)
	cmd.Dir = p.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %s: %w", strings.TrimPrefix(firstFault(string(out)), dir+string(filepath.Separator)), err)
	}
	return nil
}

// firstFault is the first line that is no package's name.
func firstFault(s string) string {
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, "#") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// overlay writes all files of the module, as they were and with some changed, into a folder, and returns the list by which
// go takes them for the module's own.
func (p *program) overlay(with changed, dir string) (list string, err error) {
	replace, err := p.newcomers()
	if err != nil {
		return "", err
	}
	for file, text := range p.texts {
		if other, ok := with[file]; ok {
			text = other
		}
		name := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(p.root, filepath.FromSlash(file))] = name
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list = filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, data, 0o600)
}

// newcomers are files that have come since, replaced by nothing.
func (p *program) newcomers() (map[string]string, error) {
	replace := map[string]string{}
	for folder := range p.packages {
		names, err := filepath.Glob(filepath.Join(p.root, folder, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			replace[name] = ""
		}
	}
	return replace, nil
}
