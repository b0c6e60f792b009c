// Command podserver is the program in the real pods of the testbed's own tests. It answers / with its host name, /ready
// once -load has passed, and /fetch?url=U with what it gets from U, to show how pods reach each other.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	load := flag.Duration("load", 0, "time from start to readiness")
	flag.Parse()
	start := time.Now()
	host, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, host) })
	http.HandleFunc("/gpu", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("NVIDIA_VISIBLE_DEVICES")) })
	http.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		if time.Since(start) < *load {
			http.Error(w, "loading", http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/fetch", fetch)
	log.Fatal(http.ListenAndServe(":8000", nil))
}

func fetch(w http.ResponseWriter, r *http.Request) {
	client := http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true}, // a connection each, so that the Service chooses each time
	}
	response, err := client.Get(r.FormValue("url"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	if _, err := io.Copy(w, io.LimitReader(response.Body, 1<<16)); err != nil {
		log.Print(err)
	}
}
