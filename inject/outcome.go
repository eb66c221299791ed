package inject

import "slices"

// Outcome is how an experiment ended, compared with the golden run. It is
// what happens with the detectors only observing: a detection does not
// change it.
type Outcome uint8

// The outcomes, from harmless to severe, and the two that are none.
const (
	Masked    Outcome = iota // the state became the golden run's again
	Latent                   // it never did, but every output is right
	SDC                      // silent data corruption: some VM's output is wrong
	AppCrash                 // a workload died, its VM's kernel noticed
	VMCrash                  // a VM stopped otherwise than by its own shutdown
	Hang                     // the run did not end in the time allowed
	HVCrash                  // the hypervisor stopped: fatal exception, triple fault
	Invalid                  // the fault was not applied
	ToolError                // flipvisor itself failed

	NumOutcomes
)

var outcomeNames = names{
	"masked", "latent", "sdc", "app-crash", "vm-crash", "hang", "hv-crash", "invalid", "tool-error",
}

func (o Outcome) String() string { return outcomeNames.of(int(o)) }

// ParseOutcome reads what String prints.
func ParseOutcome(s string) (Outcome, error) {
	i, err := outcomeNames.parse("outcome", s)
	return Outcome(i), err
}

// Counts reports whether the outcome says something about the program under
// test. The others are a class apart and enter no statistic.
func (o Outcome) Counts() bool { return o < Invalid }

// Manifested reports whether the fault made a difference that matters.
func (o Outcome) Manifested() bool { return o.Counts() && o != Masked && o != Latent }

// MarshalText and UnmarshalText keep outcomes as words in files.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (o *Outcome) UnmarshalText(text []byte) error { return unmarshal(o, text, ParseOutcome) }

// Fate is what happened first to the flipped location.
type Fate uint8

// The fates.
const (
	Untouched   Fate = iota // neither read nor written until the end
	Read                    // read, decoded or used for a translation: activated
	Overwritten             // written before anything read it
	Evicted                 // dropped by a cache or TLB before anything read it
)

var fateNames = names{"untouched", "read", "overwritten", "evicted"}

func (f Fate) String() string { return fateNames.of(int(f)) }

// ParseFate reads what String prints.
func ParseFate(s string) (Fate, error) {
	i, err := fateNames.parse("fate", s)
	return Fate(i), err
}

// MarshalText and UnmarshalText keep fates as words in files.
func (f Fate) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (f *Fate) UnmarshalText(text []byte) error { return unmarshal(f, text, ParseFate) }

// Detector is one of the mechanisms under test.
type Detector uint8

// The detectors.
const (
	// Runtime: fatal exceptions, assertions and failed VMX instructions,
	// reported by the hypervisor's own handlers.
	Runtime Detector = iota
	// Transition: the decision tree over five features, before each VM entry.
	Transition
	// Watchdog: an NMI when one pass through the hypervisor takes longer
	// than any should.
	Watchdog

	NumDetectors
)

var detectorNames = names{"runtime", "transition", "watchdog"}

func (d Detector) String() string { return detectorNames.of(int(d)) }

// ParseDetector reads what String prints.
func ParseDetector(s string) (Detector, error) {
	i, err := detectorNames.parse("detector", s)
	return Detector(i), err
}

// MarshalText and UnmarshalText keep detectors as words in files.
func (d Detector) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Detector) UnmarshalText(text []byte) error { return unmarshal(d, text, ParseDetector) }

// Cause is what made a detector report, numbered as abi.h's DETECT_*.
type Cause uint8

// The causes.
const (
	NoCause        Cause = iota
	ByException          // reason: vector
	ByAssertion          // reason: the assertion's number
	ByTransition         // reason: the tree's leaf
	ByVMX                // reason: VM-instruction error or exit reason of a failed entry
	ByWatchdog           // reason: vector 2
	lastKnownCause = ByWatchdog
)

var causeNames = names{"none", "exception", "assertion", "transition", "vmx", "watchdog"}

func (c Cause) String() string { return causeNames.of(int(c)) }

// ParseCause reads what String prints.
func ParseCause(s string) (Cause, error) {
	i, err := causeNames.parse("cause", s)
	return Cause(i), err
}

// CauseOf gives the cause a probe report names, false for a number that
// means nothing: the report comes from a machine that may be faulty.
func CauseOf(reported uint32) (Cause, bool) {
	if reported == 0 || reported > uint32(lastKnownCause) {
		return NoCause, false
	}
	return Cause(reported), true
}

// Detector says which mechanism the cause belongs to.
func (c Cause) Detector() Detector {
	switch c {
	case ByTransition:
		return Transition
	case ByWatchdog:
		return Watchdog
	}
	return Runtime
}

// MarshalText and UnmarshalText keep causes as words in files.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *Cause) UnmarshalText(text []byte) error { return unmarshal(c, text, ParseCause) }

// BlastRadius is who was affected in the end.
type BlastRadius struct {
	VMs  []int `json:"vms,omitempty"` // numbers, ascending
	Host bool  `json:"host,omitempty"`
}

// String names the radius: none, one-vm, several-vms or host.
func (b BlastRadius) String() string {
	switch {
	case b.Host:
		return "host"
	case len(b.VMs) > 1:
		return "several-vms"
	case len(b.VMs) == 1:
		return "one-vm"
	}
	return "none"
}

// Add puts a VM into the radius.
func (b *BlastRadius) Add(vm int) {
	if i, found := slices.BinarySearch(b.VMs, vm); !found {
		b.VMs = slices.Insert(b.VMs, i, vm)
	}
}
