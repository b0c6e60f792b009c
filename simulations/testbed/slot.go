package testbed

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

const (
	slots         = 127   // clusters at a time on one machine; the last pod range is 127.190.0.0/16
	firstPort     = 21000 // below the range that Linux hands to outgoing connections (32768-60999)
	portsPerSlot  = 8
	reservePort   = firstPort - 1
	firstPodOctet = 64
)

// The ports of a cluster, as offsets from its first.
const (
	etcdClientPort = iota
	etcdPeerPort
	apiServerPort
	controllerManagerPort
	schedulerPort
	kwokPort
	usedPorts
)

// addresses is where a cluster's components listen and where its simulated pods live.
type addresses struct {
	host    string // reachable address of the API server
	first   int    // first port
	podCIDR string // of the pods that kwok plays
}

func (a addresses) port(offset int) int { return a.first + offset }

// url of one component as seen from beside it; all of them listen on loopback.
func (a addresses) url(scheme string, offset int) string {
	return scheme + "://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(a.port(offset)))
}

func (a addresses) server() string {
	return "https://" + net.JoinHostPort(a.host, strconv.Itoa(a.port(apiServerPort)))
}

// slot is one of a fixed number of places for a cluster on a machine: a block of ports and a range of loopback
// addresses for pods. It is held by an open socket, so that the kernel frees it however the process ends.
type slot struct {
	addresses
	hold net.Listener
}

// reserveSlot takes the lowest free slot, so that a lone cluster's pods are in 127.64.0.0/16.
func reserveSlot() (*slot, error) {
	var reasons error
	for i := range slots {
		s, err := reserve(i)
		if err == nil {
			return s, nil
		}
		reasons = err
	}
	return nil, fmt.Errorf("no free block of ports among %d, the last one: %w", slots, reasons)
}

func reserve(i int) (*slot, error) {
	hold, err := net.Listen("tcp", fmt.Sprintf("127.%d.255.254:%d", firstPodOctet+i, reservePort))
	if err != nil {
		return nil, err
	}
	s := &slot{hold: hold, addresses: addresses{
		host: "127.0.0.1", first: firstPort + i*portsPerSlot, podCIDR: fmt.Sprintf("127.%d.0.0/16", firstPodOctet+i),
	}}
	if err := s.portsFree(); err != nil {
		return nil, errors.Join(err, hold.Close())
	}
	return s, nil
}

// portsFree fails when a program that knows nothing of slots has one of the ports.
func (s *slot) portsFree() error {
	for offset := range usedPorts {
		listener, err := net.Listen("tcp", net.JoinHostPort(s.host, strconv.Itoa(s.port(offset))))
		if err != nil {
			return err
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (s *slot) release() error { return s.hold.Close() }
