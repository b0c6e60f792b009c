// Package forecast says what demand will be one lead time ahead, as quantiles and not only as a point, and whether it
// knows better than the last value.
//
// It is part of the core: no clock, I/O, log, goroutine or global randomness. A Forecaster is plain data; all that has
// been learned of a series is in it. DESIGN.md says why it is built as it is, and what was measured.
package forecast
