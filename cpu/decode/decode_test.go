package decode

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// describe prints what the rules of encoding decide, in a line.
func describe(in *Inst) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v op%d addr%d", in, 8*int(in.OpSize), 8*int(in.AddrSize))
	return b.String()
}

// TestRules pins the rules that cross the tables: prefixes, sizes, modes.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		mode Mode
		code string
		want string // or an error
	}{
		// Sizes by mode, prefix and REX.W (SDM Vol. 1, tables 3-3 and 3-4).
		{Mode16, "01 d8", "add ax, bx op16 addr16"},
		{Mode16, "66 01 d8", "add eax, ebx op32 addr16"},
		{Mode32, "01 d8", "add eax, ebx op32 addr32"},
		{Mode32, "66 01 d8", "add ax, bx op16 addr32"},
		{Mode64, "01 d8", "add eax, ebx op32 addr64"},
		{Mode64, "66 01 d8", "add ax, bx op16 addr64"},
		{Mode64, "48 01 d8", "add rax, rbx op64 addr64"},
		{Mode64, "66 48 01 d8", "add rax, rbx op64 addr64"},
		{Mode64, "67 8b 03", "mov eax, dword ptr [ebx] op32 addr32"},
		{Mode32, "67 8b 07", "mov eax, dword ptr [bx] op32 addr16"},
		{Mode16, "67 8b 03", "mov ax, word ptr [ebx] op16 addr32"},

		// Defaults of 64 bits in 64-bit mode (Vol. 2D, superscripts d64 and f64).
		{Mode64, "50", "push rax op64 addr64"},
		{Mode64, "66 50", "push ax op16 addr64"},
		{Mode32, "50", "push eax op32 addr32"},
		{Mode64, "66 e8 00 00 00 00", "call .+0x6 op64 addr64"},
		{Mode32, "66 e8 00 00", "call .+0x4 op16 addr32"},
		{Mode64, "66 c3", "ret op64 addr64"},
		{Mode64, "cb", "retf op32 addr64"},
		{Mode64, "48 cf", "iretq op64 addr64"},
		{Mode64, "48 e7 80", "out 0x80, eax op64 addr64"},
		{Mode64, "0f 22 c0", "mov cr0, rax op64 addr64"},
		{Mode32, "0f 22 c0", "mov cr0, eax op32 addr32"},
		{Mode64, "66 48 98", "cdqe op64 addr64"},
		{Mode64, "67 e3 00", "jecxz .+0x3 op64 addr32"},

		// A REX prefix counts right before the opcode only.
		{Mode64, "48 66 01 d8", "add ax, bx op16 addr64"},
		{Mode64, "41 48 01 d8", "add rax, rbx op64 addr64"},
		{Mode32, "48", "dec eax op32 addr32"},

		// Byte registers with and without REX.
		{Mode64, "88 e5", "mov ch, ah op32 addr64"},
		{Mode64, "40 88 e5", "mov bpl, spl op32 addr64"},
		{Mode64, "41 b4 01", "mov r12b, 0x1 op32 addr64"},

		// Segment overrides: the last one, but in 64-bit mode FS and GS only.
		{Mode64, "64 2e 8b 03", "mov eax, dword ptr fs:[rbx] op32 addr64"},
		{Mode64, "64 65 8b 03", "mov eax, dword ptr gs:[rbx] op32 addr64"},
		{Mode64, "3e 8b 45 00", "mov eax, dword ptr [rbp] op32 addr64"},
		{Mode32, "64 2e 8b 03", "mov eax, dword ptr cs:[ebx] op32 addr32"},
		{Mode32, "3e 8b 45 00", "mov eax, dword ptr ds:[ebp] op32 addr32"},

		// Of F2 and F3 the last counts, and both before 66.
		{Mode64, "f2 f3 0f 58 c1", "addss xmm0, xmm1 op32 addr64"},
		{Mode64, "f3 f2 0f 58 c1", "addsd xmm0, xmm1 op32 addr64"},
		{Mode64, "f2 66 0f 58 c1", "addsd xmm0, xmm1 op32 addr64"},
		{Mode64, "f3 f2 a4", "rep movsb op8 addr64"},
		{Mode64, "66 f2 0f 38 f1 c1", "crc32 eax, cx op16 addr64"},

		// Addresses.
		{Mode64, "8b 05 10 00 00 00", "mov eax, dword ptr [rip+0x10] op32 addr64"},
		{Mode64, "67 8b 05 10 00 00 00", "mov eax, dword ptr [eip+0x10] op32 addr32"},
		{Mode32, "8b 05 10 00 00 00", "mov eax, dword ptr [0x10] op32 addr32"},
		{Mode64, "8b 04 25 f0 ff ff ff", "mov eax, dword ptr [0xfffffffffffffff0] op32 addr64"},
		{Mode64, "8b 04 24", "mov eax, dword ptr [rsp] op32 addr64"},
		{Mode64, "42 8b 04 a4", "mov eax, dword ptr [rsp+r12*4] op32 addr64"},
		{Mode64, "41 8b 04 24", "mov eax, dword ptr [r12] op32 addr64"},
		{Mode64, "41 8b 45 00", "mov eax, dword ptr [r13] op32 addr64"},
		{Mode16, "8b 42 fe", "mov ax, word ptr [bp+si-0x2] op16 addr16"},
		{Mode16, "8b 06 34 12", "mov ax, word ptr [0x1234] op16 addr16"},
		{Mode64, "48 a1 88 77 66 55 44 33 22 11", "mov rax, qword ptr [0x1122334455667788] op64 addr64"},
		{Mode64, "67 a0 88 77 66 55", "mov al, byte ptr [0x55667788] op32 addr32"},

		// Opcodes that depend on the mode or on other bits.
		{Mode64, "63 c3", "movsxd eax, ebx op32 addr64"},
		{Mode32, "63 c3", "arpl bx, ax op32 addr32"},
		{Mode64, "90", "nop op32 addr64"},
		{Mode64, "41 90", "xchg r8d, eax op32 addr64"},
		{Mode64, "f3 90", "pause op32 addr64"},
		{Mode64, "f3 41 90", "pause op32 addr64"},
		{Mode32, "62 00", "bound eax, qword ptr [eax] op32 addr32"},
		{Mode32, "c4 00", "les eax, fword ptr [eax] op32 addr32"},
		{Mode32, "c5 f8 58 c1", "vaddps xmm0, xmm0, xmm1 op32 addr32"},
		{Mode64, "c5 f8 58 c1", "vaddps xmm0, xmm0, xmm1 op32 addr64"},
		{Mode32, "82 c0 01", "add al, 0x1 op32 addr32"},
		{Mode64, "f6 c8 01", "test al, 0x1 op32 addr64"},
		{Mode64, "d0 f0", "shl al, 1 op32 addr64"},
		{Mode64, "0f 20 05", "mov rbp, cr0 op64 addr64"},
		{Mode64, "0f ae f0", "mfence op32 addr64"},
		{Mode64, "0f 01 f8", "swapgs op32 addr64"},

		// #UD by the encoding.
		{Mode64, "82 c0 01", "invalid"},
		{Mode64, "06", "invalid"},
		{Mode64, "9a 00 00 00 00 00 00", "invalid"},
		{Mode32, "0f 05", "invalid"},
		{Mode64, "8d c0", "invalid"},       // LEA of a register
		{Mode64, "8e c8", "invalid"},       // MOV CS
		{Mode64, "8e f8", "invalid"},       // segment register 7
		{Mode64, "0f 22 c8", "invalid"},    // CR1
		{Mode64, "44 0f 23 c0", "invalid"}, // DR8
		{Mode64, "f0 01 d8", "invalid"},    // LOCK with a register
		{Mode64, "f0 8b 03", "invalid"},    // LOCK of a load
		{Mode64, "f0 39 03", "invalid"},    // LOCK CMP
		{Mode64, "f0 01 03", "lock add dword ptr [rbx], eax op32 addr64"},
		{Mode64, "66 c5 f8 58 c1", "invalid"},                // 66 before VEX
		{Mode64, "40 c5 f8 58 c1", "invalid"},                // REX before VEX
		{Mode64, "c5 f0 51 c1", "invalid"},                   // vvvv where there is no operand
		{Mode64, "c4 e2 71 90 04 05 00 00 00 00", "invalid"}, // gather into its own index
		{Mode64, "8f c8", "invalid"},
		{Mode64, "ff f8", "invalid"},
		{Mode64, "0f 0f c0 0d", "invalid"},

		// Too long, too short.
		{Mode64, strings.Repeat("66", 13) + "01 d8", "add ax, bx op16 addr64"},
		{Mode64, strings.Repeat("66", 14) + "01 d8", "too long"},
		{Mode64, strings.Repeat("66", 15), "too long"},
		{Mode64, strings.Repeat("66", 14), "truncated"},
		{Mode64, "", "truncated"},
		{Mode64, "48 b8 01", "truncated"},
	} {
		in, err := Decode(unhex(t, c.code), c.mode)
		got := map[error]string{ErrInvalid: "invalid", ErrTooLong: "too long", ErrTruncated: "truncated"}[err]
		if err == nil {
			got = describe(&in)
		}
		if got != c.want {
			t.Errorf("%d-bit %s: %s, want %s", 8*c.mode, c.code, got, c.want)
		}
	}
}

