package cpu

import "testing"

// spin is a loop: inc ecx; jmp back.
var spin = []byte{0xff, 0xc1, 0xeb, 0xfc}

// TestEventExits: which events exit, from which state of the guest, and what
// is saved (SDM Vol. 3C, 26.2, 26.5 and 28.2).
func TestEventExits(t *testing.T) {
	e := func(kind EventKind, v uint8) uint64 { return infoValid | event(kind, v) }
	interrupt := func(vm *testVM) { vm.apic.interrupt(0x41) }
	nmi := func(vm *testVM) { vm.NMI() }
	enabled := or(vmGuestRFLAGS, FlagIF)
	virtual := or(vmPinControls, pinNMI|pinVirtual)
	const handler = ExitVMCALL // delivered to the guest

	for _, r := range []struct {
		name     string
		code     []byte
		change   change
		reason   ExitReason
		info     uint64
		rip      uint64 // relative to the guest's code; handlers by vector
		activity Activity
		blocking uint64
	}{
		{"interrupt", spin, all(interrupt, or(vmPinControls, pinExternal)), ExitExternalInterrupt, 0, 0, Active, 0},
		{"interrupt, acknowledged", spin, all(interrupt, or(vmPinControls, pinExternal), or(vmExitControls, exitAck)), ExitExternalInterrupt, e(EventExternal, 0x41), 0, Active, 0},
		{"interrupt when halted", codeHLT, all(interrupt, or(vmPinControls, pinExternal), set(vmActivity, 1)), ExitExternalInterrupt, 0, 0, Halted, 0},
		{"interrupt to the guest", spin, all(interrupt, enabled), handler, 0, testHandlers + 16*0x41 - testGuestCode, Active, 0},
		{"interrupt to the halted guest", spin, all(interrupt, enabled, set(vmActivity, 1)), handler, 0, testHandlers + 16*0x41 - testGuestCode, Active, 0},
		{"interrupt after STI", []byte{0x90, 0x90}, all(interrupt, enabled, or(vmPinControls, pinExternal), set(vmInterruptibility, blockSTI)), ExitExternalInterrupt, 0, 1, Active, 0},
		{"interrupt after MOV SS", []byte{0x90, 0x90}, all(interrupt, or(vmPinControls, pinExternal), set(vmInterruptibility, blockMovSS)), ExitExternalInterrupt, 0, 1, Active, 0},

		{"NMI", spin, all(nmi, or(vmPinControls, pinNMI)), ExitException, e(EventNMI, 2), 0, Active, 0},
		{"NMI when halted", spin, all(nmi, or(vmPinControls, pinNMI), set(vmActivity, 1)), ExitException, e(EventNMI, 2), 0, Halted, 0},
		{"NMI when shut down", spin, all(nmi, or(vmPinControls, pinNMI), set(vmActivity, 2)), ExitException, e(EventNMI, 2), 0, Shutdown, 0},
		{"NMI with virtual-NMI blocking", spin, all(nmi, virtual, set(vmInterruptibility, blockNMI)), ExitException, e(EventNMI, 2), 0, Active, blockNMI},
		{"NMI to the guest", spin, nmi, handler, 0, testHandlers + 32 - testGuestCode, Active, blockNMI},
		{"NMI comes before an interrupt", spin, all(nmi, interrupt, or(vmPinControls, pinNMI|pinExternal)), ExitException, e(EventNMI, 2), 0, Active, 0},

		{"interrupt window", spin, all(enabled, or(vmProcControls, procIntWindow)), ExitInterruptWindow, 0, 0, Active, 0},
		{"interrupt window opens with STI", []byte{0xfb, 0x90, 0x90}, or(vmProcControls, procIntWindow), ExitInterruptWindow, 0, 2, Active, 0},
		{"interrupt window when halted", spin, all(enabled, set(vmActivity, 1), or(vmProcControls, procIntWindow)), ExitInterruptWindow, 0, 0, Halted, 0},
		{"interrupt window after injection", spin, all(enabled, inject(event(EventExternal, 0x50)), or(vmProcControls, procIntWindow)), handler, 0, testHandlers + 16*0x50 - testGuestCode, Active, 0},
		{"interrupt window comes before an interrupt", spin, all(enabled, interrupt, or(vmPinControls, pinExternal), or(vmProcControls, procIntWindow)), ExitInterruptWindow, 0, 0, Active, 0},
		{"NMI comes before the interrupt window", spin, all(enabled, nmi, or(vmPinControls, pinNMI), or(vmProcControls, procIntWindow)), ExitException, e(EventNMI, 2), 0, Active, 0},
		{"NMI window", spin, all(virtual, or(vmProcControls, procNMIWindow)), ExitNMIWindow, 0, 0, Active, 0},
		{"NMI window comes before an NMI", spin, all(virtual, nmi, or(vmProcControls, procNMIWindow)), ExitNMIWindow, 0, 0, Active, 0},
		{"NMI window after MOV SS", []byte{0x90, 0x90}, all(virtual, set(vmInterruptibility, blockMovSS), or(vmProcControls, procNMIWindow)), ExitNMIWindow, 0, 1, Active, 0},
		{"NMI window opens with IRET", []byte{0x48, 0xcf}, all(virtual, set(vmInterruptibility, blockNMI), or(vmProcControls, procNMIWindow), func(vm *testVM) {
			for i, v := range [...]uint64{testGuestCode + 8, 8, FlagR1, testGuestStack, 16} {
				vm.write64(testGuestStack+8*uint64(i), v)
			}
		}), ExitNMIWindow, 0, 8, Active, 0},

		{"timer at once", spin, all(or(vmPinControls, pinTimer), set(vmTimer, 0)), ExitPreemptionTimer, 0, 0, Active, 0},
		{"timer when halted", spin, all(or(vmPinControls, pinTimer), set(vmTimer, 100), set(vmActivity, 1)), ExitPreemptionTimer, 0, 0, Halted, 0},
		{"timer when shut down", spin, all(or(vmPinControls, pinTimer), set(vmTimer, 100), set(vmActivity, 2)), ExitPreemptionTimer, 0, 0, Shutdown, 0},
		{"timer comes before the NMI window", spin, all(virtual, or(vmPinControls, pinTimer), set(vmTimer, 0), or(vmProcControls, procNMIWindow)), ExitPreemptionTimer, 0, 0, Active, 0},
		{"timer at once, after injection", spin, all(or(vmPinControls, pinTimer), set(vmTimer, 0), inject(event(EventHardware, 6))), ExitPreemptionTimer, 0, testHandlers + 16*6 - testGuestCode, Active, 0},

		{"MTF after an instruction", []byte{0x90, 0x90}, or(vmProcControls, procMTF), ExitMTF, 0, 1, Active, 0},
		{"MTF after an iteration", []byte{0xf3, 0xaa}, all(or(vmProcControls, procMTF), reg(RCX, 5), reg(RDI, 0x38000)), ExitMTF, 0, 0, Active, 0},
		{"MTF after an exception", []byte{0x0f, 0x0b}, or(vmProcControls, procMTF), ExitMTF, 0, testHandlers + 16*6 - testGuestCode, Active, 0},
		{"MTF after an interrupt", spin, all(interrupt, enabled, or(vmProcControls, procMTF)), ExitMTF, 0, testHandlers + 16*0x41 - testGuestCode, Active, 0},
		{"MTF after an injected event", spin, all(or(vmProcControls, procMTF), inject(event(EventHardware, 6))), ExitMTF, 0, testHandlers + 16*6 - testGuestCode, Active, 0},
		{"MTF after HLT", codeHLT, or(vmProcControls, procMTF), ExitMTF, 0, 1, Halted, 0},
		{"MTF injected", spin, inject(event(eventOther, 0)), ExitMTF, 0, 0, Active, 0},
		{"MTF injected when halted", spin, all(inject(event(eventOther, 0)), set(vmActivity, 1)), ExitMTF, 0, 0, Halted, 0},
		{"MTF comes before a debug trap", []byte{0x90}, all(or(vmProcControls, procMTF), or(vmGuestRFLAGS, FlagTF), set(vmExceptionBitmap, 2)), ExitMTF, 0, 1, Active, 0},
		{"an exit comes before MTF", codeCPUID, or(vmProcControls, procMTF), ExitCPUID, 0, 0, Active, 0},

		{"INIT", spin, func(vm *testVM) { vm.INIT() }, ExitINIT, 0, 0, Active, 0},
		{"TPR below threshold", []byte{0x44, 0x0f, 0x22, 0xc0}, all(or(vmProcControls, procTPRShadow), set(vmTPRThreshold, 5), reg(RAX, 4),
			func(vm *testVM) { vm.write(testAPICPage+0x80, 0x50) }), ExitTPRThreshold, 0, 4, Active, 0},
		{"pending #DB", spin, all(set(vmPendingDebug, pendingBS), set(vmExceptionBitmap, 2)), ExitException, e(EventHardware, 1), 0, Active, 0},
		{"pending #DB comes before the timer", spin, all(set(vmPendingDebug, pendingBS), set(vmExceptionBitmap, 2), or(vmPinControls, pinTimer), set(vmTimer, 0)), ExitException, e(EventHardware, 1), 0, Active, 0},
		{"pending #DB waits for MOV SS", []byte{0x90, 0x90}, all(or(vmGuestRFLAGS, FlagTF), set(vmPendingDebug, pendingBS), set(vmInterruptibility, blockMovSS), set(vmExceptionBitmap, 2)), ExitException, e(EventHardware, 1), 1, Active, 0},
		{"pending #DB gives way to injection", spin, all(set(vmPendingDebug, pendingBS), set(vmExceptionBitmap, 2), inject(event(EventHardware, 6))), handler, 0, testHandlers + 16*6 - testGuestCode, Active, 0},
		{"pending #DB that no enabled breakpoint caused", codeVMCALL, all(set(vmPendingDebug, 1), set(vmExceptionBitmap, 2)), ExitVMCALL, 0, 0, Active, 0},
		{"machine check", spin, all(set(vmExceptionBitmap, 1<<VectorMC), or(vmGuestCR4, CR4MCE), func(vm *testVM) { vm.mcPending = true }), ExitException, e(EventHardware, 18), 0, Active, 0},
		{"machine check without CR4.MCE", spin, func(vm *testVM) { vm.Hooks.VMEntry = func() { vm.mcPending = true } }, ExitTripleFault, 0, 0, Active, 0},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, r.code)
			vm.or(vmHostCR4, CR4MCE)
			vm.CR4 |= CR4MCE
			// Host code that nothing interrupts before it enters the guest.
			r.change(vm)
			hold := vm.nmiPending
			mc, pending := vm.mcPending, vm.apic.pending
			vm.nmiPending, vm.mcPending, vm.apic.pending = false, false, false
			before := vm.Hooks.VMEntry
			vm.Hooks.VMEntry = func() {
				vm.nmiPending, vm.mcPending, vm.apic.pending = hold, mc, pending
				if before != nil {
					before()
				}
			}
			vm.Hooks.VMExit = func(ExitReason, uint64) { vm.nmiPending = false }
			vm.launch()
			vm.exited(r.reason)
			vm.field(vmExitInfo, r.info)
			vm.field(vmGuestRIP, testGuestCode+r.rip)
			vm.field(vmActivity, uint64(r.activity))
			vm.field(vmInterruptibility, r.blocking)
			vm.field(vmVectoringInfo, 0)
			// 28.5.5: an NMI that exits is blocked in the host; without virtual
			// NMIs the guest's blocking lasts.
			if blocked := r.info == e(EventNMI, 2) || r.reason == handler && r.blocking == blockNMI; blocked != vm.nmiBlocked {
				t.Errorf("NMIs blocked in the host: %v", vm.nmiBlocked)
			}
		})
	}
}

