package mmu

// Pages is the content of RAM at one moment. It never changes, so that any
// number of Memories may restore it at the same time, and it shares with the
// snapshot it was made after every page that is the same in both.
type Pages struct {
	frames uint64
	blocks []*block // nil: all pages are zero
}

const blockPages = 64

// block is the unit in which page tables are shared.
type block struct {
	page [blockPages]*Page // nil: zero
	sum  [blockPages]Sum
}

var (
	zeroPage  Page
	zeroBlock block
)

func emptyPages(frames uint64) *Pages {
	return &Pages{frames: frames, blocks: make([]*block, (frames+blockPages-1)/blockPages)}
}

// Page is the i-th page of RAM in the snapshot; see Memory.FrameAddress.
func (p *Pages) Page(i int) *Page {
	if q := p.block(i / blockPages).page[i%blockPages]; q != nil {
		return q
	}
	return &zeroPage
}

// Frames is the number of pages of RAM.
func (p *Pages) Frames() int { return int(p.frames) }

func (p *Pages) block(i int) *block {
	if b := p.blocks[i]; b != nil {
		return b
	}
	return &zeroBlock
}

// Snapshot keeps the content of RAM. Pages that are byte-equal to the last
// snapshot taken or restored are shared with it.
func (m *Memory) Snapshot() *Pages {
	p := &Pages{frames: m.base.frames, blocks: append([]*block(nil), m.base.blocks...)}
	for _, f := range m.dirty {
		i, j := f/blockPages, f%blockPages
		m.flags[f] &^= pageDirty
		now := &m.ram[f]
		if *now == *m.base.Page(int(f)) {
			m.setSum(int(f), m.base.block(int(i)).sum[j])
			continue
		}
		if p.blocks[i] == m.base.blocks[i] {
			b := *m.base.block(int(i))
			p.blocks[i] = &b
		}
		b := p.blocks[i]
		if *now == zeroPage {
			b.page[j], b.sum[j] = nil, Sum{}
			m.setSum(int(f), Sum{})
			continue
		}
		q := new(Page)
		*q = *now
		b.page[j], b.sum[j] = q, m.pageSum(int(f))
	}
	m.dirty, m.stale = m.dirty[:0], m.stale[:0]
	m.base = p
	m.dropFastWrites()
	return p
}

// Restore makes RAM equal to a snapshot of a memory of the same size. It
// costs what has changed since the last one taken or restored, and what lies
// between that one and p.
func (m *Memory) Restore(p *Pages) {
	if p.frames != m.base.frames {
		panic("mmu: restoring a snapshot of a memory of another size")
	}
	m.between(m.base, p, func(f int) bool { m.replace(f, p); return true })
	for _, f := range m.dirty {
		if m.flags[f]&pageDirty != 0 {
			m.replace(int(f), p)
		}
	}
	m.dirty, m.stale = m.dirty[:0], m.stale[:0]
	m.base = p
	m.dropFastWrites()
}

// replace restores one page.
func (m *Memory) replace(f int, p *Pages) {
	m.flags[f] &^= pageDirty
	now, next := &m.ram[f], p.Page(f)
	code := m.code[f] != 0 && m.CodeWritten != nil && m.codeDiffers(f, now, next)
	*now = *next
	m.setSum(f, p.block(f / blockPages).sum[f%blockPages])
	if code {
		m.CodeWritten(m.address(f), PageSize)
	}
}

// between calls f for every page that two snapshots do not share, until it
// returns false.
func (m *Memory) between(a, b *Pages, f func(frame int) bool) bool {
	for i := range a.blocks {
		if a.blocks[i] == b.blocks[i] {
			continue
		}
		x, y := a.block(i), b.block(i)
		for j := range x.page {
			if x.page[j] != y.page[j] && !f(i*blockPages+j) {
				return false
			}
		}
	}
	return true
}

// Equal says whether RAM is byte for byte what it was in p.
func (m *Memory) Equal(p *Pages) bool {
	if p.frames != m.base.frames {
		return false
	}
	for _, f := range m.dirty {
		if m.ram[f] != *p.Page(int(f)) {
			return false
		}
	}
	return m.between(m.base, p, func(f int) bool {
		return m.flags[f]&pageDirty != 0 || m.ram[f] == *p.Page(f)
	})
}

// Diff calls f for every page of RAM that differs from what it was in p, in
// no order that means anything, but always in the same.
func (m *Memory) Diff(p *Pages, f func(pa uint64, now, then *Page)) {
	if p.frames != m.base.frames {
		panic("mmu: comparing with a snapshot of a memory of another size")
	}
	report := func(frame int) bool {
		if now, then := &m.ram[frame], p.Page(frame); *now != *then {
			f(m.address(frame), now, then)
		}
		return true
	}
	for _, frame := range m.dirty {
		report(int(frame))
	}
	m.between(m.base, p, func(frame int) bool {
		return m.flags[frame]&pageDirty != 0 || report(frame)
	})
}

func (m *Memory) dropFastWrites() {
	for _, u := range m.units {
		u.flushFastWrites()
	}
}
