package decode

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/flipvisor/flipvisor/internal/native"
)

var effectsCases = flag.Int("effects", 20000, "instructions that TestEffectsNative tries")

// snapshot is all of a processor's state that the test compares.
type snapshot struct {
	native.State
	X    native.XState
	Data [0x1000]byte
	Stop native.Stop
}

const dataPage = 0x600000

// skipEffects are operations whose results are not a function of what the
// test can see or set, or that leave what it can hold.
func skipEffects(op Op) bool {
	switch op {
	case RDTSC, RDTSCP, RDRAND, RDSEED, RDPID, RDPMC, CPUID, SYSCALL, SYSENTER, INT, PUSHF, POPF, IRET,
		VMCALL, XBEGIN, XEND, XABORT, XTEST, XSAVE, XSAVEC, XSAVEOPT, XRSTOR, FXRSTOR, FXSAVE,
		EVEX_UNKNOWN, CALLFAR, JMPFAR, RETFAR, SALC, HRESET, INT1, INT3,
		SGDT, SIDT, SLDT, STR, SMSW: // Linux emulates these for user code (UMIP)
		return true
	}
	return op >= KADDB && op <= TCMMRLFP16PS || op >= VPDPBUSD && op <= VSM4RNDS4
}

// TestEffectsNative asks the processor whether Effects tells the truth: a
// random instruction in a random state writes nothing but what is in Write
// and CondWrite, and does the same when a bit outside Read is flipped; and
// if that bit is in Write, its flipping leaves no trace.
func TestEffectsNative(t *testing.T) {
	o := newOracle(t)
	if err := o.p.Map(dataPage, 0x1000, native.ProtRead|native.ProtWrite); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 7))
	problems := map[string]string{}
	done := 0
	for range *effectsCases {
		mode := Mode64
		if r.IntN(4) == 0 {
			mode = Mode32
		}
		code := randomCode(r, mode)
		in, err := Decode(code, mode)
		if err != nil || skipEffects(in.Op) || in.Op == LSS || in.Args[0].Kind == KindSeg && in.Args[0].Reg == SS {
			continue // after a load of SS, a step takes the next instruction too
		}
		before := randomState(r, mode)
		var e Effects
		in.Effects(&e)
		base := o.run(t, code, &in, before)
		if base.Stop.Signal == native.SIGILL {
			continue
		}
		report := func(format string, args ...any) {
			problems[in.Op.String()] = fmt.Sprintf("%s (mode %d, % x): %s", in.Op, mode*8, code[:in.Len], fmt.Sprintf(format, args...))
		}
		if base.Stop.Done() {
			done++
			checkWrites(&in, &e, before, base, report)
		}
		for range 2 {
			loc := randomLocation(r, mode)
			if loc.in(&e.Read, e.FlagsRead) {
				continue
			}
			flipped := *before
			loc.flip(&flipped)
			got := o.run(t, code, &in, &flipped)
			want := *base
			if loc.in(&e.CondWrite, e.FlagsCond|e.FlagsUndefined) || !base.Stop.Done() && loc.in(&e.Write, e.FlagsWritten) {
				loc.copy(&want, got)
			} else if !loc.in(&e.Write, e.FlagsWritten) {
				loc.flip(&want)
			}
			if d := difference(&want, got, e.FlagsUndefined); d != "" {
				report("flipping %v, which is not read: %s", loc, d)
			}
		}
		if e.NMem > 0 {
			o.flipMemory(t, r, code, &in, &e, before, base, report)
		}
	}
	var names []string
	for n := range problems {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		t.Error(problems[n])
	}
	t.Logf("%d instructions completed", done)
}

// run executes the instruction, up to 8 iterations of a repeated one.
func (o *oracle) run(t testing.TB, code []byte, in *Inst, s *snapshot) *snapshot {
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatalf("% x: %v", code[:in.Len], err)
		}
	}
	check(o.p.WriteMem(codePage, code[:in.Len]))
	check(o.p.WriteMem(dataPage, s.Data[:]))
	check(o.p.SetState(&s.State))
	check(o.p.SetXState(&s.X))
	out := new(snapshot)
	for range 8 {
		var err error
		out.Stop, err = o.p.Step()
		check(err)
		check(o.p.GetState(&out.State))
		if out.RIP != codePage || !out.Stop.Done() || in.Rep == RepNone {
			break
		}
	}
	check(o.p.GetXState(&out.X))
	check(o.p.ReadMem(dataPage, out.Data[:]))
	return out
}

