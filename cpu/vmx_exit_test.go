package cpu

import (
	"testing"

	"github.com/flipvisor/flipvisor/internal/state"
)

// reg sets a general register before the VM entry.
func reg(r int, v uint64) change { return func(vm *testVM) { vm.R[r] = v } }

// bitmap sets a bit of a bitmap in memory.
func bitmap(pa uint64, bit int) change {
	return func(vm *testVM) {
		a := pa + uint64(bit/8)
		vm.MMU.Mem.Write(a, 1, vm.MMU.Mem.Read(a, 1)|1<<(bit%8))
	}
}

// TestInstructionExits has the exits that instructions cause (SDM Vol. 3C,
// 26.1), with what they report (28.2). The instruction is the first of the
// guest; where none is to exit, the VMCALL after it does.
func TestInstructionExits(t *testing.T) {
	const none = ExitVMCALL
	cr3 := uint64(0x1000)
	for _, r := range []struct {
		name   string
		code   []byte
		change change
		reason ExitReason
		qual   uint64
		info   uint64 // instruction information
	}{
		// Unconditional (26.1.2).
		{"cpuid", codeCPUID, all(), ExitCPUID, 0, 0},
		{"invd", []byte{0x0f, 0x08}, all(), ExitINVD, 0, 0},
		{"vmcall", codeVMCALL, all(), ExitVMCALL, 0, 0},
		{"vmclear [30000h]", []byte{0x66, 0x0f, 0xc7, 0x34, 0x25, 0, 0, 3, 0}, all(), ExitVMCLEAR, 0x30000, 2<<7 | DS<<15 | 1<<22 | 1<<27},
		{"vmptrld [rbx+rsi*8-8]", []byte{0x0f, 0xc7, 0x74, 0xf3, 0xf8}, all(), ExitVMPTRLD, ^uint64(7), 3 | 2<<7 | DS<<15 | RSI<<18 | RBX<<23},
		{"vmptrst [gs:ebp+4]", []byte{0x65, 0x67, 0x0f, 0xc7, 0x7d, 4}, all(), ExitVMPTRST, 4, 1<<7 | GS<<15 | 1<<22 | RBP<<23},
		{"vmxon [rip+16]", []byte{0xf3, 0x0f, 0xc7, 0x35, 16, 0, 0, 0}, all(), ExitVMXON, testGuestCode + 8 + 16, 2<<7 | DS<<15 | 1<<22 | 1<<27},
		{"vmxoff", []byte{0x0f, 0x01, 0xc4}, all(), ExitVMXOFF, 0, 0},
		{"vmlaunch", codeVMLAUNCH, all(), ExitVMLAUNCH, 0, 0},
		{"vmresume", codeVMRESUME, all(), ExitVMRESUME, 0, 0},
		{"vmread rdi, r9", []byte{0x44, 0x0f, 0x78, 0xcf}, all(), ExitVMREAD, 0, RDI<<3 | 1<<10 | 9<<28},
		{"vmwrite rdx, [rsp]", []byte{0x0f, 0x79, 0x14, 0x24}, all(), ExitVMWRITE, 0, 2<<7 | SS<<15 | 1<<22 | RSP<<23 | RDX<<28},
		{"invept rax, [rcx]", []byte{0x66, 0x0f, 0x38, 0x80, 0x01}, all(), ExitINVEPT, 0, 2<<7 | DS<<15 | 1<<22 | RCX<<23},
		{"invvpid r10, [rcx]", []byte{0x66, 0x44, 0x0f, 0x38, 0x81, 0x11}, all(), ExitINVVPID, 0, 2<<7 | DS<<15 | 1<<22 | RCX<<23 | 10<<28},
		{"xsetbv with OSXSAVE clear", []byte{0x0f, 0x01, 0xd1}, set(vmExceptionBitmap, 1<<VectorUD), ExitException, 0, 0},

		// By a control (26.1.3).
		{"hlt", codeHLT, or(vmProcControls, procHLT), ExitHLT, 0, 0},
		{"invlpg [rax]", []byte{0x0f, 0x01, 0x38}, all(or(vmProcControls, procINVLPG), reg(RAX, 0x1234)), ExitINVLPG, 0x1234, 0},
		{"invlpg [rax] not", []byte{0x0f, 0x01, 0x38}, all(), none, 0, 0},
		{"invpcid", []byte{0x66, 0x0f, 0x38, 0x82, 0x03}, all(or(vmProcControls, procINVLPG), or(vmProcControls2, proc2INVPCID)), ExitINVPCID, 0, 2<<7 | DS<<15 | 1<<22 | RBX<<23},
		{"invpcid without the control", []byte{0x66, 0x0f, 0x38, 0x82, 0x03}, set(vmExceptionBitmap, 1<<VectorUD), ExitException, 0, 0},
		{"rdpmc", []byte{0x0f, 0x33}, or(vmProcControls, procRDPMC), ExitRDPMC, 0, 0},
		{"rdtsc", []byte{0x0f, 0x31}, or(vmProcControls, procRDTSC), ExitRDTSC, 0, 0},
		{"rdtscp", []byte{0x0f, 0x01, 0xf9}, all(or(vmProcControls, procRDTSC), or(vmProcControls2, proc2RDTSCP)), ExitRDTSCP, 0, 0},
		{"rdtscp not", []byte{0x0f, 0x01, 0xf9}, or(vmProcControls2, proc2RDTSCP), none, 0, 0},
		{"rdtscp without the control", []byte{0x0f, 0x01, 0xf9}, all(or(vmProcControls, procRDTSC), set(vmExceptionBitmap, 1<<VectorUD)), ExitException, 0, 0},
		{"wbinvd", []byte{0x0f, 0x09}, or(vmProcControls2, proc2WBINVD), ExitWBINVD, 0, 0},
		{"pause", []byte{0xf3, 0x90}, or(vmProcControls, procPAUSE), ExitPAUSE, 0, 0},
		{"pause loop", []byte{0xf3, 0x90, 0xeb, 0xfc}, all(or(vmProcControls2, proc2PauseLoop), set(vmPLEGap, 10), set(vmPLEWindow, 100)), ExitPAUSE, 0, 0},
		{"monitor, which does not exist", []byte{0x0f, 0x01, 0xc8}, all(or(vmProcControls, procMONITOR|procMWAIT), set(vmExceptionBitmap, 1<<VectorUD)), ExitException, 0, 0},

		// Control registers.
		{"mov cr3, rcx", []byte{0x0f, 0x22, 0xd9}, all(or(vmProcControls, procCR3Load), reg(RCX, 0x5000)), ExitCRAccess, 3 | RCX<<8, 0},
		{"mov cr3, rcx not", []byte{0x0f, 0x22, 0xd9}, reg(RCX, cr3), none, 0, 0},
		{"mov cr3, rcx to a target value", []byte{0x0f, 0x22, 0xd9}, all(or(vmProcControls, procCR3Load), reg(RCX, cr3), set(vmCR3TargetCount, 2), set(vmCR3Target0+2, cr3)), none, 0, 0},
		{"mov cr3, rcx to a target value beyond the count", []byte{0x0f, 0x22, 0xd9}, all(or(vmProcControls, procCR3Load), reg(RCX, cr3), set(vmCR3TargetCount, 1), set(vmCR3Target0+2, cr3)), ExitCRAccess, 3 | RCX<<8, 0},
		{"mov r12, cr3", []byte{0x41, 0x0f, 0x20, 0xdc}, or(vmProcControls, procCR3Store), ExitCRAccess, 3 | 1<<4 | 12<<8, 0},
		{"mov cr0, rax that differs", []byte{0x0f, 0x22, 0xc0}, all(set(vmCR0Mask, CR0TS), set(vmCR0Shadow, 0), reg(RAX, CR0TS)), ExitCRAccess, 0, 0},
		{"mov cr0, rax, the shadow's bits", []byte{0x0f, 0x22, 0xc0}, all(set(vmCR0Mask, CR0TS|CR0NE), set(vmCR0Shadow, 0), reg(RAX, CR0PG|CR0PE)), none, 0, 0},
		{"mov cr4, rax that differs", []byte{0x0f, 0x22, 0xe0}, all(set(vmCR4Mask, CR4VMXE), set(vmCR4Shadow, 0), reg(RAX, CR4VMXE|CR4PAE)), ExitCRAccess, 4, 0},
		{"mov cr4, rax, the shadow's bits", []byte{0x0f, 0x22, 0xe0}, all(set(vmCR4Mask, CR4VMXE), set(vmCR4Shadow, 0), reg(RAX, CR4PAE)), none, 0, 0},
		{"mov cr8, rax", []byte{0x44, 0x0f, 0x22, 0xc0}, or(vmProcControls, procCR8Load), ExitCRAccess, 8, 0},
		{"mov rdx, cr8", []byte{0x44, 0x0f, 0x20, 0xc2}, or(vmProcControls, procCR8Store), ExitCRAccess, 8 | 1<<4 | RDX<<8, 0},
		{"clts", []byte{0x0f, 0x06}, all(set(vmCR0Mask, CR0TS), set(vmCR0Shadow, CR0TS)), ExitCRAccess, 2 << 4, 0},
		{"clts with TS clear in the shadow", []byte{0x0f, 0x06}, all(set(vmCR0Mask, CR0TS), set(vmCR0Shadow, 0)), none, 0, 0},
		{"lmsw ax", []byte{0x0f, 0x01, 0xf0}, all(set(vmCR0Mask, CR0MP), set(vmCR0Shadow, 0), reg(RAX, CR0PE|CR0MP)), ExitCRAccess, 3<<4 | 3<<16, 0},
		{"lmsw [rbx]", []byte{0x0f, 0x01, 0x33}, all(set(vmCR0Mask, CR0TS), set(vmCR0Shadow, 0), reg(RBX, 0x38000), func(vm *testVM) { vm.write(0x38000, 9) }), ExitCRAccess, 3<<4 | 1<<6 | 9<<16, 0},
		{"lmsw ax cannot clear PE", []byte{0x0f, 0x01, 0xf0}, all(set(vmCR0Mask, CR0PE), set(vmCR0Shadow, CR0PE), reg(RAX, 0)), none, 0, 0},
		{"mov dr7, rax", []byte{0x0f, 0x23, 0xf8}, all(or(vmProcControls, procMOVDR), reg(RAX, 0x400)), ExitDRAccess, 7, 0},
		{"mov rsi, dr6", []byte{0x0f, 0x21, 0xf6}, or(vmProcControls, procMOVDR), ExitDRAccess, 6 | 1<<4 | RSI<<8, 0},

		// Ports.
		{"in al, 60h", []byte{0xe4, 0x60}, or(vmProcControls, procIO), ExitIO, 0 | 1<<3 | 1<<6 | 0x60<<16, 0},
		{"out dx, eax", []byte{0xef}, all(or(vmProcControls, procIO), reg(RDX, 0xcf8)), ExitIO, 3 | 0xcf8<<16, 0},
		{"out dx, eax not", []byte{0xef}, reg(RDX, 0xcf8), none, 0, 0},
		{"bitmap: in ax, dx, second byte", []byte{0x66, 0xed}, all(or(vmProcControls, procIOBitmaps), bitmap(testIOBitmaps, 0x61), reg(RDX, 0x60)), ExitIO, 1 | 1<<3 | 0x60<<16, 0},
		{"bitmap: in al, 60h not, though unconditional", []byte{0xe4, 0x60}, all(or(vmProcControls, procIOBitmaps|procIO), bitmap(testIOBitmaps, 0x61)), none, 0, 0},
		{"bitmap B: out dx, al", []byte{0xee}, all(or(vmProcControls, procIOBitmaps), bitmap(testIOBitmaps+0x1000, 0x7fff), reg(RDX, 0xffff)), ExitIO, 0xffff << 16, 0},
		{"bitmap: in ax, dx wraps around", []byte{0x66, 0xed}, all(or(vmProcControls, procIOBitmaps), reg(RDX, 0xffff)), ExitIO, 1 | 1<<3 | 0xffff<<16, 0},
		{"rep insw", []byte{0xf3, 0x66, 0x6d}, all(or(vmProcControls, procIO), reg(RDX, 0x1f0), reg(RCX, 2), reg(RDI, 0x38000)), ExitIO, 1 | 1<<3 | 1<<4 | 1<<5 | 0x1f0<<16, 2 << 7},
		{"outsb fs:", []byte{0x64, 0x6e}, all(or(vmProcControls, procIO), reg(RDX, 0x3f8), reg(RSI, 0x38000), base(FS, 0x100)), ExitIO, 1<<4 | 0x3f8<<16, 2<<7 | FS<<15},

		// MSRs.
		{"rdmsr", []byte{0x0f, 0x32}, reg(RCX, msrSysenterCS), ExitRDMSR, 0, 0},
		{"wrmsr", []byte{0x0f, 0x30}, reg(RCX, msrSysenterCS), ExitWRMSR, 0, 0},
		{"bitmap: rdmsr not", []byte{0x0f, 0x32}, all(or(vmProcControls, procMSRBitmaps), reg(RCX, msrSysenterCS), bitmap(testMSRBitmap+2048, msrSysenterCS)), none, 0, 0},
		{"bitmap: rdmsr", []byte{0x0f, 0x32}, all(or(vmProcControls, procMSRBitmaps), reg(RCX, msrSysenterCS), bitmap(testMSRBitmap, msrSysenterCS)), ExitRDMSR, 0, 0},
		{"bitmap: wrmsr", []byte{0x0f, 0x30}, all(or(vmProcControls, procMSRBitmaps), reg(RCX, msrSysenterCS), bitmap(testMSRBitmap+2048, msrSysenterCS)), ExitWRMSR, 0, 0},
		{"bitmap: rdmsr of a high one", []byte{0x0f, 0x32}, all(or(vmProcControls, procMSRBitmaps), reg(RCX, msrLSTAR), bitmap(testMSRBitmap+1024, msrLSTAR&0x1fff)), ExitRDMSR, 0, 0},
		{"bitmap: wrmsr of a high one not", []byte{0x0f, 0x30}, all(or(vmProcControls, procMSRBitmaps), reg(RCX, msrLSTAR), reg(RDX, 0), bitmap(testMSRBitmap+1024, msrLSTAR&0x1fff)), none, 0, 0},
		{"bitmap: rdmsr out of both ranges", []byte{0x0f, 0x32}, all(or(vmProcControls, procMSRBitmaps), reg(RCX, 0x2000)), ExitRDMSR, 0, 0},
		{"bitmap: rdmsr of 40000000h", []byte{0x0f, 0x32}, all(or(vmProcControls, procMSRBitmaps), reg(RCX, 0x40000000)), ExitRDMSR, 0, 0},

		// Descriptor tables.
		{"sgdt [rax]", []byte{0x0f, 0x01, 0x00}, or(vmProcControls2, proc2Tables), ExitGDTROrIDTR, 0, 2<<7 | 1<<11 | DS<<15 | 1<<22},
		{"lidt [rax+64]", []byte{0x0f, 0x01, 0x58, 64}, or(vmProcControls2, proc2Tables), ExitGDTROrIDTR, 64, 2<<7 | 1<<11 | DS<<15 | 1<<22 | 3<<28},
		{"ltr dx", []byte{0x0f, 0x00, 0xda}, or(vmProcControls2, proc2Tables), ExitLDTROrTR, 0, RDX<<3 | 1<<10 | 3<<28},
		{"str rbp", []byte{0x48, 0x0f, 0x00, 0xcd}, or(vmProcControls2, proc2Tables), ExitLDTROrTR, 0, RBP<<3 | 1<<10 | 1<<28},
		{"sldt ax not", []byte{0x66, 0x0f, 0x00, 0xc0}, all(), none, 0, 0},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, code(r.code, codeVMCALL))
			vm.clear(vmProcControls, procCR3Load|procCR3Store)
			r.change(vm)
			retired := vm.Retired()
			vm.launch()
			vm.exited(r.reason)
			vm.field(vmQualification, r.qual)
			vm.field(vmVectoringInfo, 0)
			if r.reason == none && &r.code[0] != &codeVMCALL[0] {
				vm.field(vmGuestRIP, uint64(testGuestCode+len(r.code)))
				return
			}
			if r.reason == ExitPAUSE {
				return
			}
			vm.field(vmGuestRIP, testGuestCode)
			vm.field(vmExitLength, uint64(len(r.code)))
			if r.info != 0 {
				vm.field(vmExitInstruction, r.info)
			}
			// VMLAUNCH and the host's HLT: what exits does not retire.
			if got := vm.Retired() - retired; got != 2 {
				t.Errorf("%d instructions retired, want 2", got)
			}
		})
	}
}

