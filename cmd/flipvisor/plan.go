package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flipvisor/flipvisor/campaigns"
)

func (a *app) planCommand() *cobra.Command {
	var (
		sample sampleFlags
		format formatFlags
	)
	cmd := &cobra.Command{
		Use:   "plan FILE",
		Short: "Say what a campaign is going to be, without running an experiment",
		Args:  fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			c, err := sample.load(cmd, args[0])
			if err != nil {
				return err
			}
			p, err := campaigns.MakePlan(cmd.Context(), c, a.build, sample.jobs)
			if cmd.Context().Err() != nil {
				return campaigns.ErrInterrupted
			}
			if err != nil {
				return err
			}
			if format.format == "json" {
				enc := json.NewEncoder(a.out)
				enc.SetIndent("", "  ")
				return enc.Encode(p)
			}
			return a.printPlan(p)
		},
	}
	sample.add(cmd)
	format.add(cmd, "text", "json")
	return cmd
}

func (a *app) printPlan(p *campaigns.Plan) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, name+"\t"+format+"\n", args...)
	}
	row("campaign", "%s, seed %d", p.Campaign, p.Seed)
	row("golden run", "%d instructions, %d of them the hypervisor's, %d VM entries, in %s",
		p.GoldenInstructions, p.RootInstructions, p.Entries, p.GoldenTime.Round(time.Millisecond))
	row("fault space", "%.4g faults", p.SpaceSize)
	total := 0
	for _, g := range p.Groups {
		total += g.Weight
	}
	for _, g := range p.Groups {
		row("  "+g.Name, "%.4g faults, drawn %.3g %% of the time", g.Size, 100*float64(g.Weight)/float64(total))
	}
	row("sample", "%d experiments: ±%.2g %% at %.4g %% confidence", p.Samples, 100*p.Margin, 100*p.Confidence)
	row("time", "at most about %s with %d jobs; most experiments end early", p.AtMost.Round(time.Second), p.Jobs)
	for i, e := range p.Examples {
		name := ""
		if i == 0 {
			name = "begins with"
		}
		row(name, "%s", e)
	}
	return w.Flush()
}
