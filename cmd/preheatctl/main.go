// Command preheatctl is the SRE's tool: it replays traffic through a simulated cluster under Preheat's own decision code,
// other systems' policies and an oracle, tunes and lists them, explains the decisions of a service that runs, and tells what
// is seen on an engine's metric page. It is thin: flags → options → package compare.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and a container may have none

	"golang.org/x/term"
)

// version is set by the linker.
var version = "dev"

func main() {
	signal.Ignore(syscall.SIGPIPE) // a reader that has gone is told by an error, after the files of a replay are written
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // the second signal ends the process at once
	}()
	s := streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: term.IsTerminal(int(os.Stderr.Fd()))}
	os.Exit(run(ctx, s, os.Args[1:]))
}

// Exit codes, as scripts know them from kubectl and shells.
const (
	exitOK          = 0
	exitFault       = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is a fault of the command line, as opposed to one of what it names.
type usageError struct{ error }

// Unwrap returns the fault itself.
func (e usageError) Unwrap() error { return e.error }

// run is the whole program: it returns the exit code, and its only output goes to the streams.
func run(ctx context.Context, s streams, args []string) int {
	root := newRoot(s)
	root.SetArgs(args)
	began := noteStart(root)
	err := root.ExecuteContext(ctx)
	var usage usageError
	var judged verdict
	switch {
	case errors.Is(err, errInterrupted):
		fmt.Fprint(s.Err, complaint(err))
		return exitInterrupted
	case err == nil, errors.Is(err, syscall.EPIPE): // who reads the output has seen enough
		return exitOK
	case errors.As(err, &usage) || !*began: // cobra's own errors: an unknown command or flag, an argument too many
		fmt.Fprintf(s.Err, "%sSee 'preheatctl --help' and 'preheatctl COMMAND --help'.\n", complaint(err))
		return exitUsage
	case errors.As(err, &judged):
		fmt.Fprint(s.Err, complaint(err))
		return judged.code
	}
	fmt.Fprint(s.Err, complaint(err))
	return exitFault
}

// complaint is an error for people, one fault a line.
func complaint(err error) string {
	text := err.Error()
	if !strings.Contains(text, "\n") {
		return "preheatctl: " + text + "\n"
	}
	return "preheatctl:\n  " + strings.ReplaceAll(text, "\n", "\n  ") + "\n"
}
