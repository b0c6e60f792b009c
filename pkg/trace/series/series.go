package series

import (
	"math"
	"path/filepath"
	"strings"
	"time"
)

// Series is demand in rows of one length.
type Series struct {
	// Name is the file's name without its folder and extensions, as NameOf has it.
	Name string
	// Start is when the first row begins. Of a file that tells no dates it counts from the Unix epoch.
	Start time.Time
	// Step is the length of a row, above zero.
	Step time.Duration
	// Values are means over each row, in Unit; a row of which nothing is known is NaN. None is negative or infinite.
	Values []float64
	// Unit says what the values are: the name of the file's column, or "requests/s".
	Unit string
	// Notes say in words what a reader should know of how the rows came about.
	Notes []string
}

// EndOf is the end of row i, which is the start of the next one.
func (s *Series) EndOf(i int) time.Time { return s.Start.Add(time.Duration(i+1) * s.Step) }

// End is the end of the last row.
func (s *Series) End() time.Time { return s.EndOf(len(s.Values) - 1) }

// Known counts the rows of which something is known.
func (s *Series) Known() int {
	n := 0
	for _, v := range s.Values {
		if !math.IsNaN(v) {
			n++
		}
	}
	return n
}

// NameOf is the name of a series: its file's without the folder and all extensions, as "a" of "data/a.csv.gz". A part
// that does not begin with a letter is no extension: "rate_7.2min.csv" is "rate_7.2min".
func NameOf(path string) string {
	name := filepath.Base(path)
	for {
		i := strings.LastIndexByte(name, '.')
		if i <= 0 || !isExtension(name[i+1:]) {
			return name
		}
		name = name[:i]
	}
}

// isExtension says whether the part of a name after a point is one: up to eight letters and digits, a letter first.
func isExtension(part string) bool {
	const longest = 8
	if part == "" || len(part) > longest {
		return false
	}
	for i, r := range strings.ToLower(part) {
		letter, digit := r >= 'a' && r <= 'z', r >= '0' && r <= '9'
		if !letter && (!digit || i == 0) {
			return false
		}
	}
	return true
}

// Aliases are the names by which a list may call the series of a file, the usual one first: by how much of the extensions
// is left off, and the path itself.
func Aliases(path string) []string {
	base := filepath.Base(path)
	whole := strings.TrimSuffix(base, ".gz")
	first, _, _ := strings.Cut(base, ".")
	return []string{NameOf(path), first, strings.TrimSuffix(whole, filepath.Ext(whole)), whole, base, path}
}
