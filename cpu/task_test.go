package cpu

import "testing"

// Selectors and places of the machine of task tests: 32-bit protected mode,
// flat segments.
const (
	taskGDT  = 0x40000
	taskIDT0 = 0x41000
	tssA     = 0x43000
	tssB     = 0x43100
	tssC16   = 0x43200

	selCode  = 0x08
	selData  = 0x10
	selA     = 0x18
	selB     = 0x20
	selC     = 0x28 // 16-bit
	selGate  = 0x30 // task gate to B
	selCode3 = 0x38
	selData3 = 0x40
	selLDT   = 0x48
	selSmall = 0x50 // a TSS that is too small
)

// newTaskCPU is in task A, at 10000h; task B begins at 20000h.
func newTaskCPU(t *testing.T, code []byte) *CPU {
	t.Helper()
	c := newTestCPU(t, code)
	c.CR0 = CR0PE | CR0NE | CR0ET
	c.CR4, c.CR3, c.MSR.EFER = 0, 0, 0
	mem := c.MMU.Mem
	desc := func(sel int, v uint64) { mem.Write(taskGDT+uint64(sel), 8, v) }
	tss := func(sel int, base uint64, typ, limit uint64) { desc(sel, base<<16|typ<<40|limit) }
	desc(selCode, 0x00cf9b000000ffff)
	desc(selData, 0x00cf93000000ffff)
	desc(selCode3, 0x00cffb000000ffff)
	desc(selData3, 0x00cff3000000ffff)
	tss(selA, tssA, 0x8b, 0x67)
	tss(selB, tssB, 0x89, 0x67)
	tss(selC, tssC16, 0x81, 0x2b)
	tss(selSmall, tssB, 0x89, 0x66)
	desc(selGate, selB<<16|0x85<<40)
	desc(selLDT, taskGDT<<16|0x82<<40|0xff)
	c.GDTR = Table{taskGDT, 0xff}
	c.IDTR = Table{taskIDT0, 0x7ff}
	for v := range uint64(256) {
		mem.Write(taskIDT0+8*v, 8, 0xa000|8<<16|0x8e<<40|uint64(4)<<48) // 4a000h
	}
	mem.Write(0x4a000, 1, 0xf4)
	c.Seg[CS] = flatCode(selCode, 0, false)
	for _, i := range [...]int{ES, SS, DS, FS, GS} {
		c.Seg[i] = flatData(selData, 0)
	}
	c.Seg[TR] = Segment{Selector: selA, Base: tssA, Limit: 0x67, Attr: 0x8b}
	c.Seg[LDTR] = Segment{Attr: AttrUnusable}

	put := func(offset uint64, v uint32) { mem.Write(tssB+offset, 4, uint64(v)) }
	put(32, 0x20000)
	put(36, FlagR1|FlagCF)
	for i := range uint64(8) {
		put(40+4*i, 0x100+uint32(i))
	}
	put(56, 0x70000)
	for i, s := range [...]uint32{selData, selCode, selData, selData, selData, 0} {
		put(72+4*uint64(i), s)
	}
	put(96, selLDT)
	put16 := func(offset uint64, v uint16) { mem.Write(tssC16+offset, 2, uint64(v)) }
	put16(14, 0xb000)
	put16(16, FlagR1)
	put16(26, 0x7000)
	for i, s := range [...]uint16{selData, selCode, selData, selData} {
		put16(34+2*uint64(i), s)
	}
	mem.Write(0x20000, 1, 0xf4)
	mem.Write(0xb000, 1, 0xf4)
	c.Settle()
	return c
}

func busy(c *CPU, sel uint64) bool { return c.MMU.Mem.Read(taskGDT+sel+5, 1)&2 != 0 }

var (
	jmpB    = []byte{0xea, 0, 0, 0, 0, selB, 0}
	callB   = []byte{0x9a, 0, 0, 0, 0, selB, 0}
	jmpGate = []byte{0xea, 0, 0, 0, 0, selGate, 0}
	callC   = []byte{0x9a, 0, 0, 0, 0, selC, 0}
)

