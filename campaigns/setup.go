package campaigns

import (
	"github.com/flipvisor/flipvisor/detect"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/mmu"
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
	Memory   int64 `json:"memory"`   // bytes
	Counters int   `json:"counters"` // general-purpose performance counters; 0: none
	// Cache is simulated only while a fault needs it.
	Cache mmu.CacheConfig `json:"cache"`
	// HangFactor is how many times the golden run's length a faulty run
	// may take before it counts as a hang.
	HangFactor float64 `json:"hang_factor"`
}

// Hypervisor is the program under test.
type Hypervisor struct {
	Image     string            `json:"image,omitempty"` // path; empty: flipvisor's own
	Detectors []inject.Detector `json:"detectors"`
	Policy    Policy            `json:"policy"`
	Quantum   int64             `json:"quantum,omitempty"` // timer counts per scheduler tick; 0: its default
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
	Disk     int64  `json:"disk"`              // bytes; 0: its default
	Tick     int64  `json:"tick,omitempty"`    // guest timer period; 0: the guest's default
	Peer     *int64 `json:"peer,omitempty"`    // number of the VM it exchanges events with
	Options  string `json:"options,omitempty"` // appended to its command line
}
