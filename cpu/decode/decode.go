package decode

import "errors"

// The ways in which decoding fails.
var (
	// ErrTruncated: the bytes end before the instruction does. The caller
	// gets more, from the next page if need be, or faults there.
	ErrTruncated = errors.New("decode: instruction continues past the given bytes")
	// ErrTooLong: the instruction has more than MaxLen bytes, which is #GP(0).
	ErrTooLong = errors.New("decode: instruction longer than 15 bytes")
	// ErrInvalid: #UD by the encoding alone: a reserved opcode, one that the
	// mode does not have, a LOCK that may not be, a register where memory
	// must be. Inst.Len is the length as far as it is known.
	ErrInvalid = errors.New("decode: invalid opcode")
)

// Decode decodes the instruction at the start of code.
func Decode(code []byte, mode Mode) (Inst, error) {
	var in Inst
	err := DecodeInto(&in, code, mode)
	return in, err
}

// DecodeInto is Decode into a caller's Inst, all of which it overwrites.
func DecodeInto(in *Inst, code []byte, mode Mode) error {
	*in = Inst{Mode: mode}
	d := decoder{in: in, code: code, seg: NoReg, long: mode == Mode64}
	if len(code) > MaxLen {
		d.code = code[:MaxLen]
	}
	err := d.decode()
	in.Len = uint8(d.pos)
	if d.short { // whatever was concluded from bytes that are not there
		if len(code) >= MaxLen {
			return ErrTooLong
		}
		return ErrTruncated
	}
	return err
}

// decoder is the state of one decoding: the bytes, and the prefixes until
// they have gone into the Inst.
type decoder struct {
	in    *Inst
	code  []byte
	pos   int
	short bool // a byte past the end was asked for

	long   bool  // 64-bit mode
	p66    bool  // operand-size prefix
	p67    bool  // address-size prefix
	rep    uint8 // last of F2 and F3, or 0
	seg    uint8 // segment override in force, or NoReg
	w      bool  // REX.W or VEX.W
	r      uint8 // 8 when REX.R or VEX.R extends ModRM.reg
	x      uint8 // 8 for the index
	b      uint8 // 8 for base, ModRM.rm and opcode register
	pp     uint8 // column of byPrefix: none, 66, F3, F2
	ppUsed bool  // a byPrefix split was passed: 66 is not an operand size
	vvvv   uint8 // VEX.vvvv, upright
}

// next takes the next byte of the instruction.
func (d *decoder) next() byte {
	if d.pos >= len(d.code) {
		d.short = true
		return 0
	}
	b := d.code[d.pos]
	d.pos++
	return b
}

// peek looks at the next byte without taking it.
func (d *decoder) peek() byte {
	if d.pos >= len(d.code) {
		d.short = true
		return 0
	}
	return d.code[d.pos]
}

// le takes an n-byte little-endian number, sign-extended.
func (d *decoder) le(n int) int64 {
	if d.pos+n > len(d.code) {
		d.pos = len(d.code)
		d.short = true
		return 0
	}
	c := d.code[d.pos : d.pos+n]
	d.pos += n
	switch n {
	case 1:
		return int64(int8(c[0]))
	case 2:
		return int64(int16(uint16(c[0]) | uint16(c[1])<<8))
	case 4:
		return int64(int32(uint32(c[0]) | uint32(c[1])<<8 | uint32(c[2])<<16 | uint32(c[3])<<24))
	}
	lo := uint32(c[0]) | uint32(c[1])<<8 | uint32(c[2])<<16 | uint32(c[3])<<24
	hi := uint32(c[4]) | uint32(c[5])<<8 | uint32(c[6])<<16 | uint32(c[7])<<24
	return int64(uint64(hi)<<32 | uint64(lo))
}