// TestStartup: a guest that waits for a startup IPI.
func TestStartup(t *testing.T) {
	vm := newTestVM(t, spin)
	vm.set(vmActivity, uint64(WaitForSIPI))
	// Neither timer nor interrupts end the wait.
	all(or(vmPinControls, pinTimer|pinExternal|pinNMI), set(vmTimer, 0))(vm)
	vm.Settle()
	for range 10 {
		vm.Run(vm.Count + 100)
	}
	vm.apic.interrupt(0x41)
	vm.NMI()
	vm.INIT()
	if s := vm.Run(vm.Count + 100); s != StopHalted || !vm.InGuest() {
		t.Fatalf("%v, guest %v", s, vm.InGuest())
	}
	vm.SIPI(0x9a)
	vm.apic.pending, vm.nmiPending = false, false
	vm.toHost()
	vm.exited(ExitSIPI)
	vm.field(vmQualification, 0x9a)
	vm.field(vmActivity, uint64(WaitForSIPI))
	// In root operation INIT is blocked (24.8).
	if s := vm.Run(vm.Count + 1); s != StopHalted || vm.RIP != testExitCode+1 {
		t.Errorf("INIT in root operation: %v at %#x", s, vm.RIP)
	}
}

// TestPreemptionTimer: it counts changes of bit 5 of the TSC (26.5.1), and
// what is left of it is saved.
func TestPreemptionTimer(t *testing.T) {
	for _, offset := range []uint64{0, 7, 31, ^uint64(5)} {
		vm := newTestVM(t, spin)
		all(or(vmPinControls, pinTimer), or(vmExitControls, exitSaveTimer), set(vmTimer, 3))(vm)
		vm.MSR.TSCOffset = offset
		vm.launch()
		vm.exited(ExitPreemptionTimer)
		vm.field(vmTimer, 0)
		// The exit came with the change, before the next instruction: the
		// host's HLT is one later.
		if tsc := vm.TSC(vm.Count - 1); tsc%32 != 0 {
			t.Errorf("offset %#x: exit at TSC %#x", offset, tsc)
		}
		if n := vm.Count; n < 65 || n > 100 {
			t.Errorf("offset %#x: exit at count %d", offset, n)
		}
	}
	vm := newTestVM(t, code(make([]byte, 0), spin))
	all(or(vmPinControls, pinTimer), or(vmExitControls, exitSaveTimer), set(vmTimer, 1000))(vm)
	vm.write(testGuestCode+4, codeVMCALL...)
	vm.write(testGuestCode, 0xff, 0xc9, 0x75, 0xfc, 0x0f, 0x01, 0xc1) // dec ecx; jnz; vmcall
	vm.R[RCX] = 100
	vm.launch()
	vm.exited(ExitVMCALL)
	vm.field(vmTimer, 1000-uint64(201)/32)
}

