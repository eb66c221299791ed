package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

//go:generate go run arith_gen.go

// The two-operand operations compute a result and leave the flags. Bits of
// the operands above the width do not matter to the low bits of the result,
// so only the flags look at the width.

func (s *State) setArith8(r, carries uint64) {
	s.flagResult = uint64(int64(int8(r)))
	s.flagCarry = carries<<56&(carryCF|carryOF) | carries&carryAF
}

func (s *State) setArith16(r, carries uint64) {
	s.flagResult = uint64(int64(int16(r)))
	s.flagCarry = carries<<48&(carryCF|carryOF) | carries&carryAF
}

func (s *State) setArith32(r, carries uint64) {
	s.flagResult = uint64(int64(int32(r)))
	s.flagCarry = carries<<32&(carryCF|carryOF) | carries&carryAF
}

func (s *State) setArith64(r, carries uint64) {
	s.flagResult = r
	s.flagCarry = carries & carryMask
}

// carriesAdd is the vector of carries out of each bit of a + b (+ 1) = s.
func carriesAdd(a, b, s uint64) uint64 { return a&b | (a|b)&^s }

// carriesSub is the vector of borrows out of each bit of a - b (- 1) = d.
func carriesSub(a, b, d uint64) uint64 { return ^a&b | ^(a^b)&d }

func (s *State) add8(a, b uint64) uint64  { r := a + b; s.setArith8(r, carriesAdd(a, b, r)); return r }
func (s *State) add16(a, b uint64) uint64 { r := a + b; s.setArith16(r, carriesAdd(a, b, r)); return r }
func (s *State) add32(a, b uint64) uint64 { r := a + b; s.setArith32(r, carriesAdd(a, b, r)); return r }
func (s *State) add64(a, b uint64) uint64 { r := a + b; s.setArith64(r, carriesAdd(a, b, r)); return r }

func (s *State) sub8(a, b uint64) uint64  { r := a - b; s.setArith8(r, carriesSub(a, b, r)); return r }
func (s *State) sub16(a, b uint64) uint64 { r := a - b; s.setArith16(r, carriesSub(a, b, r)); return r }
func (s *State) sub32(a, b uint64) uint64 { r := a - b; s.setArith32(r, carriesSub(a, b, r)); return r }
func (s *State) sub64(a, b uint64) uint64 { r := a - b; s.setArith64(r, carriesSub(a, b, r)); return r }

func (s *State) adc8(a, b uint64) uint64 {
	r := a + b + s.cfBit()
	s.setArith8(r, carriesAdd(a, b, r))
	return r
}

func (s *State) adc16(a, b uint64) uint64 {
	r := a + b + s.cfBit()
	s.setArith16(r, carriesAdd(a, b, r))
	return r
}

func (s *State) adc32(a, b uint64) uint64 {
	r := a + b + s.cfBit()
	s.setArith32(r, carriesAdd(a, b, r))
	return r
}

func (s *State) adc64(a, b uint64) uint64 {
	r := a + b + s.cfBit()
	s.setArith64(r, carriesAdd(a, b, r))
	return r
}

func (s *State) sbb8(a, b uint64) uint64 {
	r := a - b - s.cfBit()
	s.setArith8(r, carriesSub(a, b, r))
	return r
}

func (s *State) sbb16(a, b uint64) uint64 {
	r := a - b - s.cfBit()
	s.setArith16(r, carriesSub(a, b, r))
	return r
}

func (s *State) sbb32(a, b uint64) uint64 {
	r := a - b - s.cfBit()
	s.setArith32(r, carriesSub(a, b, r))
	return r
}

func (s *State) sbb64(a, b uint64) uint64 {
	r := a - b - s.cfBit()
	s.setArith64(r, carriesSub(a, b, r))
	return r
}

func (s *State) and8(a, b uint64) uint64  { r := a & b; s.setLogic(uint64(int64(int8(r)))); return r }
func (s *State) and16(a, b uint64) uint64 { r := a & b; s.setLogic(uint64(int64(int16(r)))); return r }
func (s *State) and32(a, b uint64) uint64 { r := a & b; s.setLogic(uint64(int64(int32(r)))); return r }
func (s *State) and64(a, b uint64) uint64 { r := a & b; s.setLogic(r); return r }
func (s *State) or8(a, b uint64) uint64   { r := a | b; s.setLogic(uint64(int64(int8(r)))); return r }
func (s *State) or16(a, b uint64) uint64  { r := a | b; s.setLogic(uint64(int64(int16(r)))); return r }
func (s *State) or32(a, b uint64) uint64  { r := a | b; s.setLogic(uint64(int64(int32(r)))); return r }
func (s *State) or64(a, b uint64) uint64  { r := a | b; s.setLogic(r); return r }
func (s *State) xor8(a, b uint64) uint64  { r := a ^ b; s.setLogic(uint64(int64(int8(r)))); return r }
func (s *State) xor16(a, b uint64) uint64 { r := a ^ b; s.setLogic(uint64(int64(int16(r)))); return r }
func (s *State) xor32(a, b uint64) uint64 { r := a ^ b; s.setLogic(uint64(int64(int32(r)))); return r }
func (s *State) xor64(a, b uint64) uint64 { r := a ^ b; s.setLogic(r); return r }

