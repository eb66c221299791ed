package decode

// vex takes the rest of a VEX prefix and the instruction after it
// (SDM Vol. 2A, 2.3).
func (d *decoder) vex(first byte) error {
	in := d.in
	in.VEX = true
	bad := d.p66 || d.rep != 0 || in.Lock || in.REX != 0
	in.REX = 0
	b := d.next()
	d.r = ^b >> 4 & 8
	d.x, d.b, d.w = 0, 0, false
	in.Map = 1
	if first == 0xC4 {
		d.x = ^b >> 3 & 8
		d.b = ^b >> 2 & 8
		in.Map = b & 31
		b = d.next()
		d.w = b&0x80 != 0
	}
	d.vvvv = ^b >> 3 & 15
	in.VexL = b >> 2 & 1
	in.VexW = d.w
	d.pp = b & 3
	if !d.long {
		d.r, d.x, d.b = 0, 0, 0
		d.vvvv &= 7
	}
	in.Opcode = d.next()
	var row *entry
	switch in.Map {
	case 1:
		row = &vex0F[in.Opcode]
	case 2:
		row = &vex0F38[in.Opcode]
	case 3:
		row = &vex0F3A[in.Opcode]
	default:
		row = &ud
	}
	if err := d.finish(row); err != nil || bad {
		return ErrInvalid
	}
	return nil
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
	p0, p1, p2 := d.next(), d.next(), d.next()
	in.Map = p0 & 7
	d.r, d.x, d.b = ^p0>>4&8, ^p0>>3&8, ^p0>>2&8
	if !d.long {
		d.r, d.x, d.b = 0, 0, 0
	}
	in.VexW = p1&0x80 != 0
	in.VexL = p2 >> 5 & 3
	in.OpSize = 4
	in.Opcode = d.next()
	in.ModRM, in.HasModRM = d.peek(), true
	d.modRM(0)
	switch in.Map {
	case 3:
		in.Imm = d.le(1) & 0xFF
	case 1:
		switch in.Opcode {
		case 0x70, 0x71, 0x72, 0x73, 0xC2, 0xC4, 0xC5, 0xC6:
			in.Imm = d.le(1) & 0xFF
		}
	}
	if bad || p0&8 != 0 || p1&4 == 0 || in.Map == 0 || in.Map == 4 || in.Map == 7 {
		return ErrInvalid
	}
	return nil
}

// xop takes AMD's XOP instructions by length, 8F with a map of 8 to 10.
// Intel's processors have none of them.
func (d *decoder) xop() error {
	in := d.in
	in.Op = XOP_UNKNOWN
	b := d.next()
	d.next()
	in.Map = b & 31
	in.Opcode = d.next()
	in.ModRM, in.HasModRM = d.peek(), true
	d.modRM(0)
	switch in.Map {
	case 8:
		d.le(1)
	case 10:
		d.le(4)
	}
	return ErrInvalid
}

// amd3DNow takes AMD's 3DNow! instructions by length: 0F 0F, ModRM, and the
// opcode last. Intel's processors have none of them.
func (d *decoder) amd3DNow() error {
	in := d.in
	in.Map = 1
	if err := d.finish(&twoByte[0x0F]); err != nil {
		return err
	}
	in.Opcode = uint8(in.Imm)
	return ErrInvalid
}
