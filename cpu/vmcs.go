package cpu

import (
	"fmt"

	"github.com/flipvisor/flipvisor/internal/nearest"
)

// VMCSField is a field of a virtual-machine control structure, by the
// encoding that VMREAD and VMWRITE use (SDM Vol. 3D, appendix B). Bit 0 of an
// encoding selects the upper half of a 64-bit field, bits 9:1 are an index,
// bits 11:10 the type (control, read-only, guest, host) and bits 14:13 the
// width (16 bits, 64, 32, natural).
type VMCSField uint32

// The fields of this processor: those of the features it has.
const (
	vmVPID VMCSField = 0x0000

	vmGuestES   VMCSField = 0x0800 // selectors: ES CS SS DS FS GS LDTR TR, two apart
	vmGuestLDTR VMCSField = 0x080c
	vmGuestTR   VMCSField = 0x080e
	vmHostES    VMCSField = 0x0c00 // ES CS SS DS FS GS TR
	vmHostCS    VMCSField = 0x0c02
	vmHostSS    VMCSField = 0x0c04
	vmHostTR    VMCSField = 0x0c0c

	vmIOBitmapA          VMCSField = 0x2000
	vmIOBitmapB          VMCSField = 0x2002
	vmMSRBitmap          VMCSField = 0x2004
	vmExitMSRStore       VMCSField = 0x2006
	vmExitMSRLoad        VMCSField = 0x2008
	vmEntryMSRLoad       VMCSField = 0x200a
	vmExecutive          VMCSField = 0x200c
	vmTSCOffset          VMCSField = 0x2010
	vmVirtualAPIC        VMCSField = 0x2012
	vmAPICAccess         VMCSField = 0x2014
	vmEPTP               VMCSField = 0x201a
	vmGuestPhysical      VMCSField = 0x2400
	vmLinkPointer        VMCSField = 0x2800
	vmGuestDebugCtl      VMCSField = 0x2802
	vmGuestPAT           VMCSField = 0x2804
	vmGuestEFER          VMCSField = 0x2806
	vmGuestPerfGlobal    VMCSField = 0x2808
	vmGuestPDPTE0        VMCSField = 0x280a
	vmHostPAT            VMCSField = 0x2c00
	vmHostEFER           VMCSField = 0x2c02
	vmHostPerfGlobal     VMCSField = 0x2c04
	vmPinControls        VMCSField = 0x4000
	vmProcControls       VMCSField = 0x4002
	vmExceptionBitmap    VMCSField = 0x4004
	vmPFMask             VMCSField = 0x4006
	vmPFMatch            VMCSField = 0x4008
	vmCR3TargetCount     VMCSField = 0x400a
	vmExitControls       VMCSField = 0x400c
	vmExitMSRStoreCount  VMCSField = 0x400e
	vmExitMSRLoadCount   VMCSField = 0x4010
	vmEntryControls      VMCSField = 0x4012
	vmEntryMSRLoadCount  VMCSField = 0x4014
	vmEntryInfo          VMCSField = 0x4016
	vmEntryErrorCode     VMCSField = 0x4018
	vmEntryLength        VMCSField = 0x401a
	vmTPRThreshold       VMCSField = 0x401c
	vmProcControls2      VMCSField = 0x401e
	vmPLEGap             VMCSField = 0x4020
	vmPLEWindow          VMCSField = 0x4022
	vmInstructionError   VMCSField = 0x4400
	vmExitReason         VMCSField = 0x4402
	vmExitInfo           VMCSField = 0x4404
	vmExitErrorCode      VMCSField = 0x4406
	vmVectoringInfo      VMCSField = 0x4408
	vmVectoringErrorCode VMCSField = 0x440a
	vmExitLength         VMCSField = 0x440c
	vmExitInstruction    VMCSField = 0x440e
	vmGuestESLimit       VMCSField = 0x4800
	vmGuestGDTRLimit     VMCSField = 0x4810
	vmGuestIDTRLimit     VMCSField = 0x4812
	vmGuestESAccess      VMCSField = 0x4814
	vmInterruptibility   VMCSField = 0x4824
	vmActivity           VMCSField = 0x4826
	vmSMBASE             VMCSField = 0x4828
	vmGuestSysenterCS    VMCSField = 0x482a
	vmTimer              VMCSField = 0x482e
	vmHostSysenterCS     VMCSField = 0x4c00

	vmCR0Mask          VMCSField = 0x6000
	vmCR4Mask          VMCSField = 0x6002
	vmCR0Shadow        VMCSField = 0x6004
	vmCR4Shadow        VMCSField = 0x6006
	vmCR3Target0       VMCSField = 0x6008
	vmQualification    VMCSField = 0x6400
	vmIORCX            VMCSField = 0x6402
	vmGuestLinear      VMCSField = 0x640a
	vmGuestCR0         VMCSField = 0x6800
	vmGuestCR3         VMCSField = 0x6802
	vmGuestCR4         VMCSField = 0x6804
	vmGuestESBase      VMCSField = 0x6806
	vmGuestGDTRBase    VMCSField = 0x6816
	vmGuestIDTRBase    VMCSField = 0x6818
	vmGuestDR7         VMCSField = 0x681a
	vmGuestRSP         VMCSField = 0x681c
	vmGuestRIP         VMCSField = 0x681e
	vmGuestRFLAGS      VMCSField = 0x6820
	vmPendingDebug     VMCSField = 0x6822
	vmGuestSysenterESP VMCSField = 0x6824
	vmGuestSysenterEIP VMCSField = 0x6826
	vmHostCR0          VMCSField = 0x6c00
	vmHostCR3          VMCSField = 0x6c02
	vmHostCR4          VMCSField = 0x6c04
	vmHostFSBase       VMCSField = 0x6c06
	vmHostGSBase       VMCSField = 0x6c08
	vmHostTRBase       VMCSField = 0x6c0a
	vmHostGDTRBase     VMCSField = 0x6c0c
	vmHostIDTRBase     VMCSField = 0x6c0e
	vmHostSysenterESP  VMCSField = 0x6c10
	vmHostSysenterEIP  VMCSField = 0x6c12
	vmHostRSP          VMCSField = 0x6c14
	vmHostRIP          VMCSField = 0x6c16
)

