package forecast

import (
	"testing"
	"time"
)

// Also where a burst lasts for a part of a row, and is doubted as a scrape and as a row.
func TestABurstScrapedEveryHourIsBelieved(t *testing.T) {
	const tick = 15 * time.Second
	var s State
	var believed []int
	for i := range 8 * 240 {
		v := 0.1
		if i%240 == 183 { // a quarter of a minute within one
			v = 60
		}
		before := s.Forecaster.Levels.Peak
		s.Advance(t0.Add(time.Duration(i)*tick), v, 5*time.Minute, Config{Step: tick, Quantile: 0.9})
		if s.Forecaster.Levels.Peak > 10 && before < 10 {
			believed = append(believed, i/240)
		}
	}
	if len(believed) != 1 || believed[0] != 1 {
		t.Errorf("bursts of 60 on 0.1 are first believed in hours %v, should be in hour 1", believed)
	}
}