// TestPrivilegeBeforeExit: faults that depend on the privilege level come
// before VM exits, those of VMX instructions do not (26.1.1).
func TestPrivilegeBeforeExit(t *testing.T) {
	user := all(selector(CS, 0x33), attr(CS, 0xa0fb), selector(SS, 0x2b), attr(SS, 0xc0f3), selector(DS, 0x2b), attr(DS, 0xc0f3),
		selector(ES, 0), attr(ES, AttrUnusable), selector(FS, 0), attr(FS, AttrUnusable), selector(GS, 0), attr(GS, AttrUnusable))
	for _, r := range []struct {
		name   string
		code   []byte
		reason ExitReason
	}{
		{"hlt", codeHLT, ExitException},
		{"mov cr3, rax", []byte{0x0f, 0x22, 0xd8}, ExitException},
		{"rdmsr", []byte{0x0f, 0x32}, ExitException},
		{"in al, 60h", []byte{0xe4, 0x60}, ExitException},
		{"cpuid", codeCPUID, ExitCPUID},
		{"vmcall", codeVMCALL, ExitVMCALL},
		{"vmread rax, rax", []byte{0x0f, 0x78, 0xc0}, ExitVMREAD},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, r.code)
			all(user, or(vmProcControls, procHLT|procIO), set(vmExceptionBitmap, 1<<VectorGP))(vm)
			vm.userPages()
			vm.write(testTSS+102, 0xff, 0xff) // no I/O permission bitmap
			vm.launch()
			vm.exited(r.reason)
			if r.reason == ExitException {
				vm.field(vmExitInfo, infoValid|infoCode|event(EventHardware, VectorGP))
				vm.field(vmExitErrorCode, 0)
				vm.field(vmGuestRFLAGS, FlagR1|FlagRF)
			}
		})
	}
}

