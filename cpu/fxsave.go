package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

var fxBinders = map[decode.Op]binder{
	decode.FXSAVE:  fixed(fxsave),
	decode.FXRSTOR: fixed(fxrstor),
	decode.EMMS:    fixed(emms),
}

// The FXSAVE area (SDM Vol. 1, 10.5.1) by offset: FCW 0, FSW 2, FTW 4, FOP 6,
// FIP 8, FDP 16, MXCSR 24, MXCSR_MASK 28, ST 32, XMM 160.
const fxArea = 512

// fxReady checks the state and the area. Its last byte is looked at first, as
// the addresses of page faults tell.
func (c *CPU) fxReady(in *Inst, va uint64, write bool) bool {
	switch {
	case c.CR0&CR0EM != 0 || c.CR0&CR0TS != 0:
		c.exc = Exception{Vector: VectorNM}
		return false
	}
	// #AC, for what is not even on a 4-byte boundary, comes after the limit
	// check of the first bytes and before that of the others.
	if first := c.linear(in.seg, c.offsetOf(in), 4, false); c.noFast && first&3 != 0 && (!c.long || canonical(first)) {
		return c.excCode(VectorAC, 0)
	}
	if va == poison || c.long && !canonical(va) {
		return c.badAddress(in)
	}
	if va&15 != 0 {
		return c.excCode(VectorGP, 0)
	}
	if write {
		return c.probeStore(in, c.wrap(va+fxArea-1), 1)
	}
	_, ok := c.load8(in, c.wrap(va+fxArea-1))
	return ok
}

// fxAddress is the linear address of the area.
func (c *CPU) fxAddress(in *Inst, write bool) uint64 {
	return c.linear(in.seg, c.offsetOf(in), fxArea, write)
}

// xmmInArea is how many XMM registers an area holds.
func (c *CPU) xmmInArea() int {
	if c.long {
		return 16
	}
	return 8
}

func fxsave(c *CPU, in *Inst) *Inst {
	va := c.fxAddress(in, true)
	if !c.fxReady(in, va, true) {
		return c.fault(in)
	}
	// Bytes 464 to 511 belong to software and are not written.
	var area [fxArea]byte
	f := &c.FPU
	le.PutUint16(area[0:], f.FCW)
	le.PutUint16(area[2:], f.FSW)
	area[4] = f.Tag
	le.PutUint16(area[6:], f.FOP)
	if c.decoded(in).OpSize == 8 {
		le.PutUint64(area[8:], f.FIP)
		le.PutUint64(area[16:], f.FDP)
	} else {
		le.PutUint32(area[8:], uint32(f.FIP))
		le.PutUint16(area[12:], f.FCS)
		le.PutUint32(area[16:], uint32(f.FDP))
		le.PutUint16(area[20:], f.FDS)
	}
	le.PutUint32(area[24:], c.MXCSR)
	le.PutUint32(area[28:], mxcsrMask)
	for i := range 8 {
		r := f.R[(f.top()+i)&7]
		le.PutUint64(area[32+16*i:], r.Significand)
		le.PutUint16(area[40+16*i:], r.SignExponent)
	}
	n := 160
	if c.CR4&CR4OSFXSR != 0 {
		for i := range c.xmmInArea() {
			le.PutUint64(area[160+16*i:], c.X[i].Lo)
			le.PutUint64(area[168+16*i:], c.X[i].Hi)
		}
		n = 416
		if !c.long {
			n = 288
		}
	}
	if !c.probeStore(in, va, fxArea) {
		return c.fault(in)
	}
	for i := 0; i < n; i += 8 {
		c.store64(in, c.wrap(va+uint64(i)), le.Uint64(area[i:]))
	}
	return in.next
}

// top is the number of the physical register that is ST(0).
func (f *X87) top() int { return int(f.FSW >> 11 & 7) }

func fxrstor(c *CPU, in *Inst) *Inst {
	va := c.fxAddress(in, false)
	if !c.fxReady(in, va, false) {
		return c.fault(in)
	}
	var area [fxArea]byte
	for i := 0; i < fxArea; i += 8 {
		v, ok := c.load64(in, c.wrap(va+uint64(i)))
		if !ok {
			return c.fault(in)
		}
		le.PutUint64(area[i:], v)
	}
	mxcsr := le.Uint32(area[24:])
	if c.CR4&CR4OSFXSR != 0 && mxcsr&^mxcsrMask != 0 {
		return c.gp0(in)
	}
	f := &c.FPU
	f.FCW = le.Uint16(area[0:])&0x1f3f | 0x40
	f.FSW = le.Uint16(area[2:])
	f.Tag = area[4]
	f.FOP = le.Uint16(area[6:]) & 0x7ff
	if c.decoded(in).OpSize == 8 {
		f.FIP, f.FDP = le.Uint64(area[8:]), le.Uint64(area[16:])
	} else {
		f.FIP, f.FDP = uint64(le.Uint32(area[8:])), uint64(le.Uint32(area[16:]))
		f.FCS, f.FDS = le.Uint16(area[12:]), le.Uint16(area[20:])
	}
	f.updateSummary()
	for i := range 8 {
		f.R[(f.top()+i)&7] = ST{Significand: le.Uint64(area[32+16*i:]), SignExponent: le.Uint16(area[40+16*i:])}
	}
	if c.CR4&CR4OSFXSR != 0 {
		c.MXCSR = mxcsr
		for i := range c.xmmInArea() {
			c.X[i] = XMM{Lo: le.Uint64(area[160+16*i:]), Hi: le.Uint64(area[168+16*i:])}
		}
	}
	return in.next
}

// updateSummary sets ES and B from the exceptions that are unmasked.
func (f *X87) updateSummary() {
	f.FSW &^= 0x8080
	if f.pending() {
		f.FSW |= 0x8080
	}
}

func emms(c *CPU, in *Inst) *Inst {
	if !c.mmxReady() {
		return c.fault(in)
	}
	c.enterMMX()
	c.FPU.Tag = 0
	return in.next
}
