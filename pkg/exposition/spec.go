package exposition

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// profileSpec is a profile as it is written.
type profileSpec struct {
	// Name is the engine's name.
	Name string `yaml:"name"`
	// Extends names a profile from which this one takes what it does not say itself. Its own candidates go before those
	// that it takes over; an empty list of candidates takes over none.
	Extends string `yaml:"extends"`
	// Rename changes the sample names that are taken over.
	Rename []renameSpec `yaml:"rename"`
	// Rank orders detection, lowest first.
	Rank int `yaml:"rank"`
	// Port and Path are the engine's defaults; of several paths the first is the usual one.
	Port int   `yaml:"port"`
	Path words `yaml:"path"`
	// Detect tells the engine's page from others.
	Detect detectSpec `yaml:"detect"`
	// Evidence tells the engine's versions apart.
	Evidence []evidenceSpec `yaml:"evidence"`
	// Partial says that requests in flight of one protocol or another are not counted: none in flight proves no silence.
	Partial bool `yaml:"partial"`
	// Arrivals says that requests are counted when they come, and not when they end.
	Arrivals bool `yaml:"arrivals"`
	// CachesBlocks says that lookups in the prefix cache are counted in blocks, and not in tokens.
	CachesBlocks bool `yaml:"cachesBlocks"`
	// Notes say what a reader of the values should know of the engine.
	Notes []string `yaml:"notes"`
	// Remedy says what to look at when the engine's samples are not on its page.
	Remedy string `yaml:"remedy"`
	// Reduce is how a term's series become one value, unless the term says otherwise.
	Reduce []stepSpec `yaml:"reduce"`
	// Started are the candidates for the Unix time (s) at which the engine started.
	Started []candidateSpec `yaml:"started"`
	// Metrics are the candidates of each scalar, by normalised name; the first that is on the page wins.
	Metrics map[string][]candidateSpec `yaml:"metrics"`
	// Latencies are the candidates of each distribution, by normalised name.
	Latencies map[string][]histogramSpec `yaml:"latencies"`
}

// renameSpec replaces the prefix From by each of To; the first name that is on the page counts.
type renameSpec struct {
	From string   `yaml:"from"`
	To   []string `yaml:"to"`
	// BareCounters looks for counters without their _total too, after the full names.
	BareCounters bool `yaml:"bareCounters"`
}

// detectSpec holds for a page that shows at least one of Any (where there are any), each of All and none of None.
// They are patterns, see parsePattern.
type detectSpec struct {
	Any  []string `yaml:"any"`
	All  []string `yaml:"all"`
	None []string `yaml:"none"`
}

// evidenceSpec says of which versions a page is that shows each of Present and none of Absent, which are patterns.
type evidenceSpec struct {
	Present  []string `yaml:"present"`
	Absent   []string `yaml:"absent"`
	Versions string   `yaml:"versions"`
}

// candidateSpec is one way to obtain a value: (term + Plus − Minus) × Times ÷ Over, each term reduced to one value first.
type candidateSpec struct {
	termSpec `yaml:",inline"`
	// Plus are added where they are on the page.
	Plus []termSpec `yaml:"plus"`
	// Minus are taken away, down to 0. They, Times and Over must be on the page.
	Minus []termSpec `yaml:"minus"`
	Times []termSpec `yaml:"times"`
	Over  []termSpec `yaml:"over"`
}

// selectionSpec selects the series of a sample.
type selectionSpec struct {
	// Sample is the sample name; of several the first of which a series is selected.
	Sample words `yaml:"sample"`
	// Where keeps the series whose label has one of the values: "" is an absent or empty label, "*" any other.
	Where map[string]words `yaml:"where"`
	// Like keeps the series whose labels By are as those of some series of another sample.
	Like *likeSpec `yaml:"like"`
}

type likeSpec struct {
	Sample string   `yaml:"sample"`
	By     []string `yaml:"by"`
}

// termSpec selects series and reduces them to one value.
type termSpec struct {
	selectionSpec `yaml:",inline"`
	// Newest keeps of the selected series those with the largest value, which is the time of their last change.
	Newest bool `yaml:"newest"`
	// Product takes the product of these labels' values in place of the sample's; a value that is not a positive
	// number ("None", "0") makes the term absent.
	Product []string `yaml:"product"`
	// Names takes the number of names in this label, which is a list with commas, in place of the sample's value.
	Names string `yaml:"names"`
	// ZeroAbsent makes the term absent where a series is 0, which then means "not set".
	ZeroAbsent bool `yaml:"zeroAbsent"`
	// Each multiplies each series by one of another sample.
	Each *eachSpec `yaml:"each"`
	// Scale multiplies the value, to reach base units; 0 is 1.
	Scale float64 `yaml:"scale"`
	// Reduce replaces the profile's.
	Reduce []stepSpec `yaml:"reduce"`
}

