package mmu

// This file keeps the promise of Cache: RAM holds the bytes of each line's
// topmost copy, and every copy with other bytes has its own.
//
// A copy without bytes of its own follows the view: RAM at its address. The
// topmost copy always follows it. Before the view changes, the copies that
// are not meant to change with it are detached: they get their own bytes.

// copyRef names one copy of a line: in a cache, or memory's own.
type copyRef struct {
	level CacheLevel
	i     int
}

var memoryRef = copyRef{level: cacheLevels}

// view is what a load sees of a line, nil if it is not RAM. Then all copies
// have their own bytes: a flipped tag can name such an address.
func (c *Cache) view(addr uint64) *lineData {
	p := c.mem.Page(addr)
	if p == nil {
		return nil
	}
	return (*lineData)(p[addr%PageSize:])
}

// top is the topmost copy of a line.
func (c *Cache) top(addr uint64) copyRef {
	for _, l := range [...]CacheLevel{L1D, L2} {
		if i := c.levels[l].find(addr); i >= 0 {
			return copyRef{l, i}
		}
	}
	return memoryRef
}

// bytes is what a copy holds.
func (c *Cache) bytes(addr uint64, r copyRef) lineData {
	if r == memoryRef {
		if m, ok := c.memory[addr]; ok {
			return m
		}
	} else if a := &c.levels[r.level]; a.lines[r.i].own {
		return a.own[r.i]
	}
	if v := c.view(addr); v != nil {
		return *v
	}
	return lineData{}
}

// detach gives every copy of a line but one its own bytes.
func (c *Cache) detach(addr uint64, but copyRef) {
	v := c.view(addr)
	if v == nil {
		return
	}
	for l := range c.levels {
		a := &c.levels[l]
		first := a.first(addr)
		for i := first; i < first+a.Ways; i++ {
			k := &a.lines[i]
			if k.addr == addr && k.state != Invalid && !k.own && but != (copyRef{CacheLevel(l), i}) {
				k.own, a.own[i] = true, *v
			}
		}
	}
	if but != memoryRef {
		if _, ok := c.memory[addr]; !ok {
			c.memory[addr] = *v
		}
	}
}

// attach makes a copy follow the view.
func (c *Cache) attach(addr uint64, r copyRef) {
	if r == memoryRef {
		delete(c.memory, addr)
	} else {
		c.levels[r.level].lines[r.i].own = false
	}
}

// assign gives a copy new bytes.
func (c *Cache) assign(addr uint64, r copyRef, b lineData) {
	v := c.view(addr)
	switch {
	case v != nil && r == c.top(addr):
		c.detach(addr, r)
		c.attach(addr, r)
		if *v != b {
			c.mem.put(addr, b[:])
		}
	case r != memoryRef:
		a := &c.levels[r.level]
		a.lines[r.i].own, a.own[r.i] = true, b
	case v != nil:
		c.memory[addr] = b
	}
}

// remove empties a line without a thought for its data. If it was the
// topmost copy, the view becomes that of the next.
func (c *Cache) remove(l CacheLevel, i int, fate FateKind) {
	k := &c.levels[l].lines[i]
	addr := k.addr
	if len(c.flaws) != 0 {
		c.end(l, i, fate)
	}
	wasTop := l != L1I && c.top(addr) == copyRef{l, i}
	*k = cacheLine{}
	if !wasTop || c.view(addr) == nil {
		return
	}
	next := c.top(addr)
	if next == memoryRef {
		if m, ok := c.memory[addr]; ok {
			c.assign(addr, next, m)
		}
	} else if c.levels[next.level].lines[next.i].own {
		c.assign(addr, next, c.bytes(addr, next))
	}
}

// enter puts a line with bytes and a state into a place that is empty.
func (c *Cache) enter(l CacheLevel, i int, addr uint64, s LineState, b lineData) {
	c.levels[l].lines[i] = cacheLine{addr: addr, state: s, own: true}
	c.levels[l].own[i] = b
	c.assign(addr, copyRef{l, i}, b)
}

// flipMemory inverts a bit of memory itself.
func (c *Cache) flipMemory(pa uint64, bit uint8) {
	addr := pa & lineMask
	b := c.bytes(addr, memoryRef)
	b[pa%LineSize] ^= 1 << bit
	c.assign(addr, memoryRef, b)
}
