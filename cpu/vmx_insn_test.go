package cpu

import "testing"

// Memory operands of the tests below are at [rbx].
var (
	insnVMXON   = []byte{0xf3, 0x0f, 0xc7, 0x33}       // vmxon [rbx]
	insnVMXOFF  = []byte{0x0f, 0x01, 0xc4}             // vmxoff
	insnVMCLEAR = []byte{0x66, 0x0f, 0xc7, 0x33}       // vmclear [rbx]
	insnVMPTRLD = []byte{0x0f, 0xc7, 0x33}             // vmptrld [rbx]
	insnVMPTRST = []byte{0x0f, 0xc7, 0x3b}             // vmptrst [rbx]
	insnVMREAD  = []byte{0x0f, 0x78, 0xc2}             // vmread rdx, rax
	insnVMWRITE = []byte{0x0f, 0x79, 0xc2}             // vmwrite rax, rdx
	insnINVEPT  = []byte{0x66, 0x0f, 0x38, 0x80, 0x03} // invept rax, [rbx]
	insnINVVPID = []byte{0x66, 0x0f, 0x38, 0x81, 0x03} // invvpid rax, [rbx]
	insnVMFUNC  = []byte{0x0f, 0x01, 0xd4}             // vmfunc
)

const testOperand = 0x38000

// pointer makes [rbx] hold an address.
func pointer(pa uint64) change {
	return all(reg(RBX, testOperand), func(vm *testVM) { vm.write64(testOperand, pa) })
}

func off(vm *testVM)  { vm.vmx.leave() }
func noVM(vm *testVM) { vm.vmx.current = noVMCS }
func cpl3(vm *testVM) {
	vm.userPages()
	vm.Seg[CS] = flatCode(0x33, 3, true)
	vm.Seg[SS] = flatData(0x2b, 3)
}
func compat(vm *testVM) { vm.Seg[CS] = flatCode(8, 0, false) }

