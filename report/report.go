package report

import (
	"encoding/json"
	"io"
	"math"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/internal/stats"
)

// Report is everything there is to say about a campaign.
type Report struct {
	Campaign    string `json:"campaign"`
	Description string `json:"description,omitempty"`
	Seed        int64  `json:"seed"`
	// Samples is how many experiments there are, Planned how many there
	// were to be.
	Samples    int `json:"samples"`
	Planned    int `json:"planned"`
	Invalid    int `json:"invalid"`
	ToolErrors int `json:"tool_errors"`

	Detectors []string `json:"detectors"`
	VMs       []string `json:"vms"`

	Outcomes map[string]int `json:"outcomes"`
	Coverage Coverage       `json:"coverage"`
	// Confidence is that of every interval here.
	Confidence float64 `json:"confidence"`

	ByDetector map[string]DetectorCount `json:"by_detector"`
	// Latency is from the flip to the detection, LatencyFromActivation from
	// the first read of the flipped location.
	Latency               Latency `json:"latency_instructions"`
	LatencyFromActivation Latency `json:"latency_from_activation_instructions"`
	// BeforeEntry of all detections came before any VM ran again.
	BeforeEntry Proportion `json:"before_entry"`
	// Benign are detections of faults that did no harm.
	Benign int `json:"benign_detections"`

	Escapes []Escape       `json:"escapes"`
	Targets []Target       `json:"targets"`
	Blast   map[string]int `json:"blast_radius"` // of manifested faults
	Groups  []Group        `json:"groups"`
	// Failures are absolute numbers, over the whole fault space: two
	// programs are compared by these and by nothing else.
	Failures           Estimate `json:"failures"`
	UndetectedFailures Estimate `json:"undetected_failures"`

	FalsePositives FalsePositives      `json:"false_positives"`
	Overhead       map[string]Overhead `json:"overhead"`
	Golden         Golden              `json:"golden"`
	Malformed      int                 `json:"malformed_reports"`

	Gate GateResult `json:"gate"`

	Rate   float64 `json:"experiments_per_second"`
	Digest string  `json:"digest"`
}

// Coverage is the share of faults that a detector noticed, of three sets
// that contain each other.
type Coverage struct {
	Injected   Proportion `json:"injected"`
	Activated  Proportion `json:"activated"`
	Manifested Proportion `json:"manifested"`
}

// Proportion is a share with its interval. Value is nil where there is
// nothing of which it could be a share.
type Proportion struct {
	Detected int      `json:"detected"`
	Total    int      `json:"total"`
	Value    *float64 `json:"value"`
	Low      float64  `json:"low"`
	High     float64  `json:"high"`
}

func proportion(k, n int, confidence float64) Proportion {
	i := stats.Wilson(k, n, confidence)
	p := Proportion{Detected: k, Total: n, Low: i.Low, High: i.High}
	if n > 0 {
		p.Value = &i.Value
	}
	return p
}

func (p Proportion) interval() stats.Interval {
	i := stats.Interval{Value: math.NaN(), Low: p.Low, High: p.High}
	if p.Value != nil {
		i.Value = *p.Value
	}
	return i
}

// Estimate is an absolute number with its interval.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// DetectorCount is what one detector reported.
type DetectorCount struct {
	Detected   int            `json:"detected"`
	Manifested int            `json:"manifested"` // of those, faults that did harm
	Benign     int            `json:"benign"`     // and faults that did none
	Causes     map[string]int `json:"causes"`
}

// Latency is percentiles of a number of instructions.
type Latency struct {
	Count int    `json:"count"`
	P50   uint64 `json:"p50"`
	P95   uint64 `json:"p95"`
	P99   uint64 `json:"p99"`
	Max   uint64 `json:"max"`
}

// Escape is a class of faults that did harm and that nobody noticed.
type Escape struct {
	Outcome inject.Outcome `json:"outcome"`
	Target  string         `json:"target"`
	Count   int            `json:"count"`
	Example int            `json:"example"` // an experiment's index, for replay
	Fault   string         `json:"fault"`   // that experiment's
	Detail  string         `json:"detail,omitempty"`
	// Functions are where the processor was when the bit flipped, the
	// commonest first.
	Functions []FunctionCount `json:"functions"`
}

// FunctionCount is a function with a number of faults.
type FunctionCount struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// Target is the row of one kind of location.
type Target struct {
	Name       string         `json:"name"`
	Total      int            `json:"total"`
	Outcomes   map[string]int `json:"outcomes"`
	Activated  int            `json:"activated"`
	Manifested int            `json:"manifested"`
	Detected   int            `json:"detected"` // of the manifested
}

// Group is a fault block with what its sample says about all its faults.
type Group struct {
	Name       string   `json:"name"`
	Space      float64  `json:"space"` // how many faults there are
	Samples    int      `json:"samples"`
	Failures   Estimate `json:"failures"` // how many of them do harm
	Undetected Estimate `json:"undetected"`
}

// FalsePositives are reports in the run without a fault.
type FalsePositives struct {
	Entries uint64 `json:"entries"`
	Alarms  int    `json:"alarms"`
	// RateAtMost is the upper end of the exact interval for alarms per entry.
	RateAtMost float64        `json:"rate_at_most"`
	ByDetector map[string]int `json:"by_detector,omitempty"`
}

// Overhead is what a set of detectors costs.
type Overhead struct {
	PerExit     float64 `json:"instructions_per_exit"`
	PerExitBase float64 `json:"instructions_per_exit_without"`
	Run         int64   `json:"run_instructions"`
	RunBase     uint64  `json:"run_instructions_without"`
	Share       float64 `json:"run_share"`
}

// Golden is the run without a fault.
type Golden struct {
	Digest           string                `json:"digest"`
	Instructions     uint64                `json:"instructions"`
	RootInstructions uint64                `json:"root_instructions"`
	Exits            []campaigns.ExitCount `json:"exits"`
	Outputs          []campaigns.Output    `json:"outputs"`
}

// GateResult is the verdict, and how it came about.
type GateResult struct {
	Verdict    stats.Verdict     `json:"verdict"`
	Conditions []ConditionResult `json:"conditions"`
	Note       string            `json:"note,omitempty"`
}

// ConditionResult is the verdict about one condition.
type ConditionResult struct {
	campaigns.Condition
	Value   *float64      `json:"value"`
	Low     float64       `json:"low"`
	High    float64       `json:"high"`
	Verdict stats.Verdict `json:"verdict"`
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}
