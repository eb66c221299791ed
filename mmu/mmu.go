package mmu

import (
	"fmt"

	"github.com/flipvisor/flipvisor/internal/state"
)

// MMU translates for one logical processor and carries out its accesses.
type MMU struct {
	Mem  *Memory
	Fast Fast

	// Fault says why the last access that returned false did so.
	Fault Fault

	// Device is set when an access has reached anything but RAM, so that
	// the interpreter can look for what the device did. It clears it.
	Device bool

	// Walks counts the walks of the page tables.
	Walks uint64

	// TLBFate, if set, is told what first happens to the TLB entry that
	// FlipTLB changed last: used for a translation, or dropped.
	TLBFate func(used bool)
	flipped int // that entry

	filled filled
	tlb    tlb
	cache  *Cache
}

// New makes the MMU of a processor on mem.
func New(mem *Memory) *MMU {
	m := &MMU{Mem: mem}
	m.initFast()
	mem.units = append(mem.units, m)
	return m
}

// FaultKind says which event an access causes instead of completing.
type FaultKind uint8

const (
	PageFault    FaultKind = iota + 1 // #PF
	EPTViolation                      // VM exit, basic reason 48
	EPTMisconfig                      // VM exit, basic reason 49
	APICAccess                        // VM exit, basic reason 44
)

func (k FaultKind) String() string {
	return [...]string{"none", "page fault", "EPT violation", "EPT misconfiguration", "APIC access"}[k]
}

// Fault describes the event.
type Fault struct {
	Kind FaultKind
	VA   uint64 // linear address: CR2, or the guest-linear address
	Code uint32 // page fault: error code (SDM Vol. 3, 4.7)

	GPA           uint64 // EPT: guest-physical address
	Qualification uint64 // EPT violation or APIC access: exit qualification (SDM Vol. 3, tables 27-7 and 27-6)
}

func (f Fault) String() string {
	switch f.Kind {
	case PageFault:
		return fmt.Sprintf("page fault at %#x, error code %#x", f.VA, f.Code)
	case EPTViolation:
		return fmt.Sprintf("EPT violation at %#x (linear %#x), qualification %#x", f.GPA, f.VA, f.Qualification)
	case APICAccess:
		return fmt.Sprintf("APIC access at %#x, qualification %#x", f.VA, f.Qualification)
	case EPTMisconfig:
		return fmt.Sprintf("EPT misconfiguration at %#x", f.GPA)
	}
	return "no fault"
}

// direct says that linear addresses are physical addresses.
func (r *Regime) direct() bool { return r.Paging == PagingNone && r.EPTP == 0 }

// translate finds the physical address for an access within one page. It
// sets Fault if there is none.
func (m *MMU) translate(r *Regime, va uint64, acc Access, cls Class) (pa uint64, ok bool) {
	if r.direct() {
		return va, true
	}
	e := m.tlb.lookup(r, va)
	if m.TLBFate != nil && e == &m.tlb.entries[m.flipped] {
		m.TLBFate(true)
	}
	if e != nil && e.permits(r, acc, cls) {
		pa = e.frame | va%PageSize
	} else if pa, ok = m.walkAndKeep(r, va, acc, cls); !ok {
		return 0, false
	}
	if r.APICAccess != 0 && (pa^r.APICAccess)&^(PageSize-1) == 0 {
		m.Fault = Fault{Kind: APICAccess, VA: va, Qualification: pa%PageSize | uint64(acc)<<12}
		return 0, false
	}
	return pa, true
}

// walkAndKeep walks the page tables and keeps what it found in the TLB. A
// walk that fails takes what the TLB knew of the page with it: SDM Vol. 3,
// 4.10.4.1 for page faults and 28.4.3.1 for EPT violations.
func (m *MMU) walkAndKeep(r *Regime, va uint64, acc Access, cls Class) (pa uint64, ok bool) {
	m.Walks++
	w := walker{m: m, r: r, va: va, acc: acc, cls: cls}
	if !w.walk() {
		m.Invlpg(r, va)
		return 0, false
	}
	m.keep(r, va, &w)
	return w.frame | va%PageSize, true
}

// Read reads size bytes, 1, 2, 4 or 8, at a linear address.
func (m *MMU) Read(r *Regime, va uint64, size int, cls Class) (v uint64, ok bool) {
	va = r.wrap(va)
	if va%PageSize+uint64(size) > PageSize {
		return m.readAcross(r, va, size, AccessRead, cls)
	}
	pa, ok := m.translate(r, va, AccessRead, cls)
	if !ok {
		return 0, false
	}
	v = m.ReadPhysical(pa, size)
	m.fill(va, pa, AccessRead, cls)
	return v, true
}

// ReadModify reads what a read-modify-write instruction will write back with
// Write: the access is checked, and faults, as a write.
func (m *MMU) ReadModify(r *Regime, va uint64, size int, cls Class) (v uint64, ok bool) {
	va = r.wrap(va)
	if va%PageSize+uint64(size) > PageSize {
		return m.readAcross(r, va, size, AccessWrite, cls)
	}
	pa, ok := m.translate(r, va, AccessWrite, cls)
	if !ok {
		return 0, false
	}
	return m.ReadPhysical(pa, size), true
}

