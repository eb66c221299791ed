package cpu

import (
	"github.com/flipvisor/flipvisor/cpu/decode"
)

var systemBinders = map[decode.Op]binder{
	decode.HLT:        fixed(hlt),
	decode.CPUID:      fixed(cpuid),
	decode.RDTSC:      fixed(rdtsc),
	decode.RDTSCP:     fixed(rdtscp),
	decode.RDPMC:      fixed(rdpmc),
	decode.RDPID:      fixed(rdpid),
	decode.RDMSR:      fixed(rdmsr),
	decode.WRMSR:      fixed(wrmsr),
	decode.MOVCR:      fixed(movCR),
	decode.MOVDR:      fixed(movDR),
	decode.MOVSEG:     fixed(movSeg),
	decode.LMSW:       fixed(lmsw),
	decode.SMSW:       fixed(smsw),
	decode.CLTS:       fixed(clts),
	decode.INVD:       fixed(cacheFlush),
	decode.WBINVD:     fixed(cacheFlush),
	decode.WBNOINVD:   fixed(cacheFlush),
	decode.CLFLUSH:    fixed(lineFlush),
	decode.CLFLUSHOPT: fixed(lineFlush),
	decode.CLWB:       fixed(lineFlush),
	decode.INVLPG:     fixed(invlpg),
	decode.INVPCID:    fixed(invpcid),
	decode.LGDT:       fixed(loadTable),
	decode.LIDT:       fixed(loadTable),
	decode.SGDT:       fixed(storeTable),
	decode.SIDT:       fixed(storeTable),
	decode.LLDT:       fixed(lldt),
	decode.LTR:        fixed(ltr),
	decode.SLDT:       fixed(storeSelector),
	decode.STR:        fixed(storeSelector),
	decode.LAR:        fixed(lar),
	decode.LSL:        fixed(lar),
	decode.VERR:       fixed(verr),
	decode.VERW:       fixed(verr),
	decode.ARPL:       fixed(arpl),
	decode.SWAPGS:     fixed(swapgs),
	decode.RDFSBASE:   fixed(segmentBase),
	decode.RDGSBASE:   fixed(segmentBase),
	decode.WRFSBASE:   fixed(segmentBase),
	decode.WRGSBASE:   fixed(segmentBase),
	decode.MONITOR:    fixed(monitor),
	decode.MWAIT:      fixed(monitor),
	decode.UD0:        fixed(func(c *CPU, in *Inst) *Inst { return c.ud(in) }),
	decode.UD1:        fixed(func(c *CPU, in *Inst) *Inst { return c.ud(in) }),
	decode.UD2:        fixed(func(c *CPU, in *Inst) *Inst { return c.ud(in) }),
	decode.BOUND:      fixed(bound),
	decode.SERIALIZE:  fixed(func(c *CPU, in *Inst) *Inst { return c.leave(in) }),
}

func hlt(c *CPU, in *Inst) *Inst {
	if c.cpl != 0 {
		return c.gp0(in)
	}
	if c.intercept(in, interceptHLT) {
		return nil
	}
	c.leave(in)
	c.Activity = Halted
	c.endSlice()
	return nil
}

// endSlice makes the run look at the boundary before anything else.
func (c *CPU) endSlice() {
	c.reserve += c.budget
	c.budget = 0
}

func cpuid(c *CPU, in *Inst) *Inst {
	if c.interceptAlways(in, ExitCPUID) {
		return nil
	}
	a, b, cx, d := c.cpuid(uint32(c.R[RAX]), uint32(c.R[RCX]))
	c.R[RAX], c.R[RBX], c.R[RCX], c.R[RDX] = uint64(a), uint64(b), uint64(cx), uint64(d)
	return in.next
}

// TSC is the time-stamp counter as software outside VMX non-root operation
// sees it, at a count.
func (c *CPU) TSC(count uint64) uint64 { return count + c.MSR.TSCOffset }

func rdtsc(c *CPU, in *Inst) *Inst {
	if c.CR4&CR4TSD != 0 && c.cpl != 0 && c.CR0&CR0PE != 0 {
		return c.gp0(in)
	}
	if c.intercept(in, interceptRDTSC) {
		return nil
	}
	t := c.TSC(c.now(in)) + c.vmxTSCOffset()
	c.R[RAX], c.R[RDX] = t&0xffffffff, t>>32
	return in.next
}