// TestTaskSwitch: what a switch saves, loads and marks, by its source (SDM
// Vol. 3A, 7.3 and table 7-2).
func TestTaskSwitch(t *testing.T) {
	gate := func(v uint64) func(c *CPU) {
		return func(c *CPU) { c.MMU.Mem.Write(taskIDT0+8*v, 8, selB<<16|0x85<<40) }
	}
	none := func(*CPU) {}
	for _, r := range []struct {
		name     string
		code     []byte
		setUp    func(c *CPU)
		link, nt bool   // A is linked to and stays busy
		eip      uint32 // saved
		esp      uint64
		code8    bool // an error code is pushed
	}{
		{"jmp", jmpB, none, false, false, 0x10007, 0x70000, false},
		{"jmp through a gate", jmpGate, none, false, false, 0x10007, 0x70000, false},
		{"call", callB, none, true, true, 0x10007, 0x70000, false},
		{"int 80h", []byte{0xcd, 0x80}, gate(0x80), true, true, 0x10002, 0x70000, false},
		{"#UD", []byte{0x0f, 0x0b}, gate(VectorUD), true, true, 0x10000, 0x70000, false},
		{"#GP", []byte{0x8e, 0xd8}, func(c *CPU) { gate(VectorGP)(c); c.R[RAX] = 0x58 }, true, true, 0x10000, 0x6fffc, true},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := newTaskCPU(t, r.code)
			c.R[RBX], c.R[RSP] = 0xabcd, 0x60000
			c.DR[7] = 0x400 | 0xff
			c.DR[0], c.DR[1], c.DR[2], c.DR[3] = 1, 1, 1, 1
			r.setUp(c)
			c.Settle()
			if s := c.Run(10); s != StopHalted || c.RIP != 0x20001 {
				t.Fatalf("%v at %#x (%v)", s, c.RIP, c.Err())
			}
			mem := c.MMU.Mem
			read := func(a uint64) uint32 { return uint32(mem.Read(a, 4)) }
			if read(tssA+32) != r.eip || read(tssA+40+4*RBX) != 0xabcd || read(tssA+40+4*RSP) != 0x60000 || read(tssA+76) != selCode {
				t.Errorf("saved eip %#x, ebx %#x, esp %#x, cs %#x", read(tssA+32), read(tssA+40+4*RBX), read(tssA+40+4*RSP), read(tssA+76))
			}
			if busy(c, selA) != r.link || !busy(c, selB) || (read(tssB)&0xffff == selA) != r.link {
				t.Errorf("busy A %v, B %v, link %#x", busy(c, selA), busy(c, selB), read(tssB))
			}
			if nt := c.rflags&FlagNT != 0; nt != r.nt || !c.cf() || c.CR0&CR0TS == 0 {
				t.Errorf("NT %v, flags %#x, CR0 %#x", nt, c.flags(), c.CR0)
			}
			if c.R[RAX] != 0x100 || c.R[RDI] != 0x107 || c.R[RSP] != r.esp || c.Seg[TR].Selector != selB || c.Seg[LDTR].Selector != selLDT || c.Seg[GS].Attr&AttrUnusable == 0 {
				t.Errorf("eax %#x, edi %#x, esp %#x, tr %+v, ldtr %+v", c.R[RAX], c.R[RDI], c.R[RSP], c.Seg[TR], c.Seg[LDTR])
			}
			if r.code8 && read(0x6fffc) != 0x58 {
				t.Errorf("error code %#x", read(0x6fffc))
			}
			if c.DR[7] != 0x400|0xaa {
				t.Errorf("dr7 %#x", c.DR[7])
			}
		})
	}
}

// TestTaskReturn: CALL to a task of 16 bits and of 32, and IRET back.
func TestTaskReturn(t *testing.T) {
	for _, r := range []struct {
		name string
		call []byte
		at   uint64
		iret []byte
		sel  uint64
	}{
		{"32-bit", callB, 0x20000, []byte{0xcf}, selB},
		{"16-bit", callC, 0xb000, []byte{0xcf}, selC},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := newTaskCPU(t, code(r.call, codeHLT))
			c.MMU.Mem.WriteBytes(r.at, r.iret)
			c.R[RBP] = 0x1234
			if s := c.Run(10); s != StopHalted || c.RIP != 0x10008 {
				t.Fatalf("%v at %#x (%v)", s, c.RIP, c.Err())
			}
			if busy(c, r.sel) || !busy(c, selA) || c.Seg[TR].Selector != selA || c.R[RBP] != 0x1234 || c.rflags&FlagNT != 0 {
				t.Errorf("tr %#x, ebp %#x, flags %#x", c.Seg[TR].Selector, c.R[RBP], c.flags())
			}
		})
	}
}

