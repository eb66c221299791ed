package cpu

import "testing"

// change is something done to a testVM before its VM entry.
type change func(vm *testVM)

func set(f VMCSField, v uint64) change     { return func(vm *testVM) { vm.set(f, v) } }
func or(f VMCSField, v uint64) change      { return func(vm *testVM) { vm.or(f, v) } }
func without(f VMCSField, v uint64) change { return func(vm *testVM) { vm.clear(f, v) } }
func all(changes ...change) change {
	return func(vm *testVM) {
		for _, c := range changes {
			c(vm)
		}
	}
}

// Kinds of guest that rows begin with.
var (
	ept          = all(or(vmProcControls2, proc2EPT))
	unrestricted = all(or(vmProcControls2, proc2EPT|proc2Unrestricted))

	// A guest in 32-bit protected mode without paging, which takes
	// "unrestricted guest".
	unpaged = all(unrestricted, without(vmEntryControls, entryIA32e),
		set(vmGuestCR0, CR0PE|CR0NE|CR0ET), set(vmGuestCR4, CR4VMXE),
		func(vm *testVM) { vm.segment(CS, Segment{Selector: 40, Limit: 0xffffffff, Attr: 0xc09b}) })

	// A guest in 32-bit protected mode with PAE paging.
	pae = all(without(vmEntryControls, entryIA32e), set(vmGuestCR4, CR4VMXE|CR4PAE), set(vmGuestCR3, 0x70000),
		func(vm *testVM) {
			vm.write64(0x70000, 0x71000|1)
			for i := range uint64(512) {
				vm.write64(0x71000+8*i, i<<21|0x87)
			}
			vm.segment(CS, Segment{Selector: 40, Limit: 0xffffffff, Attr: 0xc09b})
		})

	// A guest in real mode.
	realMode = all(unpaged, set(vmGuestCR0, CR0NE|CR0ET), func(vm *testVM) {
		for i := range LDTR {
			vm.segment(i, Segment{Limit: 0xffff, Attr: 0x93})
		}
		vm.segment(CS, Segment{Selector: 0x2000, Base: 0x20000, Limit: 0xffff, Attr: 0x9b})
		vm.set(vmGuestRIP, 0)
		vm.set(vmGuestRSP, 0x8000)
		vm.set(vmGuestIDTRLimit, 0x3ff)
		vm.set(vmGuestIDTRBase, 0)
	})

	// A guest in virtual-8086 mode.
	v86 = all(pae, or(vmGuestRFLAGS, FlagVM), func(vm *testVM) {
		for i := range LDTR {
			vm.segment(i, Segment{Limit: 0xffff, Attr: 0xf3})
		}
		vm.segment(CS, Segment{Selector: 0x2000, Base: 0x20000, Limit: 0xffff, Attr: 0xf3})
		vm.set(vmGuestRIP, 0)
		vm.set(vmGuestRSP, 0x8000)
	})
)

// attr sets a segment's access rights, limit and selector.
func attr(i int, a uint64) change       { return set(vmGuestESAccess+VMCSField(2*i), a) }
func limit(i int, v uint64) change      { return set(vmGuestESLimit+VMCSField(2*i), v) }
func selector(i int, v uint64) change   { return set(vmGuestES+VMCSField(2*i), v) }
func base(i int, v uint64) change       { return set(vmGuestESBase+VMCSField(2*i), v) }
func inject(info uint64) change         { return set(vmEntryInfo, info|infoValid) }
func event(k EventKind, v uint8) uint64 { return uint64(k)<<infoType | uint64(v) }

const (
	nonCanonical = 1 << 47
	beyond       = 1 << 39 // the model's MAXPHYADDR
	someMSR      = uint64(msrSysenterCS)
)

// msrEntry writes an entry of an MSR area.
func msrEntry(pa uint64, index, value uint64) change {
	return func(vm *testVM) {
		vm.write64(pa, index)
		vm.write64(pa+8, value)
	}
}

