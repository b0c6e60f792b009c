package report

import (
	"fmt"
	"html"
	"strings"
)

// svg is a picture being drawn. Colours are classes, which the page's style sheet gives for light and dark.
type svg struct{ text strings.Builder }

func (s *svg) printf(format string, args ...any) { fmt.Fprintf(&s.text, format, args...) }

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	s.printf(`<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

func (s *svg) label(class string, x, y float64, text string) {
	s.printf(`<text class="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, x, y, html.EscapeString(text))
}

// bar draws a rectangle that says text when pointed at.
func (s *svg) bar(class string, x, y, width, height float64, text string) {
	s.printf(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`+"\n",
		class, x, y, width, height, html.EscapeString(text))
}

// dot draws a mark that says text when pointed at.
func (s *svg) dot(class string, x, y float64, text string) {
	s.printf(`<circle class="%s" cx="%.1f" cy="%.1f" r="4"><title>%s</title></circle>`+"\n", class, x, y, html.EscapeString(text))
}

// path joins points; each is a pair of x and y.
func (s *svg) path(class string, points [][2]float64) {
	if len(points) == 0 {
		return
	}
	var d strings.Builder
	for i, p := range points {
		command := byte('L')
		if i == 0 {
			command = 'M'
		}
		fmt.Fprintf(&d, "%c%.1f %.1f", command, p[0], p[1])
	}
	s.printf(`<path class="%s" d="%s"/>`+"\n", class, d.String())
}

// area fills what is between points and a base line.
func (s *svg) area(class string, points [][2]float64, base float64) {
	if len(points) == 0 {
		return
	}
	first, last := points[0], points[len(points)-1]
	closed := append([][2]float64{{first[0], base}}, points...)
	s.path(class, append(closed, [2]float64{last[0], base}))
}
