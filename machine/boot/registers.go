package boot

import (
	"fmt"
	"strings"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/machine"
)

// Registers prints what a person wants to know of a processor that stopped.
func Registers(m *machine.Machine, symbols func(uint64) (string, uint64)) string {
	c := m.CPU
	var b strings.Builder
	for i, name := range [16]string{
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15",
	} {
		sep := "  "
		if i%4 == 3 {
			sep = "\n"
		}
		fmt.Fprintf(&b, "%s %016x%s", name, c.R[i], sep)
	}
	fmt.Fprintf(&b, "rip %016x", c.RIP)
	if g := guestOf(m); g != 0 {
		fmt.Fprintf(&b, "  in guest %d", g)
	} else if name := symbolOf(c.RIP, symbols); name != "" {
		fmt.Fprintf(&b, "  %s", name)
	}
	fmt.Fprintf(&b, "\nrflags %08x  %s\n", c.RFLAGS(), flagNames(c.RFLAGS()))
	for i, name := range [8]string{"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"} {
		s := &c.Seg[i]
		sep := "  "
		if i&1 == 1 {
			sep = "\n"
		}
		fmt.Fprintf(&b, "%-4s %04x base %016x limit %08x attr %05x%s", name, s.Selector, s.Base, s.Limit, s.Attr, sep)
	}
	fmt.Fprintf(&b, "gdtr base %016x limit %04x  idtr base %016x limit %04x\n",
		c.GDTR.Base, c.GDTR.Limit, c.IDTR.Base, c.IDTR.Limit)
	fmt.Fprintf(&b, "cr0 %016x  cr2 %016x  cr3 %016x  cr4 %016x\n", c.CR0, c.CR2, c.CR3, c.CR4)
	fmt.Fprintf(&b, "efer %016x  dr6 %016x  dr7 %016x  cpl %d  %d-bit code, %v\n",
		c.MSR.EFER, c.DR[6], c.DR[7], c.CPL(), 8*int(c.Mode()), c.Activity)
	return b.String()
}

// flagNames lists the flags that are set.
func flagNames(flags uint64) string {
	var names []string
	for _, f := range []struct {
		bit  uint64
		name string
	}{
		{cpu.FlagCF, "CF"}, {cpu.FlagPF, "PF"}, {cpu.FlagAF, "AF"}, {cpu.FlagZF, "ZF"}, {cpu.FlagSF, "SF"},
		{cpu.FlagTF, "TF"}, {cpu.FlagIF, "IF"}, {cpu.FlagDF, "DF"}, {cpu.FlagOF, "OF"}, {cpu.FlagNT, "NT"},
		{cpu.FlagRF, "RF"}, {cpu.FlagVM, "VM"}, {cpu.FlagAC, "AC"}, {cpu.FlagID, "ID"},
	} {
		if flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, " ")
}
