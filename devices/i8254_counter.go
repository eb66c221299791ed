package devices

import "github.com/flipvisor/flipvisor/internal/state"

// pitCounter is one of an 8254's three counters. Its methods take k, the
// number of the clock's edge that has come; load must have been called for
// it. Names are the data sheet's: CR is the count register, CE the counting
// element.
type pitCounter struct {
	mode   uint8 // 0 to 5
	bcd    bool
	access uint8 // RW1, RW0: 1 low byte, 2 high byte, 3 both
	gate   bool

	cr       uint32 // 1 to 0x10000
	crSet    bool   // written since the control word
	null     bool   // CR has not yet reached CE
	reloadAt uint64 // edge at which CE takes CR, or Never

	n      uint32 // what CE was loaded with
	loaded bool   // since the control word
	start  uint64 // the edge at which it was, while counting
	paused bool
	held   uint64 // edges counted when it paused
	idle   uint16 // CE while not loaded

	low      uint8 // first byte of two written
	wroteLow bool
	readHigh bool // the next read gives the high byte
	latched  uint8
	latch    uint16
	status   uint8
	statusIn bool // status is latched
}

// program is a control word: everything begins anew, OUT in the mode's first
// state, CE as it stands until a count comes.
func (c *pitCounter) program(k uint64, v uint8) {
	c.idle = c.element(k)
	c.mode = v >> 1 & 7
	if c.mode > 5 {
		c.mode -= 4
	}
	c.bcd, c.access = v&1 != 0, v>>4&3
	c.crSet, c.null, c.loaded, c.paused = false, true, false, false
	c.reloadAt = Never
	c.wroteLow, c.readHigh, c.latched, c.statusIn = false, false, 0, false
}

// write takes a byte of a count.
func (c *pitCounter) write(k uint64, v uint8) {
	count := uint32(v)
	switch {
	case c.access == 2:
		count <<= 8
	case c.access == 3 && !c.wroteLow:
		c.low, c.wroteLow = v, true
		if c.mode == 0 { // the first byte stops the count and lowers OUT
			c.stop(k)
		}
		return
	case c.access == 3:
		count = count<<8 | uint32(c.low)
		c.wroteLow = false
	}
	c.setCount(k, count)
}

func (c *pitCounter) stop(k uint64) {
	c.idle = c.element(k)
	c.loaded, c.reloadAt = false, Never
}

// setCount is a new count, and when CE takes it: at the next edge, at the
// end of the period, or when the gate triggers.
func (c *pitCounter) setCount(k uint64, count uint32) {
	c.cr = count
	if c.bcd {
		c.cr = fromBCD(count)
	}
	if c.cr == 0 {
		c.cr = c.modulus()
	}
	c.crSet, c.null = true, true
	switch c.mode {
	case 0:
		c.stop(k)
		c.reloadAt = k + 1
	case 4:
		c.reloadAt = k + 1
	case 2, 3:
		switch {
		case !c.loaded:
			c.reloadAt = k + 1
		case !c.paused && c.reloadAt != k+1:
			c.reloadAt = c.periodEnd(k)
		}
	}
}

// periodEnd is where a new count takes over: mode 3's half-periods count.
func (c *pitCounter) periodEnd(k uint64) uint64 {
	if c.mode == 3 {
		if end := c.nextChange(k); end != Never {
			return end
		}
	}
	n := uint64(c.n)
	return k + n - c.elapsed(k)%n
}

// load moves CR into CE if that was due by edge k.
func (c *pitCounter) load(k uint64) {
	if c.reloadAt > k || c.reloadAt == Never {
		return
	}
	// Taking over in the low half of a square wave, the new count begins
	// with its own low half.
	offset := uint64(0)
	if c.mode == 3 && c.loaded && !c.paused && !c.outAt(c.reloadAt-c.start) {
		offset = uint64(c.cr+1) / 2
	}
	c.n, c.null, c.loaded = c.cr, false, true
	c.start, c.held = c.reloadAt-offset, 0
	c.paused = !c.gate && c.mode != 1 && c.mode != 5
	c.reloadAt = Never
}

// setGate is a change at the gate: a level that permits counting in modes 0
// and 4, a trigger in 1 and 5, both in 2 and 3.
func (c *pitCounter) setGate(k uint64, level bool) {
	if level == c.gate {
		return
	}
	c.gate = level
	triggers := c.mode != 0 && c.mode != 4
	switch {
	case level && triggers && c.crSet:
		c.reloadAt = k + 1
	case level && c.paused:
		c.start, c.paused = k-c.held, false
	case !level && c.mode != 1 && c.mode != 5 && c.loaded && !c.paused:
		c.held, c.paused = c.elapsed(k), true
		if triggers && c.reloadAt != Never {
			c.reloadAt = Never // the trigger will load it
		}
	}
}