// vmcsNames gives the fields their names, in runs of neighbours that are two
// apart. The names are the manual's with underscores, "VM-" left out where
// only one reading remains.
var vmcsNames = []struct {
	first VMCSField
	names []string
}{
	{vmVPID, []string{"vpid"}},
	{vmGuestES, []string{"guest_es_selector", "guest_cs_selector", "guest_ss_selector", "guest_ds_selector",
		"guest_fs_selector", "guest_gs_selector", "guest_ldtr_selector", "guest_tr_selector"}},
	{vmHostES, []string{"host_es_selector", "host_cs_selector", "host_ss_selector", "host_ds_selector",
		"host_fs_selector", "host_gs_selector", "host_tr_selector"}},
	{vmIOBitmapA, []string{"io_bitmap_a", "io_bitmap_b", "msr_bitmaps", "exit_msr_store_address",
		"exit_msr_load_address", "entry_msr_load_address", "executive_vmcs_pointer"}},
	{vmTSCOffset, []string{"tsc_offset", "virtual_apic_address", "apic_access_address"}},
	{vmEPTP, []string{"ept_pointer"}},
	{vmGuestPhysical, []string{"guest_physical_address"}},
	{vmLinkPointer, []string{"vmcs_link_pointer", "guest_debugctl", "guest_pat", "guest_efer",
		"guest_perf_global_ctrl", "guest_pdpte0", "guest_pdpte1", "guest_pdpte2", "guest_pdpte3"}},
	{vmHostPAT, []string{"host_pat", "host_efer", "host_perf_global_ctrl"}},
	{vmPinControls, []string{"pin_based_controls", "primary_processor_based_controls", "exception_bitmap",
		"page_fault_error_code_mask", "page_fault_error_code_match", "cr3_target_count",
		"exit_controls", "exit_msr_store_count", "exit_msr_load_count", "entry_controls",
		"entry_msr_load_count", "entry_interruption_information", "entry_exception_error_code",
		"entry_instruction_length", "tpr_threshold", "secondary_processor_based_controls",
		"ple_gap", "ple_window"}},
	{vmInstructionError, []string{"instruction_error", "exit_reason", "exit_interruption_information",
		"exit_interruption_error_code", "idt_vectoring_information", "idt_vectoring_error_code",
		"exit_instruction_length", "exit_instruction_information"}},
	{vmGuestESLimit, []string{"guest_es_limit", "guest_cs_limit", "guest_ss_limit", "guest_ds_limit",
		"guest_fs_limit", "guest_gs_limit", "guest_ldtr_limit", "guest_tr_limit",
		"guest_gdtr_limit", "guest_idtr_limit", "guest_es_access_rights", "guest_cs_access_rights",
		"guest_ss_access_rights", "guest_ds_access_rights", "guest_fs_access_rights",
		"guest_gs_access_rights", "guest_ldtr_access_rights", "guest_tr_access_rights",
		"guest_interruptibility_state", "guest_activity_state", "guest_smbase", "guest_sysenter_cs"}},
	{vmTimer, []string{"preemption_timer_value"}},
	{vmHostSysenterCS, []string{"host_sysenter_cs"}},
	{vmCR0Mask, []string{"cr0_guest_host_mask", "cr4_guest_host_mask", "cr0_read_shadow", "cr4_read_shadow",
		"cr3_target_value_0", "cr3_target_value_1", "cr3_target_value_2", "cr3_target_value_3"}},
	{vmQualification, []string{"exit_qualification", "io_rcx", "io_rsi", "io_rdi", "io_rip", "guest_linear_address"}},
	{vmGuestCR0, []string{"guest_cr0", "guest_cr3", "guest_cr4", "guest_es_base", "guest_cs_base",
		"guest_ss_base", "guest_ds_base", "guest_fs_base", "guest_gs_base", "guest_ldtr_base",
		"guest_tr_base", "guest_gdtr_base", "guest_idtr_base", "guest_dr7", "guest_rsp", "guest_rip",
		"guest_rflags", "guest_pending_debug_exceptions", "guest_sysenter_esp", "guest_sysenter_eip"}},
	{vmHostCR0, []string{"host_cr0", "host_cr3", "host_cr4", "host_fs_base", "host_gs_base", "host_tr_base",
		"host_gdtr_base", "host_idtr_base", "host_sysenter_esp", "host_sysenter_eip", "host_rsp",
		"host_rip"}},
}

