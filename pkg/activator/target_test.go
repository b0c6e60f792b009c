package activator

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestThoseWhoComeBackHaveTheirPlaces(t *testing.T) {
	queue := target{}
	for _, seq := range []uint64{4, 6, 9, 5, 1, 8, 10} {
		queue.enqueue(&exchange{seq: seq})
	}
	var got []uint64
	for place := queue.held.Front(); place != nil; place = place.Next() {
		got = append(got, place.Value.(*exchange).seq)
	}
	if diff := cmp.Diff([]uint64{1, 4, 5, 6, 8, 9, 10}, got); diff != "" {
		t.Error(diff)
	}
}

func TestEndpointsThatStayKeepWhatTheyDo(t *testing.T) {
	var m target
	m.setEndpoints([]Endpoint{{Address: "a", MaxConcurrency: 1}, {Address: "b"}, {Address: "b"}}, 7)
	m.endpoints[0].inFlight, m.endpoints[0].trust = 3, suspended
	m.setEndpoints([]Endpoint{{Address: "c"}, {Address: "a", MaxConcurrency: 2}}, 7)
	var got []endpoint
	for _, e := range m.endpoints {
		got = append(got, *e)
	}
	want := []endpoint{{Endpoint: Endpoint{"c", 7}}, {Endpoint: Endpoint{"a", 2}, inFlight: 3, trust: suspended}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(endpoint{})); diff != "" {
		t.Error(diff)
	}
}

func TestPick(t *testing.T) {
	for name, c := range map[string]struct {
		endpoints []endpoint
		limited   bool
		want      string
	}{
		"none":                           {nil, false, ""},
		"the least in flight":            {[]endpoint{{Endpoint{"a", 5}, 2, trusted}, {Endpoint{"b", 5}, 1, trusted}}, false, "b"},
		"at its limit while others wait": {[]endpoint{{Endpoint{"a", 2}, 2, trusted}}, true, ""},
		"at its limit while none waits":  {[]endpoint{{Endpoint{"a", 2}, 2, trusted}}, false, "a"},
		"more slots, more in flight":     {[]endpoint{{Endpoint{"a", 2}, 2, trusted}, {Endpoint{"b", 5}, 4, trusted}}, true, "b"},
		"suspended":                      {[]endpoint{{Endpoint{"a", 5}, 0, suspended}, {Endpoint{"b", 5}, 4, trusted}}, false, "b"},
		"doubted, for a trial":           {[]endpoint{{Endpoint{"a", 5}, 5, doubted}}, true, "a"},
		"on trial":                       {[]endpoint{{Endpoint{"a", 5}, 1, onTrial}}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var m target
			for _, e := range c.endpoints {
				m.endpoints = append(m.endpoints, &e)
			}
			got := ""
			if e := m.pick(c.limited); e != nil {
				got = e.Address
			}
			if got != c.want {
				t.Errorf("picked %q, want %q", got, c.want)
			}
		})
	}
}