func randomState(r *rand.Rand, mode Mode) *snapshot {
	s := &snapshot{State: native.State{RIP: codePage, CS: native.UserCS, SS: native.UserSS, DS: native.UserSS, ES: native.UserSS}}
	if mode == Mode32 {
		s.CS = native.UserCS32
	}
	s.RFLAGS = 0x202 | r.Uint64()&(FlagsArith|FlagDF)
	for i := range s.GPR {
		switch r.IntN(4) {
		case 0, 1:
			s.GPR[i] = dataPage + 0x400 + 16*r.Uint64N(0x80)
		case 2:
			s.GPR[i] = r.Uint64N(0x40)
		default:
			s.GPR[i] = r.Uint64()
			if mode == Mode32 {
				s.GPR[i] &= 0xFFFFFFFF
			}
		}
	}
	for i := range s.Data {
		s.Data[i] = byte(r.Uint32())
	}
	for i := range s.X.YMM {
		for j := 0; j < 32; j += 8 {
			v := r.Uint64()
			if r.IntN(3) == 0 {
				v = 0x3FF0000000000000 | v>>24
			}
			binary.LittleEndian.PutUint64(s.X.YMM[i][j:], v)
		}
	}
	s.X.FCW, s.X.MXCSR, s.X.FTW = 0x37F, 0x1F80, byte(r.Uint32())
	for i := range s.X.ST {
		binary.LittleEndian.PutUint64(s.X.ST[i][:], r.Uint64()|1<<63)
		s.X.ST[i][8], s.X.ST[i][9] = byte(r.Uint32()), 0x3F
	}
	return s
}

// location is one bit of a register.
type location struct {
	kind byte // g, f, v, m
	reg  int
	bit  int
}

func (l location) String() string { return fmt.Sprintf("%c%d bit %d", l.kind, l.reg, l.bit) }

func randomLocation(r *rand.Rand, mode Mode) location {
	regs, width := 16, 64
	if mode == Mode32 {
		regs, width = 8, 32
	}
	switch r.IntN(8) {
	case 0, 1, 2:
		return location{'g', r.IntN(regs), r.IntN(width)}
	case 3, 4:
		return location{'f', 0, []int{0, 2, 4, 6, 7, 10, 11}[r.IntN(7)]}
	case 5, 6:
		return location{'v', r.IntN(regs), r.IntN(256)}
	}
	return location{'m', 0, []int{0, 1, 2, 3, 4, 5, 6, 13, 14, 15}[r.IntN(10)]} // MXCSR: flags, DAZ, rounding, FTZ
}

// in says whether the location is in a set of registers or flags.
func (l location) in(s *RegSet, flags uint32) bool {
	switch l.kind {
	case 'g':
		return s.GPR[l.reg]>>(l.bit/8)&1 != 0
	case 'f':
		return flags>>l.bit&1 != 0
	case 'v':
		return s.XMM[l.reg]>>(l.bit/8)&1 != 0
	}
	return s.Sys&SysMXCSR != 0
}

func (l location) flip(s *snapshot) {
	switch l.kind {
	case 'g':
		s.GPR[l.reg] ^= 1 << l.bit
	case 'f':
		s.RFLAGS ^= 1 << l.bit
	case 'v':
		s.X.YMM[l.reg][l.bit/8] ^= 1 << (l.bit % 8)
	case 'm':
		s.X.MXCSR ^= 1 << l.bit
	}
}

// copy makes the location in s what it is in from.
func (l location) copy(s, from *snapshot) {
	x, y := *s, *from
	switch l.kind {
	case 'g':
		if (x.GPR[l.reg]^y.GPR[l.reg])>>l.bit&1 != 0 {
			l.flip(s)
		}
	case 'f':
		if (x.RFLAGS^y.RFLAGS)>>l.bit&1 != 0 {
			l.flip(s)
		}
	case 'v':
		if (x.X.YMM[l.reg][l.bit/8]^y.X.YMM[l.reg][l.bit/8])>>(l.bit%8)&1 != 0 {
			l.flip(s)
		}
	case 'm':
		if (x.X.MXCSR^y.X.MXCSR)>>l.bit&1 != 0 {
			l.flip(s)
		}
	}
}

// difference says where two outcomes differ.
func difference(want, got *snapshot, undefined uint32) string {
	x, y := want.X, got.X
	switch {
	case want.Stop != got.Stop:
		return fmt.Sprintf("stop %+v, want %+v", got.Stop, want.Stop)
	case want.RIP != got.RIP:
		return fmt.Sprintf("rip %#x, want %#x", got.RIP, want.RIP)
	case want.GPR != got.GPR:
		return fmt.Sprintf("general registers %x, want %x", got.GPR, want.GPR)
	case (want.RFLAGS^got.RFLAGS)&^uint64(undefined)&FlagsAll&^FlagRF != 0:
		return fmt.Sprintf("flags %#x, want %#x", got.RFLAGS, want.RFLAGS)
	case x.YMM != y.YMM:
		return "vector registers"
	case x.MXCSR != y.MXCSR:
		return fmt.Sprintf("mxcsr %#x, want %#x", y.MXCSR, x.MXCSR)
	case x != y:
		return "x87"
	case want.Data != got.Data:
		return "memory"
	}
	return ""
}