// userPages lets CPL 3 use all pages.
func (vm *testVM) userPages() {
	for i := range uint64(4) {
		vm.write64(0x2000+8*i, vm.read64(0x2000+8*i)|4)
	}
	vm.write64(0x1000, vm.read64(0x1000)|4)
}

// TestExceptionExits: the exception bitmap (26.2), and what is reported.
func TestExceptionExits(t *testing.T) {
	const none = ExitVMCALL // of the guest's handler
	e := func(kind EventKind, v uint8) uint64 { return infoValid | event(kind, v) }
	for _, r := range []struct {
		name   string
		code   []byte
		change change
		reason ExitReason
		info   uint64
		errc   uint64
		qual   uint64
		length uint64 // 0: not looked at
		flags  uint64 // RF
	}{
		{"#UD", []byte{0x0f, 0x0b}, set(vmExceptionBitmap, 1<<VectorUD), ExitException, e(EventHardware, 6), 0, 0, 0, FlagRF},
		{"#UD not", []byte{0x0f, 0x0b}, set(vmExceptionBitmap, ^uint64(1<<VectorUD)), none, 0, 0, 0, 0, 0},
		{"#DE", []byte{0x31, 0xc9, 0xf7, 0xf1}, set(vmExceptionBitmap, 1), ExitException, e(EventHardware, 0), 0, 0, 0, FlagRF},
		{"#BP", []byte{0xcc}, set(vmExceptionBitmap, 1<<VectorBP), ExitException, e(EventSoftException, 3), 0, 0, 1, 0},
		{"INT 3 as INT n", []byte{0xcd, 3}, set(vmExceptionBitmap, 1<<VectorBP), none, 0, 0, 0, 0, 0},
		{"INT1", []byte{0xf1}, set(vmExceptionBitmap, 1<<VectorDB), ExitException, e(EventPrivSoftware, 1), 0, 0, 1, 0},
		{"#GP", []byte{0x0f, 0x22, 0xd8}, all(reg(RAX, 1<<60), set(vmExceptionBitmap, 1<<VectorGP)), ExitException, e(EventHardware, 13) | infoCode, 0, 0, 0, FlagRF},
		{"#PF on a read", []byte{0x48, 0x8b, 0x03}, all(reg(RBX, 0x7fff00001238), set(vmExceptionBitmap, 1<<VectorPF)), ExitException, e(EventHardware, 14) | infoCode, 0, 0x7fff00001238, 0, FlagRF},
		{"#PF on a write", []byte{0x48, 0x89, 0x03}, all(reg(RBX, 0x7fff00001238), set(vmExceptionBitmap, 1<<VectorPF)), ExitException, e(EventHardware, 14) | infoCode, 2, 0x7fff00001238, 0, FlagRF},
		{"#PF: error code does not match", []byte{0x48, 0x8b, 0x03}, all(reg(RBX, 0x7fff00001238), set(vmExceptionBitmap, 1<<VectorPF), set(vmPFMask, 2), set(vmPFMatch, 2)), none, 0, 0, 0, 0, 0},
		{"#PF: error code does not match, bit clear", []byte{0x48, 0x8b, 0x03}, all(reg(RBX, 0x7fff00001238), set(vmPFMask, 2), set(vmPFMatch, 2)), ExitException, e(EventHardware, 14) | infoCode, 0, 0x7fff00001238, 0, FlagRF},
		{"#PF: error code matches", []byte{0x48, 0x89, 0x03}, all(reg(RBX, 0x7fff00001238), set(vmExceptionBitmap, 1<<VectorPF), set(vmPFMask, 2), set(vmPFMatch, 2)), ExitException, e(EventHardware, 14) | infoCode, 2, 0x7fff00001238, 0, FlagRF},
		{"single step", []byte{0x90}, all(or(vmGuestRFLAGS, FlagTF), set(vmExceptionBitmap, 1<<VectorDB)), ExitException, e(EventHardware, 1), 0, dr6BS, 0, FlagTF},
		{"instruction breakpoint", []byte{0x90}, all(or(vmEntryControls, entryLoadDebug), set(vmGuestDR7, 0x402), set(vmExceptionBitmap, 1<<VectorDB),
			func(vm *testVM) { vm.DR[0] = testGuestCode }), ExitException, e(EventHardware, 1), 0, 1, 0, 0},
		{"GD", []byte{0x0f, 0x21, 0xc0}, all(or(vmEntryControls, entryLoadDebug), set(vmGuestDR7, 0x2400), set(vmExceptionBitmap, 1<<VectorDB)), ExitException, e(EventHardware, 1), 0, 1 << 13, 0, 0},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, code(r.code, codeVMCALL))
			r.change(vm)
			dr6, cr2 := vm.DR[6], vm.CR2
			vm.launch()
			vm.exited(r.reason)
			vm.field(vmExitInfo, r.info)
			vm.field(vmVectoringInfo, 0)
			vm.field(vmQualification, r.qual)
			if r.reason == none {
				if rip := vm.get(vmGuestRIP); rip < testHandlers {
					t.Errorf("guest rip %#x is not in a handler", rip)
				}
				return
			}
			if r.info&infoCode != 0 {
				vm.field(vmExitErrorCode, r.errc)
			}
			if r.length != 0 {
				vm.field(vmExitLength, r.length)
			}
			if got := vm.get(vmGuestRFLAGS) & (FlagRF | FlagTF); got != r.flags {
				t.Errorf("saved flags %#x, want %#x", got, r.flags)
			}
			// 28.1: the exit comes before the exception's own effects.
			if vm.DR[6] != dr6 || vm.CR2 != cr2 {
				t.Errorf("dr6 %#x, cr2 %#x", vm.DR[6], vm.CR2)
			}
			vm.field(vmPendingDebug, 0)
			if vm.get(vmGuestRSP) != testGuestStack {
				t.Errorf("guest rsp %#x", vm.get(vmGuestRSP))
			}
		})
	}
}

