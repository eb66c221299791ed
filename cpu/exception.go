package cpu

import "fmt"

// Exception vectors (SDM Vol. 3A, table 6-1).
const (
	VectorDE  = 0
	VectorDB  = 1
	VectorNMI = 2
	VectorBP  = 3
	VectorOF  = 4
	VectorBR  = 5
	VectorUD  = 6
	VectorNM  = 7
	VectorDF  = 8
	VectorTS  = 10
	VectorNP  = 11
	VectorSS  = 12
	VectorGP  = 13
	VectorPF  = 14
	VectorMF  = 16
	VectorAC  = 17
	VectorMC  = 18
	VectorXM  = 19
	VectorVE  = 20
	VectorCP  = 21
)

var vectorNames = map[uint8]string{
	VectorDE: "#DE", VectorDB: "#DB", VectorNMI: "NMI", VectorBP: "#BP", VectorOF: "#OF",
	VectorBR: "#BR", VectorUD: "#UD", VectorNM: "#NM", VectorDF: "#DF", VectorTS: "#TS",
	VectorNP: "#NP", VectorSS: "#SS", VectorGP: "#GP", VectorPF: "#PF", VectorMF: "#MF",
	VectorAC: "#AC", VectorMC: "#MC", VectorXM: "#XM", VectorVE: "#VE", VectorCP: "#CP",
}

// VectorName is the mnemonic of an exception vector, or its number.
func VectorName(v uint8) string {
	if n, ok := vectorNames[v]; ok {
		return n
	}
	return fmt.Sprintf("vector %d", v)
}

// EventKind is an event's type, numbered as in the VMX interruption
// information fields (SDM Vol. 3C, 25.8.3).
type EventKind uint8

const (
	EventExternal      EventKind = 0
	EventNMI           EventKind = 2
	EventHardware      EventKind = 3 // an exception
	EventSoftware      EventKind = 4 // INT n
	EventPrivSoftware  EventKind = 5 // INT1
	EventSoftException EventKind = 6 // INT3, INTO
)

// Exception is an exception or interrupt to be delivered, or a VM exit that
// takes its place.
type Exception struct {
	Vector  uint8
	Kind    EventKind // zero from the makers of faults: see event
	HasCode bool
	Code    uint32
	CR2     uint64 // of #PF
	DR6     uint64 // bits to set, of #DB
	trap    bool   // reported after the instruction: RF is not set
	length  uint8  // of the instruction that raised it, if it was one
	next    uint64 // of a software event: the return address; RIP is still the instruction's

	injected      bool       // by a VM entry
	exit          ExitReason // instead of an exception
	qualification uint64
	gpa, linear   uint64
}

// ReturnAddress is the RIP that delivering the event would push, given the
// present one.
func (e Exception) ReturnAddress(rip uint64) uint64 {
	switch e.Kind {
	case EventSoftware, EventSoftException, EventPrivSoftware:
		return e.next
	}
	return rip
}

func (e Exception) String() string {
	s := VectorName(e.Vector)
	if e.HasCode {
		s += fmt.Sprintf("(%#x)", e.Code)
	}
	if e.Vector == VectorPF {
		s += fmt.Sprintf(" at %#x", e.CR2)
	}
	return s
}

// fault leaves the block at in, which did not complete, and raises what
// c.exc holds.
func (c *CPU) fault(in *Inst) *Inst {
	c.unwind(in)
	c.budget--
	c.notRetired++
	c.exc.length = in.len
	c.exception(c.exc)
	return nil
}

// raise is fault with an exception that has no error code.
func (c *CPU) raise(in *Inst, vector uint8) *Inst {
	c.exc = Exception{Vector: vector}
	return c.fault(in)
}

// raiseCode is fault with an error code.
func (c *CPU) raiseCode(in *Inst, vector uint8, code uint32) *Inst {
	c.exc = Exception{Vector: vector, HasCode: true, Code: code}
	return c.fault(in)
}

func (c *CPU) ud(in *Inst) *Inst  { return c.raise(in, VectorUD) }
func (c *CPU) gp0(in *Inst) *Inst { return c.raiseCode(in, VectorGP, 0) }

// exc0 sets c.exc to a fault with an error code, for helpers that report
// failure with false.
func (c *CPU) excCode(vector uint8, code uint32) bool {
	c.exc = Exception{Vector: vector, HasCode: true, Code: code}
	return false
}

// faultClass sorts exceptions for the double-fault rule (SDM Vol. 3A, table 6-5).
func faultClass(v uint8) int {
	switch v {
	case VectorDE, VectorTS, VectorNP, VectorSS, VectorGP, VectorCP:
		return 1 // contributory
	case VectorPF, VectorVE:
		return 2
	case VectorDF:
		return 3
	}
	return 0
}

