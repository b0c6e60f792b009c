// Package series reads demand as an even series of rows, for what forecasts it: a CSV of times and values as it is, and
// any trace that package trace reads as requests per second.
//
// A row's time is the start of its interval. A row of which nothing is known is NaN, never zero. What a file leaves open
// is settled and told in Series.Notes: the step is the median difference of the times, rows lie on the even grid that
// most of them are on, rows that are missing are unknown, rows that are out of order are sorted, and of two rows in one
// place the later counts.
//
// The package must not read a clock, and it knows nothing of forecasts.
package series
