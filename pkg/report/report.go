package report

import "github.com/preheat-autoscaler/preheat/pkg/score"

// Report is everything that the page shows.
type Report struct {
	// Title heads the page, as "Replay of conversations.csv".
	Title string
	// Command is the command line that makes the same report again; Version is of the program that made it. Either may
	// be empty.
	Command, Version string
	// Missing says what of the replay is not there because it was interrupted; empty where all is.
	Missing string
	// Trace is what was replayed, Setup the conditions it was replayed under, for people to read, in order.
	Trace score.Trace
	Setup []Fact
	// SLO is what requests are held against.
	SLO score.SLO
	// Cells are the scores, one for each policy and lead time, in the order of the table, as score.Compare groups them;
	// they are of one target. The policies called Preheat and Oracle are pointed out.
	Cells []score.Cell
	// Titles say in some words what a policy is, by its name, for people who do not know it; those without have none.
	Titles map[string]string
	// Currency is the unit of cost, as "$"; may be empty.
	Currency string
	// Settings are further points of cost against attainment, as those that tuning tried, each with a Label; may be
	// empty. They are joined by policy and shown at every lead time.
	Settings []score.Point
	// Runs are what happened in time: one for each policy and lead time, of one seed. A policy without has a line in the
	// table and no curves.
	Runs []Run
}

// The names of policies that the page points out.
const (
	Preheat = "preheat"
	Oracle  = "oracle"
)

// Fact is one line of the conditions: "replica" — "llama-3.1-8b on one H100".
type Fact struct{ Name, Value string }
