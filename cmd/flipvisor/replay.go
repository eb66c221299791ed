package main

import (
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/inject"
)

func (a *app) replayCommand() *cobra.Command {
	var around int
	cmd := &cobra.Command{
		Use:   "replay DIR ID",
		Short: "Run one experiment again and show what happened in it",
		Long: `Replay runs an experiment of a results folder again, shows the life of its
fault with the instructions around it, and says whether every recorded field
came out the same. If one did not, the exit status is 1.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("name a results folder and the number of an experiment in it")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			index, err := strconv.Atoi(args[1])
			if err != nil || index < 0 {
				return fmt.Errorf("%q is not the number of an experiment", args[1])
			}
			if around < 0 || around > 1000 {
				return fmt.Errorf("--around %d: from 0 to 1000", around)
			}
			r, err := campaigns.Replay(cmd.Context(), campaigns.Env{}, a.build, args[0], index, around)
			if err != nil {
				return err
			}
			return a.printReplay(r)
		},
	}
	cmd.Flags().IntVar(&around, "around", 5, "instructions to show on either side of each point")
	return cmd
}

func (a *app) printReplay(r *campaigns.Replayed) error {
	e := &r.Again
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, name+"\t"+format+"\n", args...)
	}
	row("experiment", "%d, of fault %q", e.Index, e.Group)
	row("fault", "%s", e.Fault)
	if e.Place != (inject.Place{}) {
		row("place", "%s %s", e.Place.Owner, e.Place.Symbol)
	}
	point := func(name string, p *inject.Point, more string) {
		if p == nil {
			return
		}
		since := ""
		if e.Applied != nil && p.At > e.Applied.At {
			since = fmt.Sprintf(" (+%d)", p.At-e.Applied.At)
		}
		row(name, "at %d%s, %s %s%s", p.At, since, p.RIP, p.Symbol, more)
	}
	point("applied", e.Applied, "")
	if e.Fate == inject.Untouched {
		row("fate", "%s", e.Fate)
	}
	point(e.Fate.String(), e.Touched, "")
	point("diverged", e.Divergence, "")
	if d := e.Detection; d != nil {
		when := ", after a VM entry"
		if d.BeforeEntry {
			when = ", before any VM entry"
		}
		point("detected", &d.Point, fmt.Sprintf(", by %s: %s %d%s", d.Detector, d.Cause, d.Reason, when))
	} else {
		row("detected", "by nobody")
	}
	row("outcome", "%s %s", e.Outcome, e.Detail)
	row("blast radius", "%s", e.Blast)
	if err := w.Flush(); err != nil {
		return err
	}
	if r.Trace != nil {
		a.printScenes(r.Trace.Scenes)
	}
	fmt.Fprintln(a.out)
	if len(r.Differences) == 0 {
		fmt.Fprintln(a.out, "every recorded field came out the same")
		return nil
	}
	a.status = statusFail
	fmt.Fprintln(a.out, "NOT THE SAME as recorded:")
	for _, d := range r.Differences {
		fmt.Fprintf(a.out, "  %s was %s, is %s\n", d.Field, or(d.Recorded, "absent"), or(d.Again, "absent"))
	}
	return nil
}

func (a *app) printScenes(scenes []campaigns.Scene) {
	for _, s := range scenes {
		fmt.Fprintf(a.out, "\n%s\n", s.Title)
		w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
		for _, l := range s.Lines {
			fmt.Fprintf(w, "  %d\t%s\t%s\t%s\t%s\n", l.At, l.RIP, l.Symbol, l.Text, l.Note)
		}
		w.Flush()
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
