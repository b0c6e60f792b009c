package emulator

import (
	"fmt"
	"net/http"
)

// Admin is the fleet's interface for fault injection; serve it on loopback only.
//
//	GET  /pods                              what every replica is doing
//	POST /pods/NAMESPACE/NAME/fault/KIND    none, stale, garbage, error, hang, nan, lie, wake-error
//	POST /pods/NAMESPACE/NAME/restart       counters start at zero, streams break
func (f *Fleet) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pods", func(w http.ResponseWriter, _ *http.Request) {
		out := map[string]Status{}
		for _, key := range f.Names() {
			if pod, ok := f.Pod(splitKey(key)); ok {
				out[key] = pod.Status()
			}
		}
		writeJSON(w, http.StatusOK, out)
	})
	mux.HandleFunc("POST /pods/{namespace}/{name}/fault/{kind}", f.onPod(func(p *PodServer, r *http.Request) error {
		if err := p.SetFault(Fault(r.PathValue("kind"))); err != nil {
			return apiError{http.StatusBadRequest, err.Error()}
		}
		return nil
	}))
	mux.HandleFunc("POST /pods/{namespace}/{name}/restart", f.onPod(func(p *PodServer, _ *http.Request) error {
		return p.Restart()
	}))
	return mux
}

func (f *Fleet) onPod(do func(*PodServer, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		namespace, name := r.PathValue("namespace"), r.PathValue("name")
		pod, ok := f.Pod(namespace, name)
		if !ok {
			writeError(w, apiError{http.StatusNotFound, fmt.Sprintf("no emulated pod %s/%s", namespace, name)})
			return
		}
		if err := do(pod, r); err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, pod.Status())
	}
}