func rdtscp(c *CPU, in *Inst) *Inst {
	if !c.Model.Has(FeatureRDTSCP) || !c.vmxEnabled(enableRDTSCP) {
		return c.ud(in)
	}
	if c.CR4&CR4TSD != 0 && c.cpl != 0 && c.CR0&CR0PE != 0 {
		return c.gp0(in)
	}
	if c.intercept(in, interceptRDTSCP) {
		return nil
	}
	t := c.TSC(c.now(in)) + c.vmxTSCOffset()
	c.R[RAX], c.R[RDX], c.R[RCX] = t&0xffffffff, t>>32, c.MSR.TSCAux&0xffffffff
	return in.next
}

func rdpid(c *CPU, in *Inst) *Inst {
	if !c.Model.Has(FeatureRDPID) || !c.vmxEnabled(enableRDTSCP) {
		return c.ud(in)
	}
	c.setArg(in, 0, c.MSR.TSCAux&0xffffffff)
	return in.next
}

func rdpmc(c *CPU, in *Inst) *Inst {
	if c.CR4&CR4PCE == 0 && c.cpl != 0 && c.CR0&CR0PE != 0 {
		return c.gp0(in)
	}
	if c.intercept(in, interceptRDPMC) {
		return nil
	}
	c.settleAt(in)
	v, ok := c.readCounter(uint32(c.R[RCX]))
	if !ok {
		return c.gp0(in)
	}
	c.R[RAX], c.R[RDX] = v&0xffffffff, v>>32
	return in.next
}

// settleAt brings the performance counters up to the beginning of in.
func (c *CPU) settleAt(in *Inst) {
	count := c.Count
	rest := c.blk.eventsFrom(int64(in.index))
	c.Count = c.now(in)
	c.events -= rest
	c.foldEvents()
	c.events = rest
	c.Count = count
}

// cacheFlush is INVD, WBINVD and WBNOINVD.
func cacheFlush(c *CPU, in *Inst) *Inst {
	if c.cpl != 0 {
		return c.gp0(in)
	}
	op := c.decoded(in).Op
	if op == decode.INVD {
		if c.interceptAlways(in, ExitINVD) {
			return nil
		}
		c.invalidateCaches(false)
		return in.next
	}
	if c.intercept(in, interceptWBINVD) {
		return nil
	}
	c.invalidateCaches(true)
	return in.next
}

// lineFlush reads the line's address as a load of one byte would.
func lineFlush(c *CPU, in *Inst) *Inst {
	va := c.ea(in)
	if _, ok := c.load8(in, va); !ok {
		return c.fault(in)
	}
	if cache := c.MMU.Cache(); cache != nil {
		if pa, ok := c.MMU.Translate(&c.regime, va); ok {
			cache.Flush(pa)
		}
	}
	return in.next
}

// invalidateCaches empties the cache hierarchy, where one is simulated.
func (c *CPU) invalidateCaches(writeBack bool) {
	cache := c.MMU.Cache()
	if cache == nil {
		return
	}
	if writeBack {
		cache.WriteBackAll()
	}
	cache.InvalidateAll()
}

func invlpg(c *CPU, in *Inst) *Inst {
	if c.cpl != 0 {
		return c.gp0(in)
	}
	a := c.offsetOf(in)
	if c.interceptINVLPG(in, a) {
		return nil
	}
	va := c.linear(in.seg, a, 1, false)
	if canonical(va) {
		c.MMU.Invlpg(&c.regime, va)
	}
	return c.serialize(in)
}

// serialize ends the block and forgets what was fetched before.
func (c *CPU) serialize(in *Inst) *Inst {
	c.leave(in)
	c.fetchLinear = noFetch
	return nil
}