// TestInjection: events that VM entry injects (27.6), as the guest's handler
// finds them. The handler is VMCALL.
func TestInjection(t *testing.T) {
	for _, r := range []struct {
		name   string
		kind   EventKind
		vector uint8
		code   int64 // -1: none
		length uint64
		frame  uint64 // return address
	}{
		{"interrupt", EventExternal, 0x40, -1, 0, testGuestCode},
		{"NMI", EventNMI, VectorNMI, -1, 0, testGuestCode},
		{"#UD", EventHardware, VectorUD, -1, 0, testGuestCode},
		{"#PF", EventHardware, VectorPF, 6, 0, testGuestCode},
		{"#DB", EventHardware, VectorDB, -1, 0, testGuestCode},
		{"INT 80h", EventSoftware, 0x80, -1, 2, testGuestCode + 2},
		{"INT3", EventSoftException, VectorBP, -1, 1, testGuestCode + 1},
		{"INT1", EventPrivSoftware, VectorDB, -1, 1, testGuestCode + 1},
		{"INT 80h of length 0", EventSoftware, 0x80, -1, 0, testGuestCode},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, codeHLT)
			info := event(r.kind, r.vector)
			if r.code >= 0 {
				info |= infoCode
				vm.set(vmEntryErrorCode, uint64(r.code))
			}
			vm.or(vmGuestRFLAGS, FlagIF)
			// 27.6.1.2: an injected event is not intercepted.
			vm.set(vmExceptionBitmap, 0xffffffff)
			vm.set(vmEntryLength, r.length)
			vm.set(vmEntryInfo, info|infoValid)
			cr2, dr6 := vm.CR2, vm.DR[6]
			vm.launch()
			vm.exited(ExitVMCALL)
			vm.field(vmGuestRIP, testHandlers+16*uint64(r.vector))
			vm.field(vmEntryInfo, info) // the valid bit is cleared
			vm.field(vmVectoringInfo, 0)
			sp := vm.get(vmGuestRSP)
			if r.code >= 0 {
				if got := vm.read64(sp); got != uint64(r.code) {
					t.Errorf("error code %#x", got)
				}
				sp += 8
			}
			if sp != testGuestStack-40 {
				t.Errorf("frame at %#x", sp)
			}
			if got := vm.read64(sp); got != r.frame {
				t.Errorf("return address %#x, want %#x", got, r.frame)
			}
			// RF is pushed as the VMCS had it.
			if got := vm.read64(sp + 16); got != FlagR1|FlagIF {
				t.Errorf("flags %#x", got)
			}
			blocked := uint64(0)
			if r.kind == EventNMI {
				blocked = blockNMI
			}
			vm.field(vmInterruptibility, blocked)
			if vm.CR2 != cr2 || vm.DR[6] != dr6 {
				t.Errorf("cr2 %#x, dr6 %#x", vm.CR2, vm.DR[6])
			}
		})
	}
}

