package testbed

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

func onMainThread() bool { return unix.Gettid() == os.Getpid() }

// bindLife makes cmd die with the thread that starts it and keeps the terminal's Ctrl-C away from it: the one who
// started it decides when it ends.
func bindLife(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr.Setpgid = true
}
