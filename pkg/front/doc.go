// Package front hears what stands in front of targets and holds requests while there is no replica: it keeps a stream to each
// activator, reads the metric pages of gateways that hold requests themselves, and says of each target how many requests are held and have come, and since when nothing was heard.
//
// It decides nothing. What is not heard is not zero: the time of a reading is that of the source that was silent for longest.
package front
