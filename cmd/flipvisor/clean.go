package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/report"
)

func (a *app) cleanCommand() *cobra.Command {
	var (
		sample  sampleFlags
		format  formatFlags
		entries int64
	)
	cmd := &cobra.Command{
		Use:   "clean FILE",
		Short: "Count false alarms in many runs without a fault",
		Long: `Clean runs a campaign's machine without faults, each time with other seeds of
the workloads, and counts what the detectors report. Nothing is wrong in these
runs, so every report is a false alarm. If the campaign's gate bounds them,
the exit status is its verdict.`,
		Args: fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			if entries < 1 {
				return fmt.Errorf("--entries %d: there must be at least 1", entries)
			}
			c, err := sample.load(cmd, args[0])
			if err != nil {
				return err
			}
			p := newProgress(a.err)
			clean, err := campaigns.CleanRuns(cmd.Context(), c, a.build, uint64(entries), sample.jobs, p.report)
			p.end()
			if err != nil {
				return err
			}
			return a.printClean(report.NewClean(c, clean), &format)
		},
	}
	cmd.Flags().IntVar(&sample.jobs, "jobs", 0, "runs at the same time (default: one for each processor)")
	cmd.Flags().Int64Var(&entries, "entries", 100_000, "how many VM entries to look at, at least")
	format.add(cmd, "text", "json")
	return cmd
}

// fewAlarms is how many are shown one by one.
const fewAlarms = 20

func (a *app) printClean(r *report.Clean, format *formatFlags) error {
	a.status = statusOf(r.Gate.Verdict)
	if format.format == "json" {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	fmt.Fprintf(a.out, "%s: %d alarms in %d VM entries of %d runs without a fault\n", r.Campaign, len(r.Alarms), r.Entries, r.Runs)
	fmt.Fprintf(a.out, "%.2g an entry (%.4g %% interval: %.2g to %.2g)\n", r.Rate.Value, 100*r.Confidence, r.Rate.Low, r.Rate.High)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for i, d := range r.Alarms {
		if i == fewAlarms && !format.full {
			fmt.Fprintf(w, "  and %d more (--full)\n", len(r.Alarms)-i)
			break
		}
		fmt.Fprintf(w, "  at %d\t%s\t%s %d", d.At, d.Detector, d.Cause, d.Reason)
		if f := d.Features; f != nil {
			fmt.Fprintf(w, "\t%s: %d instructions, %d branches, %d loads, %d stores",
				inject.ExitReason(f.Reason), f.Instructions, f.Branches, f.Loads, f.Stores)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
