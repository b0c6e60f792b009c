package trace

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// key is a setting of a workload. Times are in seconds once read, rates in requests per second.
type key struct {
	name, about string
	kind        kind
	// standard is the value where none is given, as it would be written.
	standard string
}

// kind says how a value is written and bounded.
type kind uint8

const (
	aRate   kind = iota // requests per second, 0 to 1e6
	aTime               // a duration: 90m, 24h, 2d
	aFactor             // 0 to 1000
	aWhole              // a whole number
	aWord
)

// commonKeys are known to every workload.
var commonKeys = []key{
	{"length", "how long it lasts; hours=24 says the same", aTime, ""},
	{"hours", "how long it lasts, in hours", aFactor, ""},
	{"seed", "of every random choice", aWhole, ""},
	{"noise", "relative spread of the level, with a memory of five minutes", aFactor, "0.05"},
	{"process", "of arrivals: poisson, gamma or weibull; poisson, or gamma where cv is given", aWord, ""},
	{"cv", "coefficient of variation of the gaps of gamma and weibull", aFactor, ""},
	{"mix", "of sizes: a name, fixed:PROMPT/OUTPUT or a request trace's path", aWord, ""},
}

// workload is a named shape of load.
type workload struct {
	name, about string
	// length is how long it lasts unless told.
	length time.Duration
	keys   []key
	// level returns the rate at a time since the start. The source is for shapes that are random themselves.
	level func(s settings, rng *rand.Rand) func(at time.Duration) float64
}

// settings are a workload's values by key, in seconds and requests per second.
type settings map[string]float64

// time is a setting as a duration.
func (s settings) time(name string) time.Duration {
	return time.Duration(s[name] * float64(time.Second))
}

// spec is a parsed spec.
type spec struct {
	workload
	settings
	length time.Duration
	// words are the settings that are not numbers.
	words map[string]string
	given map[string]bool
}

// WorkloadNames are the workloads that Open knows.
func WorkloadNames() []string {
	var names []string
	for _, w := range workloads {
		names = append(names, w.name)
	}
	return names
}

// WorkloadHelp describes the workloads and their keys, one a line.
func WorkloadHelp() string {
	var b strings.Builder
	for _, w := range workloads {
		fmt.Fprintf(&b, "%s: %s (%s)\n", w.name, w.about, plainTime(w.length))
		for _, k := range w.keys {
			fmt.Fprintf(&b, "  %s=%s  %s\n", k.name, k.standard, k.about)
		}
	}
	fmt.Fprintln(&b, "every workload:")
	for _, k := range commonKeys {
		fmt.Fprintf(&b, "  %s=%s  %s\n", k.name, k.standard, k.about)
	}
	return b.String()
}

// plainTime writes 24h rather than 24h0m0s.
func plainTime(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

// isWorkload says whether a spec begins with a known workload's name.
func isWorkload(text string) bool {
	name, _, _ := strings.Cut(text, ":")
	return slices.Contains(WorkloadNames(), name)
}

// parseSpec reads NAME or NAME:KEY=VALUE,KEY=VALUE and reports every fault.
func parseSpec(text string) (spec, error) {
	name, list, _ := strings.Cut(text, ":")
	i := slices.IndexFunc(workloads, func(w workload) bool { return w.name == name })
	if i < 0 {
		return spec{}, fmt.Errorf("workload %q: want one of %s", name, strings.Join(WorkloadNames(), ", "))
	}
	s := spec{workload: workloads[i], settings: settings{}, words: map[string]string{}, given: map[string]bool{}}
	s.length = s.workload.length
	faults := []error{s.standards()}
	for part := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(part) != "" {
			faults = append(faults, s.set(part))
		}
	}
	faults = append(faults, s.check())
	if err := errors.Join(faults...); err != nil {
		return spec{}, fmt.Errorf("workload %s: %w", name, err)
	}
	return s, nil
}

// known are the keys of the workload and those of all.
func (s *spec) known() []key { return append(slices.Clone(s.keys), commonKeys...) }

// standards fills in what is not given.
func (s *spec) standards() error {
	var faults []error
	for _, k := range s.known() {
		if k.standard != "" {
			faults = append(faults, s.put(k, k.standard))
		}
	}
	return errors.Join(faults...)
}

// set reads KEY=VALUE.
func (s *spec) set(part string) error {
	name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
	if !ok {
		return fmt.Errorf("%q: want KEY=VALUE", part)
	}
	keys := s.known()
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	if i < 0 {
		return fmt.Errorf("key %q is unknown: known are %s", name, strings.Join(names(keys), ", "))
	}
	if s.given[name] {
		return fmt.Errorf("key %q is given twice", name)
	}
	s.given[name] = true
	return s.put(keys[i], value)
}

func names(keys []key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.name)
	}
	return out
}

// put reads a value by its kind.
func (s *spec) put(k key, value string) error {
	if k.kind == aWord {
		s.words[k.name] = value
		return nil
	}
	v, err := k.kind.read(value)
	if err != nil {
		return fmt.Errorf("%s=%s: %w", k.name, value, err)
	}
	s.settings[k.name] = v
	return nil
}

