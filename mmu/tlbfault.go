package mmu

import "fmt"

// TLBField names a field of a TLB entry, for injected faults.
type TLBField uint8

const (
	TLBValid TLBField = iota
	TLBVirtualPage
	TLBPhysicalPage
	TLBPermissions
	TLBDirty
	TLBGlobal
	TLBPCID
	TLBVPID
	TLBEPT
	tlbFields
)

// tlbFieldInfo has each field's name and width. The virtual page's low bits
// choose the set and are not stored. Permissions are, from bit 0: write,
// user and execute by paging; read, write and execute by EPT.
var tlbFieldInfo = [tlbFields]struct {
	name string
	bits int
}{
	TLBValid:        {"valid", 1},
	TLBVirtualPage:  {"virtual_page", linearBits - tlbTagShift},
	TLBPhysicalPage: {"physical_page", 40},
	TLBPermissions:  {"permissions", 6},
	TLBDirty:        {"dirty", 1},
	TLBGlobal:       {"global", 1},
	TLBPCID:         {"pcid", 12},
	TLBVPID:         {"vpid", 16},
	TLBEPT:          {"ept", 41},
}

// tlbTagShift is where the stored part of the virtual page begins.
const tlbTagShift = 12 + 9

func (f TLBField) String() string { return tlbFieldInfo[f].name }

// ParseTLBField is the field that String prints as s.
func ParseTLBField(s string) (TLBField, error) {
	for f, info := range tlbFieldInfo {
		if info.name == s {
			return TLBField(f), nil
		}
	}
	return 0, fmt.Errorf("unknown TLB field %q", s)
}

// TLBFields lists the fields.
func TLBFields() []TLBField {
	l := make([]TLBField, tlbFields)
	for i := range l {
		l[i] = TLBField(i)
	}
	return l
}

// Bits is the width of the field. Physical pages have as many as
// physical addresses can; a processor stores those below MAXPHYADDR.
func (f TLBField) Bits() int { return tlbFieldInfo[f].bits }

// TLBEntry is what an entry of the TLB holds.
type TLBEntry struct {
	Valid         bool
	Linear        uint64 // address of the 4-KiB page
	Physical      uint64
	PageSize      uint64 // of the page it is a piece of
	Write         bool   // what paging permits
	User          bool
	Execute       bool
	EPTPermits    uint8 // bits 0, 1, 2: read, write, execute
	Dirty, Global bool
	PCID, VPID    uint16
	EPT           bool
	EP4TA         uint64
}

// TLBEntries is the number of entries, valid or not.
func (m *MMU) TLBEntries() int { return tlbSize }

// TLBEntry shows an entry.
func (m *MMU) TLBEntry(i int) TLBEntry {
	e := &m.tlb.entries[i]
	if !e.valid {
		return TLBEntry{}
	}
	return TLBEntry{
		Valid:      true,
		Linear:     canonical(e.page),
		Physical:   e.frame,
		PageSize:   1 << e.shift,
		Write:      e.rights&rightW != 0,
		User:       e.rights&rightU != 0,
		Execute:    e.rights&rightX != 0,
		EPTPermits: uint8(e.rights / rightEPTR & accessBits),
		Dirty:      e.rights&dirtied != 0,
		Global:     e.rights&global != 0,
		PCID:       e.pcid,
		VPID:       e.vpid,
		EPT:        e.ept&1 != 0,
		EP4TA:      e.ept &^ 1,
	}
}

// FlipTLB inverts a bit of a field of an entry. It says whether there was
// anything to flip: an invalid entry holds nothing, and making it valid
// yields an entry that translates the set's page in the lowest part of the
// address space to physical page 0, with no rights.
func (m *MMU) FlipTLB(i int, field TLBField, bit int) bool {
	if i < 0 || i >= tlbSize || field >= tlbFields || bit < 0 || bit >= field.Bits() {
		return false
	}
	m.flipped = i
	e := m.tlb.entries[i]
	if !e.valid {
		if field != TLBValid {
			return false
		}
		m.tlb.set(i, tlbEntry{valid: true, shift: 12, page: uint64(i/tlbWays) * PageSize})
		m.FlushFast()
		return true
	}
	mask := uint64(1) << bit
	switch field {
	case TLBValid:
		e = tlbEntry{}
	case TLBVirtualPage:
		e.page ^= mask << tlbTagShift
	case TLBPhysicalPage:
		e.frame ^= mask * PageSize
	case TLBPermissions:
		e.rights ^= rights(mask)
	case TLBDirty:
		e.rights ^= dirtied
	case TLBGlobal:
		e.rights ^= global
	case TLBPCID:
		e.pcid ^= uint16(mask)
	case TLBVPID:
		e.vpid ^= uint16(mask)
	case TLBEPT:
		if bit > 0 {
			mask <<= 11
		}
		e.ept ^= mask
	}
	m.tlb.set(i, e)
	m.FlushFast()
	return true
}
