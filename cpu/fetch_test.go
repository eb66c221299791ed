package cpu

import (
	"bytes"
	"testing"

	"github.com/flipvisor/flipvisor/mmu"
)

// bareCPU gives a processor in real-address mode about to execute code.
func bareCPU(t *testing.T, at uint64, code ...byte) *CPU {
	t.Helper()
	mem := mmu.NewMemory(1 << 20)
	if err := mem.WriteBytes(at, code); err != nil {
		t.Fatal(err)
	}
	c := New(mmu.New(mem), DefaultModel())
	c.Seg[CS].Base, c.RIP = 0, at
	c.Settle()
	return c
}

// TestFetchFaults: what cannot be fetched or decoded raises #GP with an error
// code of 0, not without one (SDM Vol. 3A, 6.15).
func TestFetchFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		code []byte
		at   uint64
		want Exception
	}{
		{"16 bytes", append(bytes.Repeat([]byte{0x66}, 15), 0x90), 0x1000, Exception{Vector: VectorGP, HasCode: true}},
		{"beyond the segment", []byte{0x90}, 0x10000, Exception{Vector: VectorGP, HasCode: true}},
		{"its end beyond the segment", []byte{0xb8, 0, 0}, 0xfffe, Exception{Vector: VectorGP, HasCode: true}},
		{"reserved", []byte{0x0f, 0xff, 0xff}, 0x1000, Exception{Vector: VectorUD}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cpu := bareCPU(t, c.at, c.code...)
			var got Exception
			cpu.SetHooks(Hooks{Catch: func(e Exception) bool { got = e; return true }})
			if stop := cpu.Run(1); stop != StopCaught {
				t.Fatalf("stopped by %v", stop)
			}
			if got.Vector != c.want.Vector || got.HasCode != c.want.HasCode || got.Code != 0 {
				t.Errorf("got %v, with error code %v; want %v, %v", got, got.HasCode, c.want, c.want.HasCode)
			}
		})
	}
}
