package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flipvisor/flipvisor/machine/boot"
)

func (a *app) bootCommand() *cobra.Command {
	var o boot.Options
	var modules []string
	var memory, trace, record, replay string
	cmd := &cobra.Command{
		Use:   "boot --kernel FILE",
		Short: "Boot a multiboot kernel, with its serial port on the terminal",
		Long: `boot loads a multiboot (version 1) kernel, 32 or 64 bits, into a machine with
one processor, and connects the machine's first serial port with the terminal.

The kernel's command line is its file name as it was given, followed by what
--append says. Each --module is a file name followed by arguments, and the
whole of it is the module's command line.

The run ends
  when the kernel writes V to port 0xf4: exit status (V << 1) | 1,
  when it turns the power off, or after --exit-after instructions: 0,
  at a triple fault, a reset, or a halt that nothing can end: 4, with the
  registers and the last instructions on standard error,
  at an instruction that flipvisor cannot execute: 6,
  when you leave it with Ctrl-C, or Ctrl-A x: 130. Ctrl-A before any other key
  sends that key.
What cannot be booted at all gives 2.`,
		Example: `  flipvisor boot --kernel hv/images/minios.elf --append workload=bzip2
  flipvisor boot --kernel hv/images/hypervisor.elf --append detect=runtime \
      --module "hv/images/minios.elf guest memory=16 -- workload=mcf"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Kernel == "" {
				return errors.New("name a kernel: --kernel FILE")
			}
			if o.Memory, err = boot.ParseSize(memory); err != nil {
				return fmt.Errorf("--memory: %w", err)
			}
			for _, s := range modules {
				m, err := boot.ParseModule(s)
				if err != nil {
					return fmt.Errorf("--module: %w", err)
				}
				o.Modules = append(o.Modules, m)
			}
			return a.bootWith(cmd.Context(), o, sessionFiles{trace, record, replay})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Kernel, "kernel", "", "the kernel's file")
	f.StringVar(&o.Append, "append", "", "arguments for the kernel")
	f.StringArrayVar(&modules, "module", nil, "a file for the kernel and its arguments, `\"FILE ARGS\"`; may be repeated")
	f.StringVar(&memory, "memory", "128M", "memory: a number of MiB, or with K, M or G")
	f.Uint64Var(&o.ExitAfter, "exit-after", 0, "stop after so many instructions")
	sessionFlags(f, &trace, &record, &replay)
	return cmd
}
