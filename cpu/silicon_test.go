package cpu_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/flipvisor/flipvisor/machine/exec"
)

// TestSilicon pins what Intel's processors do where manuals are silent, vague,
// or read once too few. Each was found by the differential test (difftest) and
// is here as its smallest case. In the area at 10000H all bytes are 0; a page
// of nothing follows it.
func TestSilicon(t *testing.T) {
	type regs = map[string]uint64
	for _, c := range []struct {
		name string
		mode int
		code string
		regs regs
		want regs   // after it
		stop string // how it ends, if not by HLT
		mem  string // what is at 10000H after it
	}{{
		name: "the permission of INS is checked for a count of zero too",
		code: "f36c", regs: regs{"rcx": 0}, stop: "#13",
	}, {
		name: "67 REP MOVSB clears upper halves for a count of zero too",
		code: "67f3a4", regs: regs{"rcx": 1 << 32, "rsi": 1<<32 + 5, "rdi": 1<<32 + 6},
		want: regs{"rcx": 0, "rsi": 5, "rdi": 6},
	}, {
		name: "67 REP LODSB clears that of RCX only",
		code: "67f3ac", regs: regs{"rcx": 1 << 32, "rsi": 1<<32 + 5},
		want: regs{"rcx": 0, "rsi": 1<<32 + 5},
	}, {
		name: "a fault in REPE CMPSB restores the flags",
		code: "f3a6", regs: regs{"rcx": 9, "rsi": 0x10000, "rdi": 0x10ffe, "rflags": 0x8d3},
		want: regs{"rcx": 7, "rsi": 0x10002, "rdi": 0x11000, "rflags": 0x8d3}, stop: "#14 at 0x11000",
	}, {
		name: "CMPSB reads its second operand first",
		code: "a6", regs: regs{"rsi": 0x20000, "rdi": 0x30000}, stop: "#14 at 0x30000",
	}, {
		name: "an MMX instruction that faults on its operand does not enter MMX use",
		code: "0ffc0425 00200000", regs: regs{"fsw": 0x3800, "ftw": 0x81},
		want: regs{"fsw": 0x3800, "ftw": 0x81}, stop: "#14 at 0x2000",
	}, {
		name: "CVTPI2PS from memory does not either",
		code: "0f2a0425 00000100", regs: regs{"fsw": 0x3800, "ftw": 0x81, "mxcsr": 0x1f80},
		want: regs{"fsw": 0x3800, "ftw": 0x81},
	}, {
		name: "MOVUPS is not subject to alignment checks",
		code: "0f100425 01000100", regs: regs{"rflags": 0x40002}, want: regs{"rflags": 0x40002},
	}, {
		name: "MOVUPS that reaches out of the canonical addresses",
		code: "0f1007", regs: regs{"rdi": 0x7ffffffffff8}, stop: "#13",
	}, {
		name: "a misaligned access that leaves the canonical addresses",
		code: "8b07", regs: regs{"rdi": 0x7fffffffffff, "rflags": 0x40002}, stop: "#17",
	}, {
		name: "MASKMOVDQU checks all of its operand, the upper half first",
		code: "660ff7c1", regs: regs{"rdi": 0x20000}, stop: "#14 at 0x20008",
	}, {
		name: "FXSAVE looks at its last byte first",
		code: "0fae07", regs: regs{"rdi": 0x20000}, stop: "#14 at 0x201ff",
	}, {
		name: "FXSAVE of a misaligned area",
		code: "0fae07", regs: regs{"rdi": 0x10004, "rflags": 0x40002}, stop: "#13",
	}, {
		name: "FXSAVE of one that alignment checks find",
		code: "0fae07", regs: regs{"rdi": 0x10002, "rflags": 0x40002}, stop: "#17",
	}, {
		name: "far RET reads CS first",
		code: "48cb", regs: regs{"rsp": 0x20000}, stop: "#14 at 0x20008",
	}, {
		name: "IRET reads the flags first",
		code: "48cf", regs: regs{"rsp": 0x20000}, stop: "#14 at 0x20010",
	}, {
		name: "CALL to nowhere has stored the return address",
		code: "ffd0", regs: regs{"rax": 1 << 63, "rsp": 0x10008}, want: regs{"rsp": 0x10008},
		stop: "#13", mem: "0200100000000000",
	}, {
		name: "PUSHA leaves what it stored before a fault", mode: 32,
		code: "60", regs: regs{"rax": 1, "rcx": 2, "rsp": 0x10008}, want: regs{"rsp": 0x10008},
		stop: "#14 at 0xfffc", mem: "0200000001000000",
	}, {
		name: "POPA leaves what it loaded before a fault", mode: 32,
		code: "61", regs: regs{"rsi": 5, "rdi": 6, "rbp": 7, "rsp": 0x10ff8},
		want: regs{"rsi": 0, "rdi": 0, "rbp": 7, "rsp": 0x10ff8}, stop: "#14 at 0x11000",
	}, {
		name: "a PUSH reads through CS", mode: 32,
		code: "2eff35 00000100", regs: regs{"rsp": 0x10010}, want: regs{"rsp": 0x1000c},
	}, {
		name: "ARPL that changes nothing only reads", mode: 32,
		code: "2e6305 00000100", regs: regs{"rax": 0}, want: regs{"rax": 0},
	}, {
		name: "REP STOSB that overwrites its own prefix",
		code: "f3aa", regs: regs{"rax": 0x90, "rcx": 9, "rdi": 0x100000}, want: regs{"rcx": 8, "rdi": 0x100002},
	}, {
		name: "an operand around the end of a flat segment", mode: 32,
		code: "a1 ffffffff", stop: "#14 at 0xffffffff",
	}, {
		name: "a far jump out of 64-bit mode cuts its target",
		code: "48ff2d 01000000 f4 0000108000000000 2300", stop: "#14 at 0x80100000",
	}, {
		name: "BOUND does not read the upper bound for an index below the lower one", mode: 32,
		code: "6207", regs: regs{"rdi": 0x10ffc, "rax": 0xffffffff}, stop: "#5",
	}} {
		k := exec.Case{
			Mode: c.mode, CPL: new(3), Code: c.code + "f4", At: exec.N(0x100000), Regs: map[string]exec.Number{"rflags": exec.N(2)},
			Memory: []exec.Region{{At: exec.N(0x10000), Size: 0x1000}},
		}
		for r, v := range c.regs {
			k.Regs[r] = exec.N(v)
		}
		b := exec.New()
		r, err := b.Run(&k)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		stop := r.Stop
		if r.Stop == "exception" {
			stop = fmt.Sprintf("#%d", *r.Vector)
			if r.CR2 != nil {
				stop += fmt.Sprintf(" at %#x", r.CR2.Lo)
			}
		}
		if c.stop == "" { // HLT, which is privileged
			c.stop = "#13"
			if r.Regs["rip"].Lo == 0x100000 {
				t.Errorf("%s: stopped at the instruction itself", c.name)
			}
		}
		if stop != c.stop {
			t.Errorf("%s: ended with %s, want %s", c.name, stop, c.stop)
		}
		got := regs{}
		for name := range c.want {
			got[name] = r.Regs[name].Lo
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: got %x, want %x", c.name, got, c.want)
		}
		if got := r.Memory[0].Hex[:len(c.mem)]; got != c.mem {
			t.Errorf("%s: memory is %s, want %s", c.name, got, c.mem)
		}
	}
}
