package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/internal/stats"
)

// The exit statuses. Scripts rely on them.
const (
	statusPass         = 0
	statusFail         = 1
	statusUsage        = 2 // bad arguments, bad input, no room: nothing can be said
	statusInconclusive = 3
)

// app is the command line with the world around it.
type app struct {
	build    campaigns.Builder
	in       io.Reader
	out, err io.Writer

	status   int
	logLevel string
}

// main runs one command and gives the exit status.
func (a *app) main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the program at once, as it always does.
	context.AfterFunc(ctx, stop)

	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	if err := root.ExecuteContext(ctx); err != nil {
		a.complain(err)
		if errors.Is(err, campaigns.ErrInterrupted) {
			return statusInconclusive
		}
		return statusUsage
	}
	return a.status
}

// complain prints an error: what and where. What is wrong with a campaign
// file comes with the lines it is about and needs no name in front.
func (a *app) complain(err error) {
	var input *campaigns.InputError
	if errors.As(err, &input) {
		fmt.Fprintln(a.err, err)
		return
	}
	fmt.Fprintln(a.err, "flipvisor:", err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "flipvisor",
		Short: "Flip a bit under a hypervisor, and see who notices",
		Long: `flipvisor runs a hypervisor with its virtual machines on a software x86-64
computer, flips one bit per experiment, and reports what happened and which
detector noticed.

To begin:   flipvisor run campaigns/hello.hcl

Exit status: 0 the gate is passed, 1 it is failed, 2 bad arguments or input,
3 the sample is too small to say, or the campaign was interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if hclog.LevelFromString(a.logLevel) == hclog.NoLevel {
				return fmt.Errorf("--log-level %q: it is one of trace, debug, info, warn, error, off", a.logLevel)
			}
			return nil
		},
	}
	root.PersistentFlags().StringVar(&a.logLevel, "log-level", "warn", "how much to log: trace, debug, info, warn, error, off")
	root.AddCommand(a.runCommand(), a.planCommand(), a.replayCommand(), a.reportCommand(), a.trainCommand(), a.cleanCommand(), a.execCommand(),
		a.bootCommand(), a.hvCommand(), a.versionCommand())
	return root
}

// logger logs to w, as much as --log-level says.
func (a *app) logger(w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: "flipvisor", Output: w, Level: hclog.LevelFromString(a.logLevel)})
}

// fileArgument is for commands that take one campaign file.
func fileArgument(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return errors.New("name a campaign file, such as campaigns/hello.hcl")
	case 1:
		return nil
	}
	return fmt.Errorf("one campaign file at a time, not %d", len(args))
}

// sampleFlags change what the campaign file says about its sample.
type sampleFlags struct {
	samples int
	seed    int64
	jobs    int
}

func (f *sampleFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.samples, "samples", 0, "number of experiments, instead of what the file says")
	cmd.Flags().Int64Var(&f.seed, "seed", 0, "seed that draws the faults, instead of the file's")
	cmd.Flags().IntVar(&f.jobs, "jobs", 0, "experiments at the same time (default: one for each processor)")
}

// load reads a campaign file and applies the flags.
func (f *sampleFlags) load(cmd *cobra.Command, path string) (*campaigns.Campaign, error) {
	switch {
	case cmd.Flags().Changed("samples") && f.samples < 1:
		return nil, fmt.Errorf("--samples %d: there must be at least 1", f.samples)
	case f.jobs < 0 || cmd.Flags().Changed("jobs") && f.jobs == 0:
		return nil, fmt.Errorf("--jobs %d: there must be at least 1", f.jobs)
	case f.seed < 0:
		return nil, fmt.Errorf("--seed %d: seeds are not negative", f.seed)
	}
	c, err := campaigns.Load(path)
	if err != nil {
		return nil, err
	}
	if f.samples > 0 {
		c.Sample.Size = f.samples
	}
	if cmd.Flags().Changed("seed") {
		c.Sample.Seed = f.seed
	}
	return c, nil
}

// statusOf makes a verdict into an exit status.
func statusOf(v stats.Verdict) int {
	switch v {
	case stats.Pass:
		return statusPass
	case stats.Fail:
		return statusFail
	}
	return statusInconclusive
}

// terminal reports whether w is one, and how wide it is.
func terminal(w io.Writer) (width int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	return width, err == nil && width > 0
}