// TestVMXInstructions: faults and results in VMX root operation and outside
// (SDM Vol. 3C, chapter 31). The error numbers are those of table 31-1.
func TestVMXInstructions(t *testing.T) {
	type result struct {
		vector  int    // of a fault, or -1
		flags   uint64 // CF: VMfailInvalid, ZF: VMfailValid
		failure VMError
	}
	ok := result{vector: -1}
	invalid := result{vector: -1, flags: FlagCF}
	failed := func(n VMError) result { return result{vector: -1, flags: FlagZF, failure: n} }
	ud, gp, pf := result{vector: VectorUD}, result{vector: VectorGP}, result{vector: VectorPF}
	revision := func(pa, v uint64) change { return func(vm *testVM) { vm.MMU.Mem.Write(pa, 4, v) } }

	for _, r := range []struct {
		name   string
		insn   []byte
		change change
		want   result
	}{
		{"vmxon", insnVMXON, all(off, pointer(testVMXON)), ok},
		{"vmxon without CR4.VMXE", insnVMXON, all(off, pointer(testVMXON), func(vm *testVM) { vm.CR4 &^= CR4VMXE }), ud},
		{"vmxon in compatibility mode", insnVMXON, all(off, compat, pointer(testVMXON)), ud},
		{"vmxon at CPL 3", insnVMXON, all(off, cpl3, pointer(testVMXON)), gp},
		{"vmxon, feature control not locked", insnVMXON, all(off, pointer(testVMXON), func(vm *testVM) { vm.MSR.FeatureControl = 4 }), gp},
		{"vmxon, feature control without VMX", insnVMXON, all(off, pointer(testVMXON), func(vm *testVM) { vm.MSR.FeatureControl = 1 }), gp},
		{"vmxon with CR0.NE clear", insnVMXON, all(off, pointer(testVMXON), func(vm *testVM) { vm.CR0 &^= CR0NE }), gp},
		{"vmxon not aligned", insnVMXON, all(off, pointer(testVMXON+8)), invalid},
		{"vmxon too high", insnVMXON, all(off, pointer(beyond)), invalid},
		{"vmxon with a wrong revision", insnVMXON, all(off, pointer(testVMXON), revision(testVMXON, 1)), invalid},
		{"vmxon with bit 31 of the revision", insnVMXON, all(off, pointer(testVMXON), revision(testVMXON, vmcsRevision|1<<31)), invalid},
		{"vmxon of an operand that is not there", insnVMXON, all(off, reg(RBX, 0x7fff00000000)), pf},
		{"vmxon in root operation", insnVMXON, pointer(testVMXON), failed(15)},
		{"vmxon in root operation without a VMCS", insnVMXON, all(noVM, pointer(testVMXON)), invalid},

		{"vmxoff", insnVMXOFF, all(), ok},
		{"vmxoff outside", insnVMXOFF, off, ud},
		{"vmxoff at CPL 3", insnVMXOFF, cpl3, gp},

		{"vmclear", insnVMCLEAR, pointer(testOtherVMCS), ok},
		{"vmclear without a VMCS", insnVMCLEAR, all(noVM, pointer(testOtherVMCS)), ok},
		{"vmclear outside", insnVMCLEAR, all(off, pointer(testOtherVMCS)), ud},
		{"vmclear in compatibility mode", insnVMCLEAR, all(compat, pointer(testOtherVMCS)), ud},
		{"vmclear at CPL 3", insnVMCLEAR, all(cpl3, pointer(testOtherVMCS)), gp},
		{"vmclear not aligned", insnVMCLEAR, pointer(testOtherVMCS + 1), failed(2)},
		{"vmclear too high", insnVMCLEAR, pointer(beyond), failed(2)},
		{"vmclear of the VMXON region", insnVMCLEAR, pointer(testVMXON), failed(3)},
		{"vmclear not aligned without a VMCS", insnVMCLEAR, all(noVM, pointer(1)), invalid},
		{"vmclear of an operand that is not there", insnVMCLEAR, reg(RBX, 0x7fff00000000), pf},

		{"vmptrld", insnVMPTRLD, all(pointer(testOtherVMCS), revision(testOtherVMCS, vmcsRevision)), ok},
		{"vmptrld not aligned", insnVMPTRLD, pointer(testOtherVMCS + 8), failed(9)},
		{"vmptrld too high", insnVMPTRLD, pointer(beyond), failed(9)},
		{"vmptrld of the VMXON region", insnVMPTRLD, pointer(testVMXON), failed(10)},
		{"vmptrld with a wrong revision", insnVMPTRLD, pointer(testOtherVMCS), failed(11)},
		{"vmptrld of a shadow VMCS", insnVMPTRLD, all(pointer(testOtherVMCS), revision(testOtherVMCS, vmcsRevision|1<<31)), failed(11)},
		{"vmptrst", insnVMPTRST, reg(RBX, testOperand), ok},
		{"vmptrst to nowhere", insnVMPTRST, reg(RBX, 0x7fff00000000), pf},

		{"vmread", insnVMREAD, reg(RAX, uint64(vmGuestRIP)), ok},
		{"vmread without a VMCS", insnVMREAD, all(noVM, reg(RAX, uint64(vmGuestRIP))), invalid},
		{"vmread of no field", insnVMREAD, reg(RAX, 0x6828), failed(12)},
		{"vmread of the upper half of a 32-bit field", insnVMREAD, reg(RAX, uint64(vmPinControls)+1), failed(12)},
		{"vmread of the upper half of a natural-width field", insnVMREAD, reg(RAX, uint64(vmGuestRIP)+1), failed(12)},
		{"vmread of more than 32 bits", insnVMREAD, reg(RAX, 1<<32|uint64(vmGuestRIP)), failed(12)},
		{"vmread with reserved bit 12", insnVMREAD, reg(RAX, 1<<12|uint64(vmGuestRIP)), failed(12)},
		{"vmread of a field that no feature has", insnVMREAD, reg(RAX, 0x2018), failed(12)},
		{"vmread at CPL 3", insnVMREAD, cpl3, gp},
		{"vmread outside", insnVMREAD, off, ud},
		{"vmwrite", insnVMWRITE, reg(RAX, uint64(vmGuestRIP)), ok},
		{"vmwrite without a VMCS", insnVMWRITE, all(noVM, reg(RAX, uint64(vmGuestRIP))), invalid},
		{"vmwrite of no field", insnVMWRITE, reg(RAX, 0x4c04), failed(12)},
		{"vmwrite of a read-only field", insnVMWRITE, reg(RAX, uint64(vmExitReason)), failed(13)},
		{"vmwrite of a read-only field's upper half", insnVMWRITE, reg(RAX, uint64(vmGuestPhysical)+1), failed(13)},

		{"vmlaunch without a VMCS", codeVMLAUNCH, noVM, invalid},
		{"vmlaunch when launched", codeVMLAUNCH, func(vm *testVM) { vm.MMU.Mem.Write(testVMCS+vmcsLaunch, 4, 1) }, failed(4)},
		{"vmresume when clear", codeVMRESUME, all(), failed(5)},
		{"vmlaunch after MOV SS", codeVMLAUNCH, func(vm *testVM) { vm.shadow = ShadowMovSS }, failed(26)},
		{"vmlaunch outside", codeVMLAUNCH, off, ud},
		{"vmlaunch at CPL 3", codeVMLAUNCH, cpl3, gp},
		{"vmcall", codeVMCALL, all(), failed(1)},
		{"vmcall outside", codeVMCALL, off, ud},
		{"vmcall at CPL 3", codeVMCALL, cpl3, gp},
		{"vmfunc", insnVMFUNC, all(), ud},

		{"invept, single context", insnINVEPT, all(pointer(testEPT|3<<3|6), reg(RAX, 1)), ok},
		{"invept, all contexts", insnINVEPT, all(pointer(0), reg(RAX, 2)), ok},
		{"invept of type 0", insnINVEPT, all(pointer(testEPT|3<<3|6), reg(RAX, 0)), failed(28)},
		{"invept of type 3", insnINVEPT, all(pointer(testEPT|3<<3|6), reg(RAX, 3)), failed(28)},
		{"invept of an EPTP that is none", insnINVEPT, all(pointer(testEPT|2<<3|6), reg(RAX, 1)), failed(28)},
		{"invept outside", insnINVEPT, all(off, pointer(0)), ud},
		{"invept at CPL 3", insnINVEPT, all(cpl3, pointer(0)), gp},
		{"invvpid, address", insnINVVPID, all(pointer(1), reg(RAX, 0)), ok},
		{"invvpid, address not canonical", insnINVVPID, all(pointer(1), reg(RAX, 0), func(vm *testVM) { vm.write64(testOperand+8, nonCanonical) }), failed(28)},
		{"invvpid, single", insnINVVPID, all(pointer(1), reg(RAX, 1)), ok},
		{"invvpid, single of VPID 0", insnINVVPID, all(pointer(0), reg(RAX, 1)), failed(28)},
		{"invvpid, all", insnINVVPID, all(pointer(0), reg(RAX, 2)), ok},
		{"invvpid, single but globals", insnINVVPID, all(pointer(5), reg(RAX, 3)), ok},
		{"invvpid of type 4", insnINVVPID, all(pointer(5), reg(RAX, 4)), failed(28)},
		{"invvpid with reserved bits", insnINVVPID, all(pointer(1|1<<16), reg(RAX, 1)), failed(28)},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, nil)
			vm.write(testHostCode, code(r.insn, codeHLT)...)
			vm.SetRFLAGS(FlagR1 | flagsStatus)
			// The host's stack for faults from CPL 3.
			vm.Seg[TR] = Segment{Selector: 24, Attr: 0x8b, Limit: 0x67, Base: testTSS}
			vm.write64(testTSS+4, testHostStack)
			r.change(vm)
			vm.Settle()
			fault := -1
			vm.Hooks.Exception = func(e Exception) { fault = int(e.Vector) }
			if s := vm.Run(100); s != StopHalted {
				t.Fatalf("%v at %#x", s, vm.RIP)
			}
			if fault != r.want.vector {
				t.Fatalf("fault %d, want %d", fault, r.want.vector)
			}
			if fault >= 0 {
				return
			}
			if got := vm.flags() & flagsStatus; got != r.want.flags {
				t.Errorf("flags %#x, want %#x", got, r.want.flags)
			}
			if r.want.failure != 0 {
				vm.field(vmInstructionError, uint64(r.want.failure))
			}
		})
	}
}

