package cpu

// VM-execution, VM-exit and VM-entry controls (SDM Vol. 3C, 25.6 to 25.8).
const (
	pinExternal  = 1 << 0
	pinNMI       = 1 << 3
	pinVirtual   = 1 << 5 // virtual NMIs
	pinTimer     = 1 << 6 // activate VMX-preemption timer
	pinDefault1  = 0x16
	pinSupported = pinDefault1 | pinExternal | pinNMI | pinVirtual | pinTimer

	procIntWindow   = 1 << 2
	procTSCOffset   = 1 << 3
	procHLT         = 1 << 7
	procINVLPG      = 1 << 9
	procMWAIT       = 1 << 10
	procRDPMC       = 1 << 11
	procRDTSC       = 1 << 12
	procCR3Load     = 1 << 15
	procCR3Store    = 1 << 16
	procCR8Load     = 1 << 19
	procCR8Store    = 1 << 20
	procTPRShadow   = 1 << 21
	procNMIWindow   = 1 << 22
	procMOVDR       = 1 << 23
	procIO          = 1 << 24
	procIOBitmaps   = 1 << 25
	procMTF         = 1 << 27
	procMSRBitmaps  = 1 << 28
	procMONITOR     = 1 << 29
	procPAUSE       = 1 << 30
	procSecondary   = 1 << 31
	procTrueDefault = 0x04006172
	procDefault1    = procTrueDefault | procCR3Load | procCR3Store
	procSupported   = procDefault1 | procIntWindow | procTSCOffset | procHLT | procINVLPG | procMWAIT | procRDPMC |
		procRDTSC | procCR8Load | procCR8Store | procTPRShadow | procNMIWindow | procMOVDR | procIO |
		procIOBitmaps | procMTF | procMSRBitmaps | procMONITOR | procPAUSE | procSecondary

	proc2APICAccess   = 1 << 0 // virtualize APIC accesses
	proc2EPT          = 1 << 1
	proc2Tables       = 1 << 2 // descriptor-table exiting
	proc2RDTSCP       = 1 << 3
	proc2VPID         = 1 << 5
	proc2WBINVD       = 1 << 6
	proc2Unrestricted = 1 << 7
	proc2PauseLoop    = 1 << 10
	proc2INVPCID      = 1 << 12
	proc2Supported    = proc2APICAccess | proc2EPT | proc2Tables | proc2RDTSCP | proc2VPID | proc2WBINVD | proc2Unrestricted |
		proc2PauseLoop | proc2INVPCID

	exitSaveDebug   = 1 << 2
	exitHost64      = 1 << 9 // host address-space size
	exitLoadPerf    = 1 << 12
	exitAck         = 1 << 15 // acknowledge interrupt on exit
	exitSavePAT     = 1 << 18
	exitLoadPAT     = 1 << 19
	exitSaveEFER    = 1 << 20
	exitLoadEFER    = 1 << 21
	exitSaveTimer   = 1 << 22
	exitTrueDefault = 0x00036dfb
	exitDefault1    = exitTrueDefault | exitSaveDebug
	exitSupported   = exitDefault1 | exitHost64 | exitLoadPerf | exitAck | exitSavePAT | exitLoadPAT |
		exitSaveEFER | exitLoadEFER | exitSaveTimer

	entryLoadDebug   = 1 << 2
	entryIA32e       = 1 << 9 // IA-32e mode guest
	entryLoadPerf    = 1 << 13
	entryLoadPAT     = 1 << 14
	entryLoadEFER    = 1 << 15
	entryTrueDefault = 0x000011fb
	entryDefault1    = entryTrueDefault | entryLoadDebug
	entrySupported   = entryDefault1 | entryIA32e | entryLoadPerf | entryLoadPAT | entryLoadEFER
)

// Bits of the capability MSRs (SDM Vol. 3D, appendix A).
const (
	basicINSOUTS = 1 << 54 // INS and OUTS report instruction information
	basicTrue    = 1 << 55

	timerRate = 5 // the preemption timer counts changes of this bit of the TSC

	miscSaveLMA     = 1 << 5 // VM exits store EFER.LMA in "IA-32e mode guest"
	miscHLT         = 1 << 6
	miscShutdown    = 1 << 7
	miscSIPI        = 1 << 8
	cr3Targets      = 4
	miscZeroLength  = 1 << 30 // software events may be injected with length 0
	vmcsEnum        = 0x17 << 1
	maxMSRListCount = 512

	eptExecuteOnly = 1 << 0
	eptWalk4       = 1 << 6
	eptUC          = 1 << 8
	eptWB          = 1 << 14
	ept2M          = 1 << 16
	ept1G          = 1 << 17
	eptINVEPT      = 1 << 20
	eptFlags       = 1 << 21
	eptTypes       = 1<<25 | 1<<26 // INVEPT: single-context, all-context
	vpidINVVPID    = 1 << 32
	vpidTypes      = 1<<40 | 1<<41 | 1<<42 | 1<<43

	cr0Fixed = CR0PE | CR0NE | CR0PG // must be 1 in VMX operation
	cr4Fixed = CR4VMXE
)

// vmxCapability reads a capability MSR; false stands for #GP(0).
func (c *CPU) vmxCapability(index uint32) (uint64, bool) {
	if !c.Model.Has(FeatureVMX) {
		return 0, false
	}
	allowed := func(must, may uint64) (uint64, bool) { return must | may<<32, true }
	switch index {
	case 0x480: // IA32_VMX_BASIC
		return vmcsRevision | 4096<<32 | 6<<50 | basicINSOUTS | basicTrue, true
	case 0x481, 0x48d: // PINBASED_CTLS, TRUE_PINBASED_CTLS
		return allowed(pinDefault1, pinSupported)
	case 0x482:
		return allowed(procDefault1, procSupported)
	case 0x48e:
		return allowed(procTrueDefault, procSupported)
	case 0x483:
		return allowed(exitDefault1, exitSupported)
	case 0x48f:
		return allowed(exitTrueDefault, exitSupported)
	case 0x484:
		return allowed(entryDefault1, entrySupported)
	case 0x490:
		return allowed(entryTrueDefault, entrySupported)
	case 0x485: // MISC
		return timerRate | miscSaveLMA | miscHLT | miscShutdown | miscSIPI | cr3Targets<<16 | miscZeroLength, true
	case 0x486: // CR0_FIXED0
		return cr0Fixed, true
	case 0x487:
		return 0xffffffff, true
	case 0x488: // CR4_FIXED0
		return cr4Fixed, true
	case 0x489:
		return c.cr4Supported(), true
	case 0x48a: // VMCS_ENUM
		return vmcsEnum, true
	case 0x48b: // PROCBASED_CTLS2
		return allowed(0, c.proc2Allowed())
	case 0x48c: // EPT_VPID_CAP
		v := uint64(eptExecuteOnly | eptWalk4 | eptUC | eptWB | ept2M | eptINVEPT | eptFlags | eptTypes | vpidINVVPID | vpidTypes)
		if c.Model.Has(Feature1GBPages) {
			v |= ept1G
		}
		return v, true
	}
	return 0, false
}

// proc2Allowed is the secondary controls that may be 1: those of the
// features that are present.
func (c *CPU) proc2Allowed() uint64 {
	v := uint64(proc2Supported)
	if !c.Model.Has(FeatureRDTSCP) {
		v &^= proc2RDTSCP
	}
	if !c.Model.Has(FeatureINVPCID) {
		v &^= proc2INVPCID
	}
	return v
}
