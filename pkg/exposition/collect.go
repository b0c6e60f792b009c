package exposition

import (
	"bytes"
	"fmt"
	"mime"
)

// series is one sample of interest.
type series struct {
	value float64
	// labels[from:to] of the page are its labels.
	from, to int32
	// next is the index of the family's next series, -1 at the end.
	next int32
}

// chain lists the series of one family.
type chain struct{ head, tail int32 }

// page is what a program takes from one page. It refers to the page's bytes and is reused between pages.
type page struct {
	labels   []label
	series   []series
	families []chain
	// samples counts all samples of the page, first is the name of the first one.
	samples int
	first   []byte

	chosen          []int32
	points, weights []point
	buckets         []bucket
}

func (pg *page) reset(families int) {
	pg.labels, pg.series, pg.samples, pg.first = pg.labels[:0], pg.series[:0], 0, nil
	if cap(pg.families) < families {
		pg.families = make([]chain, families)
	}
	pg.families = pg.families[:families]
	for i := range pg.families {
		pg.families[i] = chain{-1, -1}
	}
}

// oversized reports whether keeping the page's memory for the next one would be a waste.
func (pg *page) oversized() bool {
	const most = 1 << 14
	return cap(pg.labels) > 4*most || cap(pg.series) > most || cap(pg.buckets) > most
}

// labelsOf returns the labels of a series.
func (pg *page) labelsOf(at int32) []label {
	s := &pg.series[at]
	return pg.labels[s.from:s.to]
}

// labelValue returns a label's value, nil where the series does not carry it.
func (pg *page) labelValue(at int32, name string) []byte {
	for i, l := range pg.labelsOf(at) {
		if string(l.name) == name {
			return pg.labelsOf(at)[i].value
		}
	}
	return nil
}

// selected reports whether all selectors accept a series.
func (pg *page) selected(at int32, where []selector) bool {
	for i := range where {
		if !where[i].accepts(pg.labelValue(at, where[i].label)) {
			return false
		}
	}
	return true
}

// selects appends the selected series to list, in the order of the page.
func (pg *page) selects(list []int32, s *selection) []int32 {
	models := pg.likeness(s)
	for _, family := range s.families {
		for at := pg.families[family].head; at >= 0; at = pg.series[at].next {
			if (len(s.where) == 0 || pg.selected(at, s.where)) && (s.like < 0 || models[pg.hashOf(at, s.by)]) {
				list = append(list, at)
			}
		}
		if len(list) > 0 {
			break
		}
	}
	return list
}

// likeness returns the labels that a selection's series must be like, nil where it does not ask.
func (pg *page) likeness(s *selection) map[uint64]bool {
	if s.like < 0 {
		return nil
	}
	models := map[uint64]bool{}
	for at := pg.families[s.like].head; at >= 0; at = pg.series[at].next {
		models[pg.hashOf(at, s.by)] = true
	}
	return models
}

// isOpenMetrics reports whether a content type says OpenMetrics; a wrong or missing one means text 0.0.4.
func isOpenMetrics(contentType string) bool {
	if contentType == "" {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/openmetrics-text"
}

// collect reads a page, keeping the series of the program's families. The error wraps ErrNotExposition, ErrTorn or
// ErrNoEngine.
func (pg *page) collect(text []byte, families map[string]int32, openMetrics bool) error {
	pg.reset(len(families))
	var lastName []byte
	lastFamily := int32(-1)
	ended, comments := false, false
	for number := 1; len(text) > 0; number++ {
		line, rest, whole := cutLine(text)
		text = rest
		if len(line) == 0 {
			continue
		}
		if line[0] == '#' {
			comments = true
			if ended = isEOF(line); ended && openMetrics {
				break
			}
			continue
		}
		ended = false
		name, tail, inBraces, err := splitName(line)
		if err == nil {
			if !bytes.Equal(name, lastName) {
				lastName, lastFamily = name, familyOf(families, name)
			}
			err = pg.keep(name, tail, inBraces, lastFamily, whole)
		}
		if err != nil {
			return lineError(number, line, whole)
		}
	}
	if openMetrics && !ended {
		return fmt.Errorf("%w: OpenMetrics without the closing # EOF after %d samples", ErrTorn, pg.samples)
	}
	if pg.samples == 0 {
		return noSample(comments)
	}
	return nil
}

func familyOf(families map[string]int32, name []byte) int32 {
	if id, ok := families[string(name)]; ok {
		return id
	}
	return -1
}

func isEOF(line []byte) bool { return string(line) == "# EOF" }

// lineError tells a page that ends within a line from one that was never a metrics page.
func lineError(number int, line []byte, whole bool) error {
	if !whole && number > 1 {
		return fmt.Errorf("%w: in the middle of line %d, %s", ErrTorn, number, excerpt(line))
	}
	return fmt.Errorf("%w: line %d is %s", ErrNotExposition, number, excerpt(line))
}

// keep reads the rest of a sample line and keeps it if it is of a family. Other lines are not looked into, save one
// that the page breaks off.
func (pg *page) keep(name, tail []byte, inBraces bool, family int32, whole bool) error {
	pg.samples++
	if pg.first == nil {
		pg.first = name
	}
	if family < 0 && whole {
		return nil
	}
	from := len(pg.labels)
	labels, tail, err := parseLabels(pg.labels, tail, inBraces)
	if err != nil {
		return err
	}
	value, err := parseValue(tail)
	if err != nil {
		return err
	}
	if family < 0 {
		return nil
	}
	pg.labels = labels
	pg.add(family, series{value: value, from: int32(from), to: int32(len(labels)), next: -1})
	return nil
}

func (pg *page) add(family int32, s series) {
	at := int32(len(pg.series))
	pg.series = append(pg.series, s)
	c := &pg.families[family]
	if c.head < 0 {
		c.head = at
	} else {
		pg.series[c.tail].next = at
	}
	c.tail = at
}
