package emulator

import (
	"encoding/json"
	"net/http"
)

// sleepRoutes adds the endpoints that vLLM has only in its development mode.
func (p *PodServer) sleepRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /sleep", p.whenLoaded(p.postSleep))
	mux.HandleFunc("POST /wake_up", p.whenLoaded(p.postWakeUp))
	mux.HandleFunc("GET /is_sleeping", p.whenLoaded(p.getIsSleeping))
	mux.HandleFunc("POST /collective_rpc", p.whenLoaded(p.postCollectiveRPC))
}

func (p *PodServer) postSleep(w http.ResponseWriter, r *http.Request) {
	level := 1
	if given := r.URL.Query().Get("level"); given != "" {
		if given != "1" && given != "2" {
			writeError(w, badRequest("level: %q is neither 1 nor 2", given))
			return
		}
		level = int(given[0] - '0')
	}
	done(w, p.sleeper.sleep(level))
}

func (p *PodServer) postWakeUp(w http.ResponseWriter, r *http.Request) {
	tags := r.URL.Query()["tags"]
	for _, tag := range tags {
		if tag != weightsTag && tag != kvCacheTag {
			writeError(w, badRequest("tags: %q is neither %s nor %s", tag, weightsTag, kvCacheTag))
			return
		}
	}
	if len(tags) == 0 {
		tags = p.sleeper.current().sleeping
	}
	fault := p.currentFault()
	if fault == LieFault {
		p.sleeper.wakeLater(tags)
		done(w, nil)
		return
	}
	done(w, p.sleeper.wake(tags, fault))
}

func (p *PodServer) getIsSleeping(w http.ResponseWriter, _ *http.Request) {
	sleeping, err := p.sleeper.isSleeping()
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"is_sleeping": sleeping})
}

// postCollectiveRPC knows the one method that a wake from level 2 needs.
func (p *PodServer) postCollectiveRPC(w http.ResponseWriter, r *http.Request) {
	var call struct {
		Method string `json:"method"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&call); err != nil {
		writeError(w, badRequest("body: %v", err))
		return
	}
	if call.Method != "reload_weights" {
		writeError(w, badRequest("method: %q is not emulated; reload_weights is", call.Method))
		return
	}
	done(w, p.sleeper.reload())
}

func done(w http.ResponseWriter, err error) {
	if err != nil {
		writeError(w, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// sleepStates writes the metric of the sleep mode.
func (p *page) sleepStates(level int) {
	var samples []sample
	for i, state := range []string{"awake", "weights_offloaded", "discard_all"} {
		v := 0.0
		if i == level {
			v = 1
		}
		samples = append(samples, p.with("sleep_state", state, v))
	}
	p.gauge("vllm:engine_sleep_state", "Sleep state of the engine: awake, weights offloaded (level 1) or everything discarded (level 2).", samples...)
}