// TestInst pins every field of some instructions.
func TestInst(t *testing.T) {
	for _, c := range []struct {
		code string
		want Inst
	}{
		{"f0 66 44 0f b1 4c 8b fe", Inst{
			Op: CMPXCHG, Len: 8, Mode: Mode64, OpSize: 2, AddrSize: 8, Map: 1, Opcode: 0xB1, ModRM: 0x4C, HasModRM: true,
			Lock: true, OpPrefix: true, REX: 0x44,
			Args: [4]Arg{{Kind: KindMem, Size: 2, Access: Read | CondWrite}, {Kind: KindGPR, Reg: 9, Size: 2, Access: Read}},
			Mem:  Mem{Seg: DS, Base: 3, Index: 1, Scale: 4, Disp: -2},
		}},
		{"c8 34 12 05", Inst{
			Op: ENTER, Len: 4, Mode: Mode64, OpSize: 8, AddrSize: 8, Opcode: 0xC8,
			Args: [4]Arg{{Kind: KindImm, Size: 2, Access: Read}, {Kind: KindImm2, Size: 1, Access: Read}},
			Imm:  0x1234, Imm2: 5,
		}},
		{"0f 84 fe ff ff ff", Inst{
			Op: JCC, Cond: 4, Len: 6, Mode: Mode64, OpSize: 8, AddrSize: 8, Map: 1, Opcode: 0x84,
			Args: [4]Arg{{Kind: KindRel, Size: 4, Access: Read}}, Imm: -2,
		}},
		{"f3 a4", Inst{
			Op: MOVS, Len: 2, Mode: Mode64, OpSize: 1, AddrSize: 8, Opcode: 0xA4, Rep: RepZ,
			Args: [4]Arg{{Kind: KindStrDst, Size: 1, Access: Write}, {Kind: KindStrSrc, Size: 1, Access: Read}},
			Mem:  Mem{Seg: DS, Base: 6, Index: NoReg, Scale: 1},
		}},
		{"c4 e3 7d 4a d1 30", Inst{
			Op: VBLENDVPS, Len: 6, Mode: Mode64, OpSize: 4, AddrSize: 8, Map: 3, Opcode: 0x4A, ModRM: 0xD1, HasModRM: true,
			VEX: true, VexL: 1,
			Args: [4]Arg{
				{Kind: KindYMM, Reg: 2, Size: 32, Access: Write}, {Kind: KindYMM, Reg: 0, Size: 32, Access: Read},
				{Kind: KindYMM, Reg: 1, Size: 32, Access: Read}, {Kind: KindYMM, Reg: 3, Size: 32, Access: Read}},
		}},
	} {
		in, err := Decode(unhex(t, c.code), Mode64)
		if err != nil {
			t.Errorf("%s: %v", c.code, err)
		}
		if d := cmp.Diff(c.want, in); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.code, d)
		}
	}
}

