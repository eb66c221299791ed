package difftest

import (
	"fmt"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// A sequence gives the same outcome, at the same count, however it is run.
// Variants are the ways.
var variants = []struct {
	name string
	run  func(e *Emulator, k *Case) cpu.Stop
}{
	{"whole", func(e *Emulator, k *Case) cpu.Stop { return e.CPU.Run(e.CPU.Count + k.Limit) }},
	{"again, with the code decoded", (*Emulator).again},
	{"one at a time", func(e *Emulator, k *Case) cpu.Stop { return e.pieces(k, func(uint64) uint64 { return 1 }, nil) }},
	{"in pieces, without what is remembered of memory", (*Emulator).forgetful},
	{"watched", (*Emulator).watched},
}

// pieces runs in pieces of the lengths that n gives.
func (e *Emulator) pieces(k *Case, n func(i uint64) uint64, between func(i uint64)) cpu.Stop {
	c := e.CPU
	end := c.Count + k.Limit
	for i := uint64(0); ; i++ {
		stop := c.Run(min(c.Count+n(i), end))
		if stop != cpu.StopCount || c.Count >= end {
			return stop
		}
		if between != nil {
			between(i)
		}
	}
}

// again runs twice, the second time on decoded and linked blocks.
func (e *Emulator) again(k *Case) cpu.Stop {
	if k.Self { // its code would be another one
		return e.CPU.Run(e.CPU.Count + k.Limit)
	}
	e.CPU.Run(e.CPU.Count + k.Limit)
	e.caught = nil
	e.loadData(k)
	e.loadState(k)
	return e.CPU.Run(e.CPU.Count + k.Limit)
}

func (e *Emulator) forgetful(k *Case) cpu.Stop {
	return e.pieces(k, func(i uint64) uint64 { return 1 + (k.Seed>>(i%61))%5 }, func(i uint64) {
		if i%3 == 0 {
			e.unit.FlushFast()
		} else {
			e.unit.FlushAll(0, true)
		}
		if i%7 == 0 {
			e.CPU.Settle()
		}
	})
}

func (e *Emulator) watched(k *Case) cpu.Stop {
	h := e.CPU.Hooks
	h.Step = func(uint64, *decode.Inst) {}
	e.CPU.SetHooks(h)
	stop := e.CPU.Run(e.CPU.Count + k.Limit)
	h.Step = nil
	e.CPU.SetHooks(h)
	return stop
}

// RunAll runs a sequence in every way. It returns the outcome, and what
// differs between the ways.
func (e *Emulator) RunAll(k *Case, out *Outcome) (diff []string) {
	var other Outcome
	var count uint64
	for i := range variants {
		v := &variants[i]
		o := &other
		if i == 0 {
			o = out
		}
		e.Load(k)
		e.caught = nil
		stop := v.run(e, k)
		n := e.CPU.Retired()
		e.finish(k, stop, o)
		if i == 0 {
			count = n
			e.Executed += n
			continue
		}
		exact := *k
		exact.Marks = nil
		for _, d := range Compare(&exact, o, out) {
			diff = append(diff, v.name+": "+d)
		}
		if n != count {
			diff = append(diff, fmt.Sprintf("%s: %d instructions, want %d", v.name, n, count))
		}
	}
	return diff
}
