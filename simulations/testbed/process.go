package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	tailBytes    = 2000 // of a log, quoted in errors
	pollInterval = 50 * time.Millisecond
	killTimeout  = 10 * time.Second // for the kernel to end a killed process
)

// nursery starts child processes from one OS thread that lives as long as they may. The kernel delivers a child's
// parent-death signal when the *thread* that made it ends, and Go ends threads as it likes; so that thread must be our own.
type nursery struct {
	requests chan func()
	ended    chan struct{}
	bind     func(*exec.Cmd) // ties a child's life to the thread's
}

// newNursery starts the thread and runs prepare on it first; what prepare changes (a namespace) is inherited by the children.
func newNursery(prepare func() error) (*nursery, error) {
	n := &nursery{requests: make(chan func()), ended: make(chan struct{}), bind: bindLife}
	prepared := make(chan error)
	onOwnThread(func() {
		defer close(n.ended)
		prepared <- prepare()
		for request := range n.requests {
			request()
		}
	})
	if err := <-prepared; err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// start starts cmd from the nursery's thread. It must not be called after close.
func (n *nursery) start(cmd *exec.Cmd) error {
	result := make(chan error)
	n.requests <- func() { result <- cmd.Start() }
	return <-result
}

// close ends the thread, and with it every child still alive.
func (n *nursery) close() {
	close(n.requests)
	<-n.ended
}

// process is a running component. Its output goes to a file.
type process struct {
	name    string
	logFile string
	cmd     *exec.Cmd
	nursery *nursery      // that it was started from
	done    chan struct{} // closed when it has ended; err is set then
	err     error
}

// launch starts cmd under name; what it prints is appended to logFile, unless cmd has another place for its output.
func (n *nursery) launch(name, logFile string, cmd *exec.Cmd) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	defer log.Close() // the child has its own copy
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.Stderr = log
	n.bind(cmd)
	if err := n.start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, logFile: logFile, cmd: cmd, nursery: n, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// signal sends sig; a process that has ended is no error.
func (p *process) signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// kill ends the process at once and waits until it is gone.
func (p *process) kill() error {
	if err := p.signal(os.Kill); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(killTimeout):
		return fmt.Errorf("%s (pid %d) is still there %v after SIGKILL", p.name, p.cmd.Process.Pid, killTimeout)
	}
}

// await polls ready until it succeeds. It fails when ctx ends or the process does, and quotes the end of its log.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended while starting: %w\n%s", p.name, p.exit(), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w (%w)\n%s", p.name, err, ctx.Err(), p.tail())
		case <-time.After(pollInterval):
		}
	}
}

// exit says how an ended process ended.
func (p *process) exit() error {
	if p.err != nil {
		return p.err
	}
	return errors.New("exit status 0")
}

// tail quotes the last lines of the log, indented.
func (p *process) tail() string { return tail(p.logFile) }

func tail(file string) string {
	content, err := lastBytes(file, tailBytes)
	if err != nil {
		return fmt.Sprintf("  (no log: %v)", err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return fmt.Sprintf("  end of %s:\n  | %s", file, strings.Join(lines, "\n  | "))
}

// lastBytes returns at most the last limit bytes of a file, from the start of a line.
func lastBytes(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	start := max(0, info.Size()-limit)
	content, err := io.ReadAll(io.NewSectionReader(f, start, limit))
	if start > 0 {
		_, content, _ = bytes.Cut(content, []byte("\n"))
	}
	return content, err
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
