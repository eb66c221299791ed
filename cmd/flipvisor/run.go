package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/report"
)

func (a *app) runCommand() *cobra.Command {
	var (
		sample sampleFlags
		format formatFlags
		dir    string
	)
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a campaign and report",
		Long: `Run carries out the experiments of a campaign file and reports.

Results are kept in a folder as they come. Ctrl-C stops cleanly; running again
with the same --out goes on where it stopped. More --samples in the same
folder add to those that are there.`,
		Args: fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			c, err := sample.load(cmd, args[0])
			if err != nil {
				return err
			}
			return a.run(cmd, c, dir, sample.jobs, &format)
		},
	}
	sample.add(cmd)
	format.add(cmd, "text", "json")
	cmd.Flags().StringVar(&dir, "out", "", "folder for the results (default: a new one for temporary files)")
	return cmd
}

func (a *app) run(cmd *cobra.Command, c *campaigns.Campaign, dir string, jobs int, format *formatFlags) error {
	temporary := dir == ""
	if temporary {
		var err error
		if dir, err = os.MkdirTemp("", "flipvisor-"+c.Name+"-"); err != nil {
			return err
		}
	}
	p := newProgress(a.err)
	r := campaigns.Runner{
		Campaign: c, Build: a.build, Dir: dir, Jobs: jobs, Progress: p.report, Log: a.logger(p.logs()),
	}
	stored, runErr := r.Run(cmd.Context())
	p.end()

	if runErr != nil && !errors.Is(runErr, campaigns.ErrInterrupted) {
		if temporary && stored == nil {
			os.RemoveAll(dir)
		}
		return runErr
	}
	if stored == nil || len(stored.Records) == 0 {
		fmt.Fprintln(a.err, "flipvisor: interrupted before the first experiment ended")
		a.status = statusInconclusive
		if temporary {
			return os.RemoveAll(dir)
		}
		return nil
	}
	rep, err := report.New(stored)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := rep.JSON(&text); err != nil {
		return err
	}
	if err := campaigns.WriteFile(filepath.Join(dir, campaigns.ReportFile), text.Bytes()); err != nil {
		return err
	}
	if err := a.write(rep, format); err != nil {
		return err
	}
	if runErr != nil {
		fmt.Fprintf(a.err, "flipvisor: interrupted; what is done is kept. To go on: flipvisor run %s --out %s\n", c.Path, dir)
		a.status = statusInconclusive
	} else if temporary {
		fmt.Fprintf(a.err, "results are in %s (look at one: flipvisor replay %s ID)\n", dir, dir)
	}
	return nil
}