// TestVectoring: exits in the middle of delivering an event (28.2.4).
func TestVectoring(t *testing.T) {
	e := func(kind EventKind, v uint8) uint64 { return infoValid | event(kind, v) }
	noStack := set(vmGuestRSP, 0x7fff00000000)
	interrupt := all(or(vmGuestRFLAGS, FlagIF), func(vm *testVM) { vm.apic.interrupt(0x40) })
	// The guest's frame goes to a page that EPT does not map.
	hole := all(ept, set(vmGuestRSP, 0x900000), func(vm *testVM) { vm.write64(testEPT+0x2000+8*4, 0) })
	for _, r := range []struct {
		name      string
		code      []byte
		change    change
		reason    ExitReason
		info      uint64 // interruption information
		vectoring uint64
		errc      uint64 // of the event being delivered
		length    uint64
	}{
		{"#PF while delivering an interrupt", []byte{0x90}, all(noStack, interrupt, set(vmExceptionBitmap, 1<<VectorPF)),
			ExitException, e(EventHardware, 14) | infoCode, e(EventExternal, 0x40), 0, 0},
		{"#PF while delivering #GP", []byte{0x0f, 0x22, 0xd8}, all(reg(RAX, 1<<60), noStack, set(vmExceptionBitmap, 1<<VectorPF)),
			ExitException, e(EventHardware, 14) | infoCode, e(EventHardware, 13) | infoCode, 0, 0},
		{"#PF while delivering INT 80h", []byte{0xcd, 0x80}, all(noStack, set(vmExceptionBitmap, 1<<VectorPF)),
			ExitException, e(EventHardware, 14) | infoCode, e(EventSoftware, 0x80), 0, 2},
		{"#PF while delivering INT3", []byte{0xcc}, all(noStack, set(vmExceptionBitmap, 1<<VectorPF)),
			ExitException, e(EventHardware, 14) | infoCode, e(EventSoftException, 3), 0, 1},
		{"#PF while delivering an injected #PF", []byte{0x90}, all(noStack, set(vmExceptionBitmap, 1<<VectorPF), inject(event(EventHardware, 14)|infoCode), set(vmEntryErrorCode, 6)),
			ExitException, e(EventHardware, 14) | infoCode, e(EventHardware, 14) | infoCode, 6, 0},
		{"#PF while delivering an injected INT 80h", []byte{0x90}, all(noStack, set(vmExceptionBitmap, 1<<VectorPF), inject(event(EventSoftware, 0x80)), set(vmEntryLength, 2)),
			ExitException, e(EventHardware, 14) | infoCode, e(EventSoftware, 0x80), 0, 2},
		{"EPT violation while delivering an interrupt", []byte{0x90}, all(hole, interrupt),
			ExitEPTViolation, 0, e(EventExternal, 0x40), 0, 0},
		{"EPT violation while delivering INT 80h", []byte{0xcd, 0x80}, hole,
			ExitEPTViolation, 0, e(EventSoftware, 0x80), 0, 2},
		{"EPT violation while delivering an injected NMI", []byte{0x90}, all(hole, inject(event(EventNMI, 2))),
			ExitEPTViolation, 0, e(EventNMI, 2), 0, 0},
		// #GP and then #PF make #DF; an exit for it directly is not one in
		// the middle of a delivery.
		{"#DF", []byte{0x0f, 0x22, 0xd8}, all(reg(RAX, 1<<60), set(vmGuestIDTRLimit, 0), set(vmExceptionBitmap, 1<<VectorDF)),
			ExitException, e(EventHardware, 8) | infoCode, 0, 0, 0},
		{"#PF while delivering #DF makes a triple fault", []byte{0x0f, 0x22, 0xd8}, all(reg(RAX, 1<<60), noStack),
			ExitTripleFault, 0, 0, 0, 0},
		{"#PF while delivering #DF, intercepted", []byte{0x0f, 0x22, 0xd8}, all(reg(RAX, 1<<60), set(vmGuestIDTRLimit, 16*9-1), noStack, set(vmExceptionBitmap, 1<<VectorPF)),
			ExitException, e(EventHardware, 14) | infoCode, e(EventHardware, 8) | infoCode, 0, 0},
		{"triple fault", []byte{0x0f, 0x0b}, set(vmGuestIDTRLimit, 0), ExitTripleFault, 0, 0, 0, 0},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, code(r.code, codeVMCALL))
			r.change(vm)
			vm.launch()
			vm.exited(r.reason)
			vm.field(vmExitInfo, r.info)
			vm.field(vmVectoringInfo, r.vectoring)
			if r.vectoring&infoCode != 0 {
				vm.field(vmVectoringErrorCode, r.errc)
			}
			if r.length != 0 {
				vm.field(vmExitLength, r.length)
			}
			if r.reason != ExitTripleFault {
				vm.field(vmGuestRIP, testGuestCode)
			}
		})
	}
}