// invpcid (SDM Vol. 2A, INVPCID).
func invpcid(c *CPU, in *Inst) *Inst {
	if !c.Model.Has(FeatureINVPCID) || !c.vmxEnabled(enableINVPCID) {
		return c.ud(in)
	}
	if c.cpl != 0 {
		return c.gp0(in)
	}
	if c.interceptINVPCID(in) {
		return nil
	}
	d := c.decoded(in)
	typ := c.R[d.Args[0].Reg&15]
	if !c.long {
		typ &= 0xffffffff
	}
	desc, ok := c.loadX(in, c.ea(in))
	if !ok {
		return c.fault(in)
	}
	pcid, va := desc.Lo, desc.Hi
	switch {
	case typ > 3, typ != 2 && pcid>>12 != 0,
		typ == 0 && !canonical(va),
		typ <= 1 && pcid&0xfff != 0 && c.CR4&CR4PCIDE == 0:
		return c.gp0(in)
	}
	c.MMU.Invpcid(&c.regime, invpcidTypes[typ], uint16(pcid&0xfff), va)
	return c.serialize(in)
}

func loadTable(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if c.cpl != 0 {
		return c.gp0(in)
	}
	if c.interceptTable(in) {
		return nil
	}
	va := c.ea(in)
	limit, ok := c.load16(in, va)
	if !ok {
		return c.fault(in)
	}
	size, m := 4, uint64(0xffffffff)
	if c.long {
		size, m = 8, ^uint64(0)
	} else if d.OpSize == 2 {
		m = 0xffffff
	}
	base, ok := c.load(in, c.wrap(va+2), size)
	if !ok {
		return c.fault(in)
	}
	base &= m
	if c.long && !canonical(base) {
		return c.gp0(in)
	}
	t := &c.GDTR
	if d.Op == decode.LIDT {
		t = &c.IDTR
	}
	t.Base, t.Limit = base, uint16(limit)
	return c.leave(in)
}

// userModeBlocked is UMIP: the store instructions fault above CPL 0.
func (c *CPU) userModeBlocked() bool { return c.CR4&CR4UMIP != 0 && c.cpl > 0 }

func storeTable(c *CPU, in *Inst) *Inst {
	if c.userModeBlocked() {
		return c.gp0(in)
	}
	if c.interceptTable(in) {
		return nil
	}
	t := c.GDTR
	if c.decoded(in).Op == decode.SIDT {
		t = c.IDTR
	}
	va := c.ea(in)
	size := 4
	if c.long {
		size = 8
	}
	if !c.probeStore(in, va, uint64(2+size)) {
		return c.fault(in)
	}
	c.store16(in, va, uint64(t.Limit))
	c.store(in, c.wrap(va+2), size, t.Base)
	return in.next
}

func lldt(c *CPU, in *Inst) *Inst {
	if c.CR0&CR0PE == 0 || c.rflags&FlagVM != 0 {
		return c.ud(in)
	}
	if c.cpl != 0 {
		return c.gp0(in)
	}
	if c.interceptTable(in) {
		return nil
	}
	v, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	sel := uint16(v)
	if sel&^3 == 0 {
		c.Seg[LDTR] = Segment{Selector: sel, Attr: AttrUnusable}
		return c.leave(in)
	}
	s, _, ok := c.systemDescriptor(sel)
	if !ok {
		return c.fault(in)
	}
	if s.Attr&(AttrS|AttrType) != 2 {
		return c.raiseCode(in, VectorGP, uint32(sel)&^3)
	}
	if s.Attr&AttrP == 0 {
		return c.raiseCode(in, VectorNP, uint32(sel)&^3)
	}
	c.Seg[LDTR] = s
	return c.leave(in)
}

func ltr(c *CPU, in *Inst) *Inst {
	if c.CR0&CR0PE == 0 || c.rflags&FlagVM != 0 {
		return c.ud(in)
	}
	if c.cpl != 0 {
		return c.gp0(in)
	}
	if c.interceptTable(in) {
		return nil
	}
	v, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	sel := uint16(v)
	code := uint32(sel) &^ 3
	if code == 0 {
		return c.gp0(in)
	}
	s, address, ok := c.systemDescriptor(sel)
	if !ok {
		return c.fault(in)
	}
	typ := s.Attr & (AttrS | AttrType)
	if typ != 9 && (typ != 1 || c.lma) {
		return c.raiseCode(in, VectorGP, code)
	}
	if s.Attr&AttrP == 0 {
		return c.raiseCode(in, VectorNP, code)
	}
	s.Attr |= 2 // busy
	b, ok := c.sysLoad(address+5, 1)
	if !ok || !c.sysStore(address+5, 1, b|2) {
		return c.fault(in)
	}
	c.Seg[TR] = s
	return c.leave(in)
}

