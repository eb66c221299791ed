package campaigns

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"

	"github.com/hashicorp/hcl/v2"

	"github.com/flipvisor/flipvisor/detect"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/internal/stats"
)

// Campaign is what a campaign file says, with every default filled in and
// every name that does not depend on an image checked.
type Campaign struct {
	Name        string
	Description string
	// Overhead asks for the runs that show what the detectors cost.
	Overhead bool

	Setup  Setup
	Faults []FaultBlock
	Sample Sample
	Gate   Gate
	Train  *Train // nil: not a training campaign

	Path  string
	files map[string]*hcl.File
}

// FaultBlock describes faults to draw from. Only together with a golden run
// does it become an inject.Group.
type FaultBlock struct {
	Name    string
	Weight  int
	Kind    inject.Kind
	Width   int         `json:",omitempty"`
	Period  uint64      `json:",omitempty"`
	Bits    inject.Bits `json:",omitempty"` // empty: every bit of the target
	Targets []TargetBlock
	Trigger TriggerBlock
	Exactly []inject.Fault `json:",omitempty"`

	where hcl.Range
}

// Name is a word of the file that is looked up only when the golden run is
// known, and the place to point at if it is not found.
type Name struct {
	Text  string
	where hcl.Range
}

// MarshalText keeps names as words in digests.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.Text), nil }

// TargetBlock is a set of places. Which fields count depends on Class.
type TargetBlock struct {
	Class inject.Class

	Registers []inject.Register `json:",omitempty"`

	Owners   []Name        `json:",omitempty"` // memory
	Sections []Name        `json:",omitempty"`
	Symbols  []Name        `json:",omitempty"`
	Address  *inject.Range `json:",omitempty"`

	Fields []inject.VMCSField `json:",omitempty"`
	VMs    []int              `json:",omitempty"`

	Caches    []string      `json:",omitempty"`
	LineParts []string      `json:",omitempty"`
	Sets      *inject.Range `json:",omitempty"`
	Ways      *inject.Range `json:",omitempty"`

	TLBFields []string      `json:",omitempty"`
	Entries   *inject.Range `json:",omitempty"`

	where hcl.Range
}

// TriggerBlock is a set of moments. Uniform ones are all instructions of a
// mode between two phases, the others as many as their ranges say.
type TriggerBlock struct {
	Uniform bool
	Mode    inject.Mode
	After   inject.Phase // uniform
	Before  inject.Phase // uniform; NoPhase: to the end

	Moment inject.Moment
	Number *inject.Range     `json:",omitempty"` // nil: every occurrence there is
	Offset inject.Range      // instructions after it
	Reason inject.ExitReason // exit
	Symbol Name              // symbol, access
	Plus   uint64            // bytes beyond the symbol
	At     uint64            // access, if there is no symbol
	Access inject.Access
	Phase  inject.Phase

	where hcl.Range
}

// Sample is how many experiments there are and which.
type Sample struct {
	Size       int     // 0: as many as Margin needs
	Margin     float64 // 0.01 is ±1 %
	Confidence float64
	Seed       int64
}

// Number is how many experiments to run in a space of the given size.
func (s Sample) Number(space float64) int {
	if s.Size > 0 {
		return s.Size
	}
	return stats.SampleSize(space, s.Margin, s.Confidence)
}

// Gate is the bar that the result has to pass.
type Gate struct {
	Confidence float64     `json:"confidence"`
	Conditions []Condition `json:"conditions"`
}

// Condition bounds one metric.
type Condition struct {
	Metric  string  `json:"metric"`
	AtLeast bool    `json:"at_least"` // or else at most
	Bar     float64 `json:"bar"`
}

// Train says how to train the transition model from the campaign.
type Train struct {
	Model   string // path of the file to write
	Options detect.Options
	// CleanRuns is how many runs without a fault each mix makes with other
	// seeds, besides its own: they only show what is normal.
	CleanRuns int
	Mixes     []Mix
}

// Mix is one choice of workloads and seeds for the campaign's VMs.
type Mix struct {
	Workloads []string // one per VM
	Seeds     []int64
	Scales    []int64
}

// Digest identifies everything that the result of an experiment depends on
// and that the campaign says, but for the seed. Results with different
// digests have nothing to do with each other.
func (c *Campaign) Digest() string {
	return digest(struct {
		Setup  Setup
		Faults []FaultBlock
	}{c.Setup, c.Faults})
}

// Key keys the drawing of faults. It depends on the fault blocks alone, so
// that a campaign with other detectors sees the same faults and can be
// compared experiment by experiment, as far as the golden runs are alike.
func (c *Campaign) Key() uint64 {
	sum, err := hex.DecodeString(digest(c.Faults))
	if err != nil {
		panic(err)
	}
	return binary.BigEndian.Uint64(sum)
}

func digest(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data always marshals
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
