package decode

import (
	"flag"
	"math/rand/v2"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

var x86asmCases = flag.Int("x86asm", 300000, "random byte strings that TestX86asm tries")

// gapInX86asm says that x86asm v0.32 does not know the operation, or not all
// its encodings, or takes it for something else.
func gapInX86asm(in *Inst) bool {
	switch op := in.Op; op {
	case UD0, UD1, NOP, PREFETCH, PREFETCHWT1, PREFETCHIT0, PREFETCHIT1, CLDEMOTE,
		CLAC, STAC, SERIALIZE, RDSEED, RDPID, MOVDIRI, MOVDIR64B, PTWRITE, TPAUSE, UMONITOR, UMWAIT,
		GETSEC, ENCLS, ENCLU, PCONFIG, RDPKRU, WRPKRU, WRMSRNS, RDMSRLIST, WRMSRLIST, XSUSLDTRK, XRESLDTRK, HRESET, ENQCMD, ENQCMDS,
		UIRET, TESTUI, CLUI, STUI, SENDUIPI,
		VMCALL, VMLAUNCH, VMRESUME, VMXOFF, VMXON, VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, VMFUNC, INVEPT, INVVPID,
		WRSS, WRUSS, INCSSP, RDSSP, SAVEPREVSSP, RSTORSSP, SETSSBSY, CLRSSBSY, ENDBR32, ENDBR64, WBNOINVD,
		GF2P8AFFINEQB, GF2P8AFFINEINVQB, GF2P8MULB, ADCX, ADOX, XSAVEC, XSAVES, XRSTORS,
		MOVCR, MOVDR, // x86asm gives them a memory operand when ModRM.mod says so
		SALC, FNENI, FNDISI, FNSETPM, FFREEP:
		return true
	case FXCH, FSTP, FCOM, FCOMP, SHL, TEST, LFENCE, MFENCE, SFENCE: // aliases
		return true
	default:
		return in.VEX || in.EVEX ||
			op >= LOADIWKEY && op <= AESDECWIDE256KL || op >= SHA1RNDS4 && op <= SHA256MSG2 ||
			in.Map == 0 && in.Opcode == 0x82
	}
}

// strayREX says that a REX prefix is not the last prefix, which x86asm does
// not understand.
func strayREX(code []byte) bool {
	rex := false
	for _, b := range code {
		c := prefixClass[b]
		if c == notPrefix {
			return false
		}
		if rex {
			return true
		}
		rex = c == rexPrefix
	}
	return false
}

// TestX86asm compares lengths with golang.org/x/arch/x86/x86asm.
func TestX86asm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	agreed, failures := 0, 0
	fail := func(code []byte, in *Inst, format string, args ...any) {
		t.Errorf("%d-bit % x: %v, length %d; x86asm: "+format, append([]any{8 * in.Mode, code[:MaxLen], in, in.Len}, args...)...)
		if failures++; failures > 40 {
			t.FailNow()
		}
	}
	for range *x86asmCases {
		mode := []Mode{Mode16, Mode32, Mode64}[r.IntN(3)]
		code := randomCode(r, mode)
		in, err := Decode(code, mode)
		x, xerr := x86asm.Decode(code, 8*int(mode))
		switch {
		case err != nil: // x86asm judges less: LOCK, reserved registers, prefixes
		case gapInX86asm(&in), mode == Mode64 && strayREX(code):
		case xerr == nil && x.Op == 0: // a prefix it gives up on, as if it were an instruction
		case xerr != nil:
			fail(code, &in, "%v", xerr)
		case x.Len != int(in.Len):
			fail(code, &in, "%v, length %d", x, x.Len)
		default:
			agreed++
		}
	}
	t.Logf("%d of %d agreed", agreed, *x86asmCases)
	if agreed < *x86asmCases/4 {
		t.Error("too few cases were comparable")
	}
}
