package scrape

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the scraper's own.
type metrics struct {
	duration  prometheus.Histogram
	pageBytes prometheus.Histogram
	failures  *prometheus.CounterVec
	endpoints prometheus.Gauge
	lastTick  prometheus.Gauge
}

// newMetrics makes the metrics and registers them where there is a registerer.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "preheat_scrape_duration_seconds", Help: "Time to fetch and read one engine page.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 13),
		}),
		pageBytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "preheat_scrape_page_bytes", Help: "Size of engine pages after decompression.",
			Buckets: prometheus.ExponentialBuckets(1024, 4, 7),
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "preheat_scrape_failures_total", Help: "Scrapes that gave no reading, by reason.",
		}, []string{"reason"}),
		endpoints: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "preheat_scrape_endpoints", Help: "Engine pods that are scraped.",
		}),
		lastTick: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "preheat_scrape_last_round_timestamp_seconds", Help: "Unix time at which the last round of scrapes began.",
		}),
	}
	if r == nil {
		return m, nil
	}
	var faults []error
	for _, c := range []prometheus.Collector{m.duration, m.pageBytes, m.failures, m.endpoints, m.lastTick} {
		faults = append(faults, r.Register(c))
	}
	return m, errors.Join(faults...)
}