// A VMCS region is 4 KiB of memory. Its first words are the architecture's
// (SDM Vol. 3C, 25.2); the rest is this processor's: the launch state, then
// the fields, each of its own width, grouped by width and type:
//
//	000  revision identifier, bit 31 shadow-VMCS indicator
//	004  VMX-abort indicator
//	008  launch state: 0 clear, 1 launched
//	010  16-bit fields: control, read-only, guest, host, 32 bytes each
//	090  32-bit fields: the same, 128 bytes each
//	290  64-bit fields: the same, 256 bytes each
//	690  natural-width fields: the same, 256 bytes each
//	a90  unused
//
// Within its group a field lies at index times width. Nothing of a VMCS is
// anywhere else, but for what a VM entry takes over for the time in VMX
// non-root operation (see controls).
const (
	vmcsAbort  = 4
	vmcsLaunch = 8

	vmcsRevision = 0x46564d58 // IA32_VMX_BASIC[30:0]
	noVMCS       = ^uint64(0) // the current-VMCS pointer when there is none
)

// vmcsGroup is where the fields of a width begin.
var vmcsGroup = [4]struct{ base, group, size uint16 }{
	0: {0x010, 32, 2},
	1: {0x290, 256, 8},
	2: {0x090, 128, 4},
	3: {0x690, 256, 8},
}

// fieldPlace is where a field lies. A size of 0 says that there is none.
type fieldPlace struct{ offset, size uint16 }

// vmcsPlaces is indexed by compact.
var vmcsPlaces = func() (t [512]fieldPlace) {
	for _, run := range vmcsNames {
		for i := range run.names {
			f := run.first + VMCSField(2*i)
			g := vmcsGroup[f>>13&3]
			t[f.compact()] = fieldPlace{g.base + uint16(f>>10&3)*g.group + uint16(f>>1&31)*g.size, g.size}
		}
	}
	return t
}()

// compact squeezes width, type and index into 9 bits.
func (f VMCSField) compact() uint32 { return uint32(f>>13&3<<7 | f>>10&3<<5 | f>>1&31) }

