package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/flipvisor/flipvisor/campaigns"
)

func (a *app) trainCommand() *cobra.Command {
	var (
		sample sampleFlags
		path   string
		check  bool
	)
	cmd := &cobra.Command{
		Use:   "train FILE",
		Short: "Train the transition detector's model from a training campaign",
		Long: `Train runs a campaign that has a train block, without faults and with them,
and writes the decision tree that tells the ones from the others. The same
campaign gives the same file, byte for byte; --check says whether it does.`,
		Args: fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := sample.load(cmd, args[0])
			if err != nil {
				return err
			}
			if path == "" && c.Train != nil {
				path = c.Train.Model
			}
			return a.train(cmd, c, path, sample.jobs, check)
		},
	}
	sample.add(cmd)
	cmd.Flags().StringVar(&path, "out", "", "the file to write, instead of the one the campaign names")
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; exit with 1 if the file is not what training gives")
	return cmd
}

func (a *app) train(cmd *cobra.Command, c *campaigns.Campaign, path string, jobs int, check bool) error {
	p := newProgress(a.err)
	t := campaigns.Trainer{Campaign: c, Build: a.build, Jobs: jobs, Progress: p.report}
	trained, err := t.Train(cmd.Context())
	p.end()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := trained.Tree.WriteJSON(&text); err != nil {
		return err
	}
	o := trained.Tree.Origin
	fmt.Fprintf(a.out, "%d experiments, %d manifested, %d of them with an anomalous transition\n",
		trained.Experiments, trained.Manifested, trained.Labelled)
	if trained.ToolErrors > 0 {
		fmt.Fprintf(a.out, "%d errors of flipvisor itself\n", trained.ToolErrors)
	}
	fmt.Fprintf(a.out, "%d normal transitions, %d anomalous\n", o.Normal, o.Anomalous)
	fmt.Fprintf(a.out, "a tree of %d nodes, at most %d questions deep\n", len(trained.Tree.Nodes), trained.Tree.Depth())
	for i, s := range trained.LeftOut {
		fmt.Fprintf(a.out, "trained without mix %d and judged on it: %d false alarms in %d, %d of %d anomalies found\n",
			i+1, s.FalseAlarms, s.Normal, s.Found, s.Anomalous)
	}
	if !check {
		if err := campaigns.WriteFile(path, text.Bytes()); err != nil {
			return err
		}
		fmt.Fprintln(a.out, "written to", path)
		return nil
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !bytes.Equal(old, text.Bytes()) {
		a.status = statusFail
		fmt.Fprintln(a.out, path, "is NOT what training gives")
		return nil
	}
	fmt.Fprintln(a.out, path, "is what training gives")
	return nil
}
