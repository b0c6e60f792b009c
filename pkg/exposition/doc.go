// Package exposition turns an engine's metric page into a signals.Reading.
//
// What a page's names mean is data: one YAML file per engine in profiles/, with ordered candidates for each
// quantity, label selectors, and how several series (data-parallel engines, tensor-parallel ranks, API-server
// processes) become one value. A further engine needs a file, not code.
//
// Samples are matched by sample name, never by the declared type: front ends of one engine disagree about types.
// The package is pure. It knows no network, no clock and no cluster; scraping is pkg/scrape's, keeping pkg/store's.
// It does not guess: what is not on the page, or is there as NaN, infinite, negative or blank, stays unknown.
package exposition