// systemDescriptor reads an LDT or TSS descriptor from the GDT; in IA-32e
// mode it has 16 bytes.
func (c *CPU) systemDescriptor(sel uint16) (s Segment, address uint64, ok bool) {
	code := uint32(sel) &^ 3
	if sel&4 != 0 {
		return s, 0, c.excCode(VectorGP, code)
	}
	desc, address, ok := c.descriptor(sel, 0)
	if !ok {
		return s, 0, false
	}
	s = segmentOf(sel, desc)
	if c.lma {
		if uint64(sel&^7)+15 > uint64(c.GDTR.Limit) {
			return s, 0, c.excCode(VectorGP, code)
		}
		hi, ok := c.sysLoad(address+8, 8)
		if !ok {
			return s, 0, false
		}
		s.Base |= hi << 32
		if hi>>40&0x1f != 0 || !canonical(s.Base) {
			return s, 0, c.excCode(VectorGP, code)
		}
	}
	return s, address, true
}

// storeSelector is SLDT and STR.
func storeSelector(c *CPU, in *Inst) *Inst {
	if c.CR0&CR0PE == 0 || c.rflags&FlagVM != 0 {
		return c.ud(in)
	}
	if c.userModeBlocked() {
		return c.gp0(in)
	}
	if c.interceptTable(in) {
		return nil
	}
	s := LDTR
	if c.decoded(in).Op == decode.STR {
		s = TR
	}
	if !c.setArg(in, 0, uint64(c.Seg[s].Selector)) {
		return c.fault(in)
	}
	return in.next
}

// larTypes and lslTypes are the system descriptor types that LAR and LSL
// accept (SDM Vol. 2A, tables 3-53 and 3-55), in legacy and in IA-32e mode.
const (
	larTypes     = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<9 | 1<<11 | 1<<12
	larTypesLong = 1<<2 | 1<<9 | 1<<11 | 1<<12
	lslTypes     = 1<<1 | 1<<2 | 1<<3 | 1<<9 | 1<<11
	lslTypesLong = 1<<2 | 1<<9 | 1<<11
)

// lar is LAR and LSL.
func lar(c *CPU, in *Inst) *Inst {
	if c.CR0&CR0PE == 0 || c.rflags&FlagVM != 0 {
		return c.ud(in)
	}
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	d := c.decoded(in)
	types := [2]uint32{larTypes, larTypesLong}
	if d.Op == decode.LSL {
		types = [2]uint32{lslTypes, lslTypesLong}
	}
	sel := uint16(v)
	desc, ok := c.visible(sel, types)
	if !ok && c.exc.Vector == VectorPF {
		return c.fault(in)
	}
	f := c.flags() &^ FlagZF
	if ok {
		f |= FlagZF
		r := desc >> 32 & 0xffff00
		if d.Op == decode.LSL {
			s := segmentOf(sel, desc)
			r = uint64(s.Limit)
		}
		c.setReg(d.Args[0].Reg, int(d.Args[0].Size), r)
	}
	c.setStatus(f)
	return in.next
}

// visible reads a descriptor that the program may know about: of these
// system types, or code or data, at this privilege.
func (c *CPU) visible(sel uint16, types [2]uint32) (desc uint64, ok bool) {
	c.exc = Exception{Vector: VectorGP}
	if sel&^3 == 0 {
		return 0, false
	}
	desc, _, ok = c.descriptor(sel, 0)
	if !ok {
		return 0, false
	}
	s := segmentOf(sel, desc)
	c.exc = Exception{Vector: VectorGP}
	if s.Attr&AttrS == 0 {
		t := types[0]
		if c.lma {
			t = types[1]
		}
		if t>>(s.Attr&AttrType)&1 == 0 {
			return 0, false
		}
	}
	conforming := s.Attr&(AttrS|AttrCode|AttrConform) == AttrS|AttrCode|AttrConform
	if !conforming && (s.DPL() < c.cpl || s.DPL() < uint8(sel&3)) {
		return 0, false
	}
	return desc, true
}

