package v1alpha1

import (
	"fmt"
	"strconv"
	"strings"
)

// Fraction is the value of the percentage as a ratio: "99.5%" is 0.995. It fails on anything that is not a number
// followed by a percent sign.
func (p Percent) Fraction() (float64, error) {
	digits, found := strings.CutSuffix(string(p), "%")
	if !found {
		return 0, fmt.Errorf("parse percentage %q: no %% at the end", string(p))
	}
	value, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, fmt.Errorf("parse percentage %q: %w", string(p), err)
	}
	return value / 100, nil
}
