package decode

// vex takes the rest of a VEX prefix and the instruction after it
// (SDM Vol. 2A, 2.3).
func (d *decoder) vex(first byte) error {
	in := d.in
	in.VEX = true
	bad := d.p66 || d.rep != 0 || in.Lock || in.REX != 0
	in.REX = 0
	b := d.peek()
	d.r = ^b >> 4 & 8
	d.x, d.b, d.w = 0, 0, false
	in.Map = 1
	if first == 0xC4 {
		in.Map = b & 31
		if in.Map&3 == 0 { // what follows is taken for the ModRM of LES
			in.Opcode = first
			d.skip()
			return ErrInvalid
		}
		d.x = ^b >> 3 & 8
		d.b = ^b >> 2 & 8
		d.next()
		b = d.peek()
		d.w = b&0x80 != 0
	}
	d.next()
	d.vvvv = ^b >> 3 & 15
	in.VexL = b >> 2 & 1
	in.VexW = d.w
	d.pp = b & 3
	if !d.long {
		d.r, d.x, d.b = 0, 0, 0
	}
	in.Opcode = d.next()
	row := &ud
	switch in.Map {
	case 1:
		row = &vex0F[in.Opcode]
	case 2:
		row = &vex0F38[in.Opcode]
	case 3:
		row = &vex0F3A[in.Opcode]
	}
	err := d.finish(row)
	in.OpSize = max(in.OpSize, 4) // there is no 16-bit form
	if bad {
		return ErrInvalid
	}
	return err
}

// vvvvReg is the register that VEX.vvvv names; bit 3 is ignored outside
// 64-bit mode (but counts where vvvv must be 1111).
func (d *decoder) vvvvReg() uint8 {
	if d.long {
		return d.vvvv
	}
	return d.vvvv & 7
}

// vexAllowed checks what a VEX instruction's row demands of the prefix.
func (d *decoder) vexAllowed(a attr) bool {
	in := d.in
	switch {
	case a&aVVVV == 0 && d.vvvv != 0,
		a&aL0 != 0 && in.VexL != 0,
		a&aL1 != 0 && in.VexL == 0,
		a&aW0 != 0 && in.VexW,
		a&aW1 != 0 && !in.VexW,
		a&aSIB != 0 && (in.ModRM&7 != 4 || in.AddrSize == 2):
		return false
	case a&aVSIB != 0: // destination, index and mask must differ
		dst, mask, index := in.Args[0].Reg, in.Args[2].Reg, in.Mem.Index
		return dst != mask && dst != index && mask != index
	case in.Args[2].Kind == KindTile:
		x, y, z := in.Args[0].Reg, in.Args[1].Reg, in.Args[2].Reg
		return x != y && x != z && y != z
	}
	return true
}

// evex takes an EVEX instruction by length (SDM Vol. 2A, 2.7): the prefix,
// an opcode, ModRM with its address, and an immediate byte where the opcode
// has one. AVX-512 is not offered, so none is ever executed.
func (d *decoder) evex() error {
	in := d.in
	in.Op, in.EVEX = EVEX_UNKNOWN, true
	bad := d.p66 || d.rep != 0 || in.Lock || in.REX != 0
	in.REX = 0
	p0 := d.peek()
	in.Map = p0 & 7
	if in.Map&3 == 0 { // what follows is taken for the ModRM of BOUND
		in.Opcode = 0x62
		d.skip()
		return ErrInvalid
	}
	d.next()
	p1, p2 := d.next(), d.next()
	if d.long {
		d.r, d.x, d.b = ^p0>>4&8, ^p0>>3&8, ^p0>>2&8
	}
	in.VexW = p1&0x80 != 0
	in.VexL = p2 >> 5 & 3
	in.Opcode = d.next()
	d.skip()
	if bad || p0&8 != 0 || p1&4 == 0 || in.Map == 7 {
		return ErrInvalid
	}
	return nil
}
