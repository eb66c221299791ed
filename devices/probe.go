package devices

import (
	"slices"
	"strconv"

	"github.com/flipvisor/flipvisor/internal/state"
)

// Probe carries reports from the hypervisor under test to the bench, as
// hv/src/include/abi.h lays down: words written to PROBE_DATA, then their
// kind to PROBE_COMMIT.
//
// After a flip the reporter is a faulty machine. The probe checks the form
// of a report (whole words, no more than there is room for, a kind that
// exists) and passes on what breaks it marked as malformed; what the words
// say is for the reader to doubt.
type Probe struct {
	clock  Clock
	report func(Report)

	words     [probeWords]uint32
	n         uint8
	malformed bool

	committed [probeWords]uint32 // the words of the report being made
}

// ReportKind is the kind of a report.
type ReportKind uint32

const (
	ReportPhase     ReportKind = 1 // PROBE_PHASE
	ReportOutput    ReportKind = 2 // PROBE_OUTPUT
	ReportDetection ReportKind = 3 // PROBE_DETECTION
	ReportVMStopped ReportKind = 4 // PROBE_VM_STOPPED
	ReportProfile   ReportKind = 5 // PROBE_PROFILE
)

// String names the kind.
func (k ReportKind) String() string {
	switch k {
	case ReportPhase:
		return "phase"
	case ReportOutput:
		return "output"
	case ReportDetection:
		return "detection"
	case ReportVMStopped:
		return "vm-stopped"
	case ReportProfile:
		return "profile"
	}
	return "unknown kind " + strconv.FormatUint(uint64(k), 10)
}

func (k ReportKind) known() bool { return k >= ReportPhase && k <= ReportProfile }

// Report is one report. Words are the probe's own and last until the
// callback returns: Clone what is kept.
type Report struct {
	Kind      ReportKind
	Words     []uint32
	At        uint64 // the tick of its commit
	Malformed bool   // not as the protocol wants it; Words is what fitted
}

// Clone gives a copy to keep.
func (r Report) Clone() Report {
	r.Words = slices.Clone(r.Words)
	return r
}

const (
	probeWords  = 16
	probeMagic  = 0x46504c46
	probeID     = ProbeFirst
	probeData   = ProbeFirst + 4
	probeCommit = ProbeFirst + 8
)

// NewProbe makes a probe that calls report at each commit.
func NewProbe(clock Clock, report func(Report)) *Probe {
	return &Probe{clock: clock, report: report}
}

// In implements PortDevice: only the magic number can be read.
func (p *Probe) In(port uint16, _ int) uint32 {
	if off := port - probeID; off < 4 {
		return probeMagic >> (8 * off)
	}
	return 0xffffffff
}

// Out implements PortDevice.
func (p *Probe) Out(port uint16, size int, v uint32) {
	switch {
	case port < probeData:
		// Writing the number is not part of any report.
	case port == probeData && size == 4:
		if p.n == probeWords {
			p.malformed = true
			return
		}
		p.words[p.n] = v
		p.n++
	case port == probeCommit && size == 4:
		p.commit(ReportKind(v))
	case port >= probeCommit:
		p.malformed = true
		p.commit(ReportKind(v))
	default:
		p.malformed = true
	}
}

func (p *Probe) commit(kind ReportKind) {
	p.committed = p.words
	r := Report{
		Kind:      kind,
		Words:     p.committed[:p.n],
		At:        p.clock.Now(),
		Malformed: p.malformed || !kind.known(),
	}
	p.words, p.n, p.malformed = [probeWords]uint32{}, 0, false
	p.report(r)
}

// wordNames are the names of the words in a walk.
var wordNames = [probeWords]string{
	"w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7",
	"w8", "w9", "w10", "w11", "w12", "w13", "w14", "w15",
}

// Walk names the state.
func (p *Probe) Walk(w *state.Walker) {
	for i := range p.words {
		w.U32(wordNames[i], &p.words[i])
	}
	w.U8("n", &p.n)
	w.Bool("malformed", &p.malformed)
	if w.Loading() {
		p.n = min(p.n, probeWords)
	}
}
