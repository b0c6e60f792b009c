// Package report shows what a replay found: one HTML file that needs nothing else, neither a network nor another file,
// with the verdict, the table of policies, cost against attainment, and what happened in time, each moment with why the
// policy decided as it did.
//
// A Recorder stands in a replay as its sink and keeps a picture of it whose size does not grow with the trace. Write
// makes the page of the pictures and the scores.
//
// It must not measure or judge anything that the scores do not say, read a clock or a file, or fetch anything: the same
// Report gives the same bytes.
package report
