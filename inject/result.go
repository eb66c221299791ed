package inject

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Result is everything an experiment found out. It is a function of the
// campaign and the index alone: nothing in it depends on time, on the
// machine it ran on or on other experiments.
type Result struct {
	Index   int     `json:"index"`
	Group   string  `json:"group"` // the fault block of the campaign it was drawn from
	Fault   Fault   `json:"fault"`
	Place   Place   `json:"place"`
	Outcome Outcome `json:"outcome"`
	// Detail names the outcome's circumstances in a few words: the vector
	// of a crash, the VM whose output is wrong, the tool's error.
	Detail string `json:"detail,omitempty"`
	Lifecycle
	Blast BlastRadius `json:"blast"`
	// Malformed counts reports over the probe that no healthy hypervisor
	// sends. They are evidence of a faulty machine and of nothing else.
	Malformed int `json:"malformed_reports,omitempty"`
	// End is the instruction count at which the outcome was certain, and
	// State the machine's digest there.
	End   uint64 `json:"end,omitempty"`
	State string `json:"state,omitempty"`
}

// Place says what the target is to the program: whose memory, which symbol.
type Place struct {
	Owner  string `json:"owner,omitempty"`  // memory: hv-text, hv-data, ept, vm1, ...
	Symbol string `json:"symbol,omitempty"` // memory: name+offset
}

// Lifecycle is the life of a fault, in the order in which things happen.
// What did not happen is nil.
type Lifecycle struct {
	Applied *Point `json:"applied,omitempty"` // the bits were changed here
	Fate    Fate   `json:"fate"`              // what first happened to them
	Touched *Point `json:"touched,omitempty"` // where it happened
	// Divergence is the first instruction at which the run executes
	// something else than the golden run does.
	Divergence *Point     `json:"divergence,omitempty"`
	Detection  *Detection `json:"detection,omitempty"`
}

// Point is an instruction of a run.
type Point struct {
	At     uint64  `json:"at"` // instructions retired before it
	RIP    Address `json:"rip"`
	Symbol string  `json:"symbol,omitempty"`
	Mode   Mode    `json:"mode"`
}

// Detection is the first report of a detector after the flip.
type Detection struct {
	Detector Detector `json:"detector"`
	Cause    Cause    `json:"cause"`
	Reason   uint32   `json:"reason"` // what Cause says it is
	Point
	// BeforeEntry: no VM was entered between the flip and the report, so
	// that no guest saw anything of the fault.
	BeforeEntry bool `json:"before_entry"`
	// Features are those of the transition in which it was reported, if
	// the report carried any.
	Features *Features `json:"features,omitempty"`
}

// Features are what the transition detector knows of the hypervisor's work
// between a VM exit and the next VM entry.
type Features struct {
	Reason       uint64 `json:"reason"` // VMER: the exit's reason
	Instructions uint64 `json:"instructions"`
	Branches     uint64 `json:"branches"`
	Loads        uint64 `json:"loads"`
	Stores       uint64 `json:"stores"`
}

// Address prints and is stored in hexadecimal: a JSON number would lose
// the low bits of a kernel address in half the programs that read one.
type Address uint64

func (a Address) String() string { return fmt.Sprintf("%#x", uint64(a)) }

// MarshalText writes 0x….
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (a *Address) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 0, 64)
	*a = Address(n)
	return err
}

// Activated reports whether the changed location was read (or decoded, or
// used for translation) before being overwritten.
func (r *Result) Activated() bool { return r.Outcome.Counts() && r.Fate == Read }

// Manifested reports whether the run ended in anything but masked or latent.
func (r *Result) Manifested() bool { return r.Outcome.Manifested() }

// Detected reports whether a detector spoke up between the flip and the end.
func (r *Result) Detected() bool { return r.Outcome.Counts() && r.Detection != nil }

// DetectedBenign reports a detection of a fault that did no harm.
func (r *Result) DetectedBenign() bool { return r.Detected() && !r.Manifested() }

// Escaped reports harm that no detector noticed.
func (r *Result) Escaped() bool { return r.Manifested() && !r.Detected() }

// Latency gives the instructions from the flip to the detection.
func (r *Result) Latency() (instructions uint64, ok bool) {
	if !r.Detected() || r.Applied == nil || r.Detection.At < r.Applied.At {
		return 0, false
	}
	return r.Detection.At - r.Applied.At, true
}

// LatencyFromActivation gives the instructions from the first read of the
// flipped location to the detection.
func (r *Result) LatencyFromActivation() (instructions uint64, ok bool) {
	if !r.Detected() || !r.Activated() || r.Touched == nil || r.Detection.At < r.Touched.At {
		return 0, false
	}
	return r.Detection.At - r.Touched.At, true
}

// Check says what in a result contradicts the definitions. A result that
// fails it is an error of the tool.
func (r *Result) Check() error {
	l := &r.Lifecycle
	applied := l.Applied != nil
	switch {
	case r.Outcome == ToolError:
		return nil
	case r.Outcome >= NumOutcomes:
		return fmt.Errorf("outcome %d does not exist", r.Outcome)
	case r.Outcome == Invalid && applied:
		return errors.New("the fault was applied, yet the outcome is invalid")
	case r.Outcome != Invalid && !applied:
		return fmt.Errorf("the fault was not applied, yet the outcome is %s", r.Outcome)
	case !applied && (l.Fate != Untouched || l.Detection != nil):
		return errors.New("something happened to a fault that was not applied")
	case (l.Fate == Untouched) != (l.Touched == nil):
		return fmt.Errorf("fate %s does not fit touched at %v", l.Fate, l.Touched)
	case l.Touched != nil && l.Touched.At < l.Applied.At:
		return fmt.Errorf("touched at %d, before it was applied at %d", l.Touched.At, l.Applied.At)
	case l.Divergence != nil && l.Divergence.At < l.Applied.At:
		return fmt.Errorf("diverged at %d, before it was applied at %d", l.Divergence.At, l.Applied.At)
	case l.Detection != nil && l.Detection.At < l.Applied.At:
		return fmt.Errorf("detected at %d, before it was applied at %d", l.Detection.At, l.Applied.At)
	case r.Fault.Kind == Null && (r.Outcome != Masked || l.Detection != nil):
		return fmt.Errorf("a null injection ended %s", r.Outcome)
	}
	return nil
}

// Canonical is the one form in which a result is stored and counted into
// digests.
func (r *Result) Canonical() ([]byte, error) { return json.Marshal(r) }
