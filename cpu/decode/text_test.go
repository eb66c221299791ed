package decode

import (
	"encoding/hex"
	"testing"
)

// TestText pins the text of one instruction of each shape, ours and, where
// it differs, what Disassemble takes from x86asm.
func TestText(t *testing.T) {
	symbols := func(addr uint64) (string, uint64) {
		if addr >= 0x1000 && addr < 0x1100 {
			return "exit_handler", 0x1000
		}
		return "", 0
	}
	for _, c := range []struct {
		mode        Mode
		code, want  string
		disassemble string
	}{
		{Mode64, "4801d8", "add rax, rbx", ""},
		{Mode64, "f0480fb10b", "lock cmpxchg qword ptr [rbx], rcx", ""},
		{Mode64, "488b0500000000", "mov rax, qword ptr [rip+0x0] ; exit_handler+0x7", ""},
		{Mode64, "88e0", "mov al, ah", ""},
		{Mode64, "4088e0", "mov al, spl", ""},
		{Mode64, "64488b042500000000", "mov rax, qword ptr fs:[0x0]", ""},
		{Mode64, "8b44cdf8", "mov eax, dword ptr [rbp+rcx*8-0x8]", "mov eax, dword ptr [rbp+8*rcx-0x8]"},
		{Mode64, "f348a5", "rep movsq", "rep movsq qword ptr [rdi], qword ptr [rsi]"},
		{Mode64, "f2ae", "repne scasb", "repne scasb byte ptr [rdi]"},
		{Mode64, "7410", "je exit_handler+0x12", ""},
		{Mode64, "e8fbffffff", "call exit_handler", ""},
		{Mode64, "4898", "cdqe", ""},
		{Mode64, "4863c3", "movsxd rax, ebx", ""},
		{Mode64, "c8100001", "enter 0x10, 0x1", ""},
		{Mode64, "d1e0", "shl eax, 1", "shl eax, 0x1"},
		{Mode64, "83c8ff", "or eax, 0xffffffff", "or eax, -0x1"},
		{Mode64, "4883c8ff", "or rax, -0x1", ""},
		{Mode64, "0f20c0", "mov rax, cr0", ""},
		{Mode64, "0f01c2", "vmlaunch", ""},
		{Mode64, "66480f7ec0", "movq rax, xmm0", ""},
		{Mode64, "c5f458c2", "vaddps ymm0, ymm1, ymm2", ""},
		{Mode64, "c4e275924488f8", "vgatherdps ymm0, dword ptr [rax+ymm1*4-0x8], ymm1", "(bad)"},
		{Mode64, "c4e26d924488f8", "vgatherdps ymm0, dword ptr [rax+ymm1*4-0x8], ymm2", ""},
		{Mode64, "f30f1efa", "endbr64", ""},
		{Mode64, "0fae38", "clflush [rax]", ""},
		{Mode64, "480fc70f", "cmpxchg16b xmmword ptr [rdi]", ""},
		{Mode64, "62f17c481000", "(evex)", ""},
		{Mode32, "8d4c2404", "lea ecx, [esp+0x4]", "lea ecx, ptr [esp+0x4]"},
		{Mode32, "ea0010000008" + "00", "jmp far 0x8:0x1000", ""},
		{Mode32, "678b4702", "mov eax, dword ptr [bx+0x2]", ""},
		{Mode32, "60", "pushad", ""},
		{Mode16, "8b07", "mov ax, word ptr [bx]", ""},
		{Mode16, "668b07", "mov eax, dword ptr [bx]", ""},
	} {
		b, err := hex.DecodeString(c.code)
		if err != nil {
			t.Fatal(err)
		}
		in, err := Decode(b, c.mode)
		if got := in.Text(0x1000, symbols); err == nil && got != c.want {
			t.Errorf("%s: Text = %q, want %q", c.code, got, c.want)
		}
		got, n := Disassemble(b, c.mode, 0x1000, symbols)
		if n != len(b) {
			t.Errorf("%s: length %d, want %d", c.code, n, len(b))
		}
		want := c.disassemble
		if want == "" {
			want = c.want
		}
		if got != want {
			t.Errorf("%s: Disassemble = %q, want %q", c.code, got, want)
		}
	}
}
