package exposition

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Profile says where an engine listens, how its page is told from others, and what its samples mean. It is safe for
// concurrent use.
type Profile struct {
	spec     profileSpec
	program  *program
	interned *boundsTable
}

// Name returns the engine's name, for example "vllm".
func (p *Profile) Name() string { return p.spec.Name }

// Port returns the port on which the engine serves its page unless it was told otherwise.
func (p *Profile) Port() int { return p.spec.Port }

// Path returns the page's path unless the engine was told otherwise, for example "/metrics".
func (p *Profile) Path() string { return p.spec.Path }

// profileSpec is a profile as it is written.
type profileSpec struct {
	// Name is the engine's name.
	Name string `json:"name"`
	// Rank orders detection, lowest first.
	Rank int `json:"rank"`
	// Port and Path are the engine's defaults.
	Port int    `json:"port"`
	Path string `json:"path"`
	// Detect tells the engine's page from others.
	Detect detectSpec `json:"detect"`
	// Remedy says what to look at when the engine's samples are not on its page.
	Remedy string `json:"remedy"`
	// Reduce is how a term's series become one value, unless the term says otherwise.
	Reduce []stepSpec `json:"reduce"`
	// Started are the candidates for the Unix time (s) at which the engine started.
	Started []candidateSpec `json:"started"`
	// Metrics are the candidates of each scalar, by normalised name; the first that is on the page wins.
	Metrics map[string][]candidateSpec `json:"metrics"`
	// Latencies are the candidates of each distribution, by normalised name.
	Latencies map[string][]histogramSpec `json:"latencies"`
}

// detectSpec holds for a page on which some sample name begins with one of Prefixes (where there are any), each of
// All occurs and none of None does.
type detectSpec struct {
	Prefixes []string `json:"prefixes"`
	All      []string `json:"all"`
	None     []string `json:"none"`
}

// candidateSpec is one way to obtain a value: (term + Plus) × Times ÷ Over, each term reduced to one value first.
type candidateSpec struct {
	termSpec
	// Plus are added where they are on the page.
	Plus []termSpec `json:"plus"`
	// Times and Over must be on the page.
	Times []termSpec `json:"times"`
	Over  []termSpec `json:"over"`
	// AtMost, if set, is the largest value that makes sense; more than that is cut to it.
	AtMost float64 `json:"atMost"`
}

// termSpec selects the series of one sample name and reduces them to one value.
type termSpec struct {
	// Sample is the sample name.
	Sample string `json:"sample"`
	// Where keeps the series whose label has one of the values: "" is an absent or empty label, "*" any other.
	Where map[string]selectorSpec `json:"where"`
	// Product takes the product of these labels' values in place of the sample's; a value that is not a positive
	// number ("None", "0") makes the term absent.
	Product []string `json:"product"`
	// ZeroAbsent makes the term absent where a series is 0, which then means "not set".
	ZeroAbsent bool `json:"zeroAbsent"`
	// Scale multiplies the value, to reach base units; 0 is 1.
	Scale float64 `json:"scale"`
	// Reduce replaces the profile's.
	Reduce []stepSpec `json:"reduce"`
}

// histogramSpec selects the series of one classic histogram, which are added bucket by bucket.
type histogramSpec struct {
	// Sample is the histogram's name, without _bucket, _sum and _count.
	Sample string                  `json:"sample"`
	Where  map[string]selectorSpec `json:"where"`
	// Scale multiplies bounds and sum, to reach seconds; 0 is 1.
	Scale float64 `json:"scale"`
}

// stepSpec folds away labels: series that are equal but for the labels named become one. Exactly one function is set;
// ["*"] folds all labels away and must be, and be only, the last step.
type stepSpec struct {
	Sum   []string `json:"sum"`
	Max   []string `json:"max"`
	Mean  []string `json:"mean"`
	Count []string `json:"count"`
	// Weight names the metric whose value weighs a mean, matched by the labels By; the mean is plain where a weight is
	// unknown.
	Weight string   `json:"weight"`
	By     []string `json:"by"`
}

// selectorSpec is one value or a list of them.
type selectorSpec []string

// UnmarshalJSON accepts a string or a list of strings.
func (s *selectorSpec) UnmarshalJSON(b []byte) error {
	var one string
	if err := yaml.Unmarshal(b, &one); err == nil {
		*s = selectorSpec{one}
		return nil
	}
	var many []string
	if err := yaml.Unmarshal(b, &many); err != nil {
		return fmt.Errorf("label selector must be a string or a list of strings: %w", err)
	}
	*s = many
	return nil
}

//go:embed profiles/*.yaml
var embedded embed.FS

// Profiles is a set of profiles, in the order of detection.
type Profiles struct{ all []*Profile }

// Load returns the profiles that come with the program.
func Load() (*Profiles, error) {
	sub, err := fs.Sub(embedded, "profiles")
	if err != nil {
		return nil, fmt.Errorf("open embedded profiles: %w", err)
	}
	return LoadFS(sub)
}

// LoadFS returns the profiles in the *.yaml files at the root of fsys. The error names every fault of every file.
func LoadFS(fsys fs.FS) (*Profiles, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list profiles: %w", err)
	}
	var faults []error
	ps, interned := &Profiles{}, newBoundsTable()
	for _, file := range files {
		p, err := loadProfile(fsys, file, interned)
		if err != nil {
			faults = append(faults, fmt.Errorf("profile %s: %w", file, err))
			continue
		}
		ps.all = append(ps.all, p)
	}
	slices.SortStableFunc(ps.all, func(a, b *Profile) int { return a.spec.Rank - b.spec.Rank })
	return ps, errors.Join(faults...)
}

func loadProfile(fsys fs.FS, file string, interned *boundsTable) (*Profile, error) {
	text, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, err
	}
	var spec profileSpec
	if err := yaml.UnmarshalStrict(text, &spec); err != nil {
		return nil, err
	}
	prog, err := compile(&spec)
	if err != nil {
		return nil, err
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

// Detect returns the first profile whose engine the page is of; the error wraps ErrNotExposition, ErrTorn or
// ErrNoEngine.
func (ps *Profiles) Detect(page []byte) (*Profile, error) {
	matches := make([]detection, len(ps.all))
	samples := 0
	err := eachName(page, func(name []byte) {
		samples++
		for i, p := range ps.all {
			matches[i].see(&p.spec.Detect, name)
		}
	})
	if err != nil {
		return nil, err
	}
	for i, p := range ps.all {
		if matches[i].holds(&p.spec.Detect) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: none of the %d samples is of %s", ErrNoEngine, samples, strings.Join(ps.Names(), ", "))
}

// detection is what has been seen of one profile's evidence.
type detection struct {
	prefix, excluded bool
	all              uint64
}

func (d *detection) see(spec *detectSpec, name []byte) {
	for _, prefix := range spec.Prefixes {
		d.prefix = d.prefix || len(name) > len(prefix) && string(name[:len(prefix)]) == prefix
	}
	for i, want := range spec.All {
		if string(name) == want {
			d.all |= 1 << i
		}
	}
	for _, bad := range spec.None {
		d.excluded = d.excluded || string(name) == bad
	}
}

func (d *detection) holds(spec *detectSpec) bool {
	return !d.excluded && (d.prefix || len(spec.Prefixes) == 0) && d.all == 1<<len(spec.All)-1
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
