package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flipvisor/flipvisor/report"
)

// formatFlags are how a report is written.
type formatFlags struct {
	format string
	full   bool
	known  []string
}

func (f *formatFlags) add(cmd *cobra.Command, known ...string) {
	f.known = known
	cmd.Flags().StringVar(&f.format, "format", known[0], strings.Join(known, ", "))
	cmd.Flags().BoolVar(&f.full, "full", false, "every row of long tables (text)")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp))
}

func (f *formatFlags) check() error {
	if !slices.Contains(f.known, f.format) {
		return fmt.Errorf("--format %q: it is one of %s", f.format, strings.Join(f.known, ", "))
	}
	return nil
}

// write prints a report on standard output, and sets the exit status to its
// gate's verdict.
func (a *app) write(r *report.Report, f *formatFlags) error {
	a.status = statusOf(r.Gate.Verdict)
	switch f.format {
	case "json":
		return r.JSON(a.out)
	case "markdown":
		return r.Markdown(a.out)
	case "junit":
		return r.JUnit(a.out)
	}
	width, isTerminal := terminal(a.out)
	return r.Text(a.out, report.TextOptions{
		Width: min(width, 120), Full: f.full, Color: isTerminal && os.Getenv("NO_COLOR") == "",
	})
}
