package cpu

import (
	"encoding/binary"

	"github.com/flipvisor/flipvisor/mmu"
)

var le = binary.LittleEndian

// poison is a linear address that stands for a segment violation found while
// the address was formed. It is canonical in no mode, and the fast arrays
// never hold it, so the access finds out in its slow path.
const poison = 0x0123_0000_0000_0000

// ea is the linear address of an instruction's memory operand.
func (c *CPU) ea(in *Inst) uint64 {
	a := c.R[in.base&31] + c.R[in.idx&31]<<(in.scale&63) + uint64(int64(in.disp))
	if in.slowAddress {
		return c.eaSlow(in, a)
	}
	return a
}

// offsetOf is the effective address alone, without its segment: what LEA gives.
func (c *CPU) offsetOf(in *Inst) uint64 {
	a := c.R[in.base&31] + c.R[in.idx&31]<<(in.scale&63) + uint64(int64(in.disp))
	switch in.addrSize {
	case 4:
		return a & 0xffffffff
	case 2:
		return a & 0xffff
	}
	return a
}

func (c *CPU) eaSlow(in *Inst, a uint64) uint64 {
	switch in.addrSize {
	case 4:
		a &= 0xffffffff
	case 2:
		a &= 0xffff
	}
	return c.linear(in.seg, a, uint64(in.size), in.memWrite)
}

// linear forms the linear address of size bytes at an offset of a segment,
// or poison when the segment forbids the access (SDM Vol. 3A, 5.3 and 5.8).
func (c *CPU) linear(seg uint8, a, size uint64, write bool) uint64 {
	s := &c.Seg[seg]
	if c.long {
		if seg >= FS {
			return a + s.Base
		}
		return a
	}
	if !s.allows(a, size, write) && c.CR0&CR0PE != 0 || c.CR0&CR0PE == 0 && !s.within(a, size) {
		return poison
	}
	return (a + s.Base) & 0xffffffff
}

// allows checks an access to size bytes at offset a against type and limit.
func (s *Segment) allows(a, size uint64, write bool) bool {
	if s.Attr&AttrUnusable != 0 || s.Attr&AttrP == 0 {
		return false
	}
	if s.Attr&AttrCode != 0 {
		if write || s.Attr&AttrReadable == 0 {
			return false
		}
	} else if write && s.Attr&AttrWritable == 0 {
		return false
	}
	return s.within(a, size)
}

func (s *Segment) within(a, size uint64) bool {
	last := a + size - 1
	if s.Limit == 0xffffffff {
		last = min(last, 0xffffffff) // an access may go around the end
	}
	if s.Attr&(AttrCode|AttrDown) == AttrDown && s.Attr&AttrS != 0 {
		top := uint64(0xffff)
		if s.Attr&AttrDB != 0 {
			top = 0xffffffff
		}
		return a > uint64(s.Limit) && last <= top
	}
	return last <= uint64(s.Limit)
}

// The loads and stores that instructions use. Each looks at the slot of the
// fast array; the comparison fails for a page crossing too. ok is false when
// the access raises an exception, which c.exc then holds.

func (c *CPU) load8(in *Inst, va uint64) (uint64, bool) {
	if e := &c.rd[va>>12%mmu.FastEntries]; e.Tag == va&^0xfff {
		return uint64(e.Data[va&0xfff]), true
	}
	return c.loadSlow(in, va, 1)
}

func (c *CPU) load16(in *Inst, va uint64) (uint64, bool) {
	if e := &c.rd[va>>12%mmu.FastEntries]; e.Tag == (va+1)&^0xfff {
		o := va & 0xfff
		return uint64(le.Uint16(e.Data[o:])), true
	}
	return c.loadSlow(in, va, 2)
}

func (c *CPU) load32(in *Inst, va uint64) (uint64, bool) {
	if e := &c.rd[va>>12%mmu.FastEntries]; e.Tag == (va+3)&^0xfff {
		o := va & 0xfff
		return uint64(le.Uint32(e.Data[o:])), true
	}
	return c.loadSlow(in, va, 4)
}

func (c *CPU) load64(in *Inst, va uint64) (uint64, bool) {
	if e := &c.rd[va>>12%mmu.FastEntries]; e.Tag == (va+7)&^0xfff {
		o := va & 0xfff
		return le.Uint64(e.Data[o:]), true
	}
	return c.loadSlow(in, va, 8)
}

