package decode

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/flipvisor/flipvisor/internal/native"
)

// The oracle of lengths: bytes are put against a page that is not there. If
// the processor wants a byte from it, it faults there; how many bytes it
// takes until it does something else is the length. Whether that is #UD says
// whether the instruction is valid.

var (
	oracleCases  = flag.Int("oracle", 30000, "random byte strings that TestOracle tries")
	recordOracle = flag.Bool("record", false, "record testdata/lengths.txt from this processor")
)

// oracle asks the processor what it makes of bytes.
type oracle struct {
	p    *native.Proc
	ldt  uint16
	last []byte
}

const (
	codePage = 0x400000
	guard    = codePage + 0x1000 // nothing is mapped here
)

func newOracle(t testing.TB) *oracle {
	p, err := native.Start()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(p.Close)
	if err := p.Map(codePage, 0x1000, native.ProtAll); err != nil {
		t.Fatal(err)
	}
	o := &oracle{p: p}
	if o.ldt, err = p.SetLDT(0, native.Segment{Base: codePage, Limit: 0x1FFF, Code: true}); err != nil {
		t.Log("no 16-bit segments here:", err)
	}
	return o
}

// verdict is what the processor did with the first n bytes in sight.
type verdict uint8

const (
	fetches  verdict = iota // asked for a byte past them
	invalid                 // #UD
	gp                      // #GP without an address
	executes                // anything else: done, or another exception
)

var verdictNames = [...]string{"fetches", "#UD", "#GP", "executes"}

func (v verdict) String() string { return verdictNames[v] }

// ask shows the processor n bytes of code and no more.
func (o *oracle) ask(t testing.TB, code []byte, n int, mode Mode) verdict {
	t.Helper()
	at := uint64(guard - n)
	st := native.State{RIP: at, RFLAGS: 2, CS: native.UserCS, SS: native.UserSS, DS: native.UserSS, ES: native.UserSS}
	switch mode {
	case Mode32:
		st.CS = native.UserCS32
	case Mode16:
		st.CS = o.ldt
		st.RIP = at - codePage
	}
	for i := range st.GPR {
		st.GPR[i] = 0x7000_0000 + 0x123450*uint64(i)
	}
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatalf("% x (mode %d): %v; before it % x", code, mode*8, err, o.last)
		}
	}
	check(o.p.WriteMem(at, code[:n]))
	check(o.p.SetState(&st))
	stop, err := o.p.Step()
	check(err)
	o.last = append(o.last[:0], code...)
	switch {
	case stop.Signal == native.SIGILL:
		return invalid
	case stop.Signal == native.SIGSEGV && stop.Code == native.CodeKernel:
		return gp
	case stop.Signal == native.SIGSEGV && stop.Addr == guard:
		rip := st.RIP
		check(o.p.GetState(&st))
		if st.RIP == rip {
			return fetches
		}
	}
	return executes
}

// randomCode makes 20 bytes: some prefixes, the lead of some map, and noise.
func randomCode(r *rand.Rand, mode Mode) []byte {
	var c []byte
	for r.IntN(4) == 0 {
		c = append(c, []byte{0x66, 0x67, 0xF2, 0xF3, 0x2e, 0x64, 0x3e, 0xF0}[r.IntN(8)])
	}
	if mode == Mode64 && r.IntN(3) == 0 {
		c = append(c, 0x40+byte(r.IntN(16)))
	}
	switch r.IntN(10) {
	case 6:
		c = append(c, 0x62)
	case 0, 1, 2:
		c = append(c, 0x0F)
	case 3:
		c = append(c, 0x0F, []byte{0x38, 0x3A}[r.IntN(2)])
	case 4:
		c = append(c, 0xC5, 0x80|vexByte(r))
	case 5:
		c = append(c, 0xC4, byte(r.IntN(8)<<5|1+r.IntN(3)), byte(r.IntN(2)<<7)|vexByte(r))
	case 7: // what 64-bit code has less often
		c = append(c, 0xC4, byte(0xE0|1+r.IntN(3)), byte(r.IntN(2)<<7)|vexByte(r))
	}
	for len(c) < 20 {
		c = append(c, byte(r.Uint32()))
	}
	return c[:20]
}

