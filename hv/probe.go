package hv

import "github.com/flipvisor/flipvisor/devices"

// The numbers of src/include/abi.h; a test holds them against the file.
const (
	PhaseBoot     = 1
	PhaseVMsReady = 2
	PhaseVMStart  = 3
	PhaseDone     = 4

	DetectException  = 1
	DetectAssertion  = 2
	DetectTransition = 3
	DetectVMX        = 4
	DetectWatchdog   = 5

	ReportStarted = 1
	ReportDigest  = 2
	ReportPanic   = 3

	StopShutdown = 1
	StopTriple   = 2
	StopKilled   = 3
	StopPanic    = 4

	// CodeWorkloadDied is what the mini-OS shuts down with when its kernel
	// goes on and its workload cannot.
	CodeWorkloadDied = 2
)

// Phase is a milestone (PROBE_PHASE).
type Phase struct {
	Phase, Argument uint32
}

// Output is what a VM reports of itself (PROBE_OUTPUT).
type Output struct {
	VM    uint32
	Kind  uint32 // Report*
	Value uint64
}

// Features are what the transition detector judges.
type Features struct {
	Reason, Instructions, Branches, Loads, Stores uint64
}

// Detection is a detector's report (PROBE_DETECTION).
type Detection struct {
	Detector uint32 // Detect*
	Reason   uint32
	RIP      uint64
	Code     uint32
	CR2      uint64
	Features Features
}

// VMStopped says that a VM runs no more (PROBE_VM_STOPPED).
type VMStopped struct {
	VM, Cause uint32 // Stop*
	Code      uint64
}

// Parse gives a report its type: Phase, Output, Detection, VMStopped or
// Features. nil means that no healthy hypervisor sends such a report; the
// words may come from a faulty one.
func Parse(r devices.Report) any {
	w := r.Words
	if r.Malformed {
		return nil
	}
	pair := func(i int) uint64 { return uint64(w[i]) | uint64(w[i+1])<<32 }
	features := func(i int) Features {
		return Features{uint64(w[i]), uint64(w[i+1]), uint64(w[i+2]), uint64(w[i+3]), uint64(w[i+4])}
	}
	switch {
	case r.Kind == devices.ReportPhase && len(w) == 2 && w[0] >= PhaseBoot && w[0] <= PhaseDone:
		return Phase{w[0], w[1]}
	case r.Kind == devices.ReportOutput && len(w) == 4 && w[1] >= ReportStarted && w[1] <= ReportPanic:
		return Output{w[0], w[1], pair(2)}
	case r.Kind == devices.ReportDetection && len(w) == 12 && w[0] >= DetectException && w[0] <= DetectWatchdog:
		return Detection{w[0], w[1], pair(2), w[4], pair(5), features(7)}
	case r.Kind == devices.ReportVMStopped && len(w) == 4 && w[1] >= StopShutdown && w[1] <= StopPanic:
		return VMStopped{w[0], w[1], pair(2)}
	case r.Kind == devices.ReportProfile && len(w) == 5:
		return features(0)
	}
	return nil
}
