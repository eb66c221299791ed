package cpu

import (
	"testing"

	"github.com/flipvisor/flipvisor/mmu"
)

// newTestCPU makes a processor in 64-bit mode at CPL 0 with a flat identity
// map of 1 GiB pages, code at 0x10000.
func newTestCPU(tb testing.TB, code []byte) *CPU {
	tb.Helper()
	mem := mmu.NewMemory(16 << 20)
	c := New(mmu.New(mem), DefaultModel())
	mem.Write(0x1000, 8, 0x2003|4)
	for i := range uint64(4) {
		mem.Write(0x2000+8*i, 8, i<<30|0x87)
	}
	if err := mem.WriteBytes(0x10000, code); err != nil {
		tb.Fatal(err)
	}
	c.CR3 = 0x1000
	c.CR4 = CR4PAE | CR4OSFXSR | CR4OSXMMEXCPT
	c.MSR.EFER = EFERLME | EFERLMA | EFERSCE | EFERNXE
	c.CR0 = CR0PE | CR0PG | CR0NE | CR0ET | CR0WP
	c.Seg[CS] = flatCode(8, 0, true)
	c.Seg[SS] = flatData(16, 0)
	c.RIP = 0x10000
	c.R[RSP] = 0x80000
	c.Settle()
	return c
}

// hotLoop is an integer loop of seven instructions:
//
//	10000: 48 01 d8        add rax, rbx
//	10003: 48 31 c3        xor rbx, rax
//	10006: 48 8d 54 13 07  lea rdx, [rbx+rdx+7]
//	1000b: 48 c1 ea 03     shr rdx, 3
//	1000f: 48 ff c9        dec rcx
//	10012: 48 85 c9        test rcx, rcx
//	10015: 75 e9           jnz 10000
//	10017: f4              hlt
var hotLoop = []byte{
	0x48, 0x01, 0xd8, 0x48, 0x31, 0xc3, 0x48, 0x8d, 0x54, 0x13, 0x07, 0x48, 0xc1, 0xea, 0x03,
	0x48, 0xff, 0xc9, 0x48, 0x85, 0xc9, 0x75, 0xe9, 0xf4,
}

func BenchmarkHotLoop(b *testing.B) {
	c := newTestCPU(b, hotLoop)
	c.R[RCX] = 1 << 62
	c.Run(1000)
	b.ResetTimer()
	start := c.Count
	c.Run(start + uint64(b.N))
	b.ReportMetric(float64(c.Count-start)/b.Elapsed().Seconds()/1e6, "MIPS")
}

func TestHotLoop(t *testing.T) {
	c := newTestCPU(t, hotLoop)
	c.R[RAX], c.R[RBX], c.R[RDX], c.R[RCX] = 1, 2, 3, 1000
	a, b, d := uint64(1), uint64(2), uint64(3)
	for range 1000 {
		a += b
		b ^= a
		d = (b + d + 7) >> 3
	}
	if s := c.Run(1 << 20); s != StopHalted {
		t.Fatalf("stopped: %v %v at %#x", s, c.Err(), c.RIP)
	}
	if c.R[RAX] != a || c.R[RBX] != b || c.R[RDX] != d || c.R[RCX] != 0 {
		t.Errorf("rax %#x rbx %#x rdx %#x rcx %#x", c.R[RAX], c.R[RBX], c.R[RDX], c.R[RCX])
	}
	if want := uint64(7001); c.Count != want || c.Retired() != want {
		t.Errorf("count %d, retired %d, want %d", c.Count, c.Retired(), want)
	}
}