// TestIRETAndNMIBlocking (26.3): an IRET that faults has unblocked NMIs, and
// the exit says so.
func TestIRETAndNMIBlocking(t *testing.T) {
	iret := []byte{0x48, 0xcf}
	fault := all(set(vmGuestRSP, 0x7fff00000000), set(vmExceptionBitmap, 1<<VectorPF), set(vmInterruptibility, blockNMI))
	for _, r := range []struct {
		name     string
		change   change
		info     uint64
		blocking uint64
	}{
		{"no NMI exiting", all(), infoUnblock, 0},
		{"NMI exiting", or(vmPinControls, pinNMI), 0, blockNMI},
		{"virtual NMIs", or(vmPinControls, pinNMI|pinVirtual), infoUnblock, 0},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, iret)
			all(fault, r.change)(vm)
			vm.launch()
			vm.exited(ExitException)
			vm.field(vmExitInfo, infoValid|infoCode|r.info|event(EventHardware, VectorPF))
			vm.field(vmInterruptibility, r.blocking)
		})
	}
	t.Run("EPT violation", func(t *testing.T) {
		vm := newTestVM(t, iret)
		all(ept, set(vmGuestRSP, 0x800000), set(vmInterruptibility, blockNMI), func(vm *testVM) { vm.write64(testEPT+0x2000+8*4, 0) })(vm)
		vm.launch()
		vm.exited(ExitEPTViolation)
		vm.field(vmQualification, 1|1<<7|1<<8|1<<12)
	})
}

