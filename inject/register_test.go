package inject

import "testing"

func TestEveryEnumerationReadsBack(t *testing.T) {
	for r := range NumRegisters {
		if got, err := ParseRegister(r.String()); err != nil || got != r {
			t.Errorf("register %d prints %q, which reads as %v, %v", r, r, got, err)
		}
		if len(r.Storage()) == 0 || r.Group() == "" {
			t.Errorf("register %s has %d bits, group %q", r, len(r.Storage()), r.Group())
		}
	}
	for _, f := range VMCSFields() {
		if got, err := ParseVMCSField(f.String()); err != nil || got != f {
			t.Errorf("field %#x prints %q, which reads as %v, %v", uint16(f), f, got, err)
		}
	}
	for r := AnyExit; r <= Idle+1; r++ {
		if got, err := ParseExitReason(r.String()); err != nil || got != r {
			t.Errorf("exit reason %d prints %q, which reads as %v, %v", int(r), r, got, err)
		}
	}
	for o := range NumOutcomes {
		if got, err := ParseOutcome(o.String()); err != nil || got != o {
			t.Errorf("outcome %d prints %q, which reads as %v, %v", o, o, got, err)
		}
	}
}

func TestRegisterStorage(t *testing.T) {
	tests := []struct {
		r    Register
		bits string
	}{
		{RAX, "0-63"},
		{R15, "0-63"},
		{RFLAGS, "0,2,4,6-14,16-21"},
		{CR0, "0-3,5,16,18,29-31"},
		{CR8, "0-3"},
		{DR6, "0-3,13-15"},
		{CSSelector, "0-15"},
		{CSBase, "0-31"},
		{GSBase, "0-63"},
		{TRAttributes, "0-7,12-16"},
		{GDTRLimit, "0-15"},
		{EFER, "0,8,10-11"},
		{XMM3, "0-127"},
		{X87R7, "0-79"},
		{MXCSR, "0-15"},
	}
	for _, tt := range tests {
		if got := tt.r.Storage().String(); got != tt.bits {
			t.Errorf("%s: storage %s, want %s", tt.r, got, tt.bits)
		}
	}
}

func TestGroupsOfRegisters(t *testing.T) {
	tests := []struct {
		name string
		n    int
	}{
		{"general", 16}, {"rip", 1}, {"control", 5}, {"debug", 6}, {"segment", 32}, {"sse", 17}, {"x87", 11}, {"fs_base", 1},
	}
	for _, tt := range tests {
		if got, err := ParseRegisters(tt.name); err != nil || len(got) != tt.n {
			t.Errorf("%s: %v, %v; want %d", tt.name, got, err, tt.n)
		}
	}
	if n, ok := KernelGSBase.MSR(); !ok || n != 0xc0000102 {
		t.Errorf("kernel_gs_base is MSR %#x, %v", n, ok)
	}
	_, err := ParseRegisters("generel")
	if want := `unknown register "generel"; did you mean "general"?`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
