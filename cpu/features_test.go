package cpu

import (
	"testing"

	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/mmu"
)

// TestAbsentFeatures: an instruction whose feature the model does not have is
// #UD, or what its encoding was before there was the feature.
func TestAbsentFeatures(t *testing.T) {
	for _, c := range []struct {
		code string
		old  bool // also without the feature
	}{
		{code: "\x66\x0f\x7c\xc1"},                     // haddpd xmm0, xmm1
		{code: "\x0f\x38\x00\xc1"},                     // pshufb mm0, mm1
		{code: "\x66\x0f\x38\x40\xc1"},                 // pmulld xmm0, xmm1
		{code: "\x66\x0f\x3a\x15\xc0\x01"},             // pextrw eax, xmm0, 1
		{code: "\x66\x0f\xc5\xc0\x01", old: true},      // the same, as SSE2 has it
		{code: "\xf2\x0f\x38\xf0\xc1"},                 // crc32 eax, cl
		{code: "\xf3\x0f\xb8\xc1"},                     // popcnt eax, ecx
		{code: "\xc4\xe2\x70\xf2\xc2"},                 // andn eax, ecx, edx
		{code: "\x66\x0f\x38\xf6\xc1"},                 // adcx eax, ecx
		{code: "\xf3\x0f\xbd\xc1", old: true},          // lzcnt eax, ecx
		{code: "\x0f\xbd\xc1", old: true},              // bsr eax, ecx
		{code: "\x0f\x38\xf0\x04\x25\x00\x10\x00\x00"}, // movbe eax, [1000h]
	} {
		m := mmu.NewMemory(1 << 16)
		for _, with := range []bool{false, true} {
			model := DefaultModel()
			if !with {
				model.Features = 0
			}
			cpu := New(mmu.New(m), model)
			d, err := decode.Decode([]byte(c.code+"\x90\x90"), decode.Mode64)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := cpu.absent(&d), !with && !c.old; got != want {
				t.Errorf("%v: absent is %v, want %v, with all features: %v", d.Op, got, want, with)
			}
			if d.Op == decode.LZCNT && !with {
				t.Errorf("LZCNT is still itself without its feature")
			}
		}
	}
}