// checkDecode checks what holds for all bytes: no more is looked at than
// the instruction is long, every shorter prefix is truncated, and nothing
// that is asked about the instruction panics.
func checkDecode(t *testing.T, code []byte, mode Mode) {
	in, err := Decode(code, mode)
	if in.Len > MaxLen || int(in.Len) > len(code) {
		t.Fatalf("%d-bit % x: length %d", 8*mode, code, in.Len)
	}
	for n := range int(in.Len) {
		if _, err := Decode(code[:n], mode); err != ErrTruncated {
			t.Fatalf("%d-bit % x: %v with %d of %d bytes", 8*mode, code, err, n, in.Len)
		}
	}
	if err == ErrTruncated || err == ErrTooLong {
		return
	}
	other := append([]byte(nil), code[:in.Len]...)
	for len(other) < MaxLen {
		other = append(other, 0xA5)
	}
	if again, errAgain := Decode(other, mode); again != in || errAgain != err {
		t.Fatalf("%d-bit % x: bytes after the instruction change it", 8*mode, code)
	}
	_ = in.String()
	_ = in.Text(0x1000, nil)
	_ = in.IsControl()
	if err != nil {
		return
	}
	Disassemble(code, mode, 0x1000, nil)
	var e Effects
	in.Effects(&e)
	explicit := 0
	for i := range in.Args {
		if a := &in.Args[i]; (a.Kind == KindMem && a.Access != 0 || a.Kind == KindStrSrc || a.Kind == KindStrDst) && in.Op != NOP {
			explicit++
		}
	}
	if e.NMem < explicit || (explicit > 0) != (explicit > 0 && (in.IsLoad() || in.IsStore())) {
		t.Fatalf("%d-bit % x: %v: %d memory operands, but effects %+v", 8*mode, code, &in, explicit, e.Mem[:e.NMem])
	}
	if e.FlagsWritten&(e.FlagsUndefined|e.FlagsCond) != 0 {
		t.Fatalf("%d-bit % x: %v: flags %#x both written and not", 8*mode, code, &in, e.FlagsWritten&(e.FlagsUndefined|e.FlagsCond))
	}
}

func TestRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300000 {
		mode := []Mode{Mode16, Mode32, Mode64}[r.IntN(3)]
		checkDecode(t, randomCode(r, mode), mode)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"4801d8", "f30f58c1", "c5f858c1", "62f17c481000", "666666666666666666666666666690", "0f01c1", "c4e275924488f8"} {
		f.Add(unhex(f, s), uint8(8))
	}
	f.Fuzz(func(t *testing.T, code []byte, mode uint8) {
		checkDecode(t, code, []Mode{Mode16, Mode32, Mode64}[mode%3])
	})
}

// TestOpNames checks that the generated names are those of op.go.
func TestOpNames(t *testing.T) {
	for op, want := range map[Op]string{
		INVALID: "(invalid)", MOV: "mov", VFMADD231SD: "vfmadd231sd", AMD3DNOW: "(3dnow)", NumOps: "op?",
	} {
		if op.String() != want {
			t.Errorf("Op %d prints as %q, want %q", op, op, want)
		}
	}
	seen := map[string]Op{}
	for op := range NumOps {
		if was, dup := seen[op.String()]; dup {
			t.Errorf("operations %d and %d are both %q", was, op, op)
		}
		seen[op.String()] = op
	}
}

func BenchmarkDecode(b *testing.B) {
	var codes [][]byte
	for _, s := range []string{
		"4801d8", "488b05ffffff7f", "f30f58c1", "66410f6ec3", "c5f858c1", "0f85ffffffff",
		"8b442410", "e8ffffffff", "55", "c3", "4889e5", "83ec10",
	} {
		codes = append(codes, append(unhex(b, s), make([]byte, 10)...))
	}
	var in Inst
	i := 0
	for b.Loop() {
		if DecodeInto(&in, codes[i], Mode64) != nil {
			b.Fatal(codes[i])
		}
		if i++; i == len(codes) {
			i = 0
		}
	}
}
