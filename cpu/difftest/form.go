package difftest

import (
	"fmt"
	"sort"
	"strings"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// Form is an operation with the kinds and sizes of its operands: the unit in
// which coverage is counted. Its encodings differ in ways that do not matter
// to what is done, such as a prefix without meaning.
type Form struct {
	Key       formKey
	Encodings []encoding
}

// formKey tells forms apart.
type formKey struct {
	mode     decode.Mode
	op       decode.Op
	mapNo    uint8
	opcode   uint8
	opSize   uint8
	rep      decode.Rep
	register bool // ModRM names a register
	vex      bool
	args     [4]argKey
}

type argKey struct {
	kind   decode.Kind
	size   uint16
	access decode.Access
}

func (f *Form) String() string {
	k := &f.Key
	s := fmt.Sprintf("%d-bit %v %d/%02X", k.mode*8, k.op, k.mapNo, k.opcode)
	for _, a := range k.args {
		if a.kind != decode.KindNone {
			s += fmt.Sprintf(" %s%d", kindNames[a.kind], a.size*8)
		}
	}
	if k.opSize != 4 {
		s += fmt.Sprintf(" o%d", k.opSize*8)
	}
	return s + [...]string{"", " rep", " repne"}[k.rep]
}

var kindNames = map[decode.Kind]string{
	decode.KindGPR: "r", decode.KindMem: "m", decode.KindImm: "imm", decode.KindImm2: "imm", decode.KindRel: "rel",
	decode.KindFar: "far", decode.KindSeg: "seg", decode.KindCR: "cr", decode.KindDR: "dr", decode.KindXMM: "xmm",
	decode.KindMMX: "mm", decode.KindST: "st", decode.KindStrSrc: "src", decode.KindStrDst: "dst", decode.KindOne: "one",
}

// encoding is the bits of an instruction that decide what it is.
type encoding struct {
	prefix byte // 66, F3, F2 or 0
	w      bool
	mapNo  uint8
	opcode byte
	modrm  bool
	mem    bool
	fixReg bool // ModRM.reg is part of the opcode
	reg    uint8
	fixRM  bool // so is ModRM.rm
	rm     uint8
	vex    bool
	l      bool // VEX.L
}

// skipped are operations that cannot be compared, with the reason.
var skipped = map[decode.Op]string{
	decode.CPUID: "differs between processors", decode.RDTSC: "time", decode.RDTSCP: "time",
	decode.RDRAND: "random", decode.RDSEED: "random", decode.RDPMC: "counts", decode.RDPID: "differs between processors",
	decode.XGETBV: "the system's choice", decode.XSETBV: "the system's choice", decode.SYSCALL: "enters the system", decode.SYSENTER: "enters the system",
	decode.SGDT: "Linux gives a made-up result", decode.SIDT: "Linux gives a made-up result",
	decode.SMSW: "Linux gives a made-up result", decode.SLDT: "Linux gives a made-up result",
	decode.STR:    "Linux gives a made-up result",
	decode.VMCALL: "leaves a virtual machine", decode.VMFUNC: "leaves a virtual machine",
	decode.XBEGIN: "a transaction may fail at any time", decode.XSAVE: "depends on what the processor has", decode.XSAVEC: "depends on what the processor has",
	decode.XSAVEOPT: "depends on what the processor has", decode.XRSTOR: "depends on what the processor has",
	decode.UMWAIT: "time", decode.TPAUSE: "time", decode.RDPKRU: "the system's choice", decode.WRPKRU: "the system's choice",
}

// Forms lists all forms of implemented operations in a mode, in a fixed order.
func Forms(mode decode.Mode) []*Form {
	found := make(map[formKey]*Form)
	var order []formKey
	add := func(e encoding) {
		code := e.sample(mode)
		var d decode.Inst
		if decode.DecodeInto(&d, code, mode) != nil || !cpu.Implemented(d.Op) || skipped[d.Op] != "" || lacking(d.Op) {
			return
		}
		e.modrm = d.HasModRM
		k := keyOf(&d)
		f := found[k]
		if f == nil {
			f = &Form{Key: k}
			found[k] = f
			order = append(order, k)
		}
		f.Encodings = append(f.Encodings, e)
	}
	for mapNo := range uint8(4) {
		for op := range 256 {
			if mapNo == 0 && notOpcode(byte(op), mode) || mapNo == 1 && (op == 0x38 || op == 0x3A) {
				continue
			}
			for _, prefix := range [...]byte{0, 0x66, 0xF3, 0xF2} {
				for w := range 2 {
					if w == 1 && mode != decode.Mode64 {
						continue
					}
					e := encoding{prefix: prefix, w: w == 1, mapNo: mapNo, opcode: byte(op)}
					e.each(mode, add)
					if mapNo > 0 {
						e.vex = true
						e.each(mode, add)
						e.l = true
						e.each(mode, add)
					}
				}
			}
		}
	}
	forms := make([]*Form, len(order))
	for i, k := range order {
		f := found[k]
		f.merge(mode)
		forms[i] = f
	}
	return forms
}

// keyOf is the form of a decoded instruction.
func keyOf(d *decode.Inst) formKey {
	k := formKey{mode: d.Mode, op: d.Op, mapNo: d.Map, opcode: d.Opcode, opSize: d.OpSize, rep: d.Rep, vex: d.VEX}
	if d.Rep != decode.RepNone && !repeats(d.Op) {
		k.rep = decode.RepNone
	}
	k.register = d.HasModRM && d.ModRM >= 0xC0
	for i, a := range d.Args {
		k.args[i] = argKey{a.Kind, a.Size, a.Access}
	}
	return k
}

func repeats(op decode.Op) bool {
	switch op {
	case decode.MOVS, decode.CMPS, decode.STOS, decode.LODS, decode.SCAS, decode.INS, decode.OUTS:
		return true
	}
	return false
}

// notOpcode says that a byte of the one-byte map begins something else.
func notOpcode(b byte, mode decode.Mode) bool {
	switch b {
	case 0x0F, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x62:
		return b != 0x62 || mode == decode.Mode64
	case 0xC4, 0xC5:
		return mode == decode.Mode64
	}
	return mode == decode.Mode64 && b>>4 == 4
}

// each calls f with all the ModRM bytes that could matter.
func (e encoding) each(mode decode.Mode, f func(encoding)) {
	var d decode.Inst
	e.fixReg, e.fixRM = true, true
	e.mem = true
	decode.DecodeInto(&d, e.sample(mode), mode)
	if !d.HasModRM {
		e.mem = false
		decode.DecodeInto(&d, e.sample(mode), mode)
		if !d.HasModRM {
			e.fixReg, e.fixRM = false, false
			f(e)
			return
		}
	}
	for e.reg = range uint8(8) {
		e.mem, e.fixRM = true, false
		f(e)
		e.mem, e.fixRM = false, true
		for e.rm = range uint8(8) {
			f(e)
		}
		e.rm = 0
	}
}

// sample is an instruction with the encoding.
func (e *encoding) sample(mode decode.Mode) []byte {
	b := e.begin(nil, 0, 0, 0, 0)
	m := e.reg<<3 | e.rm
	if e.mem {
		m = e.reg<<3 | 3 // [rBX], [BP+DI]
	} else {
		m |= 0xC0
	}
	b = append(b, m)
	return append(b, make([]byte, 12)...)
}

// begin appends prefixes and opcode. r, x and b are the extension bits of
// registers, v is VEX.vvvv.
func (e *encoding) begin(code []byte, r, x, b, v uint8) []byte {
	if e.vex {
		pp := map[byte]byte{0: 0, 0x66: 1, 0xF3: 2, 0xF2: 3}[e.prefix]
		w := byte(0)
		if e.w {
			w = 0x80
		}
		l := byte(0)
		if e.l {
			l = 4
		}
		return append(code, 0xC4, (r^1)<<7|(x^1)<<6|(b^1)<<5|e.mapNo, w|(^v&15)<<3|l|pp, e.opcode)
	}
	if e.prefix != 0 {
		code = append(code, e.prefix)
	}
	rex := r<<2 | x<<1 | b
	if e.w {
		rex |= 8
	}
	if rex != 0 {
		code = append(code, 0x40|rex)
	}
	switch e.mapNo {
	case 1:
		code = append(code, 0x0F)
	case 2:
		code = append(code, 0x0F, 0x38)
	case 3:
		code = append(code, 0x0F, 0x3A)
	}
	return append(code, e.opcode)
}

// merge replaces encodings that differ in ModRM.reg or rm alone, in all eight
// values, by one that leaves the field free.
func (f *Form) merge(mode decode.Mode) {
	f.Encodings = mergeField(f.Encodings, func(e *encoding) (*bool, *uint8) { return &e.fixRM, &e.rm })
	f.Encodings = mergeField(f.Encodings, func(e *encoding) (*bool, *uint8) { return &e.fixReg, &e.reg })
	// Encodings without prefixes first: the generator likes them best.
	sort.SliceStable(f.Encodings, func(i, j int) bool { return f.Encodings[i].weight() < f.Encodings[j].weight() })
}

func (e *encoding) weight() int {
	n := 0
	if e.prefix != 0 {
		n += 2
	}
	if e.w {
		n++
	}
	return n
}

func mergeField(all []encoding, field func(*encoding) (*bool, *uint8)) []encoding {
	count := make(map[encoding]int)
	free := func(e encoding) encoding {
		fixed, v := field(&e)
		*fixed, *v = false, 0
		return e
	}
	for _, e := range all {
		if fixed, _ := field(&e); *fixed {
			count[free(e)]++
		}
	}
	var out []encoding
	for _, e := range all {
		fixed, v := field(&e)
		switch {
		case !*fixed || count[free(e)] < 8:
			out = append(out, e)
		case *v == 0:
			out = append(out, free(e))
		}
	}
	return out
}

// Covered is how often each form, and through them each operation, was run.
type Covered map[*Form]int

// Missing lists the implemented operations that no case had.
func (c Covered) Missing() []string {
	var seen [decode.NumOps]bool
	for f, n := range c {
		if n > 0 {
			seen[f.Key.op] = true
		}
	}
	var missing []string
	for op := decode.Op(1); op < decode.NumOps; op++ {
		if cpu.Implemented(op) && !seen[op] && skipped[op] == "" && !lacking(op) {
			missing = append(missing, op.String())
		}
	}
	return missing
}

// Summary says what was covered.
func (c Covered) Summary() string {
	ops := make(map[decode.Op]bool)
	least, cases := -1, 0
	modes := make(map[decode.Mode]int)
	for f, n := range c {
		ops[f.Key.op] = true
		modes[f.Key.mode]++
		cases += n
		if least < 0 || n < least {
			least = n
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d cases, %d operations, %d forms (", cases, len(ops), len(c))
	for i, m := range [...]decode.Mode{decode.Mode64, decode.Mode32, decode.Mode16} {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d in %d-bit mode", modes[m], m*8)
	}
	fmt.Fprintf(&b, "), each at least %d times", max(least, 0))
	return b.String()
}