// length is how many bytes the processor takes, and what it then does.
func (o *oracle) length(t testing.TB, code []byte, mode Mode) (int, verdict) {
	for n := 1; ; n++ {
		if v := o.ask(t, code, n, mode); v != fetches || n > MaxLen {
			return n, v
		}
	}
}

// compare checks Decode against what a processor does.
func compare(code []byte, mode Mode, n int, v verdict) error {
	in, err := Decode(code, mode)
	switch {
	case err == ErrTooLong: // the processor does not even fetch a 16th byte
		if n != MaxLen || v != gp {
			return fmt.Errorf("too long; the processor takes %d bytes and says %v", n, v)
		}
		return nil
	case int(in.Len) != n:
		return fmt.Errorf("length %d; the processor takes %d", in.Len, n)
	case n > 1:
		if _, err := Decode(code[:n-1], mode); err != ErrTruncated {
			return fmt.Errorf("%v with a byte missing", err)
		}
	}
	switch {
	case err == ErrInvalid:
		if v != invalid {
			return fmt.Errorf("invalid; the processor says %v", v)
		}
	case err != nil:
		return err
	case v == invalid && !in.EVEX && !absent(&in):
		return fmt.Errorf("%v; the processor says %v", &in, v)
	}
	return nil
}

// absent says that the operation may be #UD though its encoding is valid:
// the processor asked has not got it, or it is #UD outside ring 0, VMX or
// system-management mode, or that is what it does.
func absent(in *Inst) bool {
	switch op := in.Op; op {
	case UD0, UD1, UD2,
		CLAC, STAC, MONITOR, MWAIT, RSM, GETSEC, ENCLS, ENCLU, ENCLV, PCONFIG, RDPKRU, WRPKRU, WRMSRNS, RDMSRLIST, WRMSRLIST,
		INVPCID, HRESET, XGETBV, XSAVES, XRSTORS, RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE,
		VMLAUNCH, VMRESUME, VMXOFF, VMXON, VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, VMFUNC, INVEPT, INVVPID,
		UMONITOR, UMWAIT, TPAUSE, UIRET, TESTUI, CLUI, STUI, SENDUIPI, PTWRITE, ENQCMD, ENQCMDS, MOVDIR64B, MOVDIRI,
		XBEGIN, XEND, XABORT, XTEST, XSUSLDTRK, XRESLDTRK, SERIALIZE, RDPID,
		INCSSP, RDSSP, SAVEPREVSSP, RSTORSSP, WRSS, WRUSS, SETSSBSY, CLRSSBSY,
		GF2P8AFFINEQB, GF2P8AFFINEINVQB, GF2P8MULB, VGF2P8AFFINEQB, VGF2P8AFFINEINVQB, VGF2P8MULB,
		CMPCCXADD:
		return true
	default:
		return op >= LOADIWKEY && op <= AESDECWIDE256KL || // Key Locker
			op >= SHA1RNDS4 && op <= SHA256MSG2 ||
			op >= VPDPBUSD && op <= VSM4RNDS4 || // newer VEX sets
			op >= KADDB && op <= TCMMRLFP16PS // masks and tiles
	}
}

// intercepted says that a hypervisor below this test may take the bytes for
// a call to itself (VMCALL, VMMCALL), or that they are TDX's SEAMCALL, which
// is #GP where there is TDX.
func intercepted(code []byte) bool {
	i := bytes.Index(code, []byte{0x0F, 0x01})
	return i >= 0 && i+2 < len(code) && (code[i+2] == 0xC1 || code[i+2] == 0xD9 || code[i+2] == 0xCF)
}

// vexByte makes VEX.vvvv, L and pp; half of the time vvvv names nothing, and
// pp is mostly 66.
func vexByte(r *rand.Rand) byte {
	v := byte(r.IntN(128))
	if r.IntN(2) == 0 {
		v |= 0x78
	}
	if r.IntN(2) == 0 {
		v = v&^3 | 1
	}
	return v
}

