package activator

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

func TestDemandIsToldAtOnce(t *testing.T) {
	r := newRig(t, nil)
	stream := serve(t, &http.Server{Handler: http.HandlerFunc(r.ServeDemand)})
	resp, err := http.Get(stream)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := json.NewDecoder(resp.Body)
	next := func() (d Demand) {
		t.Helper()
		if err := lines.Decode(&d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := next(); len(d.Targets) != 0 {
		t.Errorf("the first line tells of %v, want nobody", d.Targets)
	}

	answers := r.start("/m/", "")
	began, d := time.Now(), next()
	for len(d.Targets) == 0 { // a line of the interval may have come between
		d = next()
	}
	if want := (TargetDemand{Target: "m", Held: 1, Arrivals: 1}); d.Targets[0] != want {
		t.Errorf("told of %+v, want %+v", d.Targets[0], want)
	}
	t.Logf("told after %v", time.Since(began))
	if d := next(); len(d.Targets) != 0 {
		t.Errorf("nothing has changed, and the next line tells of %v", d.Targets)
	}

	r.Remove("m")
	if got := <-answers; got.reason(t) != Unavailable {
		t.Errorf("got %+v", got)
	}
	for d = next(); len(d.Targets) == 0; {
		d = next()
	}
	if want := (TargetDemand{Target: "m"}); d.Targets[0] != want {
		t.Errorf("a target that is gone is told of as %+v, want %+v", d.Targets[0], want)
	}
}
