// Package scrape fetches the metric pages of the targets' pods, a bounded number at a time, spread over the interval,
// and puts what pkg/exposition reads from them into pkg/store.
//
// It asks nobody but the pods that its Source names, at the IP addresses given: no name is resolved, no redirect
// followed, no proxy used. One pod's failure never delays or stops the others. It decides nothing.
package scrape