// verr is VERR and VERW.
func verr(c *CPU, in *Inst) *Inst {
	if c.CR0&CR0PE == 0 || c.rflags&FlagVM != 0 {
		return c.ud(in)
	}
	v, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	sel := uint16(v)
	desc, ok := c.visible(sel, [2]uint32{})
	if !ok && c.exc.Vector == VectorPF {
		return c.fault(in)
	}
	s := segmentOf(sel, desc)
	code := s.Attr&AttrCode != 0
	if c.decoded(in).Op == decode.VERR {
		ok = ok && (!code || s.Attr&AttrReadable != 0)
	} else {
		ok = ok && !code && s.Attr&AttrWritable != 0
	}
	f := c.flags() &^ FlagZF
	if ok {
		f |= FlagZF
	}
	c.setStatus(f)
	return in.next
}

func arpl(c *CPU, in *Inst) *Inst {
	if c.CR0&CR0PE == 0 || c.rflags&FlagVM != 0 {
		return c.ud(in)
	}
	d := c.decoded(in)
	var a uint64
	var ok bool
	if d.Args[0].Kind == decode.KindMem { // written only if it changes
		a, ok = c.load16(in, c.linear(in.seg, c.offsetOf(in), 2, false))
	} else {
		a, ok = c.arg(in, 0)
	}
	if !ok {
		return c.fault(in)
	}
	b, _ := c.arg(in, 1)
	f := c.flags() &^ FlagZF
	if a&3 < b&3 {
		if !c.setArg(in, 0, a&^3|b&3) {
			return c.fault(in)
		}
		f |= FlagZF
	}
	c.setStatus(f)
	return in.next
}

func swapgs(c *CPU, in *Inst) *Inst {
	if c.cpl != 0 {
		return c.gp0(in)
	}
	g := &c.Seg[GS].Base
	*g, c.MSR.KernelGSBase = c.MSR.KernelGSBase, *g
	return in.next
}

// segmentBase is RDFSBASE, RDGSBASE, WRFSBASE and WRGSBASE.
func segmentBase(c *CPU, in *Inst) *Inst {
	if !c.Model.Has(FeatureFSGSBASE) || c.CR4&CR4FSGSBASE == 0 || !c.long {
		return c.ud(in)
	}
	d := c.decoded(in)
	s := &c.Seg[FS]
	if d.Op == decode.RDGSBASE || d.Op == decode.WRGSBASE {
		s = &c.Seg[GS]
	}
	if d.Op == decode.RDFSBASE || d.Op == decode.RDGSBASE {
		c.setArg(in, 0, s.Base)
		return in.next
	}
	v, _ := c.arg(in, 0)
	if !canonical(v) {
		return c.gp0(in)
	}
	s.Base = v
	return in.next
}

// movSeg is MOV to and from a segment register. A register destination of
// more than 16 bits is zero-extended.
func movSeg(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if a := &d.Args[0]; a.Kind == decode.KindSeg {
		v, ok := c.arg(in, 1)
		if !ok || !c.loadSegment(int(a.Reg), uint16(v)) {
			return c.fault(in)
		}
		return c.segmentLoaded(in, int(a.Reg))
	}
	if !c.setArg(in, 0, uint64(c.Seg[d.Args[1].Reg].Selector)) {
		return c.fault(in)
	}
	return in.next
}

// monitor is MONITOR and MWAIT, which no CPUID bit announces.
func monitor(c *CPU, in *Inst) *Inst { return c.ud(in) }

func pause(c *CPU, in *Inst) *Inst {
	if c.interceptPause(in) {
		return nil
	}
	return in.next
}

// bound compares with a pair in memory, signed (SDM Vol. 2A, BOUND).
func bound(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	size := int(d.OpSize)
	v := int64(signExtend(c.reg(d.Args[0].Reg, size), size))
	at := c.offsetOf(in)
	// One bound after the other: an index below the lower one is #BR even if
	// the upper one cannot be read.
	for i := range 2 {
		limit, ok := c.load(in, c.linear(in.seg, at, uint64(size), false), size)
		if !ok {
			return c.fault(in)
		}
		l := int64(signExtend(limit, size))
		if i == 0 && v < l || i == 1 && v > l {
			return c.raise(in, VectorBR)
		}
		at = (at + uint64(size)) & mask(int(in.addrSize))
	}
	return in.next
}