func (m *MMU) readAcross(r *Regime, va uint64, size int, acc Access, cls Class) (v uint64, ok bool) {
	lo, hi, ok := m.translateAcross(r, va, acc, cls)
	if !ok {
		return 0, false
	}
	n := int(PageSize - va%PageSize)
	for i := range size {
		pa := lo + uint64(i)
		if i >= n {
			pa = hi + uint64(i-n)
		}
		v |= m.ReadPhysical(pa, 1) << (8 * i)
	}
	return v, true
}

// translateAcross translates both pages of an access: lo is where it starts
// and hi the start of the second page.
func (m *MMU) translateAcross(r *Regime, va uint64, acc Access, cls Class) (lo, hi uint64, ok bool) {
	if lo, ok = m.translate(r, va, acc, cls); !ok {
		return
	}
	hi, ok = m.translate(r, r.wrap(va&^(PageSize-1)+PageSize), acc, cls)
	return
}

// Write writes size bytes, 1, 2, 4 or 8, at a linear address. If any of them
// cannot be written, none is.
func (m *MMU) Write(r *Regime, va uint64, size int, v uint64, cls Class) bool {
	va = r.wrap(va)
	if va%PageSize+uint64(size) > PageSize {
		lo, hi, ok := m.translateAcross(r, va, AccessWrite, cls)
		if !ok {
			return false
		}
		n := int(PageSize - va%PageSize)
		for i := range size {
			pa := lo + uint64(i)
			if i >= n {
				pa = hi + uint64(i-n)
			}
			m.WritePhysical(pa, 1, v>>(8*i))
		}
		return true
	}
	pa, ok := m.translate(r, va, AccessWrite, cls)
	if !ok {
		return false
	}
	m.WritePhysical(pa, size, v)
	m.fill(va, pa, AccessWrite, cls)
	return true
}

// Probe says whether an access to size bytes would complete. It sets
// accessed and dirty flags as the access would, and Fault if not.
func (m *MMU) Probe(r *Regime, va, size uint64, acc Access, cls Class) bool {
	va = r.wrap(va)
	for {
		if _, ok := m.translate(r, va, acc, cls); !ok {
			return false
		}
		n := PageSize - va%PageSize
		if size <= n {
			return true
		}
		size -= n
		va = r.wrap(va + n)
	}
}

// Fetch translates the address of an instruction.
func (m *MMU) Fetch(r *Regime, va uint64, cls Class) (pa uint64, ok bool) {
	va = r.wrap(va)
	if pa, ok = m.translate(r, va, AccessFetch, cls); ok {
		m.fill(va, pa, AccessFetch, cls)
	}
	return
}

// Translate finds the physical address that the page tables give for va,
// for debuggers: rights do not matter, the TLB is not asked, and nothing
// changes.
func (m *MMU) Translate(r *Regime, va uint64) (pa uint64, ok bool) {
	va = r.wrap(va)
	if r.direct() {
		return va, true
	}
	fault := m.Fault
	w := walker{m: m, r: r, va: va, quiet: true}
	ok = w.walk()
	m.Fault = fault
	return w.frame | va%PageSize, ok
}

// ReadPhysical reads size bytes, at most 8, as the processor does when it
// has a physical address: page tables, VMCS data, bitmaps.
func (m *MMU) ReadPhysical(pa uint64, size int) uint64 {
	if pa%PageSize+uint64(size) > PageSize {
		var v uint64
		for i := size - 1; i >= 0; i-- {
			v = v<<8 | m.ReadPhysical(pa+uint64(i), 1)
		}
		return v
	}
	if m.cache != nil {
		m.cache.read(pa, size)
	}
	mem := m.Mem
	f := mem.frame(pa)
	if f == noFrame {
		m.Device = true
		return mem.loadDevice(pa, size)
	}
	return mem.loadFrame(f, pa, size)
}

// WritePhysical writes size bytes, at most 8.
func (m *MMU) WritePhysical(pa uint64, size int, v uint64) {
	if pa%PageSize+uint64(size) > PageSize {
		for i := range size {
			m.WritePhysical(pa+uint64(i), 1, v>>(8*i))
		}
		return
	}
	if m.cache != nil {
		m.cache.write(pa, size)
	}
	mem := m.Mem
	f := mem.frame(pa)
	if f == noFrame {
		m.Device = true
		mem.storeDevice(pa, size, v)
		return
	}
	mem.storeFrame(f, pa, size, v)
}

// ReadGuestPhysical reads at a guest-physical address, for what the
// processor reads without a linear address, such as the PDPTEs that MOV to
// CR3 loads. Without EPT that is a physical address.
func (m *MMU) ReadGuestPhysical(r *Regime, gpa uint64, size int) (v uint64, ok bool) {
	if r.EPTP != 0 {
		w := walker{m: m, r: r, acc: AccessRead}
		if gpa, ok = w.nested(gpa, readBit, 0); !ok {
			return 0, false
		}
	}
	return m.ReadPhysical(gpa, size), true
}

// Walk walks what the MMU holds that can influence the future: the TLB and
// the caches. The fast arrays are none of it.
func (m *MMU) Walk(w *state.Walker) {
	w.Part("tlb", part(m.walkTLB))
	if m.cache != nil {
		w.Part("cache", m.cache)
	}
	if w.Loading() {
		m.FlushFast()
	}
}

// part makes a state.Part of a method.
type part func(w *state.Walker)

func (f part) Walk(w *state.Walker) { f(w) }