// eachSpec is the factor of each series of a term: the largest of the selected whose labels By are as its own, which must
// be there.
type eachSpec struct {
	selectionSpec `yaml:",inline"`
	By            []string `yaml:"by"`
}

// histogramSpec selects the series of one classic histogram, which are added bucket by bucket.
type histogramSpec struct {
	// Sample is the histogram's name, without _bucket, _sum and _count.
	selectionSpec `yaml:",inline"`
	// Bucket, Sum and Count replace the names made from Sample. A pair of counters has no buckets, but still a mean.
	Bucket words `yaml:"bucket"`
	Sum    words `yaml:"sum"`
	Count  words `yaml:"count"`
	// OneOf keeps of the histograms that are equal but for these labels the one with the lowest values of them.
	OneOf []string `yaml:"oneOf"`
	// Then are the stages that follow: their means are added. The distribution of such a sum is not known, so the
	// result has no buckets.
	Then []histogramSpec `yaml:"then"`
	// Scale multiplies bounds and sum, to reach seconds; 0 is 1.
	Scale float64 `yaml:"scale"`
}

// stepSpec folds away labels: series that are equal but for the labels named become one. Exactly one function is set;
// ["*"] folds all labels away and must be, and be only, the last step.
type stepSpec struct {
	Sum   []string `yaml:"sum"`
	Max   []string `yaml:"max"`
	Mean  []string `yaml:"mean"`
	Count []string `yaml:"count"`
	// Weight names the metric whose value weighs a mean, matched by the labels By; the mean is plain where a weight is
	// unknown.
	Weight string   `yaml:"weight"`
	By     []string `yaml:"by"`
}

// words is one string or a list of them.
type words []string

// UnmarshalYAML accepts a string or a list of strings.
func (w *words) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*w = words{node.Value}
		return nil
	}
	var many []string
	if err := node.Decode(&many); err != nil {
		return fmt.Errorf("line %d: must be a string or a list of strings", node.Line)
	}
	*w = many
	return nil
}

// profileFile is a profile with the file from which it was read.
type profileFile struct {
	file string
	spec profileSpec
	root yaml.Node
}

// parseProfile reads a profile's text; the error names each fault's line.
func parseProfile(file string, text []byte) (*profileFile, error) {
	f := &profileFile{file: file}
	if err := yaml.Unmarshal(text, &f.root); err != nil {
		return nil, f.located(err)
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f.spec); err != nil {
		return nil, f.located(err)
	}
	if f.spec.Name == "" {
		return nil, f.fault("", errors.New("name is missing"))
	}
	return f, nil
}

// located turns an error of the YAML parser into one fault per line.
func (f *profileFile) located(err error) error {
	texts := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	if many, ok := errors.AsType[*yaml.TypeError](err); ok {
		texts = many.Errors
	}
	var faults []error
	for _, text := range texts {
		text, _, _ = strings.Cut(strings.Replace(text, "not found", "is not known", 1), " in type ")
		text = strings.TrimPrefix(text, "line ")
		faults = append(faults, fmt.Errorf("profile %s:%s", f.file, text))
	}
	return errors.Join(faults...)
}

// fault says in which file and on which line a path, for example "metrics.inference_requests_max[1]", is at fault.
func (f *profileFile) fault(path string, err error) error {
	if path != "" {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return fmt.Errorf("profile %s:%d: %w", f.file, lineOf(&f.root, path), err)
}

// lineOf returns the line of a path's value, or of as much of the path as is there.
func lineOf(node *yaml.Node, path string) int {
	line := 1
	if node.Kind == yaml.DocumentNode && len(node.Content) > 0 {
		node = node.Content[0]
	}
	for _, key := range strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		if node = child(node, key); node == nil {
			return line
		}
		line = node.Line
	}
	return line
}

// child returns the value of a mapping's key, or the element of a sequence, nil where there is none.
func child(node *yaml.Node, key string) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	for i, n := range node.Content {
		switch {
		case node.Kind == yaml.SequenceNode && fmt.Sprint(i) == key:
			return n
		case node.Kind == yaml.MappingNode && i%2 == 0 && n.Value == key:
			return node.Content[i+1]
		}
	}
	return nil
}

