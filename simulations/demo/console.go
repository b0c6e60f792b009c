package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// console is where the run tells what it does. It is used from one goroutine at a time.
type console struct {
	out      io.Writer
	terminal bool
	began    time.Time
	drawn    int // lines of the table on the terminal now
}

func newConsole(out *os.File) *console {
	info, err := out.Stat()
	return &console{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, began: time.Now()}
}

// say prints a line with the seconds since the start.
func (c *console) say(format string, args ...any) {
	fmt.Fprintf(c.out, "%5.1fs  %s\n", time.Since(c.began).Seconds(), fmt.Sprintf(format, args...))
}

// during says what is being done and, when it is over, how long it took.
func (c *console) during(what string, do func() error) error {
	began := time.Now()
	fmt.Fprintf(c.out, "%5.1fs  %s ...", began.Sub(c.began).Seconds(), what)
	err := do()
	fmt.Fprintf(c.out, " %.1f s\n", time.Since(began).Seconds())
	return err
}

// print prints text as it is.
func (c *console) print(text string) { fmt.Fprint(c.out, text) }

// redraw replaces what it drew last.
func (c *console) redraw(text string) {
	if c.drawn > 0 {
		fmt.Fprintf(c.out, "\x1b[%dA\x1b[J", c.drawn)
	}
	c.print(text)
	c.drawn = strings.Count(text, "\n")
}
