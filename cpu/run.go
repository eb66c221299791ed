package cpu

// maxSlice bounds a slice, so that the packed event counts cannot overflow
// and the goroutine comes up for air.
const maxSlice = 1 << 18

// Run executes until the count is until, or until something needs the board.
// It stops before the instruction with that count, in any state of the
// machine, and running on later gives what an unstopped run gives.
func (c *CPU) Run(until uint64) Stop {
	c.stop = StopNone
	for c.Count < until {
		if c.attention() {
			if !c.boundary() {
				return c.stop
			}
			if c.vmx.mtfPending { // an event was delivered: this is a boundary again
				continue
			}
		}
		if c.slow {
			c.step()
		} else {
			c.slice(c.sliceEnd(until))
		}
		if c.stop != StopNone {
			return c.stop
		}
	}
	return StopCount
}

// sliceEnd is how far to run before boundary conditions are looked at again.
func (c *CPU) sliceEnd(until uint64) uint64 {
	if c.shadow != ShadowNone {
		return c.Count + 1
	}
	n := min(until-c.Count, maxSlice)
	if left := c.vmxHorizon(); left < n {
		n = max(left, 1)
	}
	if c.pmu.armed {
		n = max(min(n, c.pmu.untilOverflow()), 1)
	}
	return c.Count + n
}

// slice runs whole blocks while they fit, then the first instructions of the
// one that does not.
func (c *CPU) slice(end uint64) {
	c.deadline = end
	c.budget = int64(end - c.Count)
	c.reserve = 0
	c.short = nil
	c.running = true
	shadow := c.shadow

	in := c.resume()
	for in != nil {
		in = in.fn(c, in)
	}
	if b := c.short; b != nil && c.budget > 0 && c.reserve == 0 {
		c.partial(b, c.budget)
	}
	c.endOfSlice(shadow)
}

// endOfSlice makes the state complete again. An interrupt shadow lasts for
// one slice, which was cut to one instruction.
func (c *CPU) endOfSlice(shadow Shadow) {
	c.budget += c.reserve
	c.current = nil
	c.running = false
	c.Count = c.deadline - uint64(c.budget)
	c.foldEvents()
	if shadow != ShadowNone && c.shadow == shadow && !c.keepShadow {
		c.shadow = ShadowNone
	}
	c.keepShadow = false
}

// partial runs the first n instructions of a block that has more.
func (c *CPU) partial(b *block, n int64) {
	in := c.pay(b)
	last := &b.insts[n]
	for range n {
		if in.fused {
			in = b.plain(c, in)
		} else {
			in = in.fn(c, in)
		}
		if in == nil {
			return
		}
	}
	if in == last {
		c.unwind(in)
	}
}

// pay charges for all of b and begins it.
func (c *CPU) pay(b *block) *Inst {
	c.budget -= b.n
	c.events += b.events
	c.blk = b
	return &b.insts[0]
}

// enter goes to a block if the budget reaches to its end. A block that was
// invalidated has a length that no budget reaches.
func (c *CPU) enter(b *block) *Inst {
	if c.budget < b.n {
		c.RIP = c.R[regRIP] + b.offset
		if c.mode != 8 {
			c.RIP &= 0xffffffff
		}
		if !b.dead() {
			c.short = b
		} else if c.blk.taken == b {
			c.blk.taken = nil
		} else if c.blk.fall == b {
			c.blk.fall = nil
		}
		return nil
	}
	c.budget -= b.n
	c.events += b.events
	c.blk = b
	return &b.insts[0]
}

// address is the RIP of an instruction of the current block.
func (c *CPU) address(in *Inst) uint64 {
	a := c.R[regRIP] + uint64(in.offset)
	if !c.long {
		a &= 0xffffffff
	}
	return a
}

// nextRIP is the RIP of the instruction after in.
func (c *CPU) nextRIP(in *Inst) uint64 {
	a := c.R[regRIP] + uint64(in.offset) + uint64(in.len)
	switch c.mode {
	case 4:
		a &= 0xffffffff
	case 2:
		a &= 0xffffffff // wrapping past 64 KiB is a limit violation
	}
	return a
}

// unwind leaves the block before in: RIP is in's, and what was paid for it
// and its successors is paid back.
func (c *CPU) unwind(in *Inst) {
	b := c.blk
	i := int64(in.index)
	c.budget += b.size - i
	c.events -= b.eventsFrom(i)
	c.RIP = c.address(in)
	c.clearTrap()
}

// now is the count at the beginning of in.
func (c *CPU) now(in *Inst) uint64 {
	return c.deadline - uint64(c.budget+c.reserve) - uint64(c.blk.size-int64(in.index))
}

// Now is the count as a device sees it during an access, or the count
// between runs.
func (c *CPU) Now() uint64 {
	switch {
	case c.running && c.current != nil:
		return c.now(c.current)
	case c.running:
		return c.deadline - uint64(c.budget+c.reserve)
	}
	return c.Count
}

// leave ends the block after in, its last or only instruction to be
// completed, and goes on at the boundary.
func (c *CPU) leave(in *Inst) *Inst {
	c.RIP = c.nextRIP(in)
	return c.leaveAt(in)
}

// leaveAt ends the block after in with RIP already set.
func (c *CPU) leaveAt(in *Inst) *Inst {
	b := c.blk
	i := int64(in.index) + 1
	c.budget += b.size - i
	c.events -= b.eventsFrom(i)
	c.clearTrap()
	return nil
}

// breakAfter makes the run stop at the boundary after the instruction in
// progress, because it touched a device. The next instruction of the block
// is replaced for one time.
func (c *CPU) breakAfter(in *Inst) {
	c.stop = StopDevice
	if in == nil {
		return
	}
	if next := in.next; next != nil && c.trap == nil {
		c.trap, c.trapFn = next, next.fn
		next.fn = trapped
		return
	}
	c.reserve += c.budget
	c.budget = 0
}

// trapped stands in for the instruction after a device access.
func trapped(c *CPU, in *Inst) *Inst {
	c.unwind(in)
	return nil
}

func (c *CPU) clearTrap() {
	if c.trap != nil {
		c.trap.fn = c.trapFn
		c.trap = nil
	}
}