// TestEntryChecks has a row for every check of VM entry, named after the
// section of SDM Vol. 3C (edition 081) that demands it, with rows that must
// pass between them. The base is a 64-bit guest that passes.
func TestEntryChecks(t *testing.T) {
	const (
		controls = vmErrControls
		host     = vmErrHostState
	)
	guest := func(q uint64) uint64 { return uint64(ExitEntryGuestState) | q<<32 }
	msr := func(n uint64) uint64 { return uint64(ExitEntryMSRLoading) | n<<32 }

	type row struct {
		section, name string
		change        change
		err           VMError // 0: see exit
		exit          uint64  // reason, with the qualification from bit 32 on; 0: the entry succeeds
	}
	G := guest(0)
	rows := []row{
		{"27.2", "as it is", all(), 0, 0},

		// 27.2.1.1, VM-execution control fields.
		{"27.2.1.1", "pin: reserved bit clear", without(vmPinControls, 1<<1), controls, 0},
		{"27.2.1.1", "pin: reserved bit set", or(vmPinControls, 1<<8), controls, 0},
		{"27.2.1.1", "pin: posted interrupts", or(vmPinControls, 1<<7), controls, 0},
		{"27.2.1.1", "proc: reserved bit clear", without(vmProcControls, 1<<1), controls, 0},
		{"27.2.1.1", "proc: CR3 controls may be 0", without(vmProcControls, procCR3Load|procCR3Store), 0, 0},
		{"27.2.1.1", "proc: reserved bit set", or(vmProcControls, 1<<18), controls, 0},
		{"27.2.1.1", "proc2: reserved bit set", or(vmProcControls2, 1<<31), controls, 0},
		{"27.2.1.1", "proc2: not looked at when off", all(or(vmProcControls2, 1<<31), without(vmProcControls, procSecondary)), 0, 0},
		{"27.2.1.1", "4 CR3 targets", set(vmCR3TargetCount, 4), 0, 0},
		{"27.2.1.1", "5 CR3 targets", set(vmCR3TargetCount, 5), controls, 0},
		{"27.2.1.1", "I/O bitmap A not aligned", all(or(vmProcControls, procIOBitmaps), set(vmIOBitmapA, 0x33800)), controls, 0},
		{"27.2.1.1", "I/O bitmap B too high", all(or(vmProcControls, procIOBitmaps), set(vmIOBitmapB, beyond)), controls, 0},
		{"27.2.1.1", "I/O bitmaps not used", all(set(vmIOBitmapA, 1), set(vmIOBitmapB, beyond)), 0, 0},
		{"27.2.1.1", "MSR bitmap not aligned", all(or(vmProcControls, procMSRBitmaps), set(vmMSRBitmap, 8)), controls, 0},
		{"27.2.1.1", "MSR bitmap too high", all(or(vmProcControls, procMSRBitmaps), set(vmMSRBitmap, beyond)), controls, 0},
		{"27.2.1.1", "TPR shadow", or(vmProcControls, procTPRShadow), 0, 0},
		{"27.2.1.1", "virtual-APIC address not aligned", all(or(vmProcControls, procTPRShadow), set(vmVirtualAPIC, 0x36004)), controls, 0},
		{"27.2.1.1", "virtual-APIC address too high", all(or(vmProcControls, procTPRShadow), set(vmVirtualAPIC, beyond)), controls, 0},
		{"27.2.1.1", "TPR threshold of 5 bits", all(or(vmProcControls, procTPRShadow), set(vmTPRThreshold, 16)), controls, 0},
		{"27.2.1.1", "TPR threshold above the TPR", all(or(vmProcControls, procTPRShadow), set(vmTPRThreshold, 1)), controls, 0},
		{"27.2.1.1", "TPR threshold at the TPR", all(or(vmProcControls, procTPRShadow), set(vmTPRThreshold, 3),
			func(vm *testVM) { vm.write(testAPICPage+0x80, 0x3f) }), 0, 0},
		{"27.2.1.1", "TPR threshold above the TPR with APIC accesses virtualized", all(or(vmProcControls, procTPRShadow), or(vmProcControls2, proc2APICAccess), set(vmTPRThreshold, 1)), 0, 0},
		{"27.2.1.1", "APIC-access address not aligned", all(or(vmProcControls2, proc2APICAccess), set(vmAPICAccess, 0x39010)), controls, 0},
		{"27.2.1.1", "APIC-access address too high", all(or(vmProcControls2, proc2APICAccess), set(vmAPICAccess, beyond)), controls, 0},
		{"27.2.1.1", "virtual NMIs without NMI exiting", or(vmPinControls, pinVirtual), controls, 0},
		{"27.2.1.1", "virtual NMIs", or(vmPinControls, pinVirtual|pinNMI), 0, 0},
		{"27.2.1.1", "NMI window without virtual NMIs", all(or(vmPinControls, pinNMI), or(vmProcControls, procNMIWindow)), controls, 0},
		{"27.2.1.1", "VPID 0", all(or(vmProcControls2, proc2VPID), set(vmVPID, 0)), controls, 0},
		{"27.2.1.1", "VPID", or(vmProcControls2, proc2VPID), 0, 0},
		{"27.2.1.1", "EPT", ept, 0, 0},
		{"27.2.1.1", "EPT: uncacheable tables", all(ept, set(vmEPTP, testEPT|3<<3)), 0, 0},
		{"27.2.1.1", "EPT: write-through tables", all(ept, set(vmEPTP, testEPT|3<<3|4)), controls, 0},
		{"27.2.1.1", "EPT: walk of 3 levels", all(ept, set(vmEPTP, testEPT|2<<3|6)), controls, 0},
		{"27.2.1.1", "EPT: walk of 5 levels", all(ept, set(vmEPTP, testEPT|4<<3|6)), controls, 0},
		{"27.2.1.1", "EPT: accessed and dirty flags", all(ept, set(vmEPTP, testEPT|1<<6|3<<3|6)), 0, 0},
		{"27.2.1.1", "EPT: reserved bit 7", all(ept, set(vmEPTP, testEPT|1<<7|3<<3|6)), controls, 0},
		{"27.2.1.1", "EPT: too high", all(ept, set(vmEPTP, beyond|3<<3|6)), controls, 0},
		{"27.2.1.1", "unrestricted guest without EPT", or(vmProcControls2, proc2Unrestricted), controls, 0},
		{"27.2.1.1", "unrestricted guest", unrestricted, 0, 0},

		// 27.2.1.2, VM-exit control fields.
		{"27.2.1.2", "exit: reserved bit clear", without(vmExitControls, 1), controls, 0},
		{"27.2.1.2", "exit: reserved bit set", or(vmExitControls, 1<<30), controls, 0},
		{"27.2.1.2", "save the timer without the timer", or(vmExitControls, exitSaveTimer), controls, 0},
		{"27.2.1.2", "save the timer", all(or(vmExitControls, exitSaveTimer), or(vmPinControls, pinTimer), set(vmTimer, 100)), 0, 0},
		{"27.2.1.2", "MSR-store address not aligned", all(set(vmExitMSRStoreCount, 1), set(vmExitMSRStore, 0x37008)), controls, 0},
		{"27.2.1.2", "MSR-store address not aligned, no entries", set(vmExitMSRStore, 0x37008), 0, 0},
		{"27.2.1.2", "MSR-store address too high", all(set(vmExitMSRStoreCount, 1), set(vmExitMSRStore, beyond)), controls, 0},
		{"27.2.1.2", "last byte of the MSR-store area too high", all(set(vmExitMSRStoreCount, 2), set(vmExitMSRStore, beyond-16)), controls, 0},
		{"27.2.1.2", "MSR-load address not aligned", all(set(vmExitMSRLoadCount, 1), set(vmExitMSRLoad, 0x37008)), controls, 0},
		{"27.2.1.2", "last byte of the MSR-load area too high", all(set(vmExitMSRLoadCount, 2), set(vmExitMSRLoad, beyond-16)), controls, 0},

		// 27.2.1.3, VM-entry control fields.
		{"27.2.1.3", "entry: reserved bit clear", without(vmEntryControls, 1), controls, 0},
		{"27.2.1.3", "entry: reserved bit set", or(vmEntryControls, 1<<30), controls, 0},
		{"27.2.1.3", "entry to SMM", or(vmEntryControls, 1<<10), controls, 0},
		{"27.2.1.3", "inject: reserved type 1", inject(event(1, 0)), controls, 0},
		{"27.2.1.3", "inject: NMI with vector 3", inject(event(EventNMI, 3)), controls, 0},
		{"27.2.1.3", "inject: exception 32", inject(event(EventHardware, 32)), controls, 0},
		{"27.2.1.3", "inject: other event 1", inject(event(eventOther, 1)), controls, 0},
		{"27.2.1.3", "inject: #GP without error code", inject(event(EventHardware, 13)), controls, 0},
		{"27.2.1.3", "inject: #GP with error code", inject(event(EventHardware, 13) | infoCode), 0, 0},
		{"27.2.1.3", "inject: #UD with error code", inject(event(EventHardware, 6) | infoCode), controls, 0},
		{"27.2.1.3", "inject: #CP with error code, which does not exist", inject(event(EventHardware, 21) | infoCode), controls, 0},
		{"27.2.1.3", "inject: interrupt with error code", inject(event(EventExternal, 40) | infoCode), controls, 0},
		{"27.2.1.3", "inject: #GP with error code in real mode", all(realMode, inject(event(EventHardware, 13)|infoCode)), controls, 0},
		{"27.2.1.3", "inject: #GP without error code in real mode", all(realMode, inject(event(EventHardware, 13)), func(vm *testVM) {
			vm.write(13*4, 0, 0x30, 0, 0x10) // 1000:3000
			vm.write(0x13000, codeVMCALL...)
		}), 0, 0},
		{"27.2.1.3", "inject: reserved bit 12", inject(event(EventSoftware, 64) | 1<<12), controls, 0},
		{"27.2.1.3", "inject: reserved bit 30", inject(event(EventSoftware, 64) | 1<<30), controls, 0},
		{"27.2.1.3", "inject: nothing, so nothing is checked", set(vmEntryInfo, event(1, 0)|1<<30), 0, 0},
		{"27.2.1.3", "inject: error code of 17 bits", all(inject(event(EventHardware, 13)|infoCode), set(vmEntryErrorCode, 1<<16)), controls, 0},
		{"27.2.1.3", "inject: software interrupt of 16 bytes", all(inject(event(EventSoftware, 64)), set(vmEntryLength, 16)), controls, 0},
		{"27.2.1.3", "inject: software exception of 16 bytes", all(inject(event(EventSoftException, 3)), set(vmEntryLength, 16)), controls, 0},
		{"27.2.1.3", "inject: INT1 of 16 bytes", all(inject(event(EventPrivSoftware, 1)), set(vmEntryLength, 16)), controls, 0},
		{"27.2.1.3", "inject: software interrupt of 0 bytes", inject(event(EventSoftware, 64)), 0, 0},
		{"27.2.1.3", "inject: length of others is not looked at", all(inject(event(EventHardware, 6)), set(vmEntryLength, 99)), 0, 0},
		{"27.2.1.3", "MSR-load address not aligned", all(set(vmEntryMSRLoadCount, 1), set(vmEntryMSRLoad, 0x37008)), controls, 0},
		{"27.2.1.3", "last byte of the MSR-load area too high", all(set(vmEntryMSRLoadCount, 2), set(vmEntryMSRLoad, beyond-16)), controls, 0},

		// 27.2.2, host control registers and MSRs.
		{"27.2.2", "CR0.PE clear", without(vmHostCR0, CR0PE), host, 0},
		{"27.2.2", "CR0.NE clear", without(vmHostCR0, CR0NE), host, 0},
		{"27.2.2", "CR0.PG clear", without(vmHostCR0, CR0PG), host, 0},
		{"27.2.2", "CR0 above 32 bits", or(vmHostCR0, 1<<32), host, 0},
		{"27.2.2", "CR4.VMXE clear", without(vmHostCR4, CR4VMXE), host, 0},
		{"27.2.2", "CR4 bit that does not exist", or(vmHostCR4, 1<<14), host, 0},
		{"27.2.2", "CR3 too high", or(vmHostCR3, beyond), host, 0},
		{"27.2.2", "SYSENTER_ESP not canonical", set(vmHostSysenterESP, nonCanonical), host, 0},
		{"27.2.2", "SYSENTER_EIP not canonical", set(vmHostSysenterEIP, nonCanonical), host, 0},
		{"27.2.2", "PERF_GLOBAL_CTRL with a bit that does not exist", all(or(vmExitControls, exitLoadPerf), set(vmHostPerfGlobal, 1<<4)), host, 0},
		{"27.2.2", "PERF_GLOBAL_CTRL not loaded", set(vmHostPerfGlobal, 1<<4), 0, 0},
		{"27.2.2", "PAT with type 2", all(or(vmExitControls, exitLoadPAT), set(vmHostPAT, 2)), host, 0},
		{"27.2.2", "PAT with type 7", all(or(vmExitControls, exitLoadPAT), set(vmHostPAT, 7<<56)), 0, 0},
		{"27.2.2", "EFER", all(or(vmExitControls, exitLoadEFER), set(vmHostEFER, EFERLMA|EFERLME|EFERNXE|EFERSCE)), 0, 0},
		{"27.2.2", "EFER with a bit that does not exist", all(or(vmExitControls, exitLoadEFER), set(vmHostEFER, EFERLMA|EFERLME|2)), host, 0},
		{"27.2.2", "EFER.LMA clear for a 64-bit host", all(or(vmExitControls, exitLoadEFER), set(vmHostEFER, EFERLME)), host, 0},
		{"27.2.2", "EFER.LME clear for a 64-bit host", all(or(vmExitControls, exitLoadEFER), set(vmHostEFER, EFERLMA)), host, 0},

		// 27.2.3, host segment and descriptor-table registers.
		{"27.2.3", "CS with RPL", set(vmHostCS, 9), host, 0},
		{"27.2.3", "SS with TI", set(vmHostSS, 20), host, 0},
		{"27.2.3", "ES with RPL", set(vmHostES, 3), host, 0},
		{"27.2.3", "DS with TI", set(vmHostES+6, 4), host, 0},
		{"27.2.3", "FS with RPL", set(vmHostES+8, 1), host, 0},
		{"27.2.3", "GS with RPL", set(vmHostES+10, 2), host, 0},
		{"27.2.3", "TR with RPL", set(vmHostTR, 25), host, 0},
		{"27.2.3", "CS null", set(vmHostCS, 0), host, 0},
		{"27.2.3", "TR null", set(vmHostTR, 0), host, 0},
		{"27.2.3", "SS null for a 64-bit host", set(vmHostSS, 0), 0, 0},
		{"27.2.3", "FS base not canonical", set(vmHostFSBase, nonCanonical), host, 0},
		{"27.2.3", "GS base not canonical", set(vmHostGSBase, nonCanonical), host, 0},
		{"27.2.3", "GDTR base not canonical", set(vmHostGDTRBase, nonCanonical), host, 0},
		{"27.2.3", "IDTR base not canonical", set(vmHostIDTRBase, nonCanonical), host, 0},
		{"27.2.3", "TR base not canonical", set(vmHostTRBase, nonCanonical), host, 0},

		// 27.2.4, address-space size.
		{"27.2.4", "32-bit host from IA-32e mode", without(vmExitControls, exitHost64), host, 0},
		{"27.2.4", "64-bit host without PAE", without(vmHostCR4, CR4PAE), host, 0},
		{"27.2.4", "RIP not canonical", set(vmHostRIP, nonCanonical), host, 0},
		{"27.2", "controls come before the host state", all(or(vmPinControls, 1<<8), without(vmHostCR0, CR0PE)), controls, 0},
		{"27.2", "host state comes before the guest state", all(set(vmHostTR, 0), set(vmGuestRFLAGS, 0)), host, 0},

		// 27.3.1.1, guest control registers, debug registers, MSRs.
		{"27.3.1.1", "CR0.NE clear", without(vmGuestCR0, CR0NE), 0, G},
		{"27.3.1.1", "CR0.PE clear", without(vmGuestCR0, CR0PE), 0, G},
		{"27.3.1.1", "CR0.PG clear", all(without(vmGuestCR0, CR0PG), without(vmEntryControls, entryIA32e)), 0, G},
		{"27.3.1.1", "CR0.PG clear in an unrestricted guest", unpaged, 0, 0},
		{"27.3.1.1", "CR0.PE clear in an unrestricted guest", realMode, 0, 0},
		{"27.3.1.1", "CR0.NE clear in an unrestricted guest", all(realMode, without(vmGuestCR0, CR0NE)), 0, G},
		{"27.3.1.1", "CR0.PG without PE in an unrestricted guest", all(realMode, or(vmGuestCR0, CR0PG)), 0, G},
		{"27.3.1.1", "CR0 above 32 bits", or(vmGuestCR0, 1<<32), 0, G},
		{"27.3.1.1", "CR4.VMXE clear", without(vmGuestCR4, CR4VMXE), 0, G},
		{"27.3.1.1", "CR4 bit that does not exist", or(vmGuestCR4, 1<<14), 0, G},
		{"27.3.1.1", "DEBUGCTL with a reserved bit", all(or(vmEntryControls, entryLoadDebug), set(vmGuestDebugCtl, 1<<5)), 0, G},
		{"27.3.1.1", "DEBUGCTL not loaded", set(vmGuestDebugCtl, 1<<5), 0, 0},
		{"27.3.1.1", "IA-32e mode without PAE", without(vmGuestCR4, CR4PAE), 0, G},
		{"27.3.1.1", "IA-32e mode without paging", all(unpaged, or(vmEntryControls, entryIA32e)), 0, G},
		{"27.3.1.1", "CR4.PCIDE outside IA-32e mode", all(pae, or(vmGuestCR4, CR4PCIDE)), 0, G},
		{"27.3.1.1", "CR4.PCIDE in IA-32e mode", or(vmGuestCR4, CR4PCIDE), 0, 0},
		{"27.3.1.1", "CR3 too high", or(vmGuestCR3, beyond), 0, G},
		{"27.3.1.1", "CR3 bit 63", or(vmGuestCR3, 1<<63), 0, G},
		{"27.3.1.1", "DR7 above 32 bits", all(or(vmEntryControls, entryLoadDebug), set(vmGuestDR7, 1<<32)), 0, G},
		{"27.3.1.1", "DR7 not loaded", set(vmGuestDR7, 1<<32), 0, 0},
		{"27.3.1.1", "SYSENTER_ESP not canonical", set(vmGuestSysenterESP, nonCanonical), 0, G},
		{"27.3.1.1", "SYSENTER_EIP not canonical", set(vmGuestSysenterEIP, nonCanonical), 0, G},
		{"27.3.1.1", "PERF_GLOBAL_CTRL with a bit that does not exist", all(or(vmEntryControls, entryLoadPerf), set(vmGuestPerfGlobal, 1<<35)), 0, G},
		{"27.3.1.1", "PAT with type 3", all(or(vmEntryControls, entryLoadPAT), set(vmGuestPAT, 3)), 0, G},
		{"27.3.1.1", "EFER", all(or(vmEntryControls, entryLoadEFER), set(vmGuestEFER, EFERLMA|EFERLME)), 0, 0},
		{"27.3.1.1", "EFER with a bit that does not exist", all(or(vmEntryControls, entryLoadEFER), set(vmGuestEFER, EFERLMA|EFERLME|1<<12)), 0, G},
		{"27.3.1.1", "EFER.LMA against \"IA-32e mode guest\"", all(or(vmEntryControls, entryLoadEFER), set(vmGuestEFER, EFERLME)), 0, G},
		{"27.3.1.1", "EFER.LME against LMA with paging", all(or(vmEntryControls, entryLoadEFER), set(vmGuestEFER, EFERLMA)), 0, G},
		{"27.3.1.1", "EFER.LME against LMA without paging", all(unpaged, or(vmEntryControls, entryLoadEFER), set(vmGuestEFER, EFERLME)), 0, 0},

		// 27.3.1.2, guest segment registers: selectors.
		{"27.3.1.2", "TR with TI", selector(TR, 28), 0, G},
		{"27.3.1.2", "LDTR with TI", all(selector(LDTR, 4), attr(LDTR, 0x82)), 0, G},
		{"27.3.1.2", "LDTR with TI, unusable", selector(LDTR, 4), 0, 0},
		{"27.3.1.2", "SS with another RPL than CS", selector(SS, 19), 0, G},
		{"27.3.1.2", "SS with another RPL than CS, unrestricted", all(unrestricted, selector(SS, 19)), 0, 0},
		// Bases.
		{"27.3.1.2", "virtual-8086 mode", v86, 0, 0},
		{"27.3.1.2", "v86: base against selector", all(v86, base(DS, 0x10)), 0, G},
		{"27.3.1.2", "v86: limit", all(v86, limit(ES, 0xfffff)), 0, G},
		{"27.3.1.2", "v86: access rights", all(v86, attr(FS, 0x93)), 0, G},
		{"27.3.1.2", "TR base not canonical", base(TR, nonCanonical), 0, G},
		{"27.3.1.2", "FS base not canonical", base(FS, nonCanonical), 0, G},
		{"27.3.1.2", "GS base not canonical, unusable", all(base(GS, nonCanonical), attr(GS, AttrUnusable)), 0, G},
		{"27.3.1.2", "LDTR base not canonical", all(base(LDTR, nonCanonical), attr(LDTR, 0x82)), 0, G},
		{"27.3.1.2", "LDTR base not canonical, unusable", base(LDTR, nonCanonical), 0, 0},
		{"27.3.1.2", "CS base above 32 bits", base(CS, 1<<32), 0, G},
		{"27.3.1.2", "SS base above 32 bits", base(SS, 1<<32), 0, G},
		{"27.3.1.2", "DS base above 32 bits, unusable", all(base(DS, 1<<32), attr(DS, AttrUnusable)), 0, 0},
		// Access rights.
		{"27.3.1.2", "CS: data", attr(CS, 0xa093), 0, G},
		{"27.3.1.2", "CS: data, type 3, unrestricted and unpaged", all(unpaged, attr(CS, 0xc093)), 0, 0},
		{"27.3.1.2", "CS: not accessed", attr(CS, 0xa09a), 0, G},
		{"27.3.1.2", "CS: system", attr(CS, 0xa08b), 0, G},
		{"27.3.1.2", "CS: DPL against SS", attr(CS, 0xa0fb), 0, G},
		{"27.3.1.2", "CS: conforming", attr(CS, 0xa09f), 0, 0},
		{"27.3.1.2", "CS: conforming with a DPL above SS's", attr(CS, 0xa0ff), 0, G},
		{"27.3.1.2", "CS: not present", attr(CS, 0xa01b), 0, G},
		{"27.3.1.2", "CS: reserved bit 8", attr(CS, 0xa19b), 0, G},
		{"27.3.1.2", "CS: L and D", attr(CS, 0xe09b), 0, G},
		{"27.3.1.2", "CS: L and D outside IA-32e mode", all(pae, attr(CS, 0xe09b)), 0, 0},
		{"27.3.1.2", "CS: reserved bit 17", attr(CS, 0x2a09b), 0, G},
		{"27.3.1.2", "CS: G with a limit that ends below FFFH", limit(CS, 0xffff0000), 0, G},
		{"27.3.1.2", "CS: no G with a limit above 1 MiB", attr(CS, 0x209b), 0, G},
		{"27.3.1.2", "SS: read-only", attr(SS, 0xc091), 0, G},
		{"27.3.1.2", "SS: code", attr(SS, 0xc09b), 0, G},
		{"27.3.1.2", "SS: expand-down", attr(SS, 0xc097), 0, 0},
		{"27.3.1.2", "SS: not accessed", attr(SS, 0xc092), 0, G},
		{"27.3.1.2", "SS: unusable", attr(SS, AttrUnusable), 0, 0},
		{"27.3.1.2", "SS: unusable, with a DPL against its RPL", attr(SS, AttrUnusable|0x60), 0, G},
		{"27.3.1.2", "SS: DPL against RPL", all(attr(SS, 0xc0f3), attr(CS, 0xa0fb)), 0, G},
		{"27.3.1.2", "SS: DPL against RPL, unrestricted", all(unrestricted, attr(SS, 0xc0f3), attr(CS, 0xa0fb)), 0, 0},
		{"27.3.1.2", "SS: DPL 3 in real mode", all(realMode, attr(SS, 0xf3), attr(CS, 0xfb)), 0, G},
		{"27.3.1.2", "DS: not accessed", attr(DS, 0xc092), 0, G},
		{"27.3.1.2", "DS: code that cannot be read", attr(DS, 0xc099), 0, G},
		{"27.3.1.2", "DS: code that can be read", attr(DS, 0xc09b), 0, 0},
		{"27.3.1.2", "DS: DPL below RPL", selector(DS, 19), 0, G},
		{"27.3.1.2", "DS: DPL below RPL, conforming", all(selector(DS, 19), attr(DS, 0xc09f)), 0, 0},
		{"27.3.1.2", "DS: DPL below RPL, unrestricted", all(unrestricted, selector(DS, 19)), 0, 0},
		{"27.3.1.2", "ES: system", attr(ES, 0xc083), 0, G},
		{"27.3.1.2", "ES: anything if unusable", attr(ES, AttrUnusable|0x3f00), 0, 0},
		{"27.3.1.2", "GS: not present", attr(GS, 0xc013), 0, G},
		{"27.3.1.2", "FS: G with a limit that ends below FFFH", limit(FS, 0xfff00000), 0, G},
		{"27.3.1.2", "TR: available", attr(TR, 0x89), 0, G},
		{"27.3.1.2", "TR: 16-bit in IA-32e mode", attr(TR, 0x83), 0, G},
		{"27.3.1.2", "TR: 16-bit outside IA-32e mode", all(pae, attr(TR, 0x83)), 0, 0},
		{"27.3.1.2", "TR: not a system segment", attr(TR, 0x9b), 0, G},
		{"27.3.1.2", "TR: not present", attr(TR, 0x0b), 0, G},
		{"27.3.1.2", "TR: unusable", attr(TR, 0x1008b), 0, G},
		{"27.3.1.2", "TR: reserved bit 9", attr(TR, 0x28b), 0, G},
		{"27.3.1.2", "TR: no G with a limit above 1 MiB", limit(TR, 1<<20), 0, G},
		{"27.3.1.2", "LDTR", attr(LDTR, 0x82), 0, 0},
		{"27.3.1.2", "LDTR: type 3", attr(LDTR, 0x83), 0, G},
		{"27.3.1.2", "LDTR: not a system segment", attr(LDTR, 0x92), 0, G},
		{"27.3.1.2", "LDTR: not present", attr(LDTR, 0x02), 0, G},

		// 27.3.1.3, GDTR and IDTR.
		{"27.3.1.3", "GDTR base not canonical", set(vmGuestGDTRBase, nonCanonical), 0, G},
		{"27.3.1.3", "IDTR base not canonical", set(vmGuestIDTRBase, nonCanonical), 0, G},
		{"27.3.1.3", "GDTR limit of 17 bits", set(vmGuestGDTRLimit, 1<<16), 0, G},
		{"27.3.1.3", "IDTR limit of 17 bits", set(vmGuestIDTRLimit, 1<<16), 0, G},

		// 27.3.1.4, RIP and RFLAGS.
		{"27.3.1.4", "RIP not canonical", set(vmGuestRIP, nonCanonical), 0, G},
		{"27.3.1.4", "RIP above 32 bits in compatibility mode", all(attr(CS, 0xc09b), or(vmGuestRIP, 1<<32)), 0, G},
		{"27.3.1.4", "RIP above 32 bits in 32-bit mode", all(pae, or(vmGuestRIP, 1<<32)), 0, G},
		{"27.3.1.4", "RFLAGS bit 1 clear", set(vmGuestRFLAGS, 0), 0, G},
		{"27.3.1.4", "RFLAGS bit 3", or(vmGuestRFLAGS, 1<<3), 0, G},
		{"27.3.1.4", "RFLAGS bit 15", or(vmGuestRFLAGS, 1<<15), 0, G},
		{"27.3.1.4", "RFLAGS bit 22", or(vmGuestRFLAGS, 1<<22), 0, G},
		{"27.3.1.4", "RFLAGS.VM in IA-32e mode", or(vmGuestRFLAGS, FlagVM), 0, G},
		{"27.3.1.4", "RFLAGS.VM in real mode", all(realMode, or(vmGuestRFLAGS, FlagVM)), 0, G},
		{"27.3.1.4", "inject an interrupt with IF clear", inject(event(EventExternal, 40)), 0, G},
		{"27.3.1.4", "inject an interrupt with IF set", all(or(vmGuestRFLAGS, FlagIF), inject(event(EventExternal, 40))), 0, 0},

		// 27.3.1.5, non-register state: activity.
		{"27.3.1.5", "activity 4", set(vmActivity, 4), 0, G},
		{"27.3.1.5", "halted at CPL 3", all(unrestricted, attr(SS, 0xc0f3), attr(CS, 0xa0fb), set(vmActivity, 1)), 0, G},
		{"27.3.1.5", "halted with blocking by STI", all(or(vmGuestRFLAGS, FlagIF), set(vmInterruptibility, blockSTI), set(vmActivity, 1)), 0, G},
		{"27.3.1.5", "halted: #GP", all(set(vmActivity, 1), inject(event(EventHardware, 13)|infoCode)), 0, G},
		{"27.3.1.5", "halted: #DB", all(set(vmActivity, 1), inject(event(EventHardware, 1))), 0, 0},
		{"27.3.1.5", "halted: software interrupt", all(set(vmActivity, 1), inject(event(EventSoftware, 64))), 0, G},
		{"27.3.1.5", "halted: NMI", all(set(vmActivity, 1), inject(event(EventNMI, 2))), 0, 0},
		{"27.3.1.5", "shutdown: interrupt", all(set(vmActivity, 2), or(vmGuestRFLAGS, FlagIF), inject(event(EventExternal, 40))), 0, G},
		{"27.3.1.5", "shutdown: #MC", all(set(vmActivity, 2), inject(event(EventHardware, 18))), 0, 0},
		{"27.3.1.5", "waiting for SIPI: NMI", all(set(vmActivity, 3), inject(event(EventNMI, 2))), 0, G},
		// Interruptibility.
		{"27.3.1.5", "interruptibility: reserved bit 5", set(vmInterruptibility, 1<<5), 0, G},
		{"27.3.1.5", "interruptibility: enclave", set(vmInterruptibility, 1<<4), 0, G},
		{"27.3.1.5", "interruptibility: STI and MOV SS", all(or(vmGuestRFLAGS, FlagIF), set(vmInterruptibility, 3)), 0, G},
		{"27.3.1.5", "interruptibility: STI with IF clear", set(vmInterruptibility, blockSTI), 0, G},
		{"27.3.1.5", "interruptibility: STI", all(or(vmGuestRFLAGS, FlagIF), set(vmInterruptibility, blockSTI)), 0, 0},
		{"27.3.1.5", "interruptibility: STI and an interrupt", all(or(vmGuestRFLAGS, FlagIF), set(vmInterruptibility, blockSTI), inject(event(EventExternal, 40))), 0, G},
		{"27.3.1.5", "interruptibility: MOV SS and an interrupt", all(or(vmGuestRFLAGS, FlagIF), set(vmInterruptibility, blockMovSS), inject(event(EventExternal, 40))), 0, G},
		{"27.3.1.5", "interruptibility: MOV SS and an NMI", all(set(vmInterruptibility, blockMovSS), inject(event(EventNMI, 2))), 0, G},
		{"27.3.1.5", "interruptibility: SMI outside SMM", set(vmInterruptibility, blockSMI), 0, G},
		{"27.3.1.5", "interruptibility: virtual NMI blocking and an NMI", all(or(vmPinControls, pinNMI|pinVirtual), set(vmInterruptibility, blockNMI), inject(event(EventNMI, 2))), 0, G},
		{"27.3.1.5", "interruptibility: NMI blocking and an NMI", all(set(vmInterruptibility, blockNMI), inject(event(EventNMI, 2))), 0, 0},
		// Pending debug exceptions.
		{"27.3.1.5", "pending debug: reserved bit 4", set(vmPendingDebug, 1<<4), 0, G},
		{"27.3.1.5", "pending debug: reserved bit 13", set(vmPendingDebug, 1<<13), 0, G},
		{"27.3.1.5", "pending debug: RTM, which does not exist", set(vmPendingDebug, 1<<16), 0, G},
		{"27.3.1.5", "pending debug: BS missing", all(set(vmInterruptibility, blockMovSS), or(vmGuestRFLAGS, FlagTF)), 0, G},
		{"27.3.1.5", "pending debug: BS there", all(set(vmInterruptibility, blockMovSS), or(vmGuestRFLAGS, FlagTF), set(vmPendingDebug, pendingBS)), 0, 0},
		{"27.3.1.5", "pending debug: BS without TF", all(set(vmInterruptibility, blockMovSS), set(vmPendingDebug, pendingBS)), 0, G},
		{"27.3.1.5", "pending debug: BS without TF, halted", all(set(vmActivity, 1), set(vmPendingDebug, pendingBS)), 0, G},
		{"27.3.1.5", "pending debug: BS without TF, no blocking", set(vmPendingDebug, pendingBS), 0, 0},
		// VMCS link pointer.
		{"27.3.1.5", "link pointer not aligned", set(vmLinkPointer, 0x32800), 0, guest(4)},
		{"27.3.1.5", "link pointer too high", set(vmLinkPointer, beyond), 0, guest(4)},
		{"27.3.1.5", "link pointer to another revision", set(vmLinkPointer, testOtherVMCS), 0, guest(4)},
		{"27.3.1.5", "link pointer to a shadow VMCS", all(set(vmLinkPointer, testOtherVMCS),
			func(vm *testVM) { vm.write64(testOtherVMCS, vmcsRevision|1<<31) }), 0, guest(4)},
		{"27.3.1.5", "link pointer to the current VMCS", set(vmLinkPointer, testVMCS), 0, guest(4)},
		{"27.3.1.5", "link pointer to a VMCS", all(set(vmLinkPointer, testOtherVMCS),
			func(vm *testVM) { vm.write64(testOtherVMCS, vmcsRevision) }), 0, 0},

		// 27.3.1.6, PDPTEs.
		{"27.3.1.6", "PAE", pae, 0, 0},
		{"27.3.1.6", "PDPTE in memory: reserved bit 1", all(pae, func(vm *testVM) { vm.write64(0x70008, 3) }), 0, guest(2)},
		{"27.3.1.6", "PDPTE in memory: too high", all(pae, func(vm *testVM) { vm.write64(0x70008, beyond|1) }), 0, guest(2)},
		{"27.3.1.6", "PDPTE in memory: not present", all(pae, func(vm *testVM) { vm.write64(0x70008, 2) }), 0, 0},
		{"27.3.1.6", "PDPTE in the VMCS", all(pae, ept, set(vmGuestPDPTE0, 0x71001), func(vm *testVM) { vm.write64(0x70000, ^uint64(0)) }), 0, 0},
		{"27.3.1.6", "PDPTE in the VMCS: reserved bit 5", all(pae, ept, set(vmGuestPDPTE0, 0x71001), set(vmGuestPDPTE0+6, 0x21)), 0, guest(2)},
		{"27.3.1.6", "PDPTEs in IA-32e mode", all(ept, set(vmGuestPDPTE0+6, 0x21)), 0, 0},

		// 27.4, loading MSRs.
		{"27.4", "an MSR", all(set(vmEntryMSRLoadCount, 1), msrEntry(testMSRArea+0x800, someMSR, 5)), 0, 0},
		{"27.4", "reserved bits", all(set(vmEntryMSRLoadCount, 1), msrEntry(testMSRArea+0x800, someMSR|1<<32, 5)), 0, msr(1)},
		{"27.4", "FS base", all(set(vmEntryMSRLoadCount, 1), msrEntry(testMSRArea+0x800, msrFSBase, 0)), 0, msr(1)},
		{"27.4", "GS base, second", all(set(vmEntryMSRLoadCount, 2), msrEntry(testMSRArea+0x800, someMSR, 0), msrEntry(testMSRArea+0x810, msrGSBase, 0)), 0, msr(2)},
		{"27.4", "x2APIC", all(set(vmEntryMSRLoadCount, 1), msrEntry(testMSRArea+0x800, 0x808, 0)), 0, msr(1)},
		{"27.4", "an MSR that does not exist", all(set(vmEntryMSRLoadCount, 1), msrEntry(testMSRArea+0x800, 0x12345, 0)), 0, msr(1)},
		{"27.4", "a value that WRMSR refuses", all(set(vmEntryMSRLoadCount, 1), msrEntry(testMSRArea+0x800, msrPAT, 2)), 0, msr(1)},
		{"27.4", "EFER that turns LME off", all(set(vmEntryMSRLoadCount, 1), msrEntry(testMSRArea+0x800, msrEFER, 0)), 0, msr(1)},
		{"A.6", "more than 512 entries", all(set(vmEntryMSRLoadCount, 1<<24), func(vm *testVM) {
			for i := range uint64(600) {
				vm.write64(0x100000+16*i, someMSR)
			}
			vm.set(vmEntryMSRLoad, 0x100000)
		}), 0, msr(513)},
	}
	for _, r := range rows {
		t.Run(r.section+"/"+r.name, func(t *testing.T) {
			vm := newTestVM(t, codeVMCALL)
			vm.tb = t
			r.change(vm)
			info := vm.get(vmEntryInfo)
			vm.launch()
			switch {
			case r.err != 0:
				// VMfailValid (31.2): at the next instruction, with ZF.
				if vm.RIP != testHostCode+4 || vm.flags()&flagsStatus != FlagZF {
					t.Fatalf("rip %#x, flags %#x", vm.RIP, vm.flags())
				}
				vm.field(vmInstructionError, uint64(r.err))
			case r.exit != 0:
				// 27.8: host state is loaded, the event remains to be injected.
				if vm.RIP != testExitCode+1 {
					t.Fatalf("rip %#x", vm.RIP)
				}
				vm.field(vmExitReason, r.exit&0xffffffff|exitEntryFailure)
				vm.field(vmQualification, r.exit>>32)
				vm.field(vmEntryInfo, info)
				if got := vm.MMU.ReadPhysical(testVMCS+vmcsLaunch, 4); got != 0 {
					t.Errorf("launch state %d", got)
				}
			default:
				if got := vm.get(vmExitReason); vm.RIP != testExitCode+1 || got&exitEntryFailure != 0 {
					t.Fatalf("the entry failed: rip %#x, reason %#x, qualification %#x, error %d",
						vm.RIP, got, vm.get(vmQualification), vm.get(vmInstructionError))
				}
				if got := vm.MMU.ReadPhysical(testVMCS+vmcsLaunch, 4); got != 1 {
					t.Errorf("launch state %d", got)
				}
			}
		})
	}
}
