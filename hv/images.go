package hv

import _ "embed"

// The committed images; "make hv" rebuilds them, bit for bit.
var (
	//go:embed images/hypervisor.elf
	Hypervisor []byte

	// MiniOS is the guest with all workloads.
	//
	//go:embed images/minios.elf
	MiniOS []byte
)

// Workloads are the names that the mini-OS takes for workload=.
var Workloads = []string{"mcf", "bzip2", "freqmine", "canneal", "x264", "postmark", "seqread", "seqwrite"}
