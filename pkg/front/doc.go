// Package front hears what stands in front of targets and holds requests while there is no replica: it keeps a stream to each
// activator, reads the metric pages of gateways, and says of each target how many requests are held and have come, and since when nothing was heard.
// What a kind of gateway publishes and what that proves is data: gateways/*.yaml.
//
// It decides nothing. What is not heard is not zero: a reading grows old with the gateway's page that was missing for longest,
// and with an activator that is silent for longer than Kubernetes takes to find its node lost (DESIGN.md of pkg/switchover).
package front