// read returns a value in seconds, requests per second or as it is.
func (k kind) read(value string) (float64, error) {
	switch k {
	case aTime:
		at, err := ParseLength(value)
		return at.Seconds(), err
	case aWhole:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < -1<<53 || n > 1<<53 {
			return 0, errors.New("want a whole number")
		}
		return float64(n), nil
	case aRate:
		return number(value, 1e6, "requests per second")
	default:
		return number(value, 1e4, "a factor")
	}
}

func number(value string, most float64, unit string) (float64, error) {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || !(v >= 0 && v <= most) {
		return 0, fmt.Errorf("want %s between 0 and %v", unit, most)
	}
	return v, nil
}

// maxWorkload bounds a generated trace: its levels are held in memory.
const maxWorkload = 400 * 24 * time.Hour

// ParseLength reads a duration of at most 400 days: as Go writes it, or in days as in 7d.
func ParseLength(value string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(value, "d"); ok {
		v, err := number(days, maxWorkload.Hours()/24, "days")
		return time.Duration(v * 24 * float64(time.Hour)), err
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > maxWorkload {
		return 0, fmt.Errorf("want a duration like 90m, 24h or 7d, at most %gd", maxWorkload.Hours()/24)
	}
	return d, nil
}

// check looks at values together.
func (s *spec) check() error {
	var faults []error
	if s.given["length"] && s.given["hours"] {
		faults = append(faults, errors.New("length and hours say the same: give one"))
	}
	switch {
	case s.given["length"]:
		s.length = s.time("length")
	case s.given["hours"]:
		s.length = time.Duration(s.settings["hours"] * float64(time.Hour))
	}
	if s.length <= 0 || s.length > maxWorkload {
		faults = append(faults, fmt.Errorf("length %v: must be above 0 and at most %gd", s.length, maxWorkload.Hours()/24))
	}
	if _, ok := s.settings["day"]; !ok {
		s.settings["day"] = min(24*time.Hour, s.length).Seconds()
	}
	if low, high := s.settings["low"], s.settings["high"]; low > high {
		faults = append(faults, fmt.Errorf("low=%v is above high=%v", low, high))
	}
	for _, k := range s.keys {
		if k.kind == aTime && s.settings[k.name] <= 0 && k.standard != "0s" {
			faults = append(faults, fmt.Errorf("%s must be above zero", k.name))
		}
	}
	if s.settings["noise"] > 1 {
		faults = append(faults, fmt.Errorf("noise=%v: must be between 0 and 1", s.settings["noise"]))
	}
	return errors.Join(faults...)
}

// noiseMemory is how long the level's noise lasts.
const noiseMemory = 5 * time.Minute

// resolution is the step of a workload's levels: a second, or ten where it lasts longer than six hours.
func resolution(length time.Duration) time.Duration {
	if length <= 6*time.Hour {
		return time.Second
	}
	return 10 * time.Second
}

// rates are the workload's levels over its length.
func (s spec) rates(seed int64) Rates {
	rng := source(seed, forLevel)
	level := s.level(s.settings, rng)
	out := Rates{Period: resolution(s.length)}
	noise := wander{rng: rng, spread: s.settings["noise"], memory: math.Exp(-out.Period.Seconds() / noiseMemory.Seconds())}
	for at := time.Duration(0); at < s.length; at += out.Period {
		out.PerSecond = append(out.PerSecond, max(0, level(at))*noise.next())
	}
	return out
}

// openWorkload draws a generated workload. What the spec says of seed, process and mix goes before the options.
func openWorkload(text string, o Options) (*Trace, error) {
	s, err := parseSpec(text)
	if err != nil {
		return nil, err
	}
	if o.Format != "" {
		return nil, fmt.Errorf("workload %s: it has no format %s", s.name, o.Format)
	}
	if o, err = s.override(o); err != nil {
		return nil, fmt.Errorf("workload %s: %w", s.name, err)
	}
	mix, err := o.mix()
	if err != nil {
		return nil, fmt.Errorf("workload %s: %w", s.name, err)
	}
	if o.For == 0 {
		o.For = max(time.Nanosecond, s.length-o.From) // the last step may reach beyond the length
	}
	t, err := drawnTrace(s.rates(o.Seed), mix, o)
	if err != nil {
		return nil, err
	}
	t.facts.Source, t.facts.Format = text, Workload
	return t, nil
}

// override puts the spec's settings into the options.
func (s spec) override(o Options) (Options, error) {
	if s.given["seed"] {
		o.Seed = int64(s.settings["seed"])
	}
	if s.given["process"] {
		o.Arrivals.Process = Process(s.words["process"])
	}
	if s.given["cv"] {
		o.Arrivals.CV = s.settings["cv"]
		o.Arrivals.Process = cmp.Or(o.Arrivals.Process, Gamma)
	}
	if s.given["mix"] {
		o.Mix = s.words["mix"]
	}
	return o, o.Validate()
}