// TestShadowSurvivesExit: an instruction in the shadow of STI or MOV SS that
// exits is in it still when it is entered again.
func TestShadowSurvivesExit(t *testing.T) {
	for _, r := range []struct {
		name     string
		code     []byte
		blocking uint64
	}{
		{"sti", []byte{0xfb}, blockSTI},
		{"mov ss, ax", []byte{0x8e, 0xd0}, blockMovSS},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, code(r.code, codeCPUID, []byte{0x90}, codeVMCALL))
			vm.R[RAX] = 16
			vm.or(vmPinControls, pinExternal)
			vm.launch()
			vm.exited(ExitCPUID)
			vm.field(vmInterruptibility, r.blocking)
			// With the host in a shadow of its own.
			vm.write(testHostCode, code([]byte{0xfb}, codeVMRESUME)...)
			vm.set(vmGuestRIP, vm.get(vmGuestRIP)+2)
			vm.RIP, vm.Activity = testHostCode, Active
			vm.Hooks.VMEntry = func() { vm.apic.interrupt(0x41) }
			vm.Settle()
			vm.toHost()
			vm.exited(ExitExternalInterrupt)
			vm.field(vmGuestRIP, uint64(testGuestCode+len(r.code)+3))
			vm.field(vmInterruptibility, 0)
		})
	}
}