// TestEPTViolations: the exit qualification (table 28-7) and addresses.
func TestEPTViolations(t *testing.T) {
	const gpa = 0x800000 // the fifth 2-MiB page
	entry := func(v uint64) change { return func(vm *testVM) { vm.write64(testEPT+0x2000+8*4, v) } }
	leaf := func(rights uint64) change { return entry(gpa | 1<<7 | 6<<3 | rights) }
	load, store, jump := []byte{0x48, 0x8b, 0x03}, []byte{0x48, 0x89, 0x03}, []byte{0xff, 0xe3}
	for _, r := range []struct {
		name   string
		code   []byte
		change change
		reason ExitReason
		qual   uint64
	}{
		{"read of nothing", load, entry(0), ExitEPTViolation, 1 | 0<<3 | 1<<7 | 1<<8},
		{"write of nothing", store, entry(0), ExitEPTViolation, 2 | 0<<3 | 1<<7 | 1<<8},
		{"fetch of nothing", jump, entry(0), ExitEPTViolation, 4 | 0<<3 | 1<<7 | 1<<8},
		{"write of a read-only page", store, leaf(1), ExitEPTViolation, 2 | 1<<3 | 1<<7 | 1<<8},
		{"read of an execute-only page", load, leaf(4), ExitEPTViolation, 1 | 4<<3 | 1<<7 | 1<<8},
		{"fetch of a page without X", jump, leaf(3), ExitEPTViolation, 4 | 3<<3 | 1<<7 | 1<<8},
		{"write-only", load, leaf(2), ExitEPTMisconfig, 0},
		{"write and execute", load, leaf(6), ExitEPTMisconfig, 0},
		{"memory type 2", load, entry(gpa | 1<<7 | 2<<3 | 7), ExitEPTMisconfig, 0},
		{"reserved bit 12", load, entry(gpa | 1<<12 | 1<<7 | 6<<3 | 7), ExitEPTMisconfig, 0},
		{"reserved bit 4 of a table", load, entry(0x54000 | 1<<4 | 7), ExitEPTMisconfig, 0},
		{"all rights", load, leaf(7), ExitVMCALL, 0},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, code(r.code, codeVMCALL))
			all(ept, r.change, reg(RBX, gpa+0x128))(vm)
			vm.write(gpa+0x128, codeVMCALL...)
			vm.launch()
			vm.exited(r.reason)
			vm.field(vmQualification, r.qual)
			if r.reason == ExitVMCALL {
				return
			}
			vm.field(vmGuestPhysical, gpa+0x128)
			if r.reason == ExitEPTViolation {
				vm.field(vmGuestLinear, gpa+0x128)
				vm.field(vmGuestRFLAGS, FlagR1|FlagRF)
			}
			if r.code[0] == 0xff {
				vm.field(vmGuestRIP, gpa+0x128)
			} else {
				vm.field(vmGuestRIP, testGuestCode)
			}
			// Repaired, the guest goes on.
			leaf(7)(vm)
			vm.resume()
			vm.exited(ExitVMCALL)
		})
	}

	t.Run("page walk", func(t *testing.T) {
		vm := newTestVM(t, load)
		// The guest's page tables lie in a page that EPT does not map.
		all(ept, entry(0), set(vmGuestCR3, gpa))(vm)
		vm.launch()
		vm.exited(ExitEPTViolation)
		vm.field(vmQualification, 1|1<<7)
		vm.field(vmGuestPhysical, gpa)
		vm.field(vmGuestLinear, testGuestCode)
	})
	t.Run("accessed and dirty flags", func(t *testing.T) {
		vm := newTestVM(t, code(store, codeVMCALL))
		all(ept, set(vmEPTP, testEPT|1<<6|3<<3|6), leaf(7), reg(RBX, gpa))(vm)
		vm.launch()
		vm.exited(ExitVMCALL)
		if got := vm.read64(testEPT + 0x2000 + 8*4); got != gpa|1<<7|6<<3|7|3<<8 {
			t.Errorf("EPT entry %#x", got)
		}
	})
}

