package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flipvisor/flipvisor/detect"
	"github.com/flipvisor/flipvisor/hv"
	"github.com/flipvisor/flipvisor/machine/boot"
)

// hvOptions are what the hv command was asked for.
type hvOptions struct {
	vms       []string
	detectors []string
	policy    string
	model     string
	options   string
	memory    string
	defect    bool
}

// defaultVMs show three kinds of work at once.
var defaultVMs = []string{"workload=bzip2", "workload=mcf", "workload=postmark"}

var detectorNames = []string{"none", "runtime", "transition", "watchdog"}

func (a *app) hvCommand() *cobra.Command {
	var (
		h                     hvOptions
		exitAfter             uint64
		trace, record, replay string
	)
	cmd := &cobra.Command{
		Use:   "hv",
		Short: "Boot the hypervisor with its guests, and show their consoles",
		Long: `hv boots the hypervisor that campaigns test, with a mini-OS in each VM, and
shows what they print. Lines begin with who says them.

Each --vm is the command line of one guest:

  workload=NAME   ` + strings.Join(hv.Workloads, ", ") + `
  seed=N scale=N repeat=N   what the workload computes, and how often
  tick=N peer=N             its timer, and the VM it talks to

Before a word "--" there can be words for the hypervisor about this VM:
memory=MiB, weight=N, disk=KiB.

With --detect transition, --model names the decision tree, a JSON file as
"flipvisor train" writes it.

Exit statuses, and how to leave, are those of "flipvisor boot".`,
		Example: `  flipvisor hv
  flipvisor hv --vm "workload=x264 seed=2" --vm "memory=24 weight=512 -- workload=mcf" --detect runtime,watchdog`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := h.boot()
			if err != nil {
				return err
			}
			o.ExitAfter = exitAfter
			return a.bootWith(cmd.Context(), o, sessionFiles{trace, record, replay})
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&h.vms, "vm", defaultVMs, "a guest's `\"command line\"`; may be repeated")
	f.StringSliceVar(&h.detectors, "detect", []string{"runtime"}, "detectors: "+strings.Join(detectorNames, ", "))
	f.StringVar(&h.policy, "policy", "stop", "what to do after a detection: stop, continue")
	f.StringVar(&h.model, "model", "", "the transition detector's decision tree, a JSON `file`")
	f.StringVar(&h.options, "append", "", "further arguments for the hypervisor")
	f.StringVar(&h.memory, "memory", "128M", "memory: a number of MiB, or with K, M or G")
	f.BoolVar(&h.defect, "defect", false, "boot the variant with a known defect instead")
	f.Uint64Var(&exitAfter, "exit-after", 0, "stop after so many instructions")
	sessionFlags(f, &trace, &record, &replay)
	return cmd
}

// boot makes the options into a machine's.
func (h *hvOptions) boot() (o boot.Options, err error) {
	o.Kernel, o.Image = "hypervisor", hv.Hypervisor
	if h.defect {
		o.Kernel, o.Image = "hypervisor-defect", hv.HypervisorDefect
	}
	if o.Memory, err = boot.ParseSize(h.memory); err != nil {
		return o, fmt.Errorf("--memory: %w", err)
	}
	for _, d := range h.detectors {
		if !slices.Contains(detectorNames, d) {
			return o, fmt.Errorf("--detect: no detector %q; there are %s", d, strings.Join(detectorNames, ", "))
		}
	}
	if h.policy != "stop" && h.policy != "continue" {
		return o, fmt.Errorf("--policy %q: it is stop or continue", h.policy)
	}
	o.Append = strings.TrimSpace(fmt.Sprintf("detect=%s policy=%s %s", strings.Join(h.detectors, ","), h.policy, h.options))
	for _, vm := range h.vms {
		m, err := guestModule(vm)
		if err != nil {
			return o, fmt.Errorf("--vm %q: %w", vm, err)
		}
		o.Modules = append(o.Modules, m)
	}
	if h.model != "" {
		f, err := os.Open(h.model)
		if err != nil {
			return o, err
		}
		defer f.Close()
		tree, err := detect.ReadJSON(f)
		if err != nil {
			return o, fmt.Errorf("%s: %w", h.model, err)
		}
		o.Modules = append(o.Modules, boot.Module{File: "model", Data: tree.Encode()})
	} else if slices.Contains(h.detectors, "transition") {
		return o, fmt.Errorf("--detect transition needs --model FILE")
	}
	return o, nil
}

// guestModule is a mini-OS with its command line.
func guestModule(vm string) (boot.Module, error) {
	words := strings.Fields(vm)
	if !slices.Contains(words, "--") {
		words = append([]string{"memory=16", "--"}, words...)
	}
	for _, w := range words {
		if name, ok := strings.CutPrefix(w, "workload="); ok && !slices.Contains(hv.Workloads, name) {
			return boot.Module{}, fmt.Errorf("no workload %q; there are %s", name, strings.Join(hv.Workloads, ", "))
		}
	}
	return boot.Module{File: "minios", Args: strings.Join(append([]string{"guest"}, words...), " "), Data: hv.MiniOS}, nil
}
