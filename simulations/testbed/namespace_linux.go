package testbed

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownNamespaces makes cmd the first process of new network, mount and PID namespaces.
func ownNamespaces(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID}
}

// namespaces are those of a box, open, so that they can be entered.
type namespaces struct {
	network, mount, pid *os.File
}

// openNamespaces opens those of a process.
func openNamespaces(pid int) (*namespaces, error) {
	n := &namespaces{}
	for name, file := range map[string]**os.File{"net": &n.network, "mnt": &n.mount, "pid": &n.pid} {
		opened, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/" + name)
		if err != nil {
			n.close()
			return nil, fmt.Errorf("open the box's namespaces: %w", err)
		}
		*file = opened
	}
	return n, nil
}

// close lets the namespaces go; they end when no process and nobody else holds them.
func (n *namespaces) close() {
	for _, file := range []*os.File{n.network, n.mount, n.pid} {
		if file != nil {
			file.Close()
		}
	}
}

// enterNetwork moves the calling thread into the network. It must be one of onOwnThread.
func (n *namespaces) enterNetwork() error {
	if err := unix.Setns(int(n.network.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the box's network: %w", err)
	}
	return nil
}

// enterAll moves the calling thread into network and mounts and its future children into the PID namespace too. The same
// holds for the thread as with enterNetwork.
func (n *namespaces) enterAll() error {
	if err := n.enterNetwork(); err != nil {
		return err
	}
	if err := unix.Setns(int(n.pid.Fd()), unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("enter the box's PID namespace: %w", err)
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // a thread that shares its root directory cannot change mounts
		return fmt.Errorf("part from the other threads' root: %w", err)
	}
	if err := unix.Setns(int(n.mount.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter the box's mounts: %w", err)
	}
	return nil
}

// inNetwork runs open on a thread of its own inside the network. A socket stays in the network it was made in, whoever
// uses it later.
func inNetwork[T any](n *namespaces, open func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	onOwnThread(func() {
		if err := n.enterNetwork(); err != nil {
			results <- result{err: err}
			return
		}
		value, err := open()
		results <- result{value, err}
	})
	r := <-results
	return r.value, r.err
}

func (n *namespaces) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return inNetwork(n, func() (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, network, address) })
}

func (n *namespaces) listen(network, address string) (net.Listener, error) {
	return inNetwork(n, func() (net.Listener, error) { return net.Listen(network, address) })
}
