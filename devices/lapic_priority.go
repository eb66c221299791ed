package devices

import (
	"math/bits"

	"github.com/flipvisor/flipvisor/internal/state"
)

// vectors is a register with a bit for each vector: IRR, ISR or TMR.
type vectors [4]uint64

func (v *vectors) set(n uint8)      { v[n>>6] |= 1 << (n & 63) }
func (v *vectors) clear(n uint8)    { v[n>>6] &^= 1 << (n & 63) }
func (v *vectors) has(n uint8) bool { return v[n>>6]>>(n&63)&1 != 0 }

// highest is the greatest vector whose bit is set, or 0: vectors below 16
// are never set.
func (v *vectors) highest() uint8 {
	for i := 3; i >= 0; i-- {
		if v[i] != 0 {
			return uint8(i<<6 + bits.Len64(v[i]) - 1)
		}
	}
	return 0
}

// word is the i-th of the eight 32-bit registers that show v.
func (v *vectors) word(i uint8) uint32 { return uint32(v[i>>1] >> (32 * (i & 1))) }

// Walk names the state.
func (v *vectors) Walk(w *state.Walker) {
	w.U64("00_3f", &v[0])
	w.U64("40_7f", &v[1])
	w.U64("80_bf", &v[2])
	w.U64("c0_ff", &v[3])
}

// Pending gives the vector of the interrupt that the processor would get
// now: the highest requested, if its class is above the processor priority.
//
// Interrupts requested before the program disabled the APIC in SVR are held
// and still come (SDM Vol. 3A, 10.4.7.2). An ExtINT request is not among
// these; a processor looks at it first.
func (a *LAPIC) Pending() (vector uint8, ok bool) {
	v := a.irr.highest()
	return v, v>>4 > a.ppr()>>4
}

// Ack is the processor taking an interrupt: the vector moves from IRR to
// ISR. Where nothing is deliverable it is the spurious vector, which needs
// no EOI (SDM Vol. 3A, 10.9).
func (a *LAPIC) Ack() uint8 {
	v, ok := a.Pending()
	if !ok {
		return uint8(a.svr)
	}
	a.irr.clear(v)
	a.isr.set(v)
	a.notify()
	return v
}

// eoi ends the interrupt of highest priority in service, and tells the I/O
// APICs if it was level-triggered. SDM Vol. 3A, 10.8.5.
func (a *LAPIC) eoi() {
	v := a.isr.highest()
	if v == 0 {
		return
	}
	a.isr.clear(v)
	if a.tmr.has(v) {
		a.endLevelLINT(v)
		if a.svr&svrSuppressEOI == 0 {
			a.cfg.Bus.EOI(v)
		}
	}
	a.notify()
}

// SetTPR sets the task priority.
func (a *LAPIC) SetTPR(v uint8) {
	if a.tpr != v {
		a.tpr = v
		a.notify()
	}
}

// GetTPR gives the task priority.
func (a *LAPIC) GetTPR() uint8 { return a.tpr }

// SetCR8 sets the task priority's class as MOV to CR8 does: the sub-class
// becomes 0. SDM Vol. 3A, 10.8.6.
func (a *LAPIC) SetCR8(v uint8) { a.SetTPR(v << 4) }

// GetCR8 gives the task priority's class.
func (a *LAPIC) GetCR8() uint8 { return a.tpr >> 4 }

// ppr is the processor priority. SDM Vol. 3A, 10.8.3.1.
func (a *LAPIC) ppr() uint8 {
	serving := a.isr.highest()
	if a.tpr>>4 >= serving>>4 {
		return a.tpr
	}
	return serving & 0xf0
}

// apr is the arbitration priority: the processor priority, raised by what is
// requested. SDM Vol. 3A, 10.6.2.4.
func (a *LAPIC) apr() uint8 {
	serving, requested := a.isr.highest()>>4, a.irr.highest()>>4
	task := a.tpr >> 4
	if task >= requested && task > serving {
		return a.tpr
	}
	return max(task, serving, requested) << 4
}
