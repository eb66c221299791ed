package lab

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flipvisor/flipvisor/hv"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/machine"
)

// verdict compares how a run ended with how the golden one did.
func (l *Lab) verdict(r *inject.Result, stop machine.Stop, o *observer) {
	g := l.shared
	r.Malformed = o.malformed
	switch stop.Reason {
	case machine.Failed:
		// The machine met something it cannot do. A fault led there, but
		// what real hardware would have done is not known.
		r.Outcome, r.Detail = inject.ToolError, stop.Err.Error()
		return
	case machine.Shutdown:
		r.Outcome, r.Detail = inject.HVCrash, "triple fault"
		r.Blast.Host = true
		return
	case machine.Reset, machine.PoweredOff:
		r.Outcome, r.Detail = inject.HVCrash, stop.String()
		r.Blast.Host = true
		return
	case machine.Idle:
		r.Outcome, r.Detail = inject.Hang, "halted with nothing to wake it"
		r.Blast.Host = true
		return
	case machine.AtCount:
		r.Outcome, r.Detail = inject.Hang, fmt.Sprintf("still running after %d instructions", l.limit)
		r.Blast.Host = true
		l.affectedVMs(r, o)
		return
	}
	if stop.Code != g.stop.Code {
		r.Outcome, r.Detail = inject.HVCrash, fmt.Sprintf("the hypervisor stopped with status %d", stop.Code)
		r.Blast.Host = true
		return
	}
	l.affectedVMs(r, o)
	if r.Outcome == inject.Masked {
		r.Outcome = inject.Latent
	}
}

// affectedVMs finds the VMs that ended or computed otherwise than in the
// golden run. The severest says what the outcome is.
func (l *Lab) affectedVMs(r *inject.Result, o *observer) {
	worse := func(vm int, outcome inject.Outcome, detail string) {
		r.Blast.Add(vm)
		if outcome > r.Outcome {
			r.Outcome, r.Detail = outcome, detail
		}
	}
	g := &l.shared.end
	for _, want := range g.stopped {
		vm := int(want.VM)
		i := slices.IndexFunc(o.stopped, func(s hv.VMStopped) bool { return s.VM == want.VM })
		switch {
		case i < 0:
			worse(vm, inject.VMCrash, fmt.Sprintf("vm %d never stopped", vm))
		case o.stopped[i] == want:
		case o.stopped[i].Cause == hv.StopShutdown && o.stopped[i].Code == hv.CodeWorkloadDied:
			worse(vm, inject.AppCrash, fmt.Sprintf("the workload of vm %d died", vm))
		default:
			worse(vm, inject.VMCrash, fmt.Sprintf("vm %d stopped by %s %#x", vm, stopName(o.stopped[i].Cause), o.stopped[i].Code))
		}
	}
	lines, wantLines := o.vmLines(), g.vmLines()
	for _, want := range g.outputs {
		same := func(out hv.Output) bool { return out == want }
		name := fmt.Sprintf("vm%d", want.VM)
		if !slices.ContainsFunc(o.outputs, same) || lines[name] != wantLines[name] {
			worse(int(want.VM), inject.SDC, fmt.Sprintf("vm %d computed or printed something else", want.VM))
		}
	}
	if len(o.outputs) > len(g.outputs) && r.Outcome == inject.Masked {
		last := o.outputs[len(o.outputs)-1]
		worse(int(last.VM), inject.SDC, "more results than in the golden run")
	}
}

func stopName(cause uint32) string {
	names := []string{hv.StopShutdown: "shutdown", hv.StopTriple: "triple fault", hv.StopKilled: "being killed for exit", hv.StopPanic: "panic"}
	if int(cause) < len(names) && names[cause] != "" {
		return strings.TrimSpace(names[cause])
	}
	return fmt.Sprintf("cause %d", cause)
}