// decode follows the bytes: prefixes, opcode, and what the opcode's row asks
// for. It works on past missing bytes, which read as zero; DecodeInto looks
// at d.short first.
func (d *decoder) decode() error {
	in := d.in
	op := d.prefixes()
	if d.short {
		return ErrTruncated
	}
	switch d.in.Mode {
	case Mode64:
		in.AddrSize = 8
		if d.p67 {
			in.AddrSize = 4
		}
	case Mode32:
		in.AddrSize = 4
		if d.p67 {
			in.AddrSize = 2
		}
	default:
		in.AddrSize = 2
		if d.p67 {
			in.AddrSize = 4
		}
	}
	if rex := in.REX; rex != 0 {
		d.w = rex&8 != 0
		d.r = rex << 1 & 8
		d.x = rex << 2 & 8
		d.b = rex << 3 & 8
	}

	var row *entry
	switch op {
	case 0x0F:
		op = d.next()
		switch op {
		case 0x38:
			in.Map, op = 2, d.next()
			row = &threeByte38[op]
		case 0x3A:
			in.Map, op = 3, d.next()
			row = &threeByte3A[op]
		default:
			in.Map = 1
			row = &twoByte[op]
		}
	case 0x62:
		if d.long || d.peek() >= 0xC0 {
			return d.evex()
		}
		row = &oneByte[op]
	case 0xC4, 0xC5:
		if d.long || d.peek() >= 0xC0 {
			return d.vex(op)
		}
		row = &oneByte[op]
	case 0x90:
		row = &oneByte[op]
		if d.b != 0 && d.rep != 0xF3 {
			row = &xchgR8
		}
	default:
		row = &oneByte[op]
	}
	in.Opcode = op
	switch {
	case d.rep == 0xF3:
		d.pp = 2
	case d.rep == 0xF2:
		d.pp = 3
	case d.p66:
		d.pp = 1
	}
	return d.finish(row)
}

// xchgR8 is 90 with REX.B, which is not NOP.
var xchgR8 = o(XCHG, Zv|rw, Av|rw)

// Classes of bytes as prefixes.
const (
	notPrefix uint8 = iota
	segPrefix
	opPrefix
	addrPrefix
	lockPrefix
	repPrefix
	rexPrefix
)

var prefixClass = func() (c [256]uint8) {
	for _, b := range [...]byte{0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65} {
		c[b] = segPrefix
	}
	c[0x66], c[0x67], c[0xF0], c[0xF2], c[0xF3] = opPrefix, addrPrefix, lockPrefix, repPrefix, repPrefix
	for b := 0x40; b < 0x50; b++ {
		c[b] = rexPrefix
	}
	return c
}()

// prefixes takes the prefixes and the byte after them, the first of the
// opcode. A REX prefix counts only right before the opcode; of F2 and F3,
// and of segment overrides, the last counts (SDM Vol. 2A, 2.1.1, 2.2.1).
func (d *decoder) prefixes() byte {
	in := d.in
	for d.pos < len(d.code) {
		b := d.code[d.pos]
		d.pos++
		switch prefixClass[b] {
		case notPrefix:
			return b
		case rexPrefix:
			if !d.long {
				return b
			}
			in.REX = b
			continue
		case segPrefix:
			switch {
			case b == 0x64:
				d.seg = FS
			case b == 0x65:
				d.seg = GS
			case !d.long: // ES, CS, SS and DS overrides mean nothing in 64-bit mode
				d.seg = b >> 3 & 3
			}
		case opPrefix:
			d.p66, in.OpPrefix = true, true
		case addrPrefix:
			d.p67 = true
		case lockPrefix:
			in.Lock = true
		case repPrefix:
			d.rep = b
		}
		in.REX = 0
	}
	d.short = true
	return 0
}

// finish walks from an opcode's row to the instruction, takes its operands
// and checks what its row demands.
func (d *decoder) finish(row *entry) error {
	in := d.in
	for row.by != 0 {
		if row = d.choose(row); d.short {
			return ErrTruncated
		}
	}
	if row.op == INVALID {
		d.skip()
		return ErrInvalid
	}
	a := row.attr
	in.Op = row.op
	d.sizes(a)
	if in.HasModRM || a&aModRM != 0 {
		if !in.HasModRM {
			in.ModRM, in.HasModRM = d.peek(), true
		}
		d.modRM(a)
	}
	if a&aCC != 0 {
		in.Cond = in.Opcode & 15
	}
	ok := true
	for i, s := range row.args {
		if s == 0 {
			break
		}
		if !d.operand(&in.Args[i], s) {
			ok = false
		}
	}
	if a&aImplied != 0 {
		d.implied(impliedBase(in), DS)
		d.override(&in.Mem)
	}
	if !ok || !d.allowed(a) {
		return ErrInvalid
	}
	return nil
}

