package exposition

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Profile says where an engine listens, how its page is told from others, and what its samples mean. It is safe for
// concurrent use.
type Profile struct {
	spec     profileSpec
	program  *program
	interned *boundsTable
	detect   detection
}

// Name returns the engine's name, for example "vllm".
func (p *Profile) Name() string { return p.spec.Name }

// CountsArrivals reports whether the engine counts requests when they come, and not when they end.
func (p *Profile) CountsArrivals() bool { return p.spec.Arrivals }

// Port returns the port on which the engine serves its page unless it was told otherwise.
func (p *Profile) Port() int { return p.spec.Port }

// Path returns the page's path unless the engine was told otherwise, for example "/metrics".
func (p *Profile) Path() string { return p.spec.Path[0] }

// Paths returns the paths at which versions of the engine serve their page, the usual one first.
func (p *Profile) Paths() []string { return slices.Clone(p.spec.Path) }

// Notes returns what a reader of the engine's values should know, for display.
func (p *Profile) Notes() []string { return slices.Clone(p.spec.Notes) }

// Remedy returns what to look at when the engine's samples are not on its page, empty where nothing is known to help.
func (p *Profile) Remedy() string { return p.spec.Remedy }

//go:embed profiles/*.yaml
var embedded embed.FS

// Profiles is a set of profiles, in the order of detection.
type Profiles struct {
	all []*Profile
	// patterns are what detection looks for, of all profiles.
	patterns []pattern
}

// Load returns the profiles that come with the program and those in the directories of extra, which replace earlier
// ones of the same name. The error names file and line of every fault.
func Load(extra ...fs.FS) (*Profiles, error) {
	sub, err := fs.Sub(embedded, "profiles")
	if err != nil {
		return nil, fmt.Errorf("open embedded profiles: %w", err)
	}
	return LoadFS(append([]fs.FS{sub}, extra...)...)
}

// LoadFS returns the profiles in the *.yaml and *.yml files at the root of each of dirs; later ones replace earlier ones
// of the same name, and keep their rank where they have none. The error names file and line of every fault.
func LoadFS(dirs ...fs.FS) (*Profiles, error) {
	byName := map[string]*profileFile{}
	var names []string // in the order of first appearance
	var faults []error
	for _, dir := range dirs {
		files, err := readProfiles(dir)
		if err != nil {
			faults = append(faults, err)
		}
		for _, f := range files {
			if old, ok := byName[f.spec.Name]; !ok {
				names = append(names, f.spec.Name)
			} else if f.spec.Rank == 0 {
				f.spec.Rank = old.spec.Rank
			}
			byName[f.spec.Name] = f
		}
	}
	ps, interned := &Profiles{}, newBoundsTable()
	for _, name := range names {
		p, err := byName[name].profile(byName, interned)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		ps.all = append(ps.all, p)
	}
	slices.SortStableFunc(ps.all, func(a, b *Profile) int { return a.spec.Rank - b.spec.Rank })
	ps.gatherPatterns()
	return ps, errors.Join(faults...)
}

// readProfiles reads the profiles of one directory, those without fault, and says which are faulty.
func readProfiles(dir fs.FS) ([]*profileFile, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, fmt.Errorf("list profiles: %w", err)
	}
	var files []*profileFile
	var faults []error
	for _, e := range entries {
		if ext := path.Ext(e.Name()); e.IsDir() || ext != ".yaml" && ext != ".yml" {
			continue
		}
		f, err := readProfile(dir, e.Name())
		if err == nil {
			err = noTwin(files, f)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		files = append(files, f)
	}
	return files, errors.Join(faults...)
}

func readProfile(dir fs.FS, file string) (*profileFile, error) {
	text, err := fs.ReadFile(dir, file)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", file, err)
	}
	return parseProfile(file, text)
}

// noTwin refuses two profiles of one name in one directory.
func noTwin(files []*profileFile, f *profileFile) error {
	for _, other := range files {
		if other.spec.Name == f.spec.Name {
			return f.fault("name", fmt.Errorf("%s is the name of %s too: give one of them another name", f.spec.Name, other.file))
		}
	}
	return nil
}

// profile makes a profile ready to run, with what it takes over from another.
func (f *profileFile) profile(all map[string]*profileFile, interned *boundsTable) (*Profile, error) {
	spec := f.spec
	if spec.Extends != "" {
		base, ok := all[spec.Extends]
		switch {
		case !ok:
			return nil, f.fault("extends", fmt.Errorf("there is no profile %q", spec.Extends))
		case base.spec.Extends != "":
			return nil, f.fault("extends", fmt.Errorf("%s extends %s itself: name that one", spec.Extends, base.spec.Extends))
		}
		spec.extend(&base.spec)
	}
	prog, faults := compile(&spec)
	var errs []error
	for _, fault := range faults {
		errs = append(errs, f.fault(fault.path, fault.err))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &Profile{spec: spec, program: prog, interned: interned}, nil
}

// Named returns the profile of an engine, false where there is none.
func (ps *Profiles) Named(name string) (*Profile, bool) {
	i := slices.IndexFunc(ps.all, func(p *Profile) bool { return p.spec.Name == name })
	if i < 0 {
		return nil, false
	}
	return ps.all[i], true
}

// Names returns the engines' names in the order of detection.
func (ps *Profiles) Names() []string {
	names := make([]string, len(ps.all))
	for i, p := range ps.all {
		names[i] = p.spec.Name
	}
	return names
}

// names lists the normalised names that a profile can fill, for error messages and documentation.
func (p *Profile) names() []string {
	var names []string
	for m := range signals.NumMetrics {
		if len(p.program.metrics[m]) > 0 {
			names = append(names, m.String())
		}
	}
	return names
}
