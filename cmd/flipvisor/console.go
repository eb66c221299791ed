package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/flipvisor/flipvisor/hv"
	"github.com/flipvisor/flipvisor/machine/boot"
)

// sessionFiles are the files that a session reads and writes; "" is none.
type sessionFiles struct{ trace, record, replay string }

func sessionFlags(f *pflag.FlagSet, trace, record, replay *string) {
	f.StringVar(trace, "trace", "", "write every executed instruction to a `file`")
	f.StringVar(record, "record", "", "write what the machine received, and when, to a `file`")
	f.StringVar(replay, "replay", "", "give the machine what such a `file` says, instead of the terminal's input")
}

// bootWith runs what the options describe with its console on the terminal,
// says on standard error how it ended, and sets the exit status.
func (a *app) bootWith(ctx context.Context, o boot.Options, files sessionFiles) error {
	if o.Symbols == nil {
		image := o.Image
		if image == nil {
			image, _ = os.ReadFile(o.Kernel) // boot.New tells what is wrong with it
		}
		if s, err := hv.ReadSymbols(image); err == nil {
			o.Symbols = s.Lookup
		}
	}
	if files.replay != "" {
		f, err := os.Open(files.replay)
		if err != nil {
			return err
		}
		defer f.Close()
		if o.Replay, err = boot.ReadLog(f); err != nil {
			return fmt.Errorf("%s: %w", files.replay, err)
		}
	}
	if files.trace == "" {
		return a.session(ctx, o, files)
	}
	return writeFile(files.trace, func(w io.Writer) error {
		o.Trace = w
		return a.session(ctx, o, files)
	})
}

// session is bootWith with the files open.
func (a *app) session(ctx context.Context, o boot.Options, files sessionFiles) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	o.Console, o.Input = a.out, a.in
	in, isTerminal := a.in.(*os.File)
	isTerminal = isTerminal && term.IsTerminal(int(in.Fd()))
	if isTerminal {
		o.Input = boot.NewKeys(in, func() { cancel(boot.ErrLeft) })
		o.Pace = true
		if out, ok := a.out.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
			o.Console = boot.NewLines(out)
		}
	}
	if files.replay != "" && !isTerminal {
		o.Input = nil
	}
	s, err := boot.New(o)
	if err != nil {
		return err
	}
	var e *boot.Ending
	if err := inRawMode(in, isTerminal, func() { e = s.Run(ctx) }); err != nil {
		return err
	}
	if files.record != "" {
		if err := writeFile(files.record, func(w io.Writer) error { return boot.WriteLog(w, s.Log()) }); err != nil {
			return err
		}
	}
	a.status = e.Status()
	fmt.Fprintf(a.err, "flipvisor: ")
	return e.Print(a.err)
}

// inRawMode calls f while a terminal passes on every key as it is.
func inRawMode(in *os.File, isTerminal bool, f func()) error {
	if isTerminal {
		old, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return fmt.Errorf("the terminal: %w", err)
		}
		defer term.Restore(int(in.Fd()), old)
	}
	f()
	return nil
}

// writeFile makes a file, and says so if it could not be written to its end.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