// TestVMXPointers: what VMXON, VMPTRLD, VMCLEAR and VMXOFF do to the
// pointers and to launch states.
func TestVMXPointers(t *testing.T) {
	vm := newTestVM(t, codeVMCALL)
	do := func(insn []byte, pa uint64) {
		t.Helper()
		vm.write(testHostCode, code(insn, codeHLT)...)
		pointer(pa)(vm)
		vm.RIP, vm.Activity = testHostCode, Active
		vm.Settle()
		if s := vm.Run(vm.Count + 10); s != StopHalted || vm.flags()&flagsStatus != 0 {
			t.Fatalf("%x: %v at %#x, flags %#x", insn, s, vm.RIP, vm.flags())
		}
	}
	current := func(want uint64) {
		t.Helper()
		do(insnVMPTRST, 0)
		if got := vm.read64(testOperand); got != want || vm.VMCSPointer() != want {
			t.Errorf("current VMCS %#x, want %#x", got, want)
		}
	}
	vm.vmx.leave()
	do(insnVMXON, testVMXON)
	current(noVMCS)
	vm.MMU.Mem.Write(testOtherVMCS, 4, vmcsRevision)
	do(insnVMPTRLD, testVMCS)
	current(testVMCS)
	vm.write(testHostCode, codeVMLAUNCH...)
	vm.launch()
	vm.exited(ExitVMCALL)
	do(insnVMPTRLD, testOtherVMCS)
	do(insnVMPTRLD, testVMCS)
	vm.resume() // it is launched still
	vm.exited(ExitVMCALL)
	do(insnVMCLEAR, testOtherVMCS)
	current(testVMCS)
	do(insnVMCLEAR, testVMCS)
	current(noVMCS)
	if got := vm.MMU.Mem.Read(testVMCS+vmcsLaunch, 4); got != 0 {
		t.Errorf("launch state %d after VMCLEAR", got)
	}
	do(insnVMPTRLD, testVMCS)
	vm.write(testHostCode, codeVMLAUNCH...)
	vm.launch()
	vm.exited(ExitVMCALL)
	do(insnVMXOFF, 0)
	if vm.vmx.on || vm.VMCSPointer() != noVMCS {
		t.Error("VMXOFF leaves VMX on")
	}
	vm.CR4 &^= CR4VMXE // allowed again
}

