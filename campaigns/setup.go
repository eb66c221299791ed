package campaigns

import (
	"github.com/flipvisor/flipvisor/detect"
	"github.com/flipvisor/flipvisor/inject"
)

// Setup is everything that decides what a machine does when nothing is
// flipped. A lab is built from it.
type Setup struct {
	Machine    Machine    `json:"machine"`
	Hypervisor Hypervisor `json:"hypervisor"`
	VMs        []VM       `json:"vms"`
	// Profile asks the hypervisor to report the features of every
	// transition, for training.
	Profile bool `json:"profile,omitempty"`
}

// Machine is the computer.
type Machine struct {
	Memory int64 `json:"memory"` // bytes
	CPU    CPU   `json:"cpu"`
	Cache  Cache `json:"cache"`
	// HangFactor is how many times the golden run's length a faulty run
	// may take before it counts as a hang.
	HangFactor float64 `json:"hang_factor"`
}

// CPU is what differs from one processor to another.
type CPU struct {
	Counters   int `json:"counters"`    // general-purpose performance counters; 0: none at all
	TLBEntries int `json:"tlb_entries"` // 0: the machine's default
}

// Cache is the cache hierarchy. It is simulated only for faults in it.
type Cache struct {
	L1I        CacheShape `json:"l1i"`
	L1D        CacheShape `json:"l1d"`
	L2         CacheShape `json:"l2"`
	Protection Protection `json:"protection"`
}

// CacheShape is one level's geometry.
type CacheShape struct {
	Size int64 `json:"size"` // bytes of data
	Ways int   `json:"ways"`
	Line int   `json:"line"` // bytes of data per line
}

// Sets is the number of sets.
func (s CacheShape) Sets() int { return int(s.Size) / (s.Ways * s.Line) }

// Level gives a level's shape.
func (c *Cache) Level(l inject.CacheLevel) CacheShape {
	return [...]CacheShape{inject.L1I: c.L1I, inject.L1D: c.L1D, inject.L2: c.L2}[l]
}

// Protection is what guards a cache line's data.
type Protection string

// The protections.
const (
	Unprotected Protection = "none"
	Parity      Protection = "parity"
	ECC         Protection = "ecc"
)

// Hypervisor is the program under test.
type Hypervisor struct {
	Image     string            `json:"image,omitempty"` // path; empty: flipvisor's own
	Detectors []inject.Detector `json:"detectors"`
	Policy    Policy            `json:"policy"`
	Options   string            `json:"options,omitempty"` // appended to its command line
	Model     *detect.Tree      `json:"model,omitempty"`   // nil: none
}

// Has reports whether a detector is switched on.
func (h *Hypervisor) Has(d inject.Detector) bool {
	for _, on := range h.Detectors {
		if on == d {
			return true
		}
	}
	return false
}

// Policy is what the hypervisor does after a detection.
type Policy string

// The policies.
const (
	Continue Policy = "continue" // report, and go on to see what would have happened
	Stop     Policy = "stop"     // report, and stop
)

// VM is one guest.
type VM struct {
	Name     string `json:"name"`
	Image    string `json:"image,omitempty"` // path; empty: flipvisor's mini-OS
	Workload string `json:"workload,omitempty"`
	Scale    int64  `json:"scale"`
	Seed     int64  `json:"seed"`
	Repeat   int64  `json:"repeat"`
	Memory   int64  `json:"memory"`            // bytes; 0: the hypervisor's default
	Weight   int64  `json:"weight"`            // of the scheduler; 0: its default
	Tick     int64  `json:"tick,omitempty"`    // guest timer period; 0: the guest's default
	Peer     *int64 `json:"peer,omitempty"`    // number of the VM it exchanges events with
	Options  string `json:"options,omitempty"` // appended to its command line
}