func (c *CPU) reg16(r uint8) uint64       { return c.R[r&31] & 0xffff }
func (c *CPU) reg32(r uint8) uint64       { return c.R[r&31] & 0xffffffff }
func (c *CPU) reg64(r uint8) uint64       { return c.R[r&31] }
func (c *CPU) setReg32(r uint8, v uint64) { c.R[r&31] = v & 0xffffffff }
func (c *CPU) setReg64(r uint8, v uint64) { c.R[r&31] = v }

var arithBinders = map[decode.Op]binder{
	decode.ADD:  bindTwoOperand,
	decode.OR:   bindTwoOperand,
	decode.ADC:  bindTwoOperand,
	decode.SBB:  bindTwoOperand,
	decode.AND:  bindTwoOperand,
	decode.SUB:  bindTwoOperand,
	decode.XOR:  bindTwoOperand,
	decode.CMP:  bindTwoOperand,
	decode.TEST: bindTwoOperand,
	decode.INC:  bindOneOperand(incForms),
	decode.DEC:  bindOneOperand(decForms),
	decode.NEG:  bindOneOperand(negForms),
	decode.NOT:  bindOneOperand(notForms),
}

// log2 gives the index of a width in tables of forms.
func log2(size uint16) int {
	switch size {
	case 1:
		return 0
	case 2:
		return 1
	case 4:
		return 2
	}
	return 3
}

// Forms of two-operand instructions.
const (
	formRegReg = iota
	formRegImm
	formRegMem
	formMemReg
	formMemImm
)

func bindTwoOperand(in *Inst, d *decode.Inst) handler {
	return twoOperand[d.Op][log2(d.Args[0].Size)][bindForm(in, d)]
}

// bindForm fills in dst, src and imm for two operands and says which kinds
// they are.
func bindForm(in *Inst, d *decode.Inst) int {
	a, b := &d.Args[0], &d.Args[1]
	in.imm = uint64(d.Imm)
	if a.Kind == decode.KindMem {
		if b.Kind == decode.KindGPR {
			in.src = regOf(b)
			return formMemReg
		}
		return formMemImm
	}
	in.dst = regOf(a)
	switch b.Kind {
	case decode.KindGPR:
		in.src = regOf(b)
		return formRegReg
	case decode.KindMem:
		return formRegMem
	}
	return formRegImm
}

// oneOperand is a read-modify-write operation by width.
type oneOperand struct {
	reg64, reg32 handler
	f            func(s *State, v uint64, size int) uint64
}

func bindOneOperand(o oneOperand) binder {
	return func(in *Inst, d *decode.Inst) handler {
		a := &d.Args[0]
		size := int(a.Size)
		if a.Kind == decode.KindMem {
			return func(c *CPU, in *Inst) *Inst {
				va := c.ea(in)
				v, ok := c.loadRMW(in, va, size)
				if !ok {
					return c.fault(in)
				}
				c.store(in, va, size, o.f(&c.State, v, size))
				return in.next
			}
		}
		in.dst = regOf(a)
		switch {
		case size == 8 && o.reg64 != nil:
			return o.reg64
		case size == 4 && o.reg32 != nil:
			return o.reg32
		}
		return func(c *CPU, in *Inst) *Inst {
			c.setReg(in.dst, size, o.f(&c.State, c.reg(in.dst, size), size))
			return in.next
		}
	}
}

// addSized is addition or subtraction with flags for any width.
func (s *State) addSized(a, b uint64, size int) uint64 {
	switch size {
	case 1:
		return s.add8(a, b)
	case 2:
		return s.add16(a, b)
	case 4:
		return s.add32(a, b)
	}
	return s.add64(a, b)
}

func (s *State) subSized(a, b uint64, size int) uint64 {
	switch size {
	case 1:
		return s.sub8(a, b)
	case 2:
		return s.sub16(a, b)
	case 4:
		return s.sub32(a, b)
	}
	return s.sub64(a, b)
}

// setLogicSized leaves a logical result's flags for any width.
func (s *State) setLogicSized(r uint64, size int) { s.setLogic(signExtend(r, size)) }

var incForms = oneOperand{
	f: func(s *State, v uint64, size int) uint64 {
		cf := s.cf()
		v = s.addSized(v, 1, size)
		s.setCF(cf)
		return v
	},
	reg64: func(c *CPU, in *Inst) *Inst {
		cf := c.cf()
		p := &c.R[in.dst&31]
		*p = c.add64(*p, 1)
		c.setCF(cf)
		return in.next
	},
	reg32: func(c *CPU, in *Inst) *Inst {
		cf := c.cf()
		c.setReg32(in.dst, c.add32(c.R[in.dst&31], 1))
		c.setCF(cf)
		return in.next
	},
}

var decForms = oneOperand{
	f: func(s *State, v uint64, size int) uint64 {
		cf := s.cf()
		v = s.subSized(v, 1, size)
		s.setCF(cf)
		return v
	},
	reg64: func(c *CPU, in *Inst) *Inst {
		cf := c.cf()
		p := &c.R[in.dst&31]
		*p = c.sub64(*p, 1)
		c.setCF(cf)
		return in.next
	},
	reg32: func(c *CPU, in *Inst) *Inst {
		cf := c.cf()
		c.setReg32(in.dst, c.sub32(c.R[in.dst&31], 1))
		c.setCF(cf)
		return in.next
	},
}

var negForms = oneOperand{
	f: func(s *State, v uint64, size int) uint64 { return s.subSized(0, v, size) },
}

var notForms = oneOperand{
	f: func(_ *State, v uint64, _ int) uint64 { return ^v },
}
