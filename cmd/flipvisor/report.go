package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/report"
)

func (a *app) reportCommand() *cobra.Command {
	var format formatFlags
	cmd := &cobra.Command{
		Use:   "report DIR",
		Short: "Report on the results in a folder",
		Long: `Report reads a results folder, of a campaign that has ended or was
interrupted, and reports. The exit status is the gate's, as for run.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one results folder, as given to run with --out")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			stored, err := campaigns.ReadStore(args[0])
			if err != nil {
				return err
			}
			r, err := report.New(stored)
			if err != nil {
				return err
			}
			return a.write(r, &format)
		},
	}
	format.add(cmd, "text", "json", "markdown", "junit")
	return cmd
}