// TestVMCSFields writes every field and its halves and reads them back, by
// 64-bit and by 32-bit operands (31.3, VMREAD and VMWRITE; 25.11.2).
func TestVMCSFields(t *testing.T) {
	vm := newTestVM(t, nil)
	do := func(insn []byte) {
		t.Helper()
		vm.write(testHostCode, code(insn, codeHLT)...)
		vm.RIP, vm.Activity = testHostCode, Active
		vm.Settle()
		if s := vm.Run(vm.Count + 10); s != StopHalted || vm.flags()&flagsStatus != 0 {
			t.Fatalf("%x: %v at %#x, flags %#x", insn, s, vm.RIP, vm.flags())
		}
	}
	write := func(f VMCSField, v uint64) {
		t.Helper()
		vm.R[RAX], vm.R[RDX] = uint64(f), v
		do(insnVMWRITE)
	}
	read := func(f VMCSField) uint64 {
		t.Helper()
		vm.R[RAX], vm.R[RDX] = uint64(f), 0xdead
		do(insnVMREAD)
		return vm.R[RDX]
	}
	value := func(f VMCSField) uint64 { return 0x0123456789abcdef ^ uint64(f)<<48 ^ uint64(f)*0x10001 }
	seen := map[uint64]VMCSField{}
	for _, f := range VMCSFields() {
		offset, ok := VMCSOffset(uint32(f))
		if !ok || offset < 16 || offset+8 > 4096 {
			t.Fatalf("%v lies at %#x", f, offset)
		}
		for i := range uint64(f.Width() / 8) {
			if g, used := seen[offset+i]; used {
				t.Fatalf("%v and %v overlap", f, g)
			}
			seen[offset+i] = f
		}
		if parsed, err := ParseVMCSField(f.String()); err != nil || parsed != f {
			t.Errorf("%v is read back as %v: %v", f, parsed, err)
		}
		if !f.readOnly() {
			write(f, value(f))
		} else {
			vm.set(f, value(f))
		}
	}
	for _, f := range VMCSFields() {
		want := value(f) & (1<<f.Width() - 1)
		if f.Width() == 64 {
			want = value(f)
		}
		if got := read(f); got != want {
			t.Errorf("%v is %#x, want %#x", f, got, want)
		}
		if f>>13 == 1 {
			if got := read(f + 1); got != want>>32 {
				t.Errorf("upper half of %v is %#x", f, got)
			}
			if !f.readOnly() {
				write(f+1, 0xffffffff00001234)
				if got := read(f); got != 0x1234<<32|want&0xffffffff {
					t.Errorf("%v is %#x after a write to its upper half", f, got)
				}
			}
		}
	}

	// A 32-bit host: 64-bit and natural-width fields are read in part, and
	// their upper halves cleared by a write.
	vm.MSR.EFER &^= EFERLMA | EFERLME
	vm.CR0 &^= CR0PG
	vm.Seg[CS] = flatCode(8, 0, false)
	vm.set(vmGuestRIP, 0x1122334455667788)
	if got := read(vmGuestRIP); got != 0x55667788 {
		t.Errorf("natural width by a 32-bit operand: %#x", got)
	}
	write(vmGuestRIP, 0x99aabbcc)
	vm.field(vmGuestRIP, 0x99aabbcc)
	vm.set(vmEPTP, 0x1122334455667788)
	write(vmEPTP, 0x99aabbcc)
	vm.field(vmEPTP, 0x99aabbcc)
}