// TestOracle asks the processor about random bytes.
func TestOracle(t *testing.T) {
	o := newOracle(t)
	modes := []Mode{Mode32, Mode64, Mode64}
	if o.ldt != 0 {
		modes = append(modes, Mode16)
	}
	r := rand.New(rand.NewPCG(3, 4))
	failures := 0
	for range *oracleCases {
		mode := modes[r.IntN(len(modes))]
		code := randomCode(r, mode)
		if intercepted(code) {
			continue
		}
		// Two questions suffice when the answers are as expected.
		in, _ := Decode(code, mode)
		if mode == Mode16 && in.Mem.Seg == CS {
			continue // a data access may fault at the guard as well
		}
		n := int(in.Len)
		v := fetches
		if n > 1 {
			v = o.ask(t, code, n-1, mode)
		}
		if v == fetches {
			v = o.ask(t, code, n, mode)
		}
		err := compare(code, mode, n, v)
		if v == fetches || err != nil {
			n, v = o.length(t, code, mode)
			err = compare(code, mode, n, v)
		}
		if err != nil {
			t.Errorf("%d-bit % x: %v", mode*8, code[:n], err)
			if failures++; failures > 20 {
				t.FailNow()
			}
		}
	}
}

const recorded = "testdata/lengths.txt"

// TestOracleRecorded goes through what a processor once said about every
// opcode of every map, in every mode. With -record it asks anew.
func TestOracleRecorded(t *testing.T) {
	if *recordOracle {
		record(t)
	}
	f, err := os.Open(recorded)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		var bits, n int
		var text, does string
		if _, err := fmt.Sscan(s.Text(), &bits, &text, &n, &does); err != nil {
			t.Fatalf("%s: %q: %v", recorded, s.Text(), err)
		}
		code, err := hex.DecodeString(text)
		v := verdict(slices.Index(verdictNames[:], does))
		if err != nil || v > executes {
			t.Fatalf("%s: %q: bad line", recorded, s.Text())
		}
		lines++
		if err := compare(code, Mode(bits/8), n, v); err != nil {
			t.Errorf("%d-bit %s: %v", bits, text, err)
		}
	}
	if lines < 5000 {
		t.Errorf("only %d lines in %s", lines, recorded)
	}
}

// record writes what the processor says about every opcode of every map with
// a random ModRM and, for some, a prefix.
func record(t *testing.T) {
	o := newOracle(t)
	if o.ldt == 0 {
		t.Fatal("a recording needs 16-bit segments")
	}
	r := rand.New(rand.NewPCG(1, 1))
	var b bytes.Buffer
	fmt.Fprintln(&b, "# What a processor takes and does: mode in bits, bytes, length, verdict.")
	fmt.Fprintln(&b, "# Recorded by go test -run OracleRecorded -record; see oracle_test.go.")
	for _, mode := range []Mode{Mode16, Mode32, Mode64} {
		for _, lead := range []string{"", "0f", "0f38", "0f3a", "c5f8", "c4e279", "c4e379", "c4e27b", "c4e3f9"} {
			for op := range 256 {
				code, _ := hex.DecodeString(lead)
				if len(lead) == 4 && lead[0] == 'c' { // vary pp and L
					code[1] = 0xF8 | byte(r.IntN(8))
				}
				if lead != "" && lead[0] == '0' && r.IntN(2) == 0 {
					code = append([]byte{[]byte{0x66, 0xF3, 0xF2}[r.IntN(3)]}, code...)
				}
				code = append(code, byte(op))
				for len(code) < 20 {
					code = append(code, byte(r.Uint32()))
				}
				if intercepted(code) {
					continue
				}
				n, v := o.length(t, code, mode)
				fmt.Fprintf(&b, "%d %x %d %v\n", mode*8, code[:n], n, v)
			}
		}
	}
	if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(recorded, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}
