package v1alpha1

import (
	"testing"
	"time"
)

func TestNoonIsOnItsDayInEveryZone(t *testing.T) {
	for name, tt := range map[string]struct {
		date Date
		zone string
		utc  string
	}{
		"an ordinary day": {"2026-12-25", "Etc/UTC", "2026-12-25T12:00:00Z"},
		"a leap day":      {"2028-02-29", "Etc/UTC", "2028-02-29T12:00:00Z"},
		"far in the east": {"2026-12-25", "Pacific/Kiritimati", "2026-12-24T22:00:00Z"},
		"a day whose first hour the clocks leave out": {"2026-04-24", "Africa/Cairo", "2026-04-24T09:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			zone, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tt.date.Noon(zone)
			if err != nil || got.UTC().Format(time.RFC3339) != tt.utc || got.Format(time.DateOnly) != string(tt.date) {
				t.Errorf("got %v, %v; want %s on the same day", got, err, tt.utc)
			}
		})
	}
}

func TestWhatIsNoDateHasNoNoon(t *testing.T) {
	for _, d := range []Date{"", "2026-02-30", "2026-13-01", "2026-1-1", "25.12.2026", "2026-12-25T00"} {
		if got, err := d.Noon(time.UTC); err == nil {
			t.Errorf("%q is taken for %v", d, got)
		}
	}
}