// exception delivers an exception raised by an instruction, RIP being the
// instruction's for a fault and the next one's for a trap.
func (c *CPU) exception(e Exception) {
	if e.Kind == 0 {
		e.Kind = EventHardware
	}
	c.deliverEvent(e)
}

// deliverEvent delivers an event through the IDT, with everything that can
// happen on the way: VM exits, nested exceptions, double and triple faults.
func (c *CPU) deliverEvent(e Exception) {
	c.Activity = Active
	c.delivered = true
	for {
		if c.Hooks.Catch != nil && c.Hooks.Catch(e) {
			c.stop = StopCaught
			return
		}
		if e.exit != 0 {
			c.vmxFault(e)
			return
		}
		if e.isException() && c.interceptException(&e) {
			return
		}
		if e.Vector == VectorPF && e.Kind == EventHardware && !e.injected {
			c.CR2 = e.CR2
		}
		if e.Vector == VectorDB && e.Kind != EventSoftware && !e.injected {
			c.DR[6] = c.DR[6]&^0xf | e.DR6
			c.DR[7] &^= 1 << 13 // GD
			c.MSR.DebugCtl &^= 1
		}
		c.vmxVectoring(&e)
		ok := c.deliver(e)
		if ok {
			c.vmxVectoringDone()
			if c.Hooks.Exception != nil {
				c.Hooks.Exception(e)
			}
			return
		}
		next := c.exc
		if next.exit != 0 {
			c.vmxFault(next)
			return
		}
		next.Kind = EventHardware
		first := 0
		if e.Kind == EventHardware {
			first = faultClass(e.Vector)
		}
		second := faultClass(next.Vector)
		switch {
		case first == 3:
			if !c.interceptException(&next) {
				c.tripleFault()
			}
			return
		case first == 1 && second == 1, first == 2 && second != 0:
			// The intercept of the second exception comes before the
			// double fault it makes (SDM Vol. 3C, 26.2).
			if c.interceptException(&next) {
				return
			}
			e = Exception{Vector: VectorDF, HasCode: true, Kind: EventHardware}
			c.vectoring = vectoring{} // it does not count as delivered on the way
		default:
			e = next
		}
	}
}

// tripleFault ends in a VM exit or in shutdown.
func (c *CPU) tripleFault() {
	if c.interceptTripleFault() {
		return
	}
	c.Activity = Shutdown
	c.stop = StopShutdown
}

// deliver pushes the frame and goes to the handler. On failure nothing has
// changed but what was pushed, and c.exc holds the exception.
func (c *CPU) deliver(e Exception) bool {
	flags := c.flags() &^ FlagRF
	if e.setsRF() {
		flags |= FlagRF
	} else {
		flags |= c.rflags & FlagRF
	}
	switch {
	case c.lma:
		return c.deliverLong(e, flags)
	case c.CR0&CR0PE != 0:
		return c.deliverProtected(e, flags)
	default:
		return c.deliverReal(e, flags)
	}
}

// external is the EXT bit of an error code: the event that could not be
// delivered did not come from the program.
func (e *Exception) external() uint32 {
	if e.Kind == EventSoftware || e.Kind == EventSoftException {
		return 0
	}
	return 1
}

// setsRF says that the saved flags have RF set: those of a fault other than
// #DB, so that the instruction can be restarted without meeting an instruction
// breakpoint again. After that of a breakpoint, its handler sets RF if it
// wants to (SDM Vol. 3B, 17.3.1.1).
func (e *Exception) setsRF() bool {
	return e.Kind == EventHardware && !e.trap && e.Vector != VectorDB && e.Vector != VectorDF && e.Vector != VectorMC
}

// isException tells what the exception bitmap of VMX applies to from
// interrupts: INT3, INTO and INT1 are exceptions there, INT n is not.
func (e *Exception) isException() bool {
	return e.Kind == EventHardware || e.Kind == EventPrivSoftware || e.Kind == EventSoftException
}