// TestTLBAndTransitions: without VPIDs a transition flushes, with them the
// guest's translations last (29.4.3).
func TestTLBAndTransitions(t *testing.T) {
	for _, vpid := range []bool{false, true} {
		vm := newTestVM(t, code([]byte{0x48, 0x8b, 0x03}, codeVMCALL)) // mov rax, [rbx]
		ept(vm)
		if vpid {
			vm.or(vmProcControls2, proc2VPID)
		}
		vm.R[RBX] = 0x800000
		vm.write64(0x800000, 1)
		vm.write64(0xa00000, 2)
		vm.launch()
		vm.exited(ExitVMCALL)
		vm.write64(testEPT+0x2000+8*4, 0xa00000|1<<7|6<<3|7)
		vm.set(vmGuestRIP, testGuestCode)
		vm.resume()
		want := uint64(2)
		if vpid {
			want = 1 // stale, as no INVEPT was executed
		}
		if vm.R[RAX] != want {
			t.Errorf("VPID %v: read %d, want %d", vpid, vm.R[RAX], want)
		}
	}
}

// copyTo takes a machine through its saved state into another.
func (vm *testVM) copyTo(to *testVM) {
	vm.tb.Helper()
	mem := make([]byte, 16<<20)
	for pa := uint64(0); pa < 16<<20; pa += 4096 {
		if vm.MMU.Mem.IsRAM(pa) {
			vm.must(vm.MMU.Mem.ReadBytes(pa, mem[pa:pa+4096]))
			vm.must(to.MMU.Mem.WriteBytes(pa, mem[pa:pa+4096]))
		}
	}
	vm.must(state.Load(state.Save(nil, vm.CPU), to.CPU))
	vm.must(state.Load(state.Save(nil, vm.MMU), to.MMU))
}

