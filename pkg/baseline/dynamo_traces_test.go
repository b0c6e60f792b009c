package baseline

import (
	"bufio"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// intervalCounts reads how many requests came in each 180 s from a file with those of each second.
func intervalCounts(t *testing.T, file string, intervals int) []float64 {
	t.Helper()
	f, err := os.Open(filepath.Join("../../../shared/traces", file))
	if err != nil {
		t.Skipf("recorded series are not at hand: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	words := bufio.NewScanner(z)
	words.Split(bufio.ScanWords)
	counts := make([]float64, intervals)
	for second := range intervals * 180 {
		if !words.Scan() {
			t.Fatalf("%s ends after %d seconds", file, second)
		}
		n, err := strconv.ParseFloat(words.Text(), 64)
		if err != nil {
			t.Fatalf("%s, second %d: %v", file, second+1, err)
		}
		counts[second/180] += n
	}
	return counts
}

func absoluteError(p predictor, xs []float64) float64 {
	var sum float64
	for i, x := range xs[:len(xs)-1] {
		p.add(x)
		sum += math.Abs(p.next() - xs[i+1])
	}
	return sum
}

// Over four days of real traffic, ARIMA as shipped is worse than the last value: what DESIGN.md says of it, and no more than
// that.
func TestARIMAIsNoBetterThanTheLastValue(t *testing.T) {
	for name, file := range map[string]string{
		"requests to NASA's web server, 1995": "nasa_http_1995-07_d00-26_rps_per_sec.txt.gz",
		"tweets, 2021":                        "twitter_stream_2021-08_d00-10_rps_per_sec.txt.gz",
	} {
		t.Run(name, func(t *testing.T) {
			xs := intervalCounts(t, file, 4*480)
			ratio := absoluteError(newPredictor(predictARIMA), xs) / absoluteError(newPredictor(predictConstant), xs)
			if ratio < 1.3 || ratio > 2.5 {
				t.Errorf("%.2f times the last value's error, want 1.3 to 2.5", ratio)
			}
		})
	}
}