// TestVMCSEncodings compares encodings with SDM Vol. 3D, appendix B.
func TestVMCSEncodings(t *testing.T) {
	for name, want := range map[string]VMCSField{
		"vpid": 0x0000, "guest_tr_selector": 0x080e, "host_tr_selector": 0x0c0c,
		"io_bitmap_b": 0x2002, "tsc_offset": 0x2010, "apic_access_address": 0x2014, "ept_pointer": 0x201a,
		"guest_physical_address": 0x2400, "vmcs_link_pointer": 0x2800, "guest_perf_global_ctrl": 0x2808,
		"guest_pdpte3": 0x2810, "host_perf_global_ctrl": 0x2c04,
		"pin_based_controls": 0x4000, "entry_instruction_length": 0x401a, "secondary_processor_based_controls": 0x401e,
		"ple_window": 0x4022, "instruction_error": 0x4400, "idt_vectoring_error_code": 0x440a,
		"exit_instruction_information": 0x440e, "guest_idtr_limit": 0x4812, "guest_tr_access_rights": 0x4822,
		"guest_activity_state": 0x4826, "guest_sysenter_cs": 0x482a, "preemption_timer_value": 0x482e,
		"host_sysenter_cs": 0x4c00, "cr3_target_value_3": 0x600e, "exit_qualification": 0x6400,
		"guest_linear_address": 0x640a, "guest_tr_base": 0x6814, "guest_dr7": 0x681a, "guest_rip": 0x681e,
		"guest_pending_debug_exceptions": 0x6822, "guest_sysenter_eip": 0x6826, "host_rip": 0x6c16,
	} {
		if got, err := ParseVMCSField(name); err != nil || got != want {
			t.Errorf("%s is %#x (%v), want %#x", name, uint32(got), err, uint32(want))
		}
	}
	highest := VMCSField(0)
	for _, f := range VMCSFields() {
		highest = max(highest, f&0x3fe)
	}
	if highest != vmcsEnum {
		t.Errorf("highest index %#x, IA32_VMX_VMCS_ENUM says %#x", highest, vmcsEnum)
	}
}