func (c *CPU) deliverReal(e Exception, flags uint64) bool {
	o := uint64(e.Vector) * 4
	if o+3 > uint64(c.IDTR.Limit) {
		return c.excCode(VectorGP, 0)
	}
	vec, ok := c.sysLoad(c.IDTR.Base+o, 4)
	if !ok {
		return false
	}
	sp := c.R[RSP]
	ss := &c.Seg[SS]
	for _, v := range [...]uint64{flags, uint64(c.Seg[CS].Selector), e.ReturnAddress(c.RIP)} {
		sp = sp&^0xffff | (sp-2)&0xffff
		if !ss.within(sp&0xffff, 2) {
			return c.excCode(VectorSS, 0)
		}
		if !c.sysStore(ss.Base+sp&0xffff, 2, v) {
			return false
		}
	}
	c.R[RSP] = sp
	c.Seg[CS].Selector = uint16(vec >> 16)
	c.Seg[CS].Base = vec >> 16 << 4
	c.RIP = vec & 0xffff
	c.rflags &^= FlagIF | FlagTF | FlagAC | FlagRF
	c.updateMode()
	return true
}

// Gate types (SDM Vol. 3A, table 3-2).
const (
	gateTask        = 5
	gateInterrupt16 = 6
	gateTrap16      = 7
	gateCall16      = 4
	gateCall32      = 12
	gateInterrupt32 = 14
	gateTrap32      = 15
)

// deliverLong is delivery in IA-32e mode (SDM Vol. 3A, 6.14).
func (c *CPU) deliverLong(e Exception, flags uint64) bool {
	o := uint64(e.Vector) * 16
	idtCode := uint32(e.Vector)<<3 | 2 | e.external()
	if o+15 > uint64(c.IDTR.Limit) {
		return c.excCode(VectorGP, idtCode)
	}
	lo, ok := c.sysLoad(c.IDTR.Base+o, 8)
	if !ok {
		return false
	}
	hi, ok := c.sysLoad(c.IDTR.Base+o+8, 8)
	if !ok {
		return false
	}
	typ := lo >> 40 & 0x1f
	if typ != gateInterrupt32 && typ != gateTrap32 {
		return c.excCode(VectorGP, idtCode)
	}
	if (e.Kind == EventSoftware || e.Kind == EventSoftException) && uint8(lo>>45&3) < c.cpl {
		return c.excCode(VectorGP, idtCode)
	}
	if lo>>47&1 == 0 {
		return c.excCode(VectorNP, idtCode)
	}
	target := lo&0xffff | lo>>32&0xffff0000 | hi<<32
	sel := uint16(lo >> 16)
	cs, cpl, ok := c.gateCode(sel, e.external(), true)
	if !ok {
		return false
	}
	ist := lo >> 32 & 7
	sp := c.R[RSP]
	switch {
	case ist != 0:
		if sp, ok = c.tssLoad64(0x24+(ist-1)*8, e.external()); !ok {
			return false
		}
	case cpl < c.cpl:
		if sp, ok = c.tssLoad64(4+uint64(cpl)*8, e.external()); !ok {
			return false
		}
	}
	if !canonical(sp) {
		return c.excCode(VectorSS, e.external())
	}
	if !canonical(target) {
		return c.excCode(VectorGP, e.external())
	}
	frame := [6]uint64{uint64(e.Code), e.ReturnAddress(c.RIP), uint64(c.Seg[CS].Selector), flags, c.R[RSP], uint64(c.Seg[SS].Selector)}
	first := 1
	if e.HasCode {
		first = 0
	}
	sp = sp&^15 - uint64(len(frame)-first)*8
	if !c.pushFrame(sp, frame[first:], 8, cpl, e.external()) {
		return false
	}
	c.R[RSP] = sp
	if cpl != c.cpl {
		c.Seg[SS] = Segment{Selector: uint16(cpl), Attr: AttrUnusable | uint32(cpl)<<AttrDPLShift | AttrP | AttrS | AttrWritable | AttrAccessed}
	}
	c.enterGate(cs, cpl, target, typ == gateInterrupt32)
	return true
}

// pushFrame stores an exception frame upwards from sp as supervisor of the
// new privilege level.
func (c *CPU) pushFrame(sp uint64, frame []uint64, size int, cpl uint8, ext uint32) bool {
	for i := len(frame) - 1; i >= 0; i-- {
		a := sp + uint64(i*size)
		if c.lma && !canonical(a) {
			return c.excCode(VectorSS, ext)
		}
		if !c.storeAs(a, size, frame[i], cpl) {
			return false
		}
	}
	return true
}

// enterGate completes delivery: CS, CPL, RIP and flags.
func (c *CPU) enterGate(cs Segment, cpl uint8, target uint64, clearIF bool) {
	cs.Selector = cs.Selector&^3 | uint16(cpl)
	c.Seg[CS] = cs
	c.Seg[SS].Attr = c.Seg[SS].Attr&^(3<<AttrDPLShift) | uint32(cpl)<<AttrDPLShift
	c.RIP = target
	c.rflags &^= FlagTF | FlagNT | FlagRF | FlagVM
	if clearIF {
		c.rflags &^= FlagIF
	}
	c.updateMode()
}