// checkWrites checks that what changed is what Effects says may change.
func checkWrites(in *Inst, e *Effects, before, after *snapshot, report func(string, ...any)) {
	for i := range before.GPR {
		for j := range 8 {
			if before.GPR[i]>>(8*j)&0xFF != after.GPR[i]>>(8*j)&0xFF && (e.Write.GPR[i]|e.CondWrite.GPR[i])>>j&1 == 0 {
				report("general register %d byte %d is not in the write set", i, j)
			}
		}
		for j := range 32 {
			if before.X.YMM[i][j] != after.X.YMM[i][j] && (e.Write.XMM[i]|e.CondWrite.XMM[i])>>j&1 == 0 {
				report("vector register %d byte %d is not in the write set", i, j)
			}
		}
	}
	changed := uint32(before.RFLAGS^after.RFLAGS) & (FlagsAll &^ (FlagRF | FlagTF))
	if bad := changed &^ (e.FlagsWritten | e.FlagsCond | e.FlagsUndefined); bad != 0 {
		report("flags %#x are not in the write set", bad)
	}
	sys := e.Write.Sys | e.CondWrite.Sys
	if before.X.MXCSR != after.X.MXCSR && sys&SysMXCSR == 0 {
		report("MXCSR is not in the write set")
	}
	x, y := before.X, after.X
	x.YMM, x.MXCSR = y.YMM, y.MXCSR
	if x != y && sys&SysX87 == 0 {
		report("x87 is not in the write set")
	}
	if after.RIP != before.RIP+uint64(in.Len) && sys&SysRIP == 0 && in.Rep == RepNone {
		report("RIP is not in the write set")
	}
	if bytes.Equal(before.Data[:], after.Data[:]) {
		return
	}
	written := func(at uint64) bool {
		for i := range e.NMem {
			a, size, ok := e.Mem[i].span(in, before)
			if e.Mem[i].Access&(Write|CondWrite) != 0 && (!ok || at-a < size) {
				return true
			}
		}
		return false
	}
	for i := range before.Data {
		if before.Data[i] != after.Data[i] && !written(dataPage+uint64(i)) {
			report("memory at %#x is not in the write set %+v", dataPage+i, e.Mem[:e.NMem])
			return
		}
	}
}

// span is where an access lies; ok is false when only executing it shows.
func (m *MemRef) span(in *Inst, s *snapshot) (at, size uint64, ok bool) {
	if m.Kind != MemOperand && m.Kind != MemStack {
		return 0, 0, false
	}
	at = uint64(m.Disp)
	if m.Base != NoReg {
		at += s.GPR[m.Base]
	}
	if m.Index != NoReg {
		at += s.GPR[m.Index] * uint64(m.Scale)
	}
	if m.RIPRel {
		at += s.RIP + uint64(in.Len)
	}
	switch {
	case m.AddrSize == 2:
		at &= 0xFFFF
	case m.AddrSize == 4:
		at &= 0xFFFFFFFF
	}
	return at, uint64(m.Size), true
}

// flipMemory flips a bit of memory in or near an access and runs again: a
// byte that is not read must not matter, and one that is written must not
// keep it.
func (o *oracle) flipMemory(t *testing.T, r *rand.Rand, code []byte, in *Inst, e *Effects, before, base *snapshot, report func(string, ...any)) {
	a, size, ok := e.Mem[r.IntN(e.NMem)].span(in, before)
	i := a - 8 + r.Uint64N(size+16) - dataPage
	if !ok || i >= uint64(len(before.Data)) || !base.Stop.Done() {
		return
	}
	var acc Access
	for j := range e.NMem {
		a, size, ok := e.Mem[j].span(in, before)
		if !ok {
			return
		}
		if i+dataPage-a < size {
			acc |= e.Mem[j].Access
		}
	}
	if acc&Read != 0 {
		return
	}
	bit := byte(1) << r.IntN(8)
	flipped := *before
	flipped.Data[i] ^= bit
	got := o.run(t, code, in, &flipped)
	want := *base
	switch {
	case acc&CondWrite != 0:
		want.Data[i] = got.Data[i]
	case acc&Write == 0:
		want.Data[i] ^= bit
	}
	if d := difference(&want, got, e.FlagsUndefined); d != "" {
		report("flipping memory at %#x, which is not read: %s", dataPage+i, d)
	}
}