// TestCapabilities: the capability MSRs are consistent (SDM Vol. 3D,
// appendix A).
func TestCapabilities(t *testing.T) {
	vm := newTestVM(t, nil)
	read := func(index uint32) uint64 {
		t.Helper()
		v, ok := vm.ReadMSR(index)
		if !ok {
			t.Fatalf("MSR %#x is not there", index)
		}
		if vm.WriteMSR(index, v) {
			t.Errorf("MSR %#x can be written", index)
		}
		return v
	}
	basic := read(0x480)
	if basic>>31&1 != 0 || basic>>32&0x1fff != 4096 || basic>>50&15 != 6 || basic>>55&1 != 1 {
		t.Errorf("BASIC %#x", basic)
	}
	// Default-1 bits of appendix A.3 to A.5: the old MSRs demand them, the
	// TRUE ones allow some to be 0.
	for _, r := range []struct{ plain, exact, default1 uint64 }{
		{0x481, 0x48d, 0x16}, {0x482, 0x48e, 0x0401e172}, {0x483, 0x48f, 0x36dff}, {0x484, 0x490, 0x11ff},
	} {
		p, e := read(uint32(r.plain)), read(uint32(r.exact))
		if p&0xffffffff != r.default1 || e>>32 != p>>32 || e&^r.default1&0xffffffff != 0 || e&0xffffffff&^(e>>32) != 0 {
			t.Errorf("%#x: %#x, %#x: %#x", r.plain, p, r.exact, e)
		}
	}
	for index := uint32(0x485); index <= 0x48c; index++ {
		read(index)
	}
	if _, ok := vm.ReadMSR(0x491); ok {
		t.Error("IA32_VMX_VMFUNC is there, the control is not")
	}
	vm.Model.Features &^= FeatureVMX
	if _, ok := vm.ReadMSR(0x480); ok {
		t.Error("IA32_VMX_BASIC is there without VMX")
	}
}

// TestControlRegistersInVMX: what VMX operation fixes (24.8).
func TestControlRegistersInVMX(t *testing.T) {
	for _, r := range []struct {
		name string
		insn []byte
		v    uint64
		ok   bool
	}{
		{"CR0.NE clear", []byte{0x0f, 0x22, 0xc0}, CR0PE | CR0PG, false},
		{"CR0.PG clear", []byte{0x0f, 0x22, 0xc0}, CR0PE | CR0NE, false},
		{"CR0 otherwise", []byte{0x0f, 0x22, 0xc0}, CR0PE | CR0PG | CR0NE | CR0TS, true},
		{"CR4.VMXE clear", []byte{0x0f, 0x22, 0xe0}, CR4PAE, false},
		{"CR4 otherwise", []byte{0x0f, 0x22, 0xe0}, CR4PAE | CR4VMXE | CR4PGE, true},
	} {
		vm := newTestVM(t, nil)
		vm.write(testHostCode, code(r.insn, codeHLT)...)
		vm.R[RAX] = r.v
		faulted := false
		vm.Hooks.Exception = func(e Exception) { faulted = e.Vector == VectorGP }
		vm.Settle()
		vm.Run(20)
		if faulted == r.ok {
			t.Errorf("%s: faulted %v", r.name, faulted)
		}
	}
}

// TestExitReasonNames: names are read back.
func TestExitReasonNames(t *testing.T) {
	for r := range ExitReason(70) {
		if got, err := ParseExitReason(r.String()); err != nil || got != r {
			t.Errorf("%v is read back as %v: %v", r, got, err)
		}
	}
	if _, err := ParseExitReason("cpuidd"); err == nil {
		t.Error("cpuidd is a reason")
	}
}
