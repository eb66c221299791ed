package inject

import (
	"fmt"
	"slices"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/internal/nearest"
)

// VMCSField is a field of a virtual-machine control structure, by the
// encoding that VMREAD and VMWRITE use: SDM Vol. 3, Appendix B.
type VMCSField uint16

// vmcsFields gives each field's name: the manual's, in lower case with
// underscores for its spaces and hyphens, and "VM-" left out where only
// one reading remains.
var vmcsFields = buildVMCSFields()

func buildVMCSFields() map[VMCSField]string {
	t := make(map[VMCSField]string)
	// Fields of one width and type follow each other in steps of two.
	run := func(first VMCSField, fieldNames ...string) {
		for i, n := range fieldNames {
			t[first+2*VMCSField(i)] = n
		}
	}
	run(0x0000, "vpid", "posted_interrupt_notification_vector", "eptp_index")
	run(0x0800, "guest_es_selector", "guest_cs_selector", "guest_ss_selector", "guest_ds_selector",
		"guest_fs_selector", "guest_gs_selector", "guest_ldtr_selector", "guest_tr_selector",
		"guest_interrupt_status", "pml_index")
	run(0x0c00, "host_es_selector", "host_cs_selector", "host_ss_selector", "host_ds_selector",
		"host_fs_selector", "host_gs_selector", "host_tr_selector")

	run(0x2000, "io_bitmap_a", "io_bitmap_b", "msr_bitmaps", "exit_msr_store_address",
		"exit_msr_load_address", "entry_msr_load_address", "executive_vmcs_pointer", "pml_address",
		"tsc_offset", "virtual_apic_address", "apic_access_address",
		"posted_interrupt_descriptor_address", "vm_function_controls", "ept_pointer",
		"eoi_exit_bitmap_0", "eoi_exit_bitmap_1", "eoi_exit_bitmap_2", "eoi_exit_bitmap_3",
		"eptp_list_address", "vmread_bitmap_address", "vmwrite_bitmap_address")
	run(0x2032, "tsc_multiplier")
	run(0x2400, "guest_physical_address")
	run(0x2800, "vmcs_link_pointer", "guest_debugctl", "guest_pat", "guest_efer",
		"guest_perf_global_ctrl", "guest_pdpte0", "guest_pdpte1", "guest_pdpte2", "guest_pdpte3")
	run(0x2c00, "host_pat", "host_efer", "host_perf_global_ctrl")

	run(0x4000, "pin_based_controls", "primary_processor_based_controls", "exception_bitmap",
		"page_fault_error_code_mask", "page_fault_error_code_match", "cr3_target_count",
		"exit_controls", "exit_msr_store_count", "exit_msr_load_count", "entry_controls",
		"entry_msr_load_count", "entry_interruption_information", "entry_exception_error_code",
		"entry_instruction_length", "tpr_threshold", "secondary_processor_based_controls",
		"ple_gap", "ple_window")
	run(0x4400, "instruction_error", "exit_reason", "exit_interruption_information",
		"exit_interruption_error_code", "idt_vectoring_information", "idt_vectoring_error_code",
		"exit_instruction_length", "exit_instruction_information")
	run(0x4800, "guest_es_limit", "guest_cs_limit", "guest_ss_limit", "guest_ds_limit",
		"guest_fs_limit", "guest_gs_limit", "guest_ldtr_limit", "guest_tr_limit",
		"guest_gdtr_limit", "guest_idtr_limit", "guest_es_access_rights", "guest_cs_access_rights",
		"guest_ss_access_rights", "guest_ds_access_rights", "guest_fs_access_rights",
		"guest_gs_access_rights", "guest_ldtr_access_rights", "guest_tr_access_rights",
		"guest_interruptibility_state", "guest_activity_state", "guest_smbase", "guest_sysenter_cs")
	run(0x482e, "preemption_timer_value")
	run(0x4c00, "host_sysenter_cs")

	run(0x6000, "cr0_guest_host_mask", "cr4_guest_host_mask", "cr0_read_shadow", "cr4_read_shadow",
		"cr3_target_value_0", "cr3_target_value_1", "cr3_target_value_2", "cr3_target_value_3")
	run(0x6400, "exit_qualification", "io_rcx", "io_rsi", "io_rdi", "io_rip", "guest_linear_address")
	run(0x6800, "guest_cr0", "guest_cr3", "guest_cr4", "guest_es_base", "guest_cs_base",
		"guest_ss_base", "guest_ds_base", "guest_fs_base", "guest_gs_base", "guest_ldtr_base",
		"guest_tr_base", "guest_gdtr_base", "guest_idtr_base", "guest_dr7", "guest_rsp", "guest_rip",
		"guest_rflags", "guest_pending_debug_exceptions", "guest_sysenter_esp", "guest_sysenter_eip")
	run(0x6c00, "host_cr0", "host_cr3", "host_cr4", "host_fs_base", "host_gs_base", "host_tr_base",
		"host_gdtr_base", "host_idtr_base", "host_sysenter_esp", "host_sysenter_eip", "host_rsp",
		"host_rip")
	for f := range t {
		if _, ok := cpu.VMCSOffset(uint32(f)); !ok {
			delete(t, f) // of a feature that the processor does not have
		}
	}
	return t
}

// VMCSFields lists every field, by encoding.
func VMCSFields() []VMCSField {
	fields := make([]VMCSField, 0, len(vmcsFields))
	for f := range vmcsFields {
		fields = append(fields, f)
	}
	slices.Sort(fields)
	return fields
}

// Width is the field's size in bits, which its encoding says.
func (f VMCSField) Width() int { return [4]int{16, 64, 32, 64}[f>>13&3] }

// String gives the field's name, or its encoding for one without a name.
func (f VMCSField) String() string {
	if n, ok := vmcsFields[f]; ok {
		return n
	}
	return fmt.Sprintf("field_%04x", uint16(f))
}

// ParseVMCSField reads a field's name.
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

// vmcsTypes are the kinds of field, as bits 11:10 of the encoding say.
var vmcsTypes = names{"control", "read_only", "guest", "host"}

// ParseVMCSFields reads the name of one field, of one kind of field
// (control, guest, host, read_only), or all.
func ParseVMCSFields(s string) ([]VMCSField, error) {
	if s != "all" && !slices.Contains(vmcsTypes, s) {
		f, err := ParseVMCSField(s)
		return []VMCSField{f}, err
	}
	var set []VMCSField
	for _, f := range VMCSFields() {
		if s == "all" || f.Type() == s {
			set = append(set, f)
		}
	}
	return set, nil
}

// Type is what the field is for: control, read_only, guest or host.
func (f VMCSField) Type() string { return vmcsTypes[f>>10&3] }
