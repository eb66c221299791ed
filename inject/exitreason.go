package inject

import (
	"fmt"
	"slices"

	"github.com/flipvisor/flipvisor/internal/nearest"
)

// ExitReason is a basic VM-exit reason: SDM Vol. 3, Appendix C.
type ExitReason int16

// AnyExit stands for no particular reason. Idle is what the hypervisor calls
// a pass that began in its own idle sleep (REASON_IDLE in abi.h).
const (
	AnyExit ExitReason = -1
	Idle    ExitReason = 127
)

var exitReasons = names{
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

// String gives the reason's name, exit_35 for a number without one, and any
// for AnyExit.
func (r ExitReason) String() string {
	switch {
	case r == AnyExit:
		return "any"
	case r == Idle:
		return "idle"
	case r >= 0 && int(r) < len(exitReasons) && exitReasons[r] != "":
		return exitReasons[r]
	}
	return fmt.Sprintf("exit_%d", int16(r))
}

// ParseExitReason reads what String prints.
func ParseExitReason(s string) (ExitReason, error) {
	switch s {
	case "any":
		return AnyExit, nil
	case "idle":
		return Idle, nil
	}
	if i := slices.Index(exitReasons, s); i >= 0 && s != "" {
		return ExitReason(i), nil
	}
	var n int16
	if _, err := fmt.Sscanf(s, "exit_%d", &n); err == nil && n >= 0 && ExitReason(n).String() == s {
		return ExitReason(n), nil
	}
	return 0, nearest.Unknown("exit reason", s, exitReasons)
}

// MarshalText and UnmarshalText keep reasons as names in files.
func (r ExitReason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *ExitReason) UnmarshalText(text []byte) error { return unmarshal(r, text, ParseExitReason) }
