package mmu

import (
	"fmt"
	"slices"

	"github.com/flipvisor/flipvisor/internal/state"
)

// Walk walks the caches' state. Bytes of a line's own are part of it where
// they differ from what a load sees: two states are the same when every copy
// of every line has the same bytes.
func (c *Cache) Walk(w *state.Walker) {
	for l := range c.levels {
		w.Part(CacheLevel(l).String(), part(func(w *state.Walker) { c.walkLevel(w, CacheLevel(l)) }))
	}
	w.Part("memory", part(c.walkMemory))
	w.Part("flaws", part(c.walkFlaws))
}

// walkLevel walks a cache: the replacement bits, then line by line its
// address and, in the low bits, its state and whether it has bytes of its
// own; then those bytes.
func (c *Cache) walkLevel(w *state.Walker, l CacheLevel) {
	a := &c.levels[l]
	n := uint64(len(a.lines))
	w.U64("lines", &n)
	if n != uint64(len(a.lines)) {
		w.Fail(fmt.Errorf("saved %v has %d lines, this one %d", l, n, len(a.lines)))
		return
	}
	const ownBit = 4
	b := c.space(len(a.plru)*2 + len(a.lines)*8)
	tree, lines := b[:len(a.plru)*2], b[len(a.plru)*2:]
	owned := 0
	if !w.Loading() {
		for i, v := range a.plru {
			storeBytes(tree[i*2:], 2, uint64(v))
		}
		for i := range a.lines {
			k := &a.lines[i]
			v := k.addr | uint64(k.state)
			if k.own && c.differs(k.addr, &a.own[i]) {
				v |= ownBit
				owned++
			}
			storeBytes(lines[i*8:], 8, v)
		}
	}
	w.Bytes("replacement", tree)
	w.Bytes("lines", lines)
	if w.Loading() {
		for i := range a.plru {
			a.plru[i] = uint16(loadBytes(tree[i*2:], 2))
		}
		for i := range a.lines {
			v := loadBytes(lines[i*8:], 8)
			k := cacheLine{addr: v & lineMask, state: LineState(v & 3), own: v&ownBit != 0}
			if v&0x38 != 0 || k.state == Invalid && v != 0 || k.state != Invalid && a.first(k.addr) != i-i%a.Ways {
				w.Fail(fmt.Errorf("saved %v line %d has impossible address or state %#x", l, i, v))
				k = cacheLine{}
			}
			a.lines[i] = k
		}
	}
	for i := range a.lines {
		if k := &a.lines[i]; k.own && (w.Loading() || c.differs(k.addr, &a.own[i])) {
			w.Bytes("bytes", a.own[i][:])
		}
	}
}

// differs says whether bytes of a copy are not what a load sees.
func (c *Cache) differs(addr uint64, b *lineData) bool {
	v := c.view(addr)
	return v == nil || *v != *b
}

// walkMemory walks memory's own bytes.
func (c *Cache) walkMemory(w *state.Walker) {
	c.keys = c.keys[:0]
	if !w.Loading() {
		for addr, b := range c.memory {
			if v := c.view(addr); v == nil || *v != b {
				c.keys = append(c.keys, addr)
			}
		}
		slices.Sort(c.keys)
	}
	n := uint64(len(c.keys))
	w.U64("lines", &n)
	if !w.Loading() {
		var b lineData
		for i, addr := range c.keys {
			b = c.memory[addr]
			w.U64("address", &c.keys[i])
			w.Bytes("bytes", b[:])
		}
		return
	}
	clear(c.memory)
	for range n {
		var addr uint64
		var b lineData
		w.U64("address", &addr)
		w.Bytes("bytes", b[:])
		if !w.Loading() {
			return // too short
		}
		if addr&^lineMask != 0 || c.view(addr) == nil {
			w.Fail(fmt.Errorf("saved cache remembers memory at impossible address %#x", addr))
			return
		}
		c.memory[addr] = b
	}
}

// walkFlaws walks the flips in protected caches, whose discovery is still to
// come. In an unprotected cache a flaw only serves to tell its fate.
func (c *Cache) walkFlaws(w *state.Walker) {
	var n uint64
	for i := range c.flaws {
		if c.levels[c.flaws[i].level].Protection != Unprotected {
			n++
		}
	}
	w.U64("count", &n)
	if w.Loading() {
		c.flaws = c.flaws[:0]
		for range n {
			var f flaw
			c.walkFlaw(w, &f)
			if !w.Loading() {
				return
			}
			if f.level >= cacheLevels || f.i < 0 || f.i >= len(c.levels[f.level].lines) ||
				c.levels[f.level].lines[f.i].state == Invalid || f.state > 3 || c.flawAt(f.level, f.i) != nil ||
				f.tag&(1<<c.tagShift(f.level)-1) != 0 {
				w.Fail(fmt.Errorf("saved flaw in impossible line %d of cache %d", f.i, f.level))
				return
			}
			c.flaws = append(c.flaws, f)
		}
		return
	}
	for i := range c.flaws {
		if f := &c.flaws[i]; c.levels[f.level].Protection != Unprotected {
			c.walkFlaw(w, f)
		}
	}
}

func (c *Cache) walkFlaw(w *state.Walker, f *flaw) {
	i := uint64(f.i)
	w.U8("level", (*uint8)(&f.level))
	w.U64("line", &i)
	w.U64("tag", &f.tag)
	w.U8("state", (*uint8)(&f.state))
	w.Bytes("data", f.data[:])
	f.i = int(i)
}

// space is n bytes of room.
func (c *Cache) space(n int) []byte {
	c.scratch = slices.Grow(c.scratch[:0], n)[:n]
	return c.scratch
}
