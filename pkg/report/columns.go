package report

import (
	"encoding/json"
	"math"
	"strconv"
)

// columns is the page's store of number columns: each is kept once however many runs share it.
type columns struct {
	index map[string]int
	list  []json.RawMessage
}

// add stores a column and returns its place. NaN and infinities become null: not known.
func (c *columns) add(values []float64, format func([]byte, float64) []byte) int {
	text := []byte{'['}
	for i, x := range values {
		if i > 0 {
			text = append(text, ',')
		}
		if finite(x) {
			text = format(text, x)
		} else {
			text = append(text, "null"...)
		}
	}
	text = append(text, ']')
	if i, ok := c.index[string(text)]; ok {
		return i
	}
	if c.index == nil {
		c.index = map[string]int{}
	}
	c.index[string(text)] = len(c.list)
	c.list = append(c.list, text)
	return len(c.list) - 1
}

// MarshalJSON writes the columns in order.
func (c *columns) MarshalJSON() ([]byte, error) {
	if c.list == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(c.list)
}

// significant writes four digits, as many as a curve can show.
func significant(text []byte, x float64) []byte {
	const least = 1e-300 // what is below has no such scale
	if math.Abs(x) < least {
		return append(text, '0')
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return strconv.AppendFloat(text, math.Round(x*scale)/scale, 'g', 4, 64)
}

// thousandths writes three decimals, for what is added up.
func thousandths(text []byte, x float64) []byte {
	return strconv.AppendFloat(text, math.Round(x*1000)/1000, 'f', -1, 64)
}

// whole writes an integer.
func whole(text []byte, x float64) []byte {
	return strconv.AppendInt(text, int64(x), 10)
}

// pick makes a column of a list.
func pick[T any](list []T, value func(*T) float64) []float64 {
	out := make([]float64, len(list))
	for i := range list {
		out[i] = value(&list[i])
	}
	return out
}

// number is a figure of the page; NaN is null.
type number float64

// MarshalJSON writes seven digits.
func (n number) MarshalJSON() ([]byte, error) {
	if !finite(float64(n)) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', 7, 64), nil
}
