package trace

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAnswersOfPrometheus(t *testing.T) {
	nan := math.NaN()
	want := Rates{Start: date("2023-11-14T22:13:20Z"), Period: time.Minute, PerSecond: []float64{3, 2, nan, 1.5}}
	series := `[{"metric":{"pod":"a"},"values":[[1700000000,"1"],[1700000060,"2"],[1700000120,"NaN"],[1700000180,"0.5"]]},
		{"metric":{"pod":"b"},"values":[[1700000000.000,"2"],[1700000180,"1"]]}]`
	for name, text := range map[string]string{
		"a whole answer":       `{"status":"success","data":{"resultType":"matrix","result":` + series + `},"warnings":["w"]}`,
		"only what is in data": `{"resultType":"matrix","result":` + series + `}`,
		"only the series":      series,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadRates(strings.NewReader(text), "x")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, equateNaNs); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnswersThatAreNoSeries(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"an error":             {`{"status":"error","errorType":"bad_data","error":"parse error"}`, "the query failed: bad_data: parse error"},
		"an instant vector":    {`{"status":"success","data":{"resultType":"vector","result":[]}}`, "query_range"},
		"no series":            {`{"status":"success","data":{"resultType":"matrix","result":[]}}`, "no series"},
		"broken JSON":          {"{\"status\":\"success\",\n\"data\":{]", "line 2, column 9"},
		"a number for a value": {`{"resultType":"matrix","result":[{"values":[[1,2],[2,3]]}]}`, "must be a string"},
		"a triple":             {`{"resultType":"matrix","result":[{"values":[[1,"2",3]]}]}`, "want [seconds"},
		"a negative rate":      {`{"resultType":"matrix","result":[{"values":[[1,"-2"]]}]}`, "rate -2"},
		"one point":            {`{"resultType":"matrix","result":[{"values":[[1,"2"]]}]}`, "two rows"},
		"a value that is no number, of one series of several": {
			"{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"pod\":\"values\",\"values\":\"x\"},\"values\":[[1,\"2\"],[2,\"2\"]]},\n" +
				"{\"metric\":{\"pod\":\"b\",\"job\":\"a\"},\"values\":[[1,\"2\"],\n [2,\"lots\"]]}]}",
			`x.json: line 3, column 2: series 2 {job="a",pod="b"}, sample 2 [2,"lots"]: "lots" is not a number`,
		},
		"a time that is none":      {`[{"values":[["now","2"]]}]`, `x.json: line 1, column 13: series 1 {}, sample 1 ["now","2"]: "\"now\"" is not a time`},
		"values that are no list":  {`{"resultType":"matrix","result":[{"values":"x"}]}`, "(result.values): string where a list is wanted"},
		"a result that is no list": {`{"status":"success","data":{"resultType":"matrix","result":{}}}`, "(data.result): object where a list is wanted"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ReadRates(strings.NewReader(tc.text), "x.json")
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "x.json") {
				t.Errorf("%v does not say %q", err, tc.want)
			}
		})
	}
}

func TestMinutesOfFunctionsAreSummed(t *testing.T) {
	header := "HashOwner,HashApp,HashFunction,Trigger,1,2,3,4,5,6,7,8,9,10,11,12\n"
	got, err := ReadRates(strings.NewReader(header+"o,a,f,http,60,0,0,0,0,0,0,0,0,0,0,120\no,a,g,timer,30,,0,0,0,0,0,0,0,0,0,0\n"), "x")
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{1.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}
	if diff := cmp.Diff(want, got.PerSecond); diff != "" || got.Period != time.Minute {
		t.Errorf("per %v (-want +got):\n%s", got.Period, diff)
	}
	_, err = ReadRates(strings.NewReader(header+"o,a,f,http,60,0,0,0,many,0,0,0,0,0,0,120\n"), "x")
	if err == nil || !strings.Contains(err.Error(), `line 2, column 9 (5): "many"`) {
		t.Errorf("a count that is none: %v", err)
	}
}

func TestRatesHaveTheirPlaceInErrors(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"a bad rate":                    {"timestamp,value\n2014-04-10 00:00:00,1\n2014-04-10 00:05:00,lots\n", `x: line 3, column 2 (value): "lots"`},
		"a bad time":                    {"timestamp,value\n0,1\nlater,1\n", `x: line 3, column 1 (timestamp): time "later"`},
		"a row too early":               {"timestamp,value\n20,1\n10,1\n", `x: line 3, column 1 (timestamp): earlier than the row before`},
		"a bad mean":                    {"timestamp,rate_rps,mean_input_tokens\n0,1,1\n60,1,-3\n", `x: line 3, column 3 (mean_input_tokens): rate -3`},
		"a short row":                   {"timestamp,value\n0,1\n1\n", `x: line 3, column 2: 1 columns`},
		"no column of time":             {"name,value\na,1\n", "x: line 1: unknown trace format"},
		"a word in a list":              {"1 2 three", `x: line 1, column 5: number 3: "three"`},
		"a word in a column of numbers": {"1\r\n2\r\n  three\r\n", `x: line 3, column 3: number 3: "three"`},
		"a negative number in a list":   {"\n1\t-2", `x: line 2, column 3: number 2: rate -2`},
		"a blank line in a list, which might be a second or none": {"1\n2\n \n\n3\n", `x: line 3: blank: write NaN`},
	}
	for name, tc := range tests {
		if _, err := ReadRates(strings.NewReader(tc.text), "x"); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s…", name, err, tc.want)
		}
	}
}
