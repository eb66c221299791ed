package cpu

import (
	"fmt"
	"slices"

	"github.com/flipvisor/flipvisor/internal/nearest"
)

// ExitReason is a basic exit reason (SDM Vol. 3D, appendix C).
type ExitReason uint16

const (
	ExitException         ExitReason = 0 // or NMI
	ExitExternalInterrupt ExitReason = 1
	ExitTripleFault       ExitReason = 2
	ExitINIT              ExitReason = 3
	ExitSIPI              ExitReason = 4
	ExitInterruptWindow   ExitReason = 7
	ExitNMIWindow         ExitReason = 8
	ExitTaskSwitch        ExitReason = 9
	ExitCPUID             ExitReason = 10
	ExitGETSEC            ExitReason = 11
	ExitHLT               ExitReason = 12
	ExitINVD              ExitReason = 13
	ExitINVLPG            ExitReason = 14
	ExitRDPMC             ExitReason = 15
	ExitRDTSC             ExitReason = 16
	ExitRSM               ExitReason = 17
	ExitVMCALL            ExitReason = 18
	ExitVMCLEAR           ExitReason = 19
	ExitVMLAUNCH          ExitReason = 20
	ExitVMPTRLD           ExitReason = 21
	ExitVMPTRST           ExitReason = 22
	ExitVMREAD            ExitReason = 23
	ExitVMRESUME          ExitReason = 24
	ExitVMWRITE           ExitReason = 25
	ExitVMXOFF            ExitReason = 26
	ExitVMXON             ExitReason = 27
	ExitCRAccess          ExitReason = 28
	ExitDRAccess          ExitReason = 29
	ExitIO                ExitReason = 30
	ExitRDMSR             ExitReason = 31
	ExitWRMSR             ExitReason = 32
	ExitEntryGuestState   ExitReason = 33
	ExitEntryMSRLoading   ExitReason = 34
	ExitMWAIT             ExitReason = 36
	ExitMTF               ExitReason = 37
	ExitMONITOR           ExitReason = 39
	ExitPAUSE             ExitReason = 40
	ExitEntryMachineCheck ExitReason = 41
	ExitTPRThreshold      ExitReason = 43
	ExitAPICAccess        ExitReason = 44
	ExitGDTROrIDTR        ExitReason = 46
	ExitLDTROrTR          ExitReason = 47
	ExitEPTViolation      ExitReason = 48
	ExitEPTMisconfig      ExitReason = 49
	ExitINVEPT            ExitReason = 50
	ExitRDTSCP            ExitReason = 51
	ExitPreemptionTimer   ExitReason = 52
	ExitINVVPID           ExitReason = 53
	ExitWBINVD            ExitReason = 54
	ExitXSETBV            ExitReason = 55
	ExitINVPCID           ExitReason = 58
)

// exitEntryFailure is bit 31 of the exit-reason field.
const exitEntryFailure = 1 << 31

var exitReasonNames = [...]string{
	"exception_or_nmi", "external_interrupt", "triple_fault", "init", "sipi", "io_smi", "other_smi",
	"interrupt_window", "nmi_window", "task_switch", "cpuid", "getsec", "hlt", "invd", "invlpg",
	"rdpmc", "rdtsc", "rsm", "vmcall", "vmclear", "vmlaunch", "vmptrld", "vmptrst", "vmread",
	"vmresume", "vmwrite", "vmxoff", "vmxon", "cr_access", "dr_access", "io_instruction", "rdmsr",
	"wrmsr", "entry_invalid_guest_state", "entry_msr_loading", "", "mwait", "monitor_trap_flag", "",
	"monitor", "pause", "entry_machine_check", "", "tpr_below_threshold", "apic_access",
	"virtualized_eoi", "gdtr_or_idtr_access", "ldtr_or_tr_access", "ept_violation",
	"ept_misconfiguration", "invept", "rdtscp", "preemption_timer", "invvpid", "wbinvd", "xsetbv",
	"apic_write", "rdrand", "invpcid", "vmfunc", "encls", "rdseed", "page_modification_log_full",
	"xsaves", "xrstors",
}

// String is the reason's name, or exit_35 for a number without one.
func (r ExitReason) String() string {
	if int(r) < len(exitReasonNames) && exitReasonNames[r] != "" {
		return exitReasonNames[r]
	}
	return fmt.Sprintf("exit_%d", uint16(r))
}

// ParseExitReason reads what String prints.
func ParseExitReason(s string) (ExitReason, error) {
	if i := slices.Index(exitReasonNames[:], s); i >= 0 && s != "" {
		return ExitReason(i), nil
	}
	var n uint16
	if _, err := fmt.Sscanf(s, "exit_%d", &n); err == nil && ExitReason(n).String() == s {
		return ExitReason(n), nil
	}
	return 0, nearest.Unknown("exit reason", s, exitReasonNames[:])
}

// VMError is a VM-instruction error number (SDM Vol. 3C, table 31-1).
type VMError uint32

const (
	vmErrVMCALL           VMError = 1  // VMCALL executed in VMX root operation
	vmErrVMCLEARAddress   VMError = 2  // VMCLEAR with invalid physical address
	vmErrVMCLEARVMXON     VMError = 3  // VMCLEAR with VMXON pointer
	vmErrLaunchNotClear   VMError = 4  // VMLAUNCH with non-clear VMCS
	vmErrResumeNotLaunch  VMError = 5  // VMRESUME with non-launched VMCS
	vmErrControls         VMError = 7  // VM entry with invalid control field(s)
	vmErrHostState        VMError = 8  // VM entry with invalid host-state field(s)
	vmErrVMPTRLDAddress   VMError = 9  // VMPTRLD with invalid physical address
	vmErrVMPTRLDVMXON     VMError = 10 // VMPTRLD with VMXON pointer
	vmErrVMPTRLDRevision  VMError = 11 // VMPTRLD with incorrect VMCS revision identifier
	vmErrUnsupportedField VMError = 12 // VMREAD/VMWRITE from/to unsupported VMCS component
	vmErrReadOnlyField    VMError = 13 // VMWRITE to read-only VMCS component
	vmErrVMXONInRoot      VMError = 15 // VMXON executed in VMX root operation
	vmErrMOVSS            VMError = 26 // VM entry with events blocked by MOV SS
	vmErrInvalidate       VMError = 28 // Invalid operand to INVEPT/INVVPID
)

// vmAbort is a VMX-abort indicator (SDM Vol. 3C, 28.7).
type vmAbort uint32

const (
	abortSaveMSRs  vmAbort = 1 // there was a failure in saving guest MSRs
	abortHostPDPTE vmAbort = 2 // host checking of the PDPTEs failed
	abortLoadMSRs  vmAbort = 4 // there was a failure on loading host MSRs
	abortHostMode  vmAbort = 6 // the exit would leave 64-bit mode for a 32-bit host
)