// elapsed is the number of edges since the load.
func (c *pitCounter) elapsed(k uint64) uint64 {
	if c.paused {
		return c.held
	}
	return k - c.start
}

// out is OUT.
func (c *pitCounter) out(k uint64) bool {
	switch {
	case !c.loaded:
		return c.mode != 0
	case c.paused && (c.mode == 2 || c.mode == 3):
		return true
	}
	return c.outAt(c.elapsed(k))
}

// outAt is OUT e edges after the load.
func (c *pitCounter) outAt(e uint64) bool {
	n := uint64(c.n)
	switch c.mode {
	case 0, 1:
		return e >= n
	case 2:
		return e%n != n-1
	case 3:
		return e%n < (n+1)/2
	default:
		return e != n
	}
}

// nextChange is the edge after k at which OUT may change by counting.
func (c *pitCounter) nextChange(k uint64) uint64 {
	if !c.loaded || c.paused {
		return Never
	}
	e, n := c.elapsed(k), uint64(c.n)
	switch r, high := e%n, (n+1)/2; {
	case c.mode == 2 && n > 1 && r < n-1:
		return k + n - 1 - r
	case c.mode == 2 && n > 1:
		return k + 1
	case c.mode == 3 && n > 1 && r < high:
		return k + high - r
	case c.mode == 3 && n > 1:
		return k + n - r
	case c.mode != 2 && c.mode != 3 && e < n:
		return k + n - e
	case c.mode >= 4 && e == n:
		return k + 1
	}
	return Never
}

// element is CE as a program reads it.
func (c *pitCounter) element(k uint64) uint16 {
	if !c.loaded {
		return c.idle
	}
	e, n := c.elapsed(k), uint64(c.n)
	var v uint64
	switch c.mode {
	case 2:
		v = n - e%n
	case 3: // by twos; an odd count from one less, its high half longer
		r, high := e%n, (n+1)/2
		if r >= high {
			r -= high
		}
		v = n&^1 - 2*r
	default:
		m := uint64(c.modulus())
		v = (n + m - e%m) % m
	}
	if c.bcd {
		return toBCD(v)
	}
	return uint16(v)
}

func (c *pitCounter) modulus() uint32 {
	if c.bcd {
		return 10_000
	}
	return 1 << 16
}

// read gives a latched status, then a latched count, then CE itself.
func (c *pitCounter) read(k uint64) uint8 {
	if c.statusIn {
		c.statusIn = false
		return c.status
	}
	v := c.element(k)
	if c.latched != 0 {
		v = c.latch
		c.latched--
	}
	high := c.access == 2
	if c.access == 3 {
		high = c.readHigh
		c.readHigh = !c.readHigh
	}
	if high {
		return uint8(v >> 8)
	}
	return uint8(v)
}

// latchCount holds CE until it is read; until then further latches do
// nothing.
func (c *pitCounter) latchCount(k uint64) {
	if c.latched != 0 {
		return
	}
	c.latch, c.latched = c.element(k), 1
	if c.access == 3 && !c.readHigh {
		c.latched = 2
	}
}

func (c *pitCounter) latchStatus(k uint64) {
	if c.statusIn {
		return
	}
	c.status, c.statusIn = c.access<<4|c.mode<<1, true
	if c.bcd {
		c.status |= 1
	}
	if c.null {
		c.status |= 0x40
	}
	if c.out(k) {
		c.status |= 0x80
	}
}

func fromBCD(v uint32) uint32 {
	return v>>12&15*1000 + v>>8&15*100 + v>>4&15*10 + v&15
}

func toBCD(v uint64) uint16 {
	return uint16(v/1000%10<<12 | v/100%10<<8 | v/10%10<<4 | v%10)
}

// Walk names the state.
func (c *pitCounter) Walk(w *state.Walker) {
	w.U8("mode", &c.mode)
	w.Bool("bcd", &c.bcd)
	w.U8("access", &c.access)
	w.Bool("gate", &c.gate)
	w.U32("cr", &c.cr)
	w.Bool("cr_set", &c.crSet)
	w.Bool("null", &c.null)
	w.U64("reload_at", &c.reloadAt)
	w.U32("n", &c.n)
	w.Bool("loaded", &c.loaded)
	w.U64("start", &c.start)
	w.Bool("paused", &c.paused)
	w.U64("held", &c.held)
	w.U16("idle", &c.idle)
	w.U8("low", &c.low)
	w.Bool("wrote_low", &c.wroteLow)
	w.Bool("read_high", &c.readHigh)
	w.U8("latched", &c.latched)
	w.U16("latch", &c.latch)
	w.U8("status", &c.status)
	w.Bool("status_latched", &c.statusIn)
	if w.Loading() { // what a count must be for the arithmetic
		c.mode = min(c.mode, 5)
		c.n, c.cr = min(max(c.n, 1), 1<<16), min(max(c.cr, 1), 1<<16)
	}
}
