package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(args []string, stdout, stderr *os.File) int {
	options, err := parse(args, stderr)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "demo:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once, and with it every child
	d := &demo{options: options, console: newConsole(stdout)}
	if err := d.run(ctx); err != nil {
		fmt.Fprintln(stderr, "demo:", explain(ctx, err))
		return 1
	}
	return 0
}

// explain adds to an error what to do about it.
func explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, testbed.ErrNotBuilt):
		return fmt.Errorf("%w; `make demo` builds what is missing", err)
	case ctx.Err() != nil:
		return errors.New("interrupted; everything that was started is stopped")
	}
	return err
}

// parse reads the command line into options that are valid.
func parse(args []string, stderr io.Writer) (Options, error) {
	o := Default()
	flags := pflag.NewFlagSet("demo", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.SortFlags = false
	o.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	}
	return o, o.Validate()
}
