package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// helpColumns is the width that the text of flags is wrapped to.
const helpColumns = 120

// attach gives a command its flags, shown in groups by its help.
func attach(cmd *cobra.Command, groups []group) {
	cmd.Flags().SortFlags = false
	for _, g := range groups {
		g.flags.SortFlags = false
		cmd.Flags().AddFlagSet(g.flags)
	}
	complete(cmd)
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		out := cmd.OutOrStderr()
		fmt.Fprintf(out, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
		for _, g := range groups {
			fmt.Fprintf(out, "\n%s:\n%s", g.title, g.flags.FlagUsagesWrapped(helpColumns))
		}
		return nil
	})
}

// complete lets a shell complete the values of flags that are words of a list.
func complete(cmd *cobra.Command) {
	for flag, words := range map[string][]string{
		"policy": compare.Names(), "details": detailWords, "profile": replica.ProfileNames(), "router": routerNames(), "mix": trace.MixNames(),
		"process": {"poisson", "gamma", "weibull"},
	} {
		if cmd.Flags().Lookup(flag) != nil {
			completeWith(cmd, flag, words)
		}
	}
}

// completeWith lets a shell complete the value of a flag that the command has.
func completeWith(cmd *cobra.Command, flag string, words []string) {
	// It fails only for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveDefault))
}

// incidental are the flags that change nothing in the results: files do not tell of them, so that they are the same
// whoever made them.
var incidental = map[string]bool{"out": true, "details": true, "force": true, "workers": true, "memory": true, "output": true, "help": true}

// commandLine writes the command that makes the same results again.
func commandLine(cmd *cobra.Command) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed && !incidental[f.Name] {
			words = append(words, "--"+f.Name, quoted(flagText(f)))
		}
	})
	return strings.Join(words, " ")
}

// flagText is the value of a flag as a user would write it: lists without their brackets.
func flagText(f *pflag.Flag) string {
	if _, list := f.Value.(pflag.SliceValue); list {
		return strings.Trim(f.Value.String(), "[]")
	}
	return f.Value.String()
}

// quoted makes a word of a shell.
func quoted(s string) string {
	if s != "" && strings.IndexFunc(s, special) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// special says whether a shell would make something else of a character.
func special(r rune) bool {
	return !strings.ContainsRune("-_./,:=+@%", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}
