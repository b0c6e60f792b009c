package activator

import (
	"encoding/json"
	"net/http"
	"time"
)

// DemandInterval is the time between two lines of the stream that Demand serves while nothing happens.
const DemandInterval = time.Second

// Demand is one line of the stream of demand: what changed since the line before, or, in the first one, everything.
type Demand struct {
	Targets []TargetDemand `json:"targets"`
}

// TargetDemand is the demand for one target, as this activator sees it.
type TargetDemand struct {
	Target string `json:"target"`
	// Held is the number of requests that wait.
	Held int `json:"held"`
	// Arrivals counts all requests since the start of the process, whatever became of them.
	Arrivals uint64 `json:"arrivals"`
}

// ServeDemand streams the demand, one JSON object of type Demand a line: at once where a request is held for a target without
// endpoints, and every DemandInterval, also where nothing has changed, so that the reader knows that it still hears.
func (a *Activator) ServeDemand(w http.ResponseWriter, r *http.Request) {
	woken := make(chan struct{}, 1)
	a.listen(woken)
	defer a.unlisten(woken)
	ticker := time.NewTicker(DemandInterval)
	defer ticker.Stop()
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, lines := http.NewResponseController(w), json.NewEncoder(w)
	told := map[string]TargetDemand{}
	for {
		if lines.Encode(a.demandSince(told)) != nil || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-a.ctx.Done():
			return
		case <-woken:
		case <-ticker.C:
		}
	}
}

// demandSince is what changed since it was told, and remembers it as told.
func (a *Activator) demandSince(told map[string]TargetDemand) Demand {
	d := Demand{Targets: []TargetDemand{}}
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, t := range a.targets {
		is := TargetDemand{Target: name, Held: t.held.Len(), Arrivals: t.arrivals}
		if was, ok := told[name]; !ok || was != is {
			told[name] = is
			d.Targets = append(d.Targets, is)
		}
	}
	for name := range told {
		if a.targets[name] == nil {
			delete(told, name)
			d.Targets = append(d.Targets, TargetDemand{Target: name})
		}
	}
	return d
}

func (a *Activator) listen(woken chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listeners[woken] = struct{}{}
}

func (a *Activator) unlisten(woken chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.listeners, woken)
}

// announce has all streams of demand write a line.
func (a *Activator) announce() {
	for woken := range a.listeners {
		select {
		case woken <- struct{}{}:
		default: // it will write one anyway
		}
	}
}
