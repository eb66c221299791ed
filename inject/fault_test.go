package inject

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/flipvisor/flipvisor/mmu"
)

// Each sentence is what a fault prints and what a campaign file may hold.
func TestFaultsRead(t *testing.T) {
	tests := []struct {
		text string
		want Fault
	}{
		{"flip bit 5 of register rax at instruction 123456 in root", Fault{
			Bits: Bits{5}, Target: RegisterTarget(RAX),
			Trigger: Trigger{Moment: AtInstruction, Count: 123456, Reason: AnyExit, Mode: Root},
		}},
		{"flip burst 4-7 of memory 0x104f20 at exit 12 of cpuid + 40", Fault{
			Kind: Burst, Bits: Bits{4, 5, 6, 7}, Target: MemoryTarget(0x104f20),
			Trigger: Trigger{Moment: AtExit, Count: 12, Reason: 10, Offset: 40},
		}},
		{"flip mask 3,17-18 of register cs.base at exit 2", Fault{
			Kind: RandomMask, Bits: Bits{3, 17, 18}, Target: RegisterTarget(CSBase),
			Trigger: Trigger{Moment: AtExit, Count: 2, Reason: AnyExit},
		}},
		{"stick at 1 bit 0 of vmcs guest_rip of vm 1 at phase vms-ready", Fault{
			Kind: StuckAt1, Bits: Bits{0}, Target: VMCSTarget(0x681e, 1),
			Trigger: Trigger{Moment: AtPhase, Count: 1, Reason: AnyExit, Phase: VMsReady},
		}},
		{"flip every 1000 bit 9 of cache l1d set 3 way 1 data at execution 2 of dispatch+0x10 in root", Fault{
			Kind: Intermittent, Period: 1000, Bits: Bits{9}, Target: CacheTarget(mmu.L1D, 3, 1, LineData),
			Trigger: Trigger{Moment: AtSymbol, Count: 2, Reason: AnyExit, Symbol: "dispatch", SymbolOffset: 0x10, Mode: Root},
		}},
		{"stick at 0 bit 27 of tlb 17 physical_page at write 3 of 0x2000 in vm 2", Fault{
			Kind: StuckAt0, Bits: Bits{27}, Target: TLBTarget(17, mmu.TLBPhysicalPage),
			Trigger: Trigger{Moment: AtAccess, Count: 3, Reason: AnyExit, Access: WriteAccess, Address: 0x2000, Mode: Mode{OneVM, 2}},
		}},
		{"flip bit 0 of instruction at phase vm-start 3 + 7 in guest", Fault{
			Bits: Bits{0}, Target: InstructionTarget(),
			Trigger: Trigger{Moment: AtPhase, Count: 3, Reason: AnyExit, Phase: VMStart, Offset: 7, Mode: Mode{Kind: GuestMode}},
		}},
		{"flip nothing at instruction 0", Fault{
			Kind: Null, Trigger: Trigger{Reason: AnyExit},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := ParseFault(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("parsed differently (-want +got):\n%s", d)
			}
			if s := tt.want.String(); s != tt.text {
				t.Errorf("prints %q", s)
			}
		})
	}
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	tests := []struct{ text, want string }{
		{"flip bit 5 of register rbq at instruction 1", `unknown register "rbq"; did you mean "rbp"?`},
		{"flip bit 5 of register rax", "ends too early"},
		{"flip bit 64 of register rax at instruction 1", "register rax has no storage for bit 64"},
		{"flip bit 1 of register rflags at instruction 1", "register rflags has no storage for bit 1"},
		{"flip bit 5,6 of register rax at instruction 1", "a transient fault flips one bit"},
		{"flip burst 5,7 of register rax at instruction 1", "not adjacent"},
		{"flip bit x of register rax at instruction 1", `"x" is not a bit number`},
		{"flip mask 7,5 of register rax at instruction 1", "not in ascending order"},
		{"flip mask 7-5 of register rax at instruction 1", "runs backwards"},
		{"flip bit 99999 of memory 0x0 at instruction 1", "not a bit number"},
		{"flip bit 40000 of memory 0x0 at instruction 1", "beyond the largest target"},
		{"flip every 0 bit 5 of register rax at instruction 1", "period"},
		{"stick at 2 bit 5 of register rax at instruction 1", "stick at 0 or at 1"},
		{"flop bit 5 of register rax at instruction 1", "begins with flip or stick"},
		{"flip bit 5 of vmcs gest_rip of vm 0 at instruction 1", `did you mean "guest_rip"?`},
		{"flip bit 5 of nothing at instruction 1", "nothing to flip"},
		{"flip bit 5 of register rax at exit 0", "counted from 1"},
		{"flip bit 5 of register rax at exit 1 of cpuidd", `unknown exit reason "cpuidd"; did you mean "cpuid"?`},
		{"flip bit 5 of register rax at noon", `unknown moment "noon"`},
		{"flip bit 5 of register rax at instruction 1 in rot", `unknown mode "rot"; did you mean "root"?`},
		{"flip bit 5 of register rax at instruction 1 please", `unexpected "please"`},
		{"flip bit 5 of register rax at execution 1 of f+zz", `"zz" is not an offset`},
		{"", "ends too early"},
	}
	for _, tt := range tests {
		_, err := ParseFault(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want one saying %s", tt.text, err, tt.want)
		}
	}
}

func TestAnyFaultReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyFault(t)
		got, err := ParseFault(want.String())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%s (-want +got):\n%s", want, d)
		}
	})
}

func anyFault(t *rapid.T) Fault {
	f := Fault{Kind: rapid.Custom(func(t *rapid.T) Kind {
		return Kind(rapid.IntRange(0, int(Null)).Draw(t, "n"))
	}).Draw(t, "kind"), Trigger: anyTrigger(t)}
	if f.Kind == Null {
		return f
	}
	small := rapid.IntRange(0, 4000)
	f.Target = rapid.OneOf(
		rapid.Custom(func(t *rapid.T) Target {
			return RegisterTarget(Register(rapid.IntRange(0, int(NumRegisters)-1).Draw(t, "register")))
		}),
		rapid.Custom(func(t *rapid.T) Target { return MemoryTarget(rapid.Uint64().Draw(t, "address")) }),
		rapid.Custom(func(t *rapid.T) Target {
			return VMCSTarget(rapid.SampledFrom(VMCSFields()).Draw(t, "field"), small.Draw(t, "vm"))
		}),
		rapid.Custom(func(t *rapid.T) Target {
			return CacheTarget(mmu.CacheLevel(rapid.IntRange(0, 2).Draw(t, "level")), small.Draw(t, "set"),
				small.Draw(t, "way"), LinePart(rapid.IntRange(0, 2).Draw(t, "part")))
		}),
		rapid.Custom(func(t *rapid.T) Target {
			return TLBTarget(small.Draw(t, "entry"), rapid.SampledFrom(mmu.TLBFields()).Draw(t, "field"))
		}),
		rapid.Just(InstructionTarget()),
	).Draw(t, "target")

	pool := f.Target.storage()
	if pool == nil {
		pool = FirstBits(64)
	}
	first := rapid.IntRange(0, len(pool)-1).Draw(t, "bit")
	f.Bits = Bits{pool[first]}
	switch f.Kind {
	case Intermittent:
		f.Period = rapid.Uint64Min(1).Draw(t, "period")
	case Transient:
	case Burst:
		for i := first + 1; i < len(pool) && pool[i] == pool[i-1]+1; i++ {
			f.Bits = append(f.Bits, pool[i])
		}
	default:
		for i := first + 1; i < len(pool); i += 2 {
			f.Bits = append(f.Bits, pool[i])
		}
	}
	return f
}

func anyTrigger(t *rapid.T) Trigger {
	tr := Trigger{Moment: Moment(rapid.IntRange(0, int(AtPhase)).Draw(t, "moment")), Reason: AnyExit,
		Count: rapid.Uint64Min(1).Draw(t, "count"), Offset: rapid.Uint64().Draw(t, "offset")}
	tr.Mode.Kind = ModeKind(rapid.IntRange(0, int(OneVM)).Draw(t, "mode"))
	if tr.Mode.Kind == OneVM {
		tr.Mode.VM = rapid.IntRange(0, 100).Draw(t, "vm")
	}
	switch tr.Moment {
	case AtExit:
		tr.Reason = ExitReason(rapid.IntRange(-1, 80).Draw(t, "reason"))
	case AtSymbol:
		tr.Symbol = rapid.StringMatching(`[a-z_][a-z0-9_.]{0,20}`).Draw(t, "symbol")
		tr.SymbolOffset = rapid.Uint64().Draw(t, "symbol offset")
	case AtAccess:
		tr.Access = Access(rapid.IntRange(0, int(FetchAccess)).Draw(t, "access"))
		tr.Address = rapid.Uint64().Draw(t, "address")
	case AtPhase:
		tr.Phase = Phase(rapid.IntRange(1, int(Done)).Draw(t, "phase"))
	}
	return tr
}

// Reading a fault from a file never does more than fail.
func FuzzParseFault(f *testing.F) {
	f.Add("flip bit 5 of register rax at instruction 123456 in root")
	f.Add("flip every 7 bit 0-3 of cache l2 set 3 way 1 tag at read 2 of 0x10 + 4 in vm 1")
	f.Add("stick at 0 bit 1 of vmcs field_6c18 of vm 0 at execution 1 of a+b")
	f.Fuzz(func(t *testing.T, s string) {
		fault, err := ParseFault(s)
		if err != nil {
			return
		}
		again, err := ParseFault(fault.String())
		if err != nil {
			t.Fatalf("%q was read as %s, which does not read back: %v", s, fault, err)
		}
		if d := cmp.Diff(fault, again); d != "" {
			t.Fatalf("%q: (-first +second)\n%s", s, d)
		}
	})
}
