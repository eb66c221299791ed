package cpu

import "testing"

// TestRepeatedTraps: a step, or a data breakpoint, interrupts a repeated
// string instruction after the iteration it belongs to, with RF set until the
// last (SDM Vol. 3B, 17.3.1.1).
func TestRepeatedTraps(t *testing.T) {
	for _, c := range []struct {
		name string
		prep func(c *CPU)
		left []uint64 // RCX at each #DB
		rf   []bool
	}{
		{"single-step", func(c *CPU) { c.SetRFLAGS(FlagR1 | FlagTF) }, []uint64{3, 2, 1, 0}, []bool{true, true, true, false}},
		{"data breakpoint", func(c *CPU) { c.DR[0], c.DR[7] = 0x2002, 0x10402 }, []uint64{1}, []bool{true}},
		{"at the last", func(c *CPU) { c.DR[0], c.DR[7] = 0x2003, 0x10402 }, []uint64{0}, []bool{false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cpu := bareCPU(t, 0x1000, 0xf3, 0xaa, 0x90) // rep stosb
			cpu.R[RCX], cpu.R[RDI] = 4, 0x2000
			c.prep(cpu)
			cpu.Settle()
			var left []uint64
			var rf []bool
			cpu.SetHooks(Hooks{Catch: func(e Exception) bool {
				if e.Vector != VectorDB {
					t.Errorf("%v at %#x", e, cpu.RIP)
				}
				left, rf = append(left, cpu.R[RCX]), append(rf, cpu.RFLAGS()&FlagRF != 0)
				return true
			}})
			for cpu.RIP == 0x1000 && cpu.Count < 20 {
				cpu.Run(20)
			}
			if len(left) != len(c.left) {
				t.Fatalf("left at each #DB: %v, want %v", left, c.left)
			}
			for i := range left {
				if left[i] != c.left[i] || rf[i] != c.rf[i] {
					t.Errorf("#DB %d: %d left, RF %v; want %d, %v", i, left[i], rf[i], c.left[i], c.rf[i])
				}
			}
		})
	}
}

// TestInstructionBreakpoint: it comes before the instruction, and the flags it
// saves have RF as it was.
func TestInstructionBreakpoint(t *testing.T) {
	cpu := bareCPU(t, 0x1000, 0x90, 0x90)
	cpu.DR[0], cpu.DR[7] = 0x1001, 0x402
	cpu.R[RSP] = 0x8000
	cpu.Settle()
	cpu.SetHooks(Hooks{Exception: func(Exception) { cpu.SetHooks(Hooks{}) }})
	cpu.Run(2)
	if ip := cpu.MMU.Mem.Read(0x7ffa, 2); ip != 0x1001 {
		t.Errorf("return address %#x, want 0x1001", ip)
	}
	if e := (Exception{Vector: VectorDB, Kind: EventHardware}); e.setsRF() {
		t.Error("the handler of a breakpoint decides about RF itself")
	}
}