// place finds a field by any encoding but that of an upper half.
func (f VMCSField) place() (p fieldPlace, ok bool) {
	if f&^0x6c3e != 0 {
		return p, false
	}
	p = vmcsPlaces[f.compact()]
	return p, p.size != 0
}

// Width is the field's size in bits.
func (f VMCSField) Width() int { return int(vmcsGroup[f>>13&3].size) * 8 }

// readOnly says that the field is in the exit-information area.
func (f VMCSField) readOnly() bool { return f>>10&3 == 1 }

// String is the field's name, or its encoding for one without a name.
func (f VMCSField) String() string {
	for _, run := range vmcsNames {
		if f >= run.first && f&1 == 0 && int(f-run.first) < 2*len(run.names) {
			return run.names[(f-run.first)/2]
		}
	}
	return fmt.Sprintf("field_%04x", uint32(f))
}

// VMCSFields lists the fields that this processor has, by encoding.
func VMCSFields() []VMCSField {
	var fields []VMCSField
	for _, run := range vmcsNames {
		for i := range run.names {
			fields = append(fields, run.first+VMCSField(2*i))
		}
	}
	return fields
}

// ParseVMCSField reads what String prints for a field this processor has.
func ParseVMCSField(s string) (VMCSField, error) {
	var known []string
	for _, f := range VMCSFields() {
		if f.String() == s {
			return f, nil
		}
		known = append(known, f.String())
	}
	return 0, nearest.Unknown("VMCS field", s, known)
}

// VMCSOffset is where a field lies in the 4 KiB of a VMCS region. ok is
// false for a field that this processor does not have.
func VMCSOffset(encoding uint32) (offset uint64, ok bool) {
	p, ok := VMCSField(encoding).place()
	return uint64(p.offset), ok
}

// VMCSPointer is the current-VMCS pointer, all ones when there is none.
func (c *CPU) VMCSPointer() uint64 { return c.vmx.current }

// ReadVMCSField reads a field of the current VMCS, as a debugger does. ok is
// false when there is no such field or no current VMCS.
func (c *CPU) ReadVMCSField(f VMCSField) (v uint64, ok bool) {
	p, ok := f.place()
	if !ok || c.vmx.current == noVMCS {
		return 0, false
	}
	var b [8]byte
	if c.MMU.Mem.ReadBytes(c.vmx.current+uint64(p.offset), b[:p.size]) != nil {
		return 0, false
	}
	return le.Uint64(b[:]), true
}

// WriteVMCSField changes a field of the current VMCS, as an injection does:
// read-only fields too, and without a look at the value.
func (c *CPU) WriteVMCSField(f VMCSField, v uint64) (ok bool) {
	p, ok := f.place()
	if !ok || c.vmx.current == noVMCS {
		return false
	}
	var b [8]byte
	le.PutUint64(b[:], v)
	return c.MMU.Mem.WriteBytes(c.vmx.current+uint64(p.offset), b[:p.size]) == nil
}

// openVMCS and closeVMCS enclose a transition, which touches most of the
// current VMCS: its page is found once, if its bytes are all there is to it.
func (c *CPU) openVMCS()  { c.vmcsPage = c.MMU.PlainWrite(c.vmx.current) }
func (c *CPU) closeVMCS() { c.vmcsPage = nil }

// vmcs reads a field of the current VMCS, as the processor does.
func (c *CPU) vmcs(f VMCSField) uint64 {
	p := vmcsPlaces[f.compact()]
	if page := c.vmcsPage; page != nil {
		return le.Uint64(page[p.offset:]) & (^uint64(0) >> (64 - 8*p.size))
	}
	return c.MMU.ReadPhysical(c.vmx.current+uint64(p.offset), int(p.size))
}

// setVMCS writes a field of the current VMCS.
func (c *CPU) setVMCS(f VMCSField, v uint64) {
	p := vmcsPlaces[f.compact()]
	if page := c.vmcsPage; page != nil {
		switch p.size {
		case 8:
			le.PutUint64(page[p.offset:], v)
		case 4:
			le.PutUint32(page[p.offset:], uint32(v))
		default:
			le.PutUint16(page[p.offset:], uint16(v))
		}
		return
	}
	c.MMU.WritePhysical(c.vmx.current+uint64(p.offset), int(p.size), v)
}