// TestMSRAreas: what VM exit and entry store and load (27.4, 28.4, 28.6).
func TestMSRAreas(t *testing.T) {
	vm := newTestVM(t, codeVMCALL)
	all(
		set(vmEntryMSRLoadCount, 2), msrEntry(testMSRArea+0x800, msrKernelGSBase, 0x1111), msrEntry(testMSRArea+0x810, msrLSTAR, 0x2222),
		set(vmExitMSRStoreCount, 2), msrEntry(testMSRArea, msrKernelGSBase, 0), msrEntry(testMSRArea+0x10, msrTSC, 0),
		set(vmExitMSRLoadCount, 1), msrEntry(testMSRArea+0x400, msrKernelGSBase, 0x3333))(vm)
	vm.launch()
	vm.exited(ExitVMCALL)
	if got := vm.read64(testMSRArea + 8); got != 0x1111 {
		t.Errorf("stored %#x", got)
	}
	if got := vm.read64(testMSRArea + 0x18); got != 2 {
		t.Errorf("stored TSC %d", got)
	}
	if vm.MSR.KernelGSBase != 0x3333 || vm.MSR.LSTAR != 0x2222 {
		t.Errorf("loaded %#x, %#x", vm.MSR.KernelGSBase, vm.MSR.LSTAR)
	}

	// Failures are VMX aborts (28.7).
	for _, r := range []struct {
		name   string
		change change
		abort  vmAbort
	}{
		{"store of an MSR that does not exist", all(set(vmExitMSRStoreCount, 1), msrEntry(testMSRArea, 0x12345, 0)), abortSaveMSRs},
		{"store: reserved bits", all(set(vmExitMSRStoreCount, 1), msrEntry(testMSRArea, msrTSC|1<<63, 0)), abortSaveMSRs},
		{"store of an x2APIC register", all(set(vmExitMSRStoreCount, 1), msrEntry(testMSRArea, 0x802, 0)), abortSaveMSRs},
		{"load of a value that WRMSR refuses", all(set(vmExitMSRLoadCount, 1), msrEntry(testMSRArea+0x400, msrPAT, 2)), abortLoadMSRs},
		{"load of GS base", all(set(vmExitMSRLoadCount, 1), msrEntry(testMSRArea+0x400, msrGSBase, 0)), abortLoadMSRs},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, codeVMCALL)
			r.change(vm)
			vm.RIP = testHostCode
			vm.Settle()
			if s := vm.Run(100); s != StopShutdown {
				t.Fatalf("%v", s)
			}
			if got := vm.MMU.ReadPhysical(testVMCS+vmcsAbort, 4); got != uint64(r.abort) {
				t.Errorf("VMX-abort indicator %d, want %d", got, r.abort)
			}
			if s := vm.Run(200); s != StopShutdown {
				t.Errorf("runs on: %v", s)
			}
		})
	}
}

// TestHostState: what a VM exit loads (28.5).
func TestHostState(t *testing.T) {
	vm := newTestVM(t, codeVMCALL)
	all(or(vmExitControls, exitLoadPAT|exitLoadEFER|exitLoadPerf), set(vmHostPAT, 0x0606060606060606), set(vmHostEFER, EFERLMA|EFERLME|EFERSCE),
		set(vmHostPerfGlobal, 5), set(vmHostES, 0), set(vmHostES+6, 16), set(vmHostES+8, 16), set(vmHostES+10, 0),
		set(vmHostFSBase, 0xffff800000001000), set(vmHostGSBase, 0x2000), set(vmHostTRBase, 0x3000),
		set(vmHostSysenterCS, 8), set(vmHostSysenterESP, 0x4000), set(vmHostSysenterEIP, 0x5000),
		or(vmHostCR0, CR0TS|1<<29), or(vmHostCR4, CR4PGE), or(vmEntryControls, entryLoadDebug), set(vmGuestDR7, 0x455), set(vmGuestDebugCtl, 1),
		or(vmExitControls, exitSaveDebug))(vm)
	vm.launch()
	vm.exited(ExitVMCALL)
	check := func(name string, got, want uint64) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %#x, want %#x", name, got, want)
		}
	}
	check("PAT", vm.MSR.PAT, 0x0606060606060606)
	check("EFER", vm.MSR.EFER, EFERLMA|EFERLME|EFERSCE)
	check("PERF_GLOBAL_CTRL", vm.pmu.Global, 5)
	check("CR0", vm.CR0, CR0PE|CR0PG|CR0NE|CR0ET|CR0WP|CR0TS) // NW is not loaded
	check("CR4", vm.CR4, vm.get(vmHostCR4))
	check("DR7", vm.DR[7], 0x400)
	check("DEBUGCTL", vm.MSR.DebugCtl, 0)
	check("SYSENTER_CS", vm.MSR.SysenterCS, 8)
	check("SYSENTER_ESP", vm.MSR.SysenterESP, 0x4000)
	check("SYSENTER_EIP", vm.MSR.SysenterEIP, 0x5000)
	check("RFLAGS", vm.flags(), FlagR1)
	check("RSP", vm.R[RSP], testHostStack)
	check("GDTR limit", uint64(vm.GDTR.Limit), 0xffff)
	for i, want := range []Segment{
		ES: {Attr: 0x1c093, Limit: 0xffffffff},
		CS: {Selector: 8, Attr: 0xa09b, Limit: 0xffffffff},
		SS: {Selector: 16, Attr: 0xc093, Limit: 0xffffffff},
		DS: {Selector: 16, Attr: 0xc093, Limit: 0xffffffff},
		FS: {Selector: 16, Attr: 0xc093, Limit: 0xffffffff, Base: 0xffff800000001000},
		GS: {Attr: 0x1c093, Limit: 0xffffffff, Base: 0x2000},

		LDTR: {Attr: AttrUnusable},
		TR:   {Selector: 24, Attr: 0x8b, Limit: 0x67, Base: 0x3000},
	} {
		if vm.Seg[i] != want {
			t.Errorf("%s is %+v, want %+v", segNames[i], vm.Seg[i], want)
		}
	}
	vm.field(vmGuestDR7, 0x455)
	vm.field(vmGuestDebugCtl, 1)
}