// skip takes what follows a reserved opcode. Processors find an
// instruction's length before they judge it, by the map and the opcode byte
// alone, and what they have for one encoding of an opcode they have for all;
// a page fault on one of those bytes, or their going past the 15th, comes
// before #UD. With VEX and EVEX the two low bits of the map count, and an
// opcode has the length that it has without them. (Found by asking a
// processor; the manual is silent.)
func (d *decoder) skip() {
	in := d.in
	m := in.Map
	if in.VEX || in.EVEX {
		m &= 3
	}
	modrm, imm, regRM := true, 0, attr(0)
	switch m {
	case 0, 1:
		e := oneByte[in.Opcode].example()
		if m == 1 {
			e = twoByte[in.Opcode].example()
		}
		if e.op == INVALID {
			modrm, imm = d.skipReserved(m)
			break
		}
		modrm, regRM = e.attr&aModRM != 0, e.attr&aRegRM
		d.ppUsed = in.VEX || in.EVEX // 66 is a size again, except before these
		d.sizes(e.attr)
		for _, s := range e.args {
			switch s & formMask {
			case formI, formIs, formI2, formJ:
				imm += int(d.size(s, false))
			}
		}
	case 3:
		imm = 1
	}
	if modrm {
		in.HasModRM = true
		d.modRM(regRM)
	}
	for ; imm > 0; imm-- {
		d.next()
	}
}

// skipReserved gives the shape of an opcode that no instruction has.
func (d *decoder) skipReserved(m uint8) (modrm bool, imm int) {
	if m == 0 {
		return false, 0
	}
	op := d.in.Opcode
	switch op {
	case 0x04, 0x0A, 0x0C, 0x0E, 0x0F, 0x24, 0x25, 0x26, 0x27, 0x33, 0x36:
		return false, 0
	}
	if op&0xF8 == 0x38 { // escapes to a third byte, like 38 and 3A
		if d.in.VEX || d.in.EVEX {
			return false, 0
		}
		d.next()
		return true, int(op >> 1 & 1)
	}
	return true, 0
}

// example is the first row of a split that is an instruction.
func (e *entry) example() *entry {
	for i := range e.sub {
		if x := e.sub[i].example(); x.op != INVALID {
			return x
		}
	}
	return e
}

// choose picks a split's row.
func (d *decoder) choose(row *entry) *entry {
	in := d.in
	i := uint8(0)
	switch row.by {
	case byPrefix:
		i = d.pp
		d.ppUsed = true
	case byRep:
		if d.pp >= 2 {
			i = d.pp - 1
		}
	case byReg, byMod, byRM:
		if !in.HasModRM {
			in.ModRM, in.HasModRM = d.peek(), true
		}
		switch row.by {
		case byReg:
			i = in.ModRM >> 3 & 7
		case byRM:
			i = in.ModRM & 7
		default:
			if in.ModRM >= 0xC0 {
				i = 1
			}
		}
	case byMode:
		if d.long {
			i = 1
		}
	case byW:
		if d.w && d.long {
			i = 1
		}
	case byVexW:
		if d.w {
			i = 1
		}
	case byL:
		i = in.VexL
	}
	return &row.sub[i]
}

// sizes fixes the operand size.
func (d *decoder) sizes(a attr) {
	in := d.in
	p66 := d.p66 && !d.ppUsed
	switch in.Mode {
	case Mode64:
		switch {
		case a&aF64 != 0 || d.w:
			in.OpSize = 8
		case p66:
			in.OpSize = 2
		case a&aD64 != 0:
			in.OpSize = 8
		default:
			in.OpSize = 4
		}
	case Mode32:
		in.OpSize = 4
		if p66 {
			in.OpSize = 2
		}
	default:
		in.OpSize = 2
		if p66 {
			in.OpSize = 4
		}
	}
}

// allowed checks what is not a matter of one operand.
func (d *decoder) allowed(a attr) bool {
	in := d.in
	if a&(aI64|aO64) != 0 && (a&aI64 != 0) == d.long {
		return false
	}
	if in.Lock && (a&aLock == 0 || in.Args[0].Kind != KindMem) {
		return false
	}
	if a&aNo66 != 0 && (d.rep != 0 || d.p66) {
		return false
	}
	if in.VEX {
		return d.vexAllowed(a)
	}
	return true
}