func (c *CPU) store8(in *Inst, va, v uint64) bool {
	if e := &c.wr[va>>12%mmu.FastEntries]; e.Tag == va&^0xfff {
		e.Data[va&0xfff] = uint8(v)
		return true
	}
	return c.storeSlow(in, va, 1, v)
}

func (c *CPU) store16(in *Inst, va, v uint64) bool {
	if e := &c.wr[va>>12%mmu.FastEntries]; e.Tag == (va+1)&^0xfff {
		o := va & 0xfff
		le.PutUint16(e.Data[o:], uint16(v))
		return true
	}
	return c.storeSlow(in, va, 2, v)
}

func (c *CPU) store32(in *Inst, va, v uint64) bool {
	if e := &c.wr[va>>12%mmu.FastEntries]; e.Tag == (va+3)&^0xfff {
		o := va & 0xfff
		le.PutUint32(e.Data[o:], uint32(v))
		return true
	}
	return c.storeSlow(in, va, 4, v)
}

func (c *CPU) store64(in *Inst, va, v uint64) bool {
	if e := &c.wr[va>>12%mmu.FastEntries]; e.Tag == (va+7)&^0xfff {
		o := va & 0xfff
		le.PutUint64(e.Data[o:], v)
		return true
	}
	return c.storeSlow(in, va, 8, v)
}

// The same by width, for handlers that serve several.

func (c *CPU) load(in *Inst, va uint64, size int) (uint64, bool) {
	switch size {
	case 1:
		return c.load8(in, va)
	case 2:
		return c.load16(in, va)
	case 4:
		return c.load32(in, va)
	}
	return c.load64(in, va)
}

func (c *CPU) store(in *Inst, va uint64, size int, v uint64) bool {
	switch size {
	case 1:
		return c.store8(in, va, v)
	case 2:
		return c.store16(in, va, v)
	case 4:
		return c.store32(in, va, v)
	}
	return c.store64(in, va, v)
}

// loadX and storeX move up to 16 bytes as one access: either it faults as a
// whole or it happens as a whole.
func (c *CPU) loadX(in *Inst, va uint64) (x XMM, ok bool) {
	if e := &c.rd[va>>12%mmu.FastEntries]; e.Tag == (va+15)&^0xfff {
		o := va & 0xfff
		return XMM{Lo: le.Uint64(e.Data[o:]), Hi: le.Uint64(e.Data[o+8:])}, true
	}
	if !c.checkLinear(in, va, 16) {
		return x, false
	}
	if x.Lo, ok = c.loadSlow(in, va, 8); !ok {
		return x, false
	}
	x.Hi, ok = c.loadSlow(in, c.wrap(va+8), 8)
	return x, ok
}

func (c *CPU) storeX(in *Inst, va uint64, x XMM) bool {
	if e := &c.wr[va>>12%mmu.FastEntries]; e.Tag == (va+15)&^0xfff {
		o := va & 0xfff
		le.PutUint64(e.Data[o:], x.Lo)
		le.PutUint64(e.Data[o+8:], x.Hi)
		return true
	}
	return c.probeStore(in, va, 16) && c.storeSlow(in, va, 8, x.Lo) && c.storeSlow(in, c.wrap(va+8), 8, x.Hi)
}

// loadRMW reads what a store to the same place will replace: it faults as the
// store would, so that the store after it cannot.
func (c *CPU) loadRMW(in *Inst, va uint64, size int) (uint64, bool) {
	if e := &c.wr[va>>12%mmu.FastEntries]; e.Tag == (va+uint64(size)-1)&^0xfff {
		o := va & 0xfff
		switch size {
		case 1:
			return uint64(e.Data[o]), true
		case 2:
			return uint64(le.Uint16(e.Data[o:])), true
		case 4:
			return uint64(le.Uint32(e.Data[o:])), true
		}
		return le.Uint64(e.Data[o:]), true
	}
	if !c.probeStore(in, va, uint64(size)) {
		return 0, false
	}
	return c.loadSlow(in, va, size)
}

// probeStore checks that size bytes can be stored.
func (c *CPU) probeStore(in *Inst, va, size uint64) bool {
	if !c.checkLinear(in, va, size) {
		return false
	}
	if !c.MMU.Probe(&c.regime, va, size, mmu.AccessWrite, c.class) {
		c.memoryFault()
		return c.vmxAccessesTPR(int(size))
	}
	return true
}

