package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// class is what kind of traffic a load is; what Preheat may cost differs by it.
type class string

// The classes.
const (
	smooth class = "smooth" // hours that are alike, days that rise and fall
	shift  class = "shift"  // levels that change for good without notice
	spikes class = "spikes" // jobs of a clock
	onOff  class = "on-off" // bursts out of silence
	bursty class = "bursty" // news, noise: no bound of its own
)

// classes are in the order in which they are printed.
var classes = []class{smooth, shift, spikes, onOff, bursty}

// load is a trace with how it is re-timed and scaled.
type load struct {
	name  string
	class class
	// file is one of the folder of traces, or a generated workload where it begins with a colon.
	file string
	// mix has the lengths of requests where the trace has none: a name, fixed:PROMPT/OUTPUT, or a file of the folder.
	mix string
	// from and length cut a window out of the trace, in its own time, zero length for all of it; compress divides the times
	// afterwards, zero for as they are.
	from, length time.Duration
	compress     float64
	jitter       time.Duration
	// need is the mean number of replicas that are busy, 3 to 12.
	need float64
	// warm is the share of the time that is served and not scored.
	warm float64
	// quick says that the load is one of --quick.
	quick bool
}

const (
	hour    = time.Hour
	day     = 24 * hour
	azure23 = "AzureLLMInferenceTrace_conv.csv.gz"
	azure24 = "AzureLLM2024_conv_1week_DIGITISED_7.2min.csv.gz"
	text    = "servegen_language_m-small_rate_10min.csv.gz"
)

// loads are the rows of the matrix as seed 1 has them.
func loads() []load {
	return []load{
		{name: "azure-hour", class: smooth, file: azure23, need: 5, warm: 0.35, quick: true},
		{name: "azure-hour-slow", class: smooth, file: azure23, compress: 0.5, need: 9, warm: 0.35},
		{name: "mooncake-hour", class: smooth, file: "mooncake_conversation_trace.jsonl.gz", jitter: 3 * time.Second, need: 5, warm: 0.35},
		{name: "azure-week", class: smooth, file: azure24, mix: azure23, from: 30 * hour, length: 12 * hour, compress: 2, need: 5, warm: 0.35},
		{name: "worldcup", class: smooth, file: "worldcup98_per_min_May01-Jun09.csv.gz", mix: azure23, from: 9*day + 5*hour, length: 12 * hour, compress: 2, need: 6, warm: 0.35},
		{name: "nasa", class: smooth, file: "nasa_http_1995-07_d00-26_rps_per_sec.txt.gz", mix: "chat", from: 3*day + 4*hour, length: 8 * hour, compress: 1, need: 4, warm: 0.4},
		{name: "taxi", class: smooth, file: "NAB_nyc_taxi_2014-07_2014-10.csv.gz", mix: "chat", from: 10*day + 2*hour, length: 16 * hour, compress: 2, need: 5, warm: 0.4},
		{name: "steady", class: smooth, file: ":steady:length=66m", mix: "short", need: 3, warm: 0.4},
		{name: "code", class: smooth, file: ":diurnal:hours=5,low=4,high=12", mix: "code", need: 4, warm: 0.4},
		{name: "short", class: smooth, file: azure24, mix: "fixed:1500/12", from: 30 * hour, length: 12 * hour, compress: 3, need: 4, warm: 0.35, quick: true},
		// Answers of 14 tokens at 300 requests a second: an hour is as much as can be replayed.
		{name: "servegen", class: shift, file: text, from: 5*day + 13*hour + 10*time.Minute, length: 2 * hour, compress: 2, need: 3, warm: 0.4},
		{name: "servegen-holes", class: shift, file: text, from: 11*day + 6*hour, length: 2 * hour, compress: 2, need: 3, warm: 0.4},
		{name: "image", class: shift, file: "servegen_multimodal_mm-image_rate_10min.csv.gz", from: 8 * hour, length: 8 * hour, compress: 2, need: 4, warm: 0.4},
		{name: "shift", class: shift, file: ":regime-shift:hours=4,low=4,high=14,at=2h30m,back=30m", mix: "chat", need: 5, warm: 0.45, quick: true},
		{name: "twitter", class: spikes, file: "twitter_stream_2021-08_d00-10_rps_per_sec.txt.gz", mix: "chat", from: 2*day + 3*hour, length: 18 * hour, compress: 2, need: 4, warm: 0.6},
		{name: "clock", class: spikes, file: ":clock-spikes:hours=9,low=5,high=20,every=30m,width=4m", mix: "chat", need: 4, warm: 0.6, quick: true},
		{name: "on-off", class: onOff, file: ":on-off:hours=6,on=10m,off=10m", mix: "chat", need: 3, warm: 0.4, quick: true},
		{name: "elb", class: onOff, file: "NAB_elb_request_count_8c0756.csv.gz", mix: "chat", from: 2 * day, length: 24 * hour, compress: 4, need: 3, warm: 0.4},
		{name: "amzn", class: bursty, file: "NAB_Twitter_volume_AMZN.csv.gz", mix: "chat", from: 12 * day, length: 24 * hour, compress: 4, need: 5, warm: 0.4},
		{name: "goog", class: bursty, file: "NAB_Twitter_volume_GOOG.csv.gz", mix: azure23, from: 20 * day, length: 12 * hour, compress: 2, need: 4, warm: 0.4, quick: true},
	}
}

// generated says that the load needs no file.
func (l load) generated() bool { return strings.HasPrefix(l.file, ":") }

// present keeps the loads whose trace is in the folder; missing are the files of the others.
func present(folder string, all []load) (kept []load, missing []string) {
	for _, l := range all {
		if _, err := os.Stat(filepath.Join(folder, l.file)); l.generated() || err == nil {
			kept = append(kept, l)
		} else if !slices.Contains(missing, l.file) {
			missing = append(missing, l.file)
		}
	}
	return kept, missing
}

// row is a load on one profile of replicas: its cells differ in the lead time only, and share the requests.
type row struct {
	load
	profile string
	leads   []time.Duration
}

// rows are the part of the matrix that was asked for.
func rows(all []load, profiles []string, leads []time.Duration, want *regexp.Regexp) []row {
	var out []row
	for _, l := range all {
		for _, p := range profiles {
			r := row{load: l, profile: p}
			for _, lead := range leads {
				if want.MatchString(cellName(l.name, p, lead)) {
					r.leads = append(r.leads, lead)
				}
			}
			if len(r.leads) > 0 {
				out = append(out, r)
			}
		}
	}
	return out
}

// sizeOf finds the size in the name of a profile.
var sizeOf = regexp.MustCompile(`\d+b`)

// cellName is "azure-hour/70b/120s".
func cellName(load, profile string, lead time.Duration) string {
	size := sizeOf.FindString(profile)
	if size == "" {
		size = profile
	}
	return fmt.Sprintf("%s/%s/%.0fs", load, size, lead.Seconds())
}
