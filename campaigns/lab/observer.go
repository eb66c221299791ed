package lab

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/devices"
	"github.com/flipvisor/flipvisor/hv"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/machine"
)

// observer keeps what a machine sends to the outside. Its slices only grow,
// so that a copy taken at a rung stays what it was.
type observer struct {
	console    []byte
	phases     []campaigns.PhaseAt
	outputs    []hv.Output
	stopped    []hv.VMStopped
	detections []inject.Detection
	profile    []campaigns.Transition
	malformed  int

	// beforeEntry says, of a faulty run, whether no VM was entered since
	// the flip.
	beforeEntry func() bool
}

// at copies the observer for a rung: later appends go elsewhere.
func (o *observer) at() observer {
	c := *o
	c.console = o.console[:len(o.console):len(o.console)]
	c.phases = o.phases[:len(o.phases):len(o.phases)]
	c.outputs = o.outputs[:len(o.outputs):len(o.outputs)]
	c.stopped = o.stopped[:len(o.stopped):len(o.stopped)]
	c.detections = o.detections[:len(o.detections):len(o.detections)]
	c.profile = o.profile[:len(o.profile):len(o.profile)]
	return c
}

// attach makes a machine's output go to the observer. point describes the
// present of that machine.
func (o *observer) attach(m *machine.Machine, point func() inject.Point) {
	m.Console = func(b byte) { o.console = append(o.console, b) }
	m.Report = func(r devices.Report) { o.report(r, point) }
}

func (o *observer) report(r devices.Report, point func() inject.Point) {
	switch p := hv.Parse(r).(type) {
	case hv.Phase:
		o.phases = append(o.phases, campaigns.PhaseAt{Phase: inject.Phase(p.Phase), Argument: p.Argument, At: r.At})
	case hv.Output:
		o.outputs = append(o.outputs, p)
	case hv.VMStopped:
		o.stopped = append(o.stopped, p)
	case hv.Features:
		o.profile = append(o.profile, campaigns.Transition{At: r.At, Features: inject.Features(p)})
	case hv.Detection:
		cause, ok := inject.CauseOf(p.Detector)
		if !ok {
			o.malformed++
			return
		}
		d := inject.Detection{Detector: cause.Detector(), Cause: cause, Reason: p.Reason, Point: point()}
		if cause == inject.ByTransition {
			f := inject.Features(p.Features)
			d.Features = &f
		}
		d.BeforeEntry = o.beforeEntry != nil && o.beforeEntry()
		o.detections = append(o.detections, d)
	default:
		o.malformed++
	}
}

// vmLines gives the console lines of each VM, by the prefix the hypervisor
// puts before them. Its own lines tell of times and are not a VM's output.
func (o *observer) vmLines() map[string]string {
	lines := make(map[string]*strings.Builder)
	for line := range bytes.Lines(o.console) {
		if prefix, rest, ok := bytes.Cut(line, []byte("] ")); ok && bytes.HasPrefix(prefix, []byte("[vm")) {
			vm := string(prefix[1:])
			if lines[vm] == nil {
				lines[vm] = new(strings.Builder)
			}
			lines[vm].Write(rest)
		}
	}
	out := make(map[string]string, len(lines))
	for vm, b := range lines {
		out[vm] = b.String()
	}
	return out
}

// digests lists the results the VMs reported, in order.
func (o *observer) digests() []campaigns.Output {
	var all []campaigns.Output
	for _, out := range o.outputs {
		if out.Kind == hv.ReportDigest {
			all = append(all, campaigns.Output{VM: int(out.VM), Digest: fmt.Sprintf("%016x", out.Value)})
		}
	}
	return all
}