// TestGuestStateRoundTrip: what a VM entry loads, a VM exit saves.
func TestGuestStateRoundTrip(t *testing.T) {
	for _, r := range []struct {
		name  string
		guest change
	}{
		{"64-bit", all()}, {"32-bit without paging", unpaged}, {"PAE", pae}, {"PAE with EPT", all(pae, ept, set(vmGuestPDPTE0, 0x71001))},
		{"real mode", realMode}, {"virtual-8086 mode", v86},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, codeVMCALL)
			all(r.guest,
				or(vmEntryControls, entryLoadDebug|entryLoadPAT|entryLoadEFER), or(vmExitControls, exitSaveDebug|exitSavePAT|exitSaveEFER),
				set(vmGuestPAT, 0x0104), set(vmGuestSysenterCS, 5), set(vmGuestSysenterESP, 6), set(vmGuestSysenterEIP, 7),
				set(vmGuestGDTRBase, 0x40000), set(vmGuestGDTRLimit, 0x77), or(vmGuestRFLAGS, FlagIF|FlagID|FlagCF|FlagOF), set(vmGuestDR7, 0x700))(vm)
			if vm.get(vmEntryControls)&entryIA32e != 0 {
				vm.set(vmGuestEFER, EFERLMA|EFERLME|EFERNXE)
			}
			before := map[VMCSField]uint64{}
			for _, f := range VMCSFields() {
				before[f] = vm.get(f)
			}
			vm.launch()
			vm.exited(ExitVMCALL)
			for f, v := range before {
				if f>>10&3 == 2 || f == vmEntryControls {
					vm.field(f, v)
				}
			}
		})
	}
}

// TestCountersAcrossTransitions: a hypervisor counts its own instructions by
// switching the counters in its MSR areas.
func TestCountersAcrossTransitions(t *testing.T) {
	vm := newTestVM(t, code([]byte{0x48, 0x8b, 0x03, 0x48, 0x89, 0x03}, codeVMCALL)) // mov rax, [rbx]; mov [rbx], rax
	vm.R[RBX] = 0x38000
	vm.pmu.Select[0], vm.pmu.Select[1] = pmuLoads|selOS|selEN, pmuInstructions|selOS|selEN
	all(set(vmExitMSRLoadCount, 3), msrEntry(testMSRArea+0x400, msrPMC0, 0), msrEntry(testMSRArea+0x410, msrPMC0+1, 0), msrEntry(testMSRArea+0x420, msrGlobalCtrl, 3),
		set(vmEntryMSRLoadCount, 1), msrEntry(testMSRArea+0x800, msrGlobalCtrl, 0))(vm)
	vm.pmu.Global = 0
	vm.pmu.update()
	vm.write(testExitCode, code([]byte{0x90}, []byte{0x48, 0x8b, 0x03}, codeVMRESUME)...)
	vm.RIP = testHostCode
	vm.Settle()
	for n := range uint64(50) {
		vm.Run(vm.Count + 3)
		vm.settle()
		switch {
		case vm.InGuest() && vm.ExitCount() > 0:
			// NOP, load and VMRESUME.
			if vm.pmu.Counter[0] != 1 || vm.pmu.Counter[1] != 3 {
				t.Fatalf("step %d: %d loads, %d instructions", n, vm.pmu.Counter[0], vm.pmu.Counter[1])
			}
		case vm.pmu.Counter[1] > 3:
			t.Fatalf("step %d: %d instructions", n, vm.pmu.Counter[1])
		}
	}
}

// TestTSCOffset: RDTSC and RDMSR add the offset in the guest alone.
func TestTSCOffset(t *testing.T) {
	vm := newTestVM(t, code([]byte{0x0f, 0x31, 0x89, 0xc6, 0xb9, 0x10, 0, 0, 0, 0x0f, 0x32}, codeVMCALL)) // rdtsc; mov esi, eax; mov ecx, 10h; rdmsr
	all(or(vmProcControls, procTSCOffset|procMSRBitmaps), set(vmTSCOffset, 0x10000))(vm)
	vm.launch()
	vm.exited(ExitVMCALL)
	if vm.R[RSI] != 0x10001 || vm.R[RAX] != 0x10004 {
		t.Errorf("rdtsc %#x, rdmsr %#x", vm.R[RSI], vm.R[RAX])
	}
}

