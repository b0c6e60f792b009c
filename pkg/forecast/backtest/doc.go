// Package backtest says how good forecasts of a recorded series would have been: it feeds the series to a forecaster row
// by row, asks for predictions at given origins, and scores them beside simple forecasters whose quantiles are calibrated
// in the same way.
//
// It is part of the core: no clock, I/O, log, goroutine or global randomness. It must not hand a forecaster a row that
// ends after the origin it is asked at: a Run goes over the series once, in order of time, so that it cannot.
package backtest