// TestSnapshotInGuest stops at every count of a run through guest and host,
// saves, loads into another machine, and goes on in both.
func TestSnapshotInGuest(t *testing.T) {
	build := func() *testVM {
		vm := newTestVM(t, code(
			[]byte{0xb9, 50, 0, 0, 0},      // mov ecx, 50
			[]byte{0x48, 0x01, 0x0b},       // loop: add [rbx], rcx
			[]byte{0x0f, 0x31},             // rdtsc
			[]byte{0x48, 0x31, 0x04, 0x24}, // xor [rsp], rax
			[]byte{0xff, 0xc9, 0x75, 0xf3}, // dec ecx; jnz loop
			[]byte{0xcd, 0x80}, []byte{0x0f, 0x0b}))
		all(ept, or(vmProcControls2, proc2VPID), or(vmProcControls, procTSCOffset), set(vmTSCOffset, 12345),
			or(vmPinControls, pinTimer), or(vmExitControls, exitSaveTimer), set(vmTimer, 2), reg(RBX, 0x800000))(vm)
		// The handler counts, and resumes with a fresh timer.
		vm.write(testExitCode, code(
			[]byte{0xba, 0x2e, 0x48, 0, 0},     // mov edx, 482eh
			[]byte{0xb8, 2, 0, 0, 0},           // mov eax, 2
			[]byte{0x0f, 0x79, 0xd0},           // vmwrite rdx, rax
			[]byte{0xff, 0xc6},                 // inc esi
			[]byte{0x83, 0xfe, 20, 0x74, 0x03}, // cmp esi, 20; je over VMRESUME
			codeVMRESUME, codeHLT)...)
		vm.RIP = testHostCode
		vm.Settle()
		return vm
	}
	straight := build()
	var states [][]byte
	for n := uint64(1); n <= 600; n++ {
		straight.Run(n)
		states = append(states, state.Save(nil, straight.CPU))
	}
	exits := straight.ExitCount()
	if exits < 5 {
		t.Fatalf("%d exits", exits)
	}
	vm, other := build(), build()
	for n := uint64(7); n <= 590; n += 7 {
		vm.Run(n)
		vm.copyTo(other)
		for _, k := range []uint64{1, 10} {
			other.Run(n + k)
			if got := state.Save(nil, other.CPU); string(got) != string(states[n+k-1]) {
				t.Fatalf("saved at %d (guest %v), at %d the state differs", n, vm.InGuest(), n+k)
			}
		}
	}
}
