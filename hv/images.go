package hv

import _ "embed"

// The committed images; "make hv" rebuilds them, bit for bit.
var (
	//go:embed images/hypervisor.elf
	Hypervisor []byte

	// HypervisorDefect is the hypervisor with a known defect, to see that
	// it is caught.
	//
	//go:embed images/hypervisor-defect.elf
	HypervisorDefect []byte

	// MiniOS is the guest with all workloads.
	//
	//go:embed images/minios.elf
	MiniOS []byte
)

// Workloads are the names that the mini-OS takes for workload=.
var Workloads = []string{"mcf", "bzip2", "freqmine", "canneal", "x264", "postmark", "seqread", "seqwrite"}