// TestTPRShadow: CR8 is the virtual-APIC page's TPR (30.3).
func TestTPRShadow(t *testing.T) {
	vm := newTestVM(t, code([]byte{0x44, 0x0f, 0x20, 0xc3, 0x44, 0x0f, 0x22, 0xc0}, codeVMCALL)) // mov rbx, cr8; mov cr8, rax
	all(or(vmProcControls, procTPRShadow), set(vmTPRThreshold, 3), reg(RAX, 9), func(vm *testVM) { vm.write(testAPICPage+0x80, 0x7c) })(vm)
	vm.launch()
	vm.exited(ExitVMCALL)
	if got := vm.MMU.Mem.Read(testAPICPage+0x80, 4); vm.R[RBX] != 7 || got != 0x90 {
		t.Errorf("read %d, the page has %#x", vm.R[RBX], got)
	}
}

// host32 makes the host one of 32 bits with PAE paging.
func host32(vm *testVM) {
	pae(vm)
	vm.MSR.EFER &^= EFERLMA | EFERLME
	vm.CR3 = 0x70000
	vm.PDPTE = [4]uint64{0x71001}
	vm.Seg[CS] = flatCode(40, 0, false)
	vm.clear(vmExitControls, exitHost64)
	vm.set(vmHostCS, 40)
	vm.set(vmHostCR3, 0x70000)
}

// TestHost32: a host outside IA-32e mode: its checks (27.2.4), what an exit
// loads, and the abort when its PDPTEs are bad (28.5.4).
func TestHost32(t *testing.T) {
	vm := newTestVM(t, codeVMCALL)
	host32(vm)
	vm.launch()
	vm.exited(ExitVMCALL)
	if vm.Mode() != 4 || vm.lma || vm.PDPTE[0] != 0x71001 || vm.MSR.EFER&(EFERLMA|EFERLME) != 0 {
		t.Errorf("mode %v, EFER %#x, PDPTEs %#x", vm.Mode(), vm.MSR.EFER, vm.PDPTE)
	}
	for _, r := range []struct {
		name   string
		change change
	}{
		{"64-bit host", or(vmExitControls, exitHost64)},
		{"64-bit guest", or(vmEntryControls, entryIA32e)},
		{"CR4.PCIDE", or(vmHostCR4, CR4PCIDE)},
		{"RIP above 32 bits", or(vmHostRIP, 1<<32)},
		{"SS null", set(vmHostSS, 0)},
		{"EFER.LMA", all(or(vmExitControls, exitLoadEFER), set(vmHostEFER, EFERLMA|EFERLME))},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, codeVMCALL)
			all(host32, r.change)(vm)
			vm.launch()
			if vm.flags()&flagsStatus != FlagZF {
				t.Errorf("flags %#x at %#x", vm.flags(), vm.RIP)
			}
			vm.field(vmInstructionError, uint64(vmErrHostState))
		})
	}
	aborts := func(name string, change change, want vmAbort) {
		t.Run(name, func(t *testing.T) {
			vm := newTestVM(t, codeVMCALL)
			all(host32, change)(vm)
			vm.RIP = testHostCode
			vm.Settle()
			if s := vm.Run(100); s != StopShutdown {
				t.Fatalf("%v", s)
			}
			if got := vm.MMU.ReadPhysical(testVMCS+vmcsAbort, 4); got != uint64(want) {
				t.Errorf("VMX-abort indicator %d, want %d", got, want)
			}
		})
	}
	aborts("bad PDPTEs", all(set(vmHostCR3, 0x78000), func(vm *testVM) { vm.write64(0x78000, 3) }), abortHostPDPTE)
	// A field that flips while the guest runs: the exit finds a 32-bit host
	// in IA-32e mode.
	vm = newTestVM(t, codeVMCALL)
	vm.Hooks.VMEntry = func() { vm.clear(vmExitControls, exitHost64) }
	vm.RIP = testHostCode
	vm.Settle()
	if s := vm.Run(100); s != StopShutdown {
		t.Fatalf("%v", s)
	}
	if got := vm.MMU.ReadPhysical(testVMCS+vmcsAbort, 4); got != uint64(abortHostMode) {
		t.Errorf("VMX-abort indicator %d", got)
	}
}

// TestVirtualNMIs: an injected NMI begins virtual-NMI blocking, and leaves
// NMIs themselves alone (table 25-6, 27.6.1).
func TestVirtualNMIs(t *testing.T) {
	vm := newTestVM(t, spin)
	all(or(vmPinControls, pinNMI|pinVirtual), inject(event(EventNMI, 2)))(vm)
	vm.nmiBlocked = true // in the host, after an NMI
	vm.launch()
	vm.exited(ExitVMCALL)
	vm.field(vmInterruptibility, blockNMI)
	if vm.nmiBlocked {
		t.Error("NMIs are blocked")
	}
}