// TestTaskFaults: faults before the switch are the old task's, those after
// it the new one's (SDM Vol. 3A, tables 7-1 and 6-7).
func TestTaskFaults(t *testing.T) {
	tss := func(offset, v uint64) func(c *CPU) {
		return func(c *CPU) { c.MMU.Mem.Write(tssB+offset, 4, v) }
	}
	desc := func(sel, byte5 uint64) func(c *CPU) {
		return func(c *CPU) { c.MMU.Mem.Write(taskGDT+sel+5, 1, byte5) }
	}
	none := func(*CPU) {}
	for _, r := range []struct {
		name   string
		code   []byte
		setUp  func(c *CPU)
		vector uint8
		errc   uint32
		in     uint16 // the task in which
	}{
		{"busy", jmpB, desc(selB, 0x8b), VectorGP, selB, selA},
		{"not present", jmpB, desc(selB, 0x09), VectorNP, selB, selA},
		{"too small", []byte{0xea, 0, 0, 0, 0, selSmall, 0}, none, VectorTS, selSmall, selA},
		{"gate not present", jmpGate, desc(selGate, 0x05), VectorNP, selGate, selA},
		{"gate to the LDT", jmpGate, func(c *CPU) { c.MMU.Mem.Write(taskGDT+selGate+2, 2, selB|4) }, VectorGP, selB | 4, selA},
		{"iret to a task that is not busy", []byte{0xcf}, func(c *CPU) { c.rflags |= FlagNT; c.MMU.Mem.Write(tssA, 2, selB) }, VectorTS, selB, selA},
		{"CS null", jmpB, tss(76, 0), VectorTS, 0, selB},
		{"CS is data", jmpB, tss(76, selData), VectorTS, selData, selB},
		{"CS not present", jmpB, func(c *CPU) { tss(76, selCode3|3)(c); tss(80, selData3|3)(c); desc(selCode3, 0x7b)(c) }, VectorNP, selCode3, selB},
		{"SS is code", jmpB, tss(80, selCode), VectorTS, selCode, selB},
		{"SS of another level", jmpB, tss(80, selData3), VectorTS, selData3, selB},
		{"DS out of the table", jmpB, tss(84, 0x100), VectorTS, 0x100, selB},
		{"LDT is none", jmpB, tss(96, selData), VectorTS, selData, selB},
		{"EIP out of CS", jmpB, func(c *CPU) { c.MMU.Mem.Write(taskGDT+selCode, 8, 0x00409b000000ffff); tss(32, 0x10000)(c) }, VectorGP, 0, selB},
		{"T flag", jmpB, tss(100, 1), VectorDB, 0, selB},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := newTaskCPU(t, r.code)
			r.setUp(c)
			c.Settle()
			var got []Exception
			var in uint16
			c.Hooks.Catch = func(e Exception) bool {
				got, in = append(got, e), c.Seg[TR].Selector
				return true
			}
			c.Run(10)
			if len(got) != 1 || got[0].Vector != r.vector || got[0].Code != r.errc || in != r.in {
				t.Errorf("%v in task %#x", got, in)
			}
		})
	}
}

// TestTaskSwitchExits: in VMX non-root operation a task switch exits after
// its checks (SDM Vol. 3C, 26.4.2 and table 28-2).
func TestTaskSwitchExits(t *testing.T) {
	for _, r := range []struct {
		name   string
		code   []byte
		change change
		qual   uint64
		vector uint64 // IDT-vectoring information
		length uint64
		flags  uint64
	}{
		{"call", callB, all(), selB, 0, 7, 0},
		{"jmp through a gate", jmpGate, all(), selB | uint64(taskJump)<<30, 0, 7, 0},
		{"iret", []byte{0xcf}, all(or(vmGuestRFLAGS, FlagNT), func(vm *testVM) {
			vm.MMU.Mem.Write(tssA, 2, selB)
			vm.MMU.Mem.Write(taskGDT+selB+5, 1, 0x8b)
		}), selB | uint64(taskIRET)<<30, 0, 1, 0},
		{"int 80h", []byte{0xcd, 0x80}, all(), selB | uint64(taskIDT)<<30, infoValid | event(EventSoftware, 0x80), 2, 0},
		{"#UD", []byte{0x0f, 0x0b}, all(), selB | uint64(taskIDT)<<30, infoValid | event(EventHardware, VectorUD), 0, FlagRF},
		{"injected #GP", []byte{0x90}, inject(event(EventHardware, VectorGP) | infoCode), selB | uint64(taskIDT)<<30, infoValid | infoCode | event(EventHardware, VectorGP), 0, 0},
	} {
		t.Run(r.name, func(t *testing.T) {
			tasks := newTaskCPU(t, nil)
			vm := newTestVM(t, r.code)
			tables := make([]byte, 0x4000)
			vm.must(tasks.MMU.Mem.ReadBytes(taskGDT, tables))
			vm.write(taskGDT, tables...)
			for v := range uint64(256) {
				vm.write64(taskIDT0+8*v, selB<<16|0x85<<40)
			}
			unpaged(vm)
			vm.segment(CS, Segment{Selector: selCode, Limit: 0xffffffff, Attr: 0xc09b})
			vm.segment(TR, Segment{Selector: selA, Base: tssA, Limit: 0x67, Attr: 0x8b})
			r.change(vm)
			vm.launch()
			vm.exited(ExitTaskSwitch)
			vm.field(vmQualification, r.qual)
			vm.field(vmVectoringInfo, r.vector)
			vm.field(vmGuestRIP, testGuestCode)
			vm.field(vmGuestRFLAGS, vm.get(vmGuestRFLAGS)&^FlagRF|r.flags)
			if r.length != 0 {
				vm.field(vmExitLength, r.length)
			}
			if got := vm.MMU.Mem.Read(tssA+32, 4); got != 0 {
				t.Errorf("the old task was saved: eip %#x", got)
			}
		})
	}
}
