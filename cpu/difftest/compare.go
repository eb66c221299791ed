package difftest

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/internal/native"
)

var le = binary.LittleEndian

// comparedFlags are the bits of RFLAGS that are compared: TF belongs to
// stepping, and RF to the delivery of exceptions.
const comparedFlags = ^uint64(cpu.FlagTF | cpu.FlagRF)

var gprNames = [16]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}
var segNames = [6]string{"es", "cs", "ss", "ds", "fs", "gs"}

// Compare lists what differs between two outcomes of a case; nothing means
// that they agree.
func Compare(k *Case, got, want *Outcome) []string {
	var diff []string
	add := func(name string, g, w any) { diff = append(diff, fmt.Sprintf("%s: got %v, want %v", name, g, w)) }
	hex := func(name string, g, w uint64) {
		if g != w {
			add(name, fmt.Sprintf("%#x", g), fmt.Sprintf("%#x", w))
		}
	}
	if got.Event != want.Event {
		add("event", got.Event, want.Event)
	}
	m := maskOf(k, want)
	for i, name := range gprNames {
		if k.Mode != decode.Mode64 && i >= 8 {
			break
		}
		hex(name, got.GPR[i]&^m.gpr[i], want.GPR[i]&^m.gpr[i])
	}
	hex("rip", got.RIP, want.RIP)
	if f := comparedFlags &^ uint64(m.flags); (got.Flags^want.Flags)&f != 0 {
		add("rflags", flagText(got.Flags&f), flagText(want.Flags&f))
	}
	for i, name := range segNames {
		hex(name, uint64(got.Seg[i]), uint64(want.Seg[i]))
	}
	if k.Mode == decode.Mode64 {
		hex("fs_base", got.FSBase, want.FSBase)
		hex("gs_base", got.GSBase, want.GSBase)
	}
	if got.HasVector && want.HasVector {
		diff = append(diff, compareVectors(k, got, want, &m)...)
	}
	if !m.memory {
		diff = append(diff, compareBytes(dataBase, got.Data[:], want.Data[:])...)
	}
	if got.HasText && want.HasText {
		diff = append(diff, compareBytes(codeBase, got.Text[:], want.Text[:])...)
	}
	return diff
}

func compareVectors(k *Case, got, want *Outcome, m *mask) []string {
	var diff []string
	add := func(format string, args ...any) { diff = append(diff, fmt.Sprintf(format, args...)) }
	for i := range got.XMM {
		if k.Mode != decode.Mode64 && i >= 8 {
			break
		}
		if g, w := got.XMM[i], want.XMM[i]; g != w && !(m.approximate && closeTo(g, w)) {
			add("xmm%d: got %016x%016x, want %016x%016x", i, g.Hi, g.Lo, w.Hi, w.Lo)
		}
	}
	if got.MXCSR != want.MXCSR {
		add("mxcsr: got %#x, want %#x", got.MXCSR, want.MXCSR)
	}
	if got.FCW != want.FCW {
		add("fcw: got %#x, want %#x", got.FCW, want.FCW)
	}
	if g, w := got.FSW&^m.fsw, want.FSW&^m.fsw; g != w {
		add("fsw: got %#x, want %#x", g, w)
	}
	if got.Tag != want.Tag {
		add("ftw: got %#x, want %#x", got.Tag, want.Tag)
	}
	for i := range got.ST {
		if g, w := got.ST[i], want.ST[i]; g != w {
			add("fpr%d: got %04x:%016x, want %04x:%016x", i, g.SignExponent, g.Significand, w.SignExponent, w.Significand)
		}
	}
	return diff
}

// compareBytes lists the differing runs of an area.
func compareBytes(base uint64, got, want []byte) []string {
	if string(got) == string(want) {
		return nil
	}
	var diff []string
	for i := 0; i < len(got); i++ {
		if got[i] == want[i] {
			continue
		}
		j := i
		for j < len(got) && j < i+64 && got[j] != want[j] {
			j++
		}
		diff = append(diff, fmt.Sprintf("[%#x]: got % x, want % x", base+uint64(i), got[i:j], want[i:j]))
		i = j
		if len(diff) == 8 {
			return append(diff, "and more bytes")
		}
	}
	return diff
}

func (e Event) String() string {
	switch {
	case e == done:
		return "done"
	case e.System:
		return "system call"
	case e.Signal == native.SIGSEGV && e.Code != native.CodeKernel:
		return fmt.Sprintf("%v code %d at %#x", e.Signal, e.Code, e.Addr)
	}
	return fmt.Sprintf("%v code %d", e.Signal, e.Code)
}

func flagText(f uint64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%#x", f)
	for _, x := range [...]struct {
		bit  uint64
		name string
	}{{cpu.FlagCF, "CF"}, {cpu.FlagPF, "PF"}, {cpu.FlagAF, "AF"}, {cpu.FlagZF, "ZF"}, {cpu.FlagSF, "SF"},
		{cpu.FlagDF, "DF"}, {cpu.FlagOF, "OF"}, {cpu.FlagNT, "NT"}, {cpu.FlagAC, "AC"}, {cpu.FlagID, "ID"}} {
		if f&x.bit != 0 {
			b.WriteString(" " + x.name)
		}
	}
	return b.String()
}
