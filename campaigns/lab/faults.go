package lab

import (
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/machine"
)

// run is Run of the machine with the fault in force: watched while its fate
// is open, and kept up if it does not pass.
func (x *experiment) run(until uint64) machine.Stop {
	switch x.f.Kind {
	case inject.StuckAt0, inject.StuckAt1:
		return x.runStuck(until)
	case inject.Intermittent:
		return x.runIntermittent(until)
	}
	return x.pass(until)
}

func (x *experiment) pass(until uint64) machine.Stop {
	if x.w != nil {
		return x.w.Run(until)
	}
	return x.m.Run(until)
}

// runStuck forces the bits after every instruction. Where that can be seen
// coming (memory), only after those that wrote.
func (x *experiment) runStuck(until uint64) machine.Stop {
	for x.m.Count() < until {
		if stop := x.pass(x.m.Count() + 1); stop.Reason != machine.AtCount {
			return stop
		}
		inject.Hold(x.m, &x.f)
	}
	return machine.Stop{}
}

// runIntermittent flips again every period.
func (x *experiment) runIntermittent(until uint64) machine.Stop {
	for x.m.Count() < until {
		gone := x.m.Count() - x.at
		again := x.at + (gone/x.f.Period+1)*x.f.Period
		if stop := x.pass(min(until, again)); stop.Reason != machine.AtCount {
			return stop
		}
		if x.m.Count() == again {
			inject.Again(x.m, &x.f)
		}
	}
	return machine.Stop{}
}

// finish notes what is known at the end.
func (x *experiment) finish(end uint64) {
	r := x.res
	if x.w != nil {
		r.Fate = x.w.Fate
		if x.w.Fate != inject.Untouched {
			p := x.w.At
			r.Touched = &p
		}
	}
	for _, d := range x.seen.detections[x.base:] {
		if !x.l.falseAlarm(&d) {
			r.Detection = &d
			break
		}
	}
	r.End = end
	r.State = x.m.Digest().String()
}

// falseAlarm says whether the golden run reports the same of the same work:
// then it says nothing of the fault.
func (l *Lab) falseAlarm(d *inject.Detection) bool {
	for _, g := range l.shared.golden.Alarms {
		if g.Cause == d.Cause && g.Reason == d.Reason && g.Features != nil && d.Features != nil && *g.Features == *d.Features {
			return true
		}
	}
	return false
}
