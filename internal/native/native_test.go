//go:build linux && amd64

package native

import (
	"testing"
)

func startForTest(t testing.TB) *Proc {
	p, err := Start()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(p.Close)
	return p
}

const (
	code = 0x100000
	data = 0x200000
)

// TestStep runs instructions whose results are known, one of each kind of
// end.
func TestStep(t *testing.T) {
	p := startForTest(t)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(p.Map(code, 0x1000, ProtAll))
	check(p.Map(data, 0x1000, ProtRead|ProtWrite))
	ldt, err := p.SetLDT(1, Segment{Base: code, Limit: 0xFFFF, Code: true})
	if err != nil {
		t.Log("no 16-bit segments:", err)
	}

	for _, c := range []struct {
		name   string
		bytes  string
		cs     uint16
		signal Signal
		code   int32
		addr   uint64
		rip    uint64
		rax    uint64
		sys    bool
	}{
		{name: "add rax, rbx", bytes: "\x48\x01\xd8", cs: UserCS, signal: SIGTRAP, code: CodeTrace, rip: code + 3, rax: 0x1_0000_0003},
		{name: "add eax, ebx in 32-bit code", bytes: "\x01\xd8", cs: UserCS32, signal: SIGTRAP, code: CodeTrace, rip: code + 2, rax: 3},
		{name: "dec eax is a prefix in 64-bit code", bytes: "\x48\x01\xd8", cs: UserCS32, signal: SIGTRAP, code: CodeTrace, rip: code + 1, rax: 0},
		{name: "add ax, bx in 16-bit code", bytes: "\x01\xd8", cs: ldt, signal: SIGTRAP, code: CodeTrace, rip: 2, rax: 0x1_0000_0003},
		{name: "mov rax, [rcx]", bytes: "\x48\x8b\x01", cs: UserCS, signal: SIGTRAP, code: CodeTrace, rip: code + 3, rax: 0x1122334455667788},
		{name: "mov rax, [rdx]", bytes: "\x48\x8b\x02", cs: UserCS, signal: SIGSEGV, code: CodeUnmap, addr: 0x300000, rip: code, rax: 0x1_0000_0001},
		{name: "ud2", bytes: "\x0f\x0b", cs: UserCS, signal: SIGILL, code: 2, addr: code, rip: code, rax: 0x1_0000_0001},
		{name: "hlt", bytes: "\xf4", cs: UserCS, signal: SIGSEGV, code: CodeKernel, rip: code, rax: 0x1_0000_0001},
		{name: "int3", bytes: "\xcc", cs: UserCS, signal: SIGTRAP, code: CodeKernel, rip: code + 1, rax: 0x1_0000_0001},
		{name: "syscall", bytes: "\x0f\x05", cs: UserCS, signal: SIGTRAP, rip: code + 2, sys: true},
		{name: "after syscall", bytes: "\x48\x01\xd8", cs: UserCS, signal: SIGTRAP, code: CodeTrace, rip: code + 3, rax: 0x1_0000_0003},
	} {
		// Not t.Run: a subtest is another goroutine, on another thread.
		func() {
			if c.cs == 0 {
				return
			}
			check(p.WriteMem(code, []byte(c.bytes+"\x90\x90\x90\x90")))
			check(p.WriteMem(data, []byte{0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11}))
			st := State{RIP: code, RFLAGS: 2, CS: c.cs, SS: UserSS, DS: UserSS, ES: UserSS}
			if c.cs == ldt {
				st.RIP = 0
			}
			st.GPR[0], st.GPR[3], st.GPR[1], st.GPR[2] = 0x1_0000_0001, 2, data, 0x300000
			check(p.SetState(&st))
			stop, err := p.Step()
			check(err)
			check(p.GetState(&st))
			if stop.Signal != c.signal || stop.Code != c.code && !c.sys || stop.Syscall != c.sys || stop.Addr != c.addr && c.addr != 0 {
				t.Errorf("%s: stopped with %+v", c.name, stop)
			}
			if st.RIP != c.rip {
				t.Errorf("%s: rip = %#x, want %#x", c.name, st.RIP, c.rip)
			}
			if !c.sys && st.GPR[0] != c.rax {
				t.Errorf("%s: rax = %#x, want %#x", c.name, st.GPR[0], c.rax)
			}
		}()
	}
}

// TestXState carries vector and x87 state there and back, through an
// instruction.
func TestXState(t *testing.T) {
	p := startForTest(t)
	if err := p.Map(code, 0x1000, ProtAll); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteMem(code, []byte("\xc5\xf4\x57\xc2")); err != nil { // vxorps ymm0, ymm1, ymm2
		t.Fatal(err)
	}
	var x, y XState
	x.FCW, x.MXCSR, x.FTW = 0x37F, 0x1F80, 0x81
	x.ST[0][3] = 5
	for i := range x.YMM {
		for j := range x.YMM[i] {
			x.YMM[i][j] = byte(17*i + j)
		}
	}
	st := State{RIP: code, RFLAGS: 2, CS: UserCS, SS: UserSS}
	if err := p.SetState(&st); err != nil {
		t.Fatal(err)
	}
	if err := p.SetXState(&x); err != nil {
		t.Fatal(err)
	}
	if stop, err := p.Step(); err != nil || !stop.Done() {
		t.Fatal(stop, err)
	}
	if err := p.GetXState(&y); err != nil {
		t.Fatal(err)
	}
	for j := range x.YMM[0] {
		x.YMM[0][j] = x.YMM[1][j] ^ x.YMM[2][j]
	}
	if x != y {
		t.Errorf("got  %+v\nwant %+v", y, x)
	}
}

func BenchmarkStep(b *testing.B) {
	p := startForTest(b)
	p.Map(code, 0x1000, ProtAll)
	p.WriteMem(code, []byte("\x48\x01\xd8"))
	st := State{RIP: code, RFLAGS: 2, CS: UserCS, SS: UserSS}
	for b.Loop() {
		st.RIP = code
		p.SetState(&st)
		p.Step()
		p.GetState(&st)
	}
}