// extend fills in what a profile does not say itself from the one that it extends.
func (s *profileSpec) extend(base *profileSpec) {
	if s.Port == 0 {
		s.Port = base.Port
	}
	if len(s.Path) == 0 {
		s.Path = base.Path
	}
	if s.Remedy == "" {
		s.Remedy = base.Remedy
	}
	if s.Reduce == nil {
		s.Reduce = base.Reduce
	}
	s.Partial = s.Partial || base.Partial
	s.Arrivals = s.Arrivals || base.Arrivals
	s.CachesBlocks = s.CachesBlocks || base.CachesBlocks
	if s.Evidence == nil {
		s.Evidence = s.renamedEvidence(base.Evidence)
	}
	s.Started = append(s.Started, s.renamedAll(base.Started)...)
	s.Metrics = extended(s.Metrics, base.Metrics, s.renamedAll)
	s.Latencies = extended(s.Latencies, base.Latencies, s.renamedHistograms)
}

// extended returns own candidates followed by the renamed ones of base, only the own where they are an empty list.
func extended[T any](own, base map[string][]T, rename func([]T) []T) map[string][]T {
	all := map[string][]T{}
	for name, cs := range base {
		all[name] = rename(cs)
	}
	for name, cs := range own {
		if len(cs) == 0 {
			delete(all, name)
			continue
		}
		all[name] = append(append([]T(nil), cs...), all[name]...)
	}
	return all
}

// renamed returns what a sample name is called in this profile.
func (s *profileSpec) renamed(name string) words {
	for _, r := range s.Rename {
		bare, ok := strings.CutPrefix(name, r.From)
		if !ok {
			continue
		}
		var names words
		for _, to := range r.To {
			names = append(names, to+bare)
			if short, counter := strings.CutSuffix(to+bare, "_total"); counter && r.BareCounters {
				names = append(names, short)
			}
		}
		return names
	}
	return words{name}
}

func (s *profileSpec) renamedWords(names words) words {
	var out words
	for _, name := range names {
		out = append(out, s.renamed(name)...)
	}
	return out
}

func (s *profileSpec) renamedAll(cs []candidateSpec) []candidateSpec {
	out := make([]candidateSpec, len(cs))
	for i, c := range cs {
		c.termSpec = s.renamedTerm(c.termSpec)
		c.Plus, c.Minus = s.renamedTerms(c.Plus), s.renamedTerms(c.Minus)
		c.Times, c.Over = s.renamedTerms(c.Times), s.renamedTerms(c.Over)
		out[i] = c
	}
	return out
}

func (s *profileSpec) renamedTerms(ts []termSpec) []termSpec {
	var out []termSpec
	for _, t := range ts {
		out = append(out, s.renamedTerm(t))
	}
	return out
}

func (s *profileSpec) renamedTerm(t termSpec) termSpec {
	t.selectionSpec = s.renamedSelection(t.selectionSpec)
	return t
}

func (s *profileSpec) renamedSelection(sel selectionSpec) selectionSpec {
	sel.Sample = s.renamedWords(sel.Sample)
	if sel.Like != nil {
		sel.Like = &likeSpec{Sample: s.renamed(sel.Like.Sample)[0], By: sel.Like.By}
	}
	return sel
}

func (s *profileSpec) renamedHistograms(hs []histogramSpec) []histogramSpec {
	out := make([]histogramSpec, len(hs))
	for i, h := range hs {
		h.selectionSpec, h.Bucket = s.renamedSelection(h.selectionSpec), s.renamedWords(h.Bucket)
		h.Sum, h.Count = s.renamedWords(h.Sum), s.renamedWords(h.Count)
		h.Then = s.renamedHistograms(h.Then)
		out[i] = h
	}
	return out
}

// renamedEvidence takes the first of several new names, which is the usual one: evidence is for display.
func (s *profileSpec) renamedEvidence(es []evidenceSpec) []evidenceSpec {
	first := func(patterns []string) []string {
		out := make([]string, len(patterns))
		for i, p := range patterns {
			out[i] = s.renamed(p)[0]
		}
		return out
	}
	out := make([]evidenceSpec, len(es))
	for i, e := range es {
		out[i] = evidenceSpec{Present: first(e.Present), Absent: first(e.Absent), Versions: e.Versions}
	}
	return out
}
