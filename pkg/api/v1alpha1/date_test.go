package v1alpha1

import (
	"testing"
	"time"
)

func TestADayStartsAtItsFirstInstantInEveryZone(t *testing.T) {
	for name, tt := range map[string]struct {
		date Date
		zone string
		utc  string
	}{
		"an ordinary day":        {"2026-12-25", "Etc/UTC", "2026-12-25T00:00:00Z"},
		"a leap day":             {"2028-02-29", "Etc/UTC", "2028-02-29T00:00:00Z"},
		"far in the east":        {"2026-12-25", "Pacific/Kiritimati", "2026-12-24T10:00:00Z"},
		"a zone of odd quarters": {"2026-12-25", "Asia/Kathmandu", "2026-12-24T18:15:00Z"},
		"in summer":              {"2026-07-14", "Europe/Paris", "2026-07-13T22:00:00Z"},
		"a day whose first hour the clocks leave out":   {"2026-04-24", "Africa/Cairo", "2026-04-23T22:00:00Z"},
		"a day whose first hour the clocks show twice":  {"2026-11-01", "America/Havana", "2026-11-01T04:00:00Z"},
		"a day on which the clocks change in the night": {"2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			zone, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tt.date.Start(zone)
			if err != nil || got.UTC().Format(time.RFC3339) != tt.utc || got.Format(time.DateOnly) != string(tt.date) {
				t.Errorf("got %v, %v; want %s on the same day", got, err, tt.utc)
			}
		})
	}
}

func TestWhatIsNoDateHasNoStart(t *testing.T) {
	for _, d := range []Date{"", "2026-02-30", "2026-13-01", "2026-1-1", "25.12.2026", "2026-12-25T00"} {
		if got, err := d.Start(time.UTC); err == nil {
			t.Errorf("%q is taken for %v", d, got)
		}
	}
}
