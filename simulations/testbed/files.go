package testbed

import (
	"os"
	"strings"
	"time"
)

// removeAttempts and removePause bound the removal of a tree in which the kernel still tears down mounts or processes.
const (
	removeAttempts = 40
	removePause    = 50 * time.Millisecond
)

// removeAll removes a tree, again while something in it is busy.
func removeAll(dir string) error {
	var err error
	for range removeAttempts {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(removePause)
	}
	return err
}

// fileName makes a name of a user or host fit for a file.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == ':' || r == os.PathSeparator {
			return '-'
		}
		return r
	}, name)
}
