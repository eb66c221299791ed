package hv

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// TestABI holds the numbers in Go against those the hypervisor is built with.
func TestABI(t *testing.T) {
	header, err := os.ReadFile("src/include/abi.h")
	if err != nil {
		t.Fatal(err)
	}
	defined := make(map[string]int)
	for _, m := range regexp.MustCompile(`(?m)^#define\s+(\w+)\s+(\d+)\b`).FindAllStringSubmatch(string(header), -1) {
		defined[m[1]], _ = strconv.Atoi(m[2])
	}
	for name, got := range map[string]int{
		"PHASE_BOOT": PhaseBoot, "PHASE_VMS_READY": PhaseVMsReady, "PHASE_VM_START": PhaseVMStart, "PHASE_DONE": PhaseDone,
		"DETECT_EXCEPTION": DetectException, "DETECT_ASSERTION": DetectAssertion, "DETECT_TRANSITION": DetectTransition,
		"DETECT_VMX": DetectVMX, "DETECT_WATCHDOG": DetectWatchdog,
		"REPORT_STARTED": ReportStarted, "REPORT_DIGEST": ReportDigest, "REPORT_PANIC": ReportPanic,
		"VM_STOP_SHUTDOWN": StopShutdown, "VM_STOP_TRIPLE": StopTriple, "VM_STOP_KILLED": StopKilled, "VM_STOP_PANIC": StopPanic,
	} {
		want, ok := defined[name]
		if !ok || got != want {
			t.Errorf("%s is %d here and %d (defined: %v) in abi.h", name, got, want, ok)
		}
	}
}

// TestSymbols looks up what the hypervisor's own image says of itself.
func TestSymbols(t *testing.T) {
	s, err := ReadSymbols(Hypervisor)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.All) < 100 || len(s.Sections) < 5 {
		t.Fatalf("%d symbols, %d sections", len(s.All), len(s.Sections))
	}
	for _, want := range s.All {
		if !want.Func || want.Size < 2 {
			continue
		}
		// A label inside a function may be nearer.
		if name, base := s.Lookup(want.Address + want.Size - 1); base < want.Address || base >= want.Address+want.Size {
			t.Errorf("the last byte of %s belongs to %s at %#x", want.Name, name, base)
		}
	}
	if got := s.Format(1); got != "" {
		t.Errorf("address 1 is called %q", got)
	}
}
