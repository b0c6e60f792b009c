package trace

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRatesHaveTheUnitTheyAreSaidToHave(t *testing.T) {
	value := "timestamp,value\n0,120\n60,240\n"
	fractions := "timestamp,value\n0,1.5\n60,2.5\n"
	prometheus := `[{"values":[[1700000000,"120"],[1700000060,"240"]]}]`
	minutes := "HashOwner,HashApp,HashFunction,Trigger,1,2,3,4,5,6,7,8,9,10\no,a,f,http,60,60,60,60,60,60,60,60,60,60\n"
	taken := []string{"the column value is taken for requests per period of 1m0s; the format rates-per-second takes it for requests per second"}
	for name, tc := range map[string]struct {
		text   string
		format Format
		want   int64 // requests expected of the whole
		notes  []string
		reads  Format
	}{
		"a column without a unit is whole requests per period, and that is said": {value, "", 360, taken, RateTable},
		"though the format is named":                            {value, RateTable, 360, taken, RateTable},
		"unless it is said to be per second":                    {value, RatesPerSecond, 360 * 60, nil, RateTable},
		"or said to be counts":                                  {value, CountsPerPeriod, 360, nil, RateTable},
		"fractions that are said to be per second":              {fractions, RatesPerSecond, 240, nil, RateTable},
		"fractions that are said to be counts":                  {fractions, CountsPerPeriod, 4, nil, RateTable},
		"a column that tells its unit needs no note":            {"timestamp,rate_rps\n0,1.5\n60,2.5\n", "", 240, nil, RateTable},
		"of rows of one time the last counts, and that is said": {"timestamp,rate_rps\n0,5\n0,1\n60,2\n120,3\n", "", 360, []string{"1 rows have the time of the row before: the last of them counts"}, RateTable},
		"what is said goes before what the column is called":    {"timestamp,rate_rps\n0,15\n60,25\n", CountsPerPeriod, 40, nil, RateTable},
		"an answer of Prometheus is per second, which is said":  {prometheus, "", 360 * 60, []string{perSecondAssumed}, Prometheus},
		"an answer of Prometheus that is said to be increments": {prometheus, CountsPerPeriod, 360, nil, Prometheus},
		"counts per minute":                                     {minutes, "", 600, nil, Functions2019},
		"counts per minute that are said to be rates":           {minutes, RatesPerSecond, 600 * 60, nil, Functions2019},
		"numbers of each second are both":                       {"3 4 5", CountsPerPeriod, 12, nil, PerSecond},
	} {
		tr, err := Open(file(t, tc.text), Options{Format: tc.format})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := tr.Facts()
		if got.Expected != tc.want || got.Format != tc.reads {
			t.Errorf("%s: %d requests expected of a file read as %s, want %d as %s", name, got.Expected, got.Format, tc.want, tc.reads)
		}
		if diff := cmp.Diff(tc.notes, got.Notes, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: notes (-want +got):\n%s", name, diff)
		}
	}
}

func TestUnitsThatAreInDoubtAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		text   string
		format Format
		want   string
	}{
		"a part of a request": {
			"timestamp,value\n0,3\n60,2.5\n", "",
			"line 3, column 2 (value): 2.5 is no count of requests, which this column is taken for: give the format rates-per-second",
		},
		"a unit of requests":       {"arrival_s,input_tokens,output_tokens\n0,1,1\n", RatesPerSecond, "plain holds requests"},
		"a unit of something else": {"a,b\n1,2\n", CountsPerPeriod, "unknown trace format"},
	} {
		if _, err := Open(file(t, tc.text), Options{Format: tc.format}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v does not say %q", name, err, tc.want)
		}
	}
}
