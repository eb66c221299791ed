package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

var ioBinders = map[decode.Op]binder{
	decode.IN:  fixed(portIn),
	decode.OUT: fixed(portOut),
}

// ioAllowed checks IOPL and the TSS's permission bitmap (SDM Vol. 1, 19.5).
func (c *CPU) ioAllowed(port uint16, size int) bool {
	if c.CR0&CR0PE == 0 || c.cpl <= c.iopl() && c.rflags&FlagVM == 0 {
		return true
	}
	t := &c.Seg[TR]
	if t.Attr&AttrP == 0 || t.Attr&AttrUnusable != 0 || t.Attr&8 == 0 || t.Limit < 103 {
		return c.excCode(VectorGP, 0)
	}
	base, ok := c.sysLoad(t.Base+102, 2)
	if !ok {
		return false
	}
	at := base + uint64(port)/8
	if at+1 > uint64(t.Limit) {
		return c.excCode(VectorGP, 0)
	}
	bits, ok := c.sysLoad(t.Base+at, 2)
	if !ok {
		return false
	}
	if bits>>(port&7)&(1<<size-1) != 0 {
		return c.excCode(VectorGP, 0)
	}
	return true
}

// ioOperands are the port and width of IN and OUT.
func (c *CPU) ioOperands(in *Inst) (port uint16, size int) {
	d := c.decoded(in)
	p, data := &d.Args[1], &d.Args[0]
	if d.Op == decode.OUT {
		p, data = data, p
	}
	if p.Kind == decode.KindImm {
		return uint16(uint8(d.Imm)), int(data.Size)
	}
	return uint16(c.R[RDX]), int(data.Size)
}

func portIn(c *CPU, in *Inst) *Inst {
	port, size := c.ioOperands(in)
	if !c.ioAllowed(port, size) {
		return c.fault(in)
	}
	if c.interceptIO(in, port, size, true) {
		return nil
	}
	c.setReg(RAX, size, c.input(in, port, size))
	return c.leave(in)
}

func portOut(c *CPU, in *Inst) *Inst {
	port, size := c.ioOperands(in)
	if !c.ioAllowed(port, size) {
		return c.fault(in)
	}
	if c.interceptIO(in, port, size, false) {
		return nil
	}
	c.output(in, port, size, c.R[RAX])
	return c.leave(in)
}

func (c *CPU) input(in *Inst, port uint16, size int) uint64 {
	c.current = in
	c.stop = StopDevice
	c.watchIO(port, size)
	if c.Ports == nil {
		return mask(size)
	}
	return uint64(c.Ports.In(port, size)) & mask(size)
}

func (c *CPU) output(in *Inst, port uint16, size int, v uint64) {
	c.current = in
	c.stop = StopDevice
	c.watchIO(port, size)
	if c.Ports != nil {
		c.Ports.Out(port, size, uint32(v&mask(size)))
	}
}

// stringIO is INS and OUTS. Each iteration is an access to a device, so a
// repeated one does one at a time.
func (c *CPU) stringIO(in *Inst, s *stringState) *Inst {
	d := c.decoded(in)
	port := uint16(c.R[RDX])
	repeated := d.Rep != decode.RepNone
	if !c.ioAllowed(port, s.size) { // before the count is looked at
		return c.fault(in)
	}
	if repeated && c.reg(RCX, s.addr) == 0 {
		return c.leave(in)
	}
	if c.interceptIO(in, port, s.size, d.Op == decode.INS) {
		return nil
	}
	if d.Op == decode.INS {
		va := c.destAddress(s, true)
		if !c.checkLinear(&destInst, va, uint64(s.size)) || !c.probeStore(in, va, uint64(s.size)) {
			return c.fault(in)
		}
		c.store(in, va, s.size, c.input(in, port, s.size))
	} else {
		v, ok := c.load(in, c.sourceAddress(s), s.size)
		if !ok {
			return c.fault(in)
		}
		c.output(in, port, s.size, v)
	}
	c.advance(s)
	if repeated {
		n := c.reg(RCX, s.addr) - 1
		c.setReg(RCX, s.addr, n)
		if n != 0 {
			return c.again(in)
		}
	}
	return c.leave(in)
}
