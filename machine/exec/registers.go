package exec

import (
	"fmt"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// register is a register by the name that cases use.
type register struct {
	name string
	get  func(c *cpu.CPU) Number
	set  func(c *cpu.CPU, n Number)
}

var registers = makeRegisters()

var byName = func() map[string]*register {
	m := make(map[string]*register)
	for i := range registers {
		m[registers[i].name] = &registers[i]
	}
	return m
}()

func known(name string) bool { return byName[name] != nil }

var gprNames = [16]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}

func makeRegisters() []register {
	var all []register
	add := func(name string, get func(c *cpu.CPU) uint64, set func(c *cpu.CPU, v uint64)) {
		all = append(all, register{name,
			func(c *cpu.CPU) Number { return N(get(c)) },
			func(c *cpu.CPU, n Number) { set(c, n.Lo) }})
	}
	for i, name := range gprNames {
		add(name, func(c *cpu.CPU) uint64 { return c.R[i] }, func(c *cpu.CPU, v uint64) { c.R[i] = v })
	}
	add("rip", func(c *cpu.CPU) uint64 { return c.RIP }, func(c *cpu.CPU, v uint64) { c.RIP = v })
	add("rflags", func(c *cpu.CPU) uint64 { return c.RFLAGS() }, func(c *cpu.CPU, v uint64) { c.SetRFLAGS(v) })
	for i, name := range [...]string{"es", "cs", "ss", "ds", "fs", "gs"} {
		add(name, func(c *cpu.CPU) uint64 { return uint64(c.Seg[i].Selector) }, func(c *cpu.CPU, v uint64) { c.Seg[i].Selector = uint16(v) })
	}
	add("fs_base", func(c *cpu.CPU) uint64 { return c.Seg[cpu.FS].Base }, func(c *cpu.CPU, v uint64) { c.Seg[cpu.FS].Base = v })
	add("gs_base", func(c *cpu.CPU) uint64 { return c.Seg[cpu.GS].Base }, func(c *cpu.CPU, v uint64) { c.Seg[cpu.GS].Base = v })
	for i := range 16 {
		all = append(all, register{fmt.Sprintf("xmm%d", i),
			func(c *cpu.CPU) Number { return Number{c.X[i].Lo, c.X[i].Hi, true} },
			func(c *cpu.CPU, n Number) { c.X[i] = cpu.XMM{Lo: n.Lo, Hi: n.Hi} }})
	}
	add("mxcsr", func(c *cpu.CPU) uint64 { return uint64(c.MXCSR) }, func(c *cpu.CPU, v uint64) { c.MXCSR = uint32(v) & 0xffff })
	add("fcw", func(c *cpu.CPU) uint64 { return uint64(c.FPU.FCW) }, func(c *cpu.CPU, v uint64) { c.FPU.FCW = uint16(v)&0x1f3f | 0x40 })
	add("fsw", func(c *cpu.CPU) uint64 { return uint64(c.FPU.FSW) }, func(c *cpu.CPU, v uint64) { c.FPU.FSW = uint16(v) })
	add("ftw", func(c *cpu.CPU) uint64 { return uint64(c.FPU.Tag) }, func(c *cpu.CPU, v uint64) { c.FPU.Tag = uint8(v) })
	for i := range 8 { // the physical registers; MMi is the low part of the i-th
		all = append(all, register{fmt.Sprintf("fpr%d", i),
			func(c *cpu.CPU) Number {
				return Number{c.FPU.R[i].Significand, uint64(c.FPU.R[i].SignExponent), true}
			},
			func(c *cpu.CPU, n Number) { c.FPU.R[i] = cpu.ST{Significand: n.Lo, SignExponent: uint16(n.Hi)} }})
	}
	return all
}

// touched lists the registers of a set, and the flags, by name with their
// present values.
func touched(c *cpu.CPU, s *decode.RegSet, flags uint32) map[string]Number {
	m := make(map[string]Number)
	put := func(name string) { m[name] = byName[name].get(c) }
	for i, b := range s.GPR {
		if b != 0 {
			put(gprNames[i])
		}
	}
	for i, b := range s.XMM {
		if b != 0 {
			put(fmt.Sprintf("xmm%d", i))
		}
	}
	if flags != 0 {
		m["rflags"] = N(c.RFLAGS() & uint64(flags))
	}
	if s.Sys&decode.SysMXCSR != 0 {
		put("mxcsr")
	}
	return m
}
