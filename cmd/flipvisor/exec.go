package main

import (
	"github.com/spf13/cobra"

	"github.com/flipvisor/flipvisor/machine/exec"
)

func (a *app) execCommand() *cobra.Command {
	var trace bool
	cmd := &cobra.Command{
		Use:   "exec",
		Short: "Run single instructions and small pieces of code, one JSON case a line",
		Long: `exec reads cases from standard input, a JSON object a line, runs each on the
processor with exactly the memory it asks for, and writes the state after it, a
JSON object a line:

  {"code": "48 01 d8 f4", "at": "0x10000", "regs": {"rax": "0x1", "rbx": 2}}

  mode     64 (the default) or 32
  code     hexadecimal; it is put at "at" and begins there
  regs     rax to r15, rip, rflags, xmm0 to xmm15, mxcsr, fcw, fsw, ftw, fpr0 to
           fpr7, fs_base, gs_base, es to gs; numbers as "0x…" strings or decimal
  memory   [{"at": …, "size": …, "hex": …}]: what is mapped besides the code
  limit    instructions to run at most (default 1000)
  cpl      0 (the default) or 3, where HLT is #GP as all privileged instructions

A run ends at HLT, at an exception, or at the limit. A line that is no case gets
an object with "error", the others are run all the same, and the exit status
is 2.`,
		Example: `  echo '{"code": "0f a2 f4", "at": "0x10000"}' | flipvisor exec --trace`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := exec.New()
			b.Trace = trace
			return b.Stream(a.in, a.out)
		},
	}
	cmd.Flags().BoolVar(&trace, "trace", false, "list every instruction with what it read and wrote")
	return cmd
}