func (c *CPU) loadSlow(in *Inst, va uint64, size int) (uint64, bool) {
	if !c.checkLinear(in, va, uint64(size)) {
		return 0, false
	}
	c.current = in
	v, ok := c.MMU.Read(&c.regime, va, size, c.class)
	if !ok {
		c.memoryFault()
		return c.vmxReadAPIC(size)
	}
	if c.watching {
		c.watch(va, uint64(size), false)
	}
	if c.MMU.Device {
		c.MMU.Device = false
		c.breakAfter(in)
	}
	return v, true
}

func (c *CPU) storeSlow(in *Inst, va uint64, size int, v uint64) bool {
	if !c.checkLinear(in, va, uint64(size)) {
		return false
	}
	c.current = in
	if !c.MMU.Write(&c.regime, va, size, v, c.class) {
		c.memoryFault()
		return c.vmxWriteAPIC(in, size, v)
	}
	if c.watching {
		c.watch(va, uint64(size), true)
	}
	if c.MMU.Device {
		c.MMU.Device = false
		c.breakAfter(in)
	}
	return true
}

// checkLinear raises what a linear address itself can: a segment violation or
// a non-canonical address (#GP, or #SS through the stack segment), or #AC.
func (c *CPU) checkLinear(in *Inst, va, size uint64) bool {
	if c.long && !canonical(va) || !c.long && va == poison {
		return c.badAddress(in)
	}
	// Moves of 16 bytes at any address are not checked: MOVUPS and its like.
	if c.noFast && va&(min(size, 8)-1) != 0 && (in == nil || in.size != 16) {
		c.exc = Exception{Vector: VectorAC, HasCode: true}
		return false
	}
	if c.long && !canonical(va+size-1) {
		return c.badAddress(in)
	}
	return true
}

func (c *CPU) badAddress(in *Inst) bool {
	if in != nil && in.seg == SS {
		return c.excCode(VectorSS, 0)
	}
	return c.excCode(VectorGP, 0)
}

// wrap truncates a linear address outside 64-bit mode.
func (c *CPU) wrap(va uint64) uint64 {
	if !c.long {
		va &= 0xffffffff
	}
	return va
}

// memoryFault turns the MMU's fault into the exception or VM exit to raise.
func (c *CPU) memoryFault() {
	f := &c.MMU.Fault
	switch f.Kind {
	case mmu.EPTViolation:
		c.exc = Exception{exit: ExitEPTViolation, qualification: f.Qualification, gpa: f.GPA, linear: f.VA}
	case mmu.APICAccess:
		c.exc = Exception{exit: ExitAPICAccess, qualification: f.Qualification}
	case mmu.EPTMisconfig:
		c.exc = Exception{exit: ExitEPTMisconfig, gpa: f.GPA, linear: f.VA}
	default:
		c.exc = Exception{Vector: VectorPF, HasCode: true, Code: f.Code, CR2: f.VA}
	}
}

// The system's own accesses, to descriptor tables and task-state segments:
// supervisor accesses whatever the CPL. The address is linear.

func (c *CPU) sysLoad(va uint64, size int) (uint64, bool) {
	if !c.sysCheck(va) {
		return 0, false
	}
	v, ok := c.MMU.Read(&c.regime, c.wrapSys(va), size, mmu.Supervisor)
	return v, c.sysDone(ok)
}

func (c *CPU) sysStore(va uint64, size int, v uint64) bool {
	return c.sysCheck(va) && c.sysDone(c.MMU.Write(&c.regime, c.wrapSys(va), size, v, mmu.Supervisor))
}

func (c *CPU) sysCheck(va uint64) bool {
	if c.lma && !canonical(va) {
		c.exc = Exception{Vector: VectorGP, HasCode: true}
		return false
	}
	return true
}

func (c *CPU) sysDone(ok bool) bool {
	if !ok {
		c.memoryFault()
	}
	if c.MMU.Device { // a table in device memory; the block ends here anyhow
		c.MMU.Device = false
		c.stop = StopDevice
	}
	return ok
}

func (c *CPU) wrapSys(va uint64) uint64 {
	if !c.lma {
		va &= 0xffffffff
	}
	return va
}