// TestAPICAccess: "virtualize APIC accesses" (30.4 and table 28-6), with and
// without a TPR shadow.
func TestAPICAccess(t *testing.T) {
	const page = 0x39000
	const done = ExitVMCALL
	load, store := []byte{0x8b, 0x03}, []byte{0x89, 0x03} // mov eax, [rbx]; mov [rbx], eax
	shadow := all(or(vmProcControls, procTPRShadow), func(vm *testVM) { vm.MMU.Mem.Write(testAPICPage+0x80, 4, 0x55) })
	for _, r := range []struct {
		name   string
		code   []byte
		at     uint64
		change change
		reason ExitReason
		qual   uint64
	}{
		{"read", load, page + 0x20, all(), ExitAPICAccess, 0x20},
		{"write", store, page + 0xb0, all(), ExitAPICAccess, 0xb0 | 1<<12},
		{"fetch", []byte{0xff, 0xe3}, page + 8, all(), ExitAPICAccess, 8 | 2<<12},
		{"read by EPT", load, page + 0x20, ept, ExitAPICAccess, 0x20},
		{"delivery of an event", []byte{0x0f, 0x0b}, page, set(vmGuestRSP, page+0x1000), ExitAPICAccess, 0xff8 | 3<<12},
		{"TPR without shadow", load, page + 0x80, all(), ExitAPICAccess, 0x80},
		{"TPR with shadow", load, page + 0x80, shadow, done, 0},
		{"TPR's fourth byte with shadow", []byte{0x8a, 0x03}, page + 0x83, shadow, done, 0},
		{"beyond TPR with shadow", load, page + 0x82, shadow, ExitAPICAccess, 0x82},
		{"8 bytes at TPR with shadow", []byte{0x48, 0x8b, 0x03}, page + 0x80, shadow, ExitAPICAccess, 0x80},
		{"TPR written", store, page + 0x80, all(shadow, reg(RAX, 0x12345678)), done, 0},
		{"TPR changed", []byte{0x01, 0x03}, page + 0x80, all(shadow, reg(RAX, 0x10)), done, 0}, // add [rbx], eax
		{"TPR written, below threshold", store, page + 0x80, all(shadow, reg(RAX, 0x20), set(vmTPRThreshold, 3)), ExitTPRThreshold, 0},
		{"threshold above TPR at entry", load, page + 0x80, all(shadow, set(vmTPRThreshold, 6)), ExitTPRThreshold, 0},
		{"threshold above TPR at entry, after injection", load, page + 0x80, all(shadow, set(vmTPRThreshold, 6), inject(event(EventHardware, 6))), ExitTPRThreshold, 0},
		{"another page", load, page + 0x1000, all(), done, 0},
	} {
		t.Run(r.name, func(t *testing.T) {
			vm := newTestVM(t, code(r.code, codeVMCALL))
			all(or(vmProcControls2, proc2APICAccess), set(vmAPICAccess, page), reg(RBX, r.at), r.change)(vm)
			vm.write64(page+0x80, 0xffffffffffffffff)
			before := vm.R[RAX]
			vm.launch()
			vm.exited(r.reason)
			vm.field(vmQualification, r.qual)
			tpr := vm.MMU.Mem.Read(testAPICPage+0x80, 4)
			switch r.name {
			case "TPR with shadow":
				if vm.R[RAX] != 0x55 {
					t.Errorf("read %#x", vm.R[RAX])
				}
			case "TPR's fourth byte with shadow":
				if vm.R[RAX]&0xff != 0 {
					t.Errorf("read %#x", vm.R[RAX])
				}
			case "TPR written":
				if tpr != 0x78 {
					t.Errorf("TPR %#x", tpr)
				}
			case "TPR changed":
				if tpr != 0x65 {
					t.Errorf("TPR %#x", tpr)
				}
			case "TPR written, below threshold":
				vm.field(vmGuestRIP, testGuestCode+2)
			case "threshold above TPR at entry":
				vm.field(vmGuestRIP, testGuestCode)
			case "threshold above TPR at entry, after injection":
				vm.field(vmGuestRIP, testHandlers+16*6)
			}
			if r.reason == ExitAPICAccess && vm.R[RAX] != before {
				t.Errorf("rax %#x", vm.R[RAX])
			}
			if got := vm.read64(page + 0x80); got != 0xffffffffffffffff && r.name != "delivery of an event" {
				t.Errorf("the page itself has %#x", got)
			}
		})
	}
}
