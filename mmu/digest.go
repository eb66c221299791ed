package mmu

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

// Sum is a 128-bit number, added modulo 2^128.
type Sum struct{ Lo, Hi uint64 }

func (s Sum) plus(t Sum) Sum {
	lo, carry := bits.Add64(s.Lo, t.Lo, 0)
	hi, _ := bits.Add64(s.Hi, t.Hi, carry)
	return Sum{lo, hi}
}

func (s Sum) minus(t Sum) Sum {
	lo, borrow := bits.Sub64(s.Lo, t.Lo, 0)
	hi, _ := bits.Sub64(s.Hi, t.Hi, borrow)
	return Sum{lo, hi}
}

// Digest is the sum over the pages of RAM of a 128-bit hash of the page,
// seeded with its page number. Zero pages add nothing. Only pages that have
// changed since the last Digest, Snapshot or Restore are hashed.
func (m *Memory) Digest() (lo, hi uint64) {
	for _, f := range m.stale {
		m.pageSum(int(f))
	}
	m.stale = m.stale[:0]
	m.dropFastWrites()
	return m.total.Lo, m.total.Hi
}

// pageSum brings a frame's share up to date.
func (m *Memory) pageSum(f int) Sum {
	if m.flags[f]&pageStale != 0 {
		var s Sum
		if p := &m.ram[f]; *p != zeroPage {
			h := xxh3.Hash128Seed(p[:], m.address(f)/PageSize)
			s = Sum{h.Lo, h.Hi}
		}
		m.setSum(f, s)
	}
	return m.sums[f]
}

// setSum replaces a frame's share.
func (m *Memory) setSum(f int, s Sum) {
	m.flags[f] &^= pageStale
	m.total = m.total.minus(m.sums[f]).plus(s)
	m.sums[f] = s
}
