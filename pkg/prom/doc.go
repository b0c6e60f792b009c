// Package prom reads engines' samples out of a Prometheus, or of what speaks its query API (Thanos, Mimir,
// VictoriaMetrics), for teams that may not reach their pods' pages.
//
// It asks for what was scraped, puts it together to the page as it was, and reads that as pkg/scrape reads a page: both
// sources agree by construction, and a reading bears the time of the scrape, not of the query. A Prometheus that fails, is
// slow or answers in part gives no readings; the ones before grow old. The package decides nothing. DESIGN.md says why.
package prom
