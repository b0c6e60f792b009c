//go:build !linux

package testbed

import (
	"context"
	"errors"
	"net"
	"os/exec"
)

var errNoNamespaces = errors.New("namespaces are a feature of Linux")

type namespaces struct{}

func ownNamespaces(*exec.Cmd) {}

func openNamespaces(int) (*namespaces, error) { return nil, errNoNamespaces }

func (*namespaces) close()              {}
func (*namespaces) enterNetwork() error { return errNoNamespaces }
func (*namespaces) enterAll() error     { return errNoNamespaces }

func (*namespaces) dial(context.Context, string, string) (net.Conn, error) {
	return nil, errNoNamespaces
}
func (*namespaces) listen(string, string) (net.Listener, error) { return nil, errNoNamespaces }