// gateCode checks the code segment a gate names and gives it with the
// privilege level it will run at.
func (c *CPU) gateCode(sel uint16, ext uint32, long bool) (cs Segment, cpl uint8, ok bool) {
	if sel&^3 == 0 {
		return cs, 0, c.excCode(VectorGP, ext)
	}
	code := uint32(sel)&^3 | ext
	desc, _, ok := c.descriptor(sel, ext)
	if !ok {
		return cs, 0, false
	}
	cs = segmentOf(sel, desc)
	if cs.Attr&(AttrS|AttrCode) != AttrS|AttrCode || cs.DPL() > c.cpl ||
		long && cs.Attr&(AttrL|AttrDB) != AttrL {
		return cs, 0, c.excCode(VectorGP, code)
	}
	if cs.Attr&AttrP == 0 {
		return cs, 0, c.excCode(VectorNP, code)
	}
	cpl = cs.DPL()
	if cs.Attr&AttrConform != 0 {
		cpl = c.cpl
	}
	return cs, cpl, c.setAccessed(sel, desc, &cs)
}

// deliverProtected is delivery in protected mode (SDM Vol. 3A, 6.12).
func (c *CPU) deliverProtected(e Exception, flags uint64) bool {
	o := uint64(e.Vector) * 8
	ext := e.external()
	idtCode := uint32(e.Vector)<<3 | 2 | ext
	if o+7 > uint64(c.IDTR.Limit) {
		return c.excCode(VectorGP, idtCode)
	}
	gate, ok := c.sysLoad(c.IDTR.Base+o, 8)
	if !ok {
		return false
	}
	typ := gate >> 40 & 0x1f
	switch typ {
	case gateTask, gateInterrupt16, gateTrap16, gateInterrupt32, gateTrap32:
	default:
		return c.excCode(VectorGP, idtCode)
	}
	if (e.Kind == EventSoftware || e.Kind == EventSoftException) && uint8(gate>>45&3) < c.cpl {
		return c.excCode(VectorGP, idtCode)
	}
	if gate>>47&1 == 0 {
		return c.excCode(VectorNP, idtCode)
	}
	if typ == gateTask {
		return c.taskGate(uint16(gate>>16), &e, flags)
	}
	target := gate & 0xffff
	size := 2
	if typ >= gateInterrupt32 {
		target |= gate >> 32 & 0xffff0000
		size = 4
	}
	cs, cpl, ok := c.gateCode(uint16(gate>>16), ext, false)
	if !ok {
		return false
	}
	v86 := c.rflags&FlagVM != 0
	if v86 && cpl != 0 {
		return c.excCode(VectorGP, uint32(gate>>16)&0xfffc|ext)
	}
	frame := []uint64{e.ReturnAddress(c.RIP), uint64(c.Seg[CS].Selector), flags}
	if e.HasCode {
		frame = append([]uint64{uint64(e.Code)}, frame...)
	}
	ss, sp := c.Seg[SS], c.R[RSP]
	if cpl < c.cpl {
		newSS, newSP, ok := c.tssStack(cpl, ext)
		if !ok {
			return false
		}
		frame = append(frame, c.R[RSP], uint64(c.Seg[SS].Selector))
		if v86 {
			for _, s := range [...]int{ES, DS, FS, GS} {
				frame = append(frame, uint64(c.Seg[s].Selector))
			}
		}
		ss, sp = newSS, newSP
	}
	if target > uint64(cs.Limit) {
		return c.excCode(VectorGP, ext)
	}
	mask := uint64(0xffff)
	if ss.Attr&AttrDB != 0 {
		mask = 0xffffffff
	}
	low := (sp - uint64(len(frame)*size)) & mask
	for i, v := range frame {
		a := (low + uint64(i*size)) & mask
		if !ss.within(a, uint64(size)) {
			code := ext
			if cpl < c.cpl {
				code |= uint32(ss.Selector) &^ 3
			}
			return c.excCode(VectorSS, code)
		}
		if !c.storeAs((ss.Base+a)&0xffffffff, size, v, cpl) {
			return false
		}
	}
	c.R[RSP] = sp&^mask | low
	c.Seg[SS] = ss
	if v86 {
		for _, s := range [...]int{ES, DS, FS, GS} {
			c.Seg[s] = Segment{Attr: AttrUnusable}
		}
	}
	c.enterGate(cs, cpl, target, typ == gateInterrupt32 || typ == gateInterrupt16)
	return true
}
