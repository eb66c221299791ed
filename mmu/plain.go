package mmu

// PlainRead is the page of RAM that holds pa if reading its bytes is all
// that ReadPhysical would do, else nil. It is good until the processor
// executes another instruction.
func (m *MMU) PlainRead(pa uint64) *Page {
	f := m.Mem.frame(pa)
	if m.cache != nil || f == noFrame || m.Mem.flags[f]&pageWatched != 0 {
		return nil
	}
	return &m.Mem.ram[f]
}

// PlainWrite is PlainRead for bytes that will be written: as far as
// snapshots and digests go, the whole page counts as written.
func (m *MMU) PlainWrite(pa uint64) *Page {
	p := m.PlainRead(pa)
	if p == nil {
		return nil
	}
	f := m.Mem.frame(pa)
	if m.Mem.code[f] != 0 {
		return nil
	}
	m.Mem.touch(f)
	return p
}
