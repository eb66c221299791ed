package mmu

import "math/bits"

// Protection is how a cache guards data, tags and states.
type Protection uint8

const (
	Unprotected Protection = iota
	// Parity has a bit per byte of data and per tag. A clean line with an
	// error is dropped and read again; a modified one is lost.
	Parity
	// SECDED corrects one wrong bit in 64 and detects two.
	SECDED
)

func (p Protection) String() string { return [...]string{"none", "parity", "secded"}[p] }

// MCE is an error that a protected cache reports: what goes into the
// registers of a machine-check bank (SDM Vol. 3, 15.3.2).
type MCE struct {
	Bank    int
	Status  uint64 // IA32_MCi_STATUS
	Address uint64 // IA32_MCi_ADDR
}

// Uncorrected says whether a machine-check exception is due.
func (e MCE) Uncorrected() bool { return e.Status&statusUC != 0 }

// Bits of IA32_MCi_STATUS (SDM Vol. 3, 15.3.2.2).
const (
	statusVAL   = 1 << 63
	statusUC    = 1 << 61
	statusEN    = 1 << 60
	statusADDRV = 1 << 58
	statusPCC   = 1 << 57
	statusOnce  = 1 << 38 // corrected error count: 1
)

// request is the RRRR field of a compound error code (SDM Vol. 3, table
// 15-11).
type request uint16

const (
	requestRD    request = 1
	requestDRD   request = 3
	requestDWR   request = 4
	requestIRD   request = 5
	requestEvict request = 7
	requestSnoop request = 8
)

// fill is the request to the level below that a miss of this one becomes:
// the line is read, even for a store.
func (q request) fill() request {
	if q == requestDWR {
		return requestRD
	}
	return q
}

// cacheCode is the compound error code of a cache hierarchy error,
// 000F 0001 RRRR TTLL (SDM Vol. 3, 15.9.2).
func cacheCode(l CacheLevel, q request) uint64 {
	const instruction, data, generic = 0, 1, 2
	tt, ll := generic, 2
	switch l {
	case L1I:
		tt, ll = instruction, 1
	case L1D:
		tt, ll = data, 1
	}
	return 1<<8 | uint64(q)<<4 | uint64(tt)<<2 | uint64(ll)
}

// report raises what a check found in a line.
func (c *Cache) report(f *flaw, off int, q request, corrected bool) {
	if corrected {
		c.tell(f, FateCorrected)
	} else {
		c.tell(f, FateDetected)
	}
	if c.MachineCheck == nil {
		return
	}
	status := statusVAL | statusEN | statusADDRV | cacheCode(f.level, q)
	if corrected {
		status |= statusOnce
	} else {
		status |= statusUC | statusPCC
	}
	a := &c.levels[f.level]
	c.MachineCheck(MCE{Bank: a.Bank, Status: status, Address: a.lines[f.i].addr + uint64(off)})
}

// inspectParity checks the bytes of an access. A write replaces bytes and
// their parity without looking.
func (c *Cache) inspectParity(f *flaw, off, n int, q request) (gone bool) {
	bad := -1
	for k := off; k < off+n; k++ {
		if f.data[k] != 0 && q == requestDWR {
			f.data[k] = 0
			c.tell(f, FateOverwritten)
		}
		if bits.OnesCount8(f.data[k])%2 == 1 && bad < 0 {
			bad = k
		}
	}
	if bad < 0 {
		c.prune()
		return false
	}
	l, i := f.level, f.i
	clean := c.levels[l].lines[i].state != Modified
	c.report(f, bad, q, clean)
	if !clean {
		return false
	}
	if l == L2 {
		addr := c.levels[l].lines[i].addr
		c.evictCopies(L1I, addr)
		c.evictCopies(L1D, addr)
		if c.levels[l].lines[i].state == Modified {
			return false // a write-back has just replaced the bytes
		}
	}
	c.remove(l, i, FateCorrected)
	return true
}

// inspectSECDED checks the 64-bit words of an access. A write of part of a
// word reads the word first; the check bits it writes then fit what was
// read, right or wrong.
func (c *Cache) inspectSECDED(f *flaw, off, n int, q request) {
	for w := off &^ 7; w < off+n; w += 8 {
		wrong := loadBytes(f.data[w:], 8)
		if wrong == 0 {
			continue
		}
		if q == requestDWR && w >= off && w+8 <= off+n {
			storeBytes(f.data[w:], 8, 0)
			c.tell(f, FateOverwritten)
			continue
		}
		switch fix, verdict := secded(wrong); verdict {
		case wordFine:
			continue // too many flips: they look like none
		case wordCorrected:
			c.report(f, w, q, true)
			var mask lineData
			storeBytes(mask[w:], 8, fix)
			c.invert(f.level, f.i, mask)
		case wordBad:
			c.report(f, w, q, false)
			if q != requestDWR {
				continue // it will be found again
			}
		}
		storeBytes(f.data[w:], 8, 0)
	}
	c.prune()
}

// verdict is what a check of a word says.
type verdict uint8

const (
	wordFine verdict = iota
	wordCorrected
	wordBad
)

// secded decodes a word in which the given data bits are wrong, as an
// extended Hamming (72,64) code does: data bits sit at the positions from 3
// to 71 that are no powers of two, a check bit at each power of two, and one
// bit makes the whole even. fix is the data bits that the decoder inverts;
// of three and more wrong bits it may pick a right one.
func secded(wrong uint64) (fix uint64, v verdict) {
	syndrome := 0
	for b := wrong; b != 0; b &= b - 1 {
		syndrome ^= hammingPosition[bits.TrailingZeros64(b)]
	}
	switch even := bits.OnesCount64(wrong)%2 == 0; {
	case even && syndrome == 0:
		return 0, wordFine
	case even:
		return 0, wordBad
	case syndrome&(syndrome-1) == 0:
		return 0, wordCorrected // a check bit, it seems
	}
	for i, p := range hammingPosition {
		if p == syndrome {
			return 1 << i, wordCorrected
		}
	}
	return 0, wordBad
}

// hammingPosition is the position of each data bit.
var hammingPosition = func() (p [64]int) {
	pos := 3
	for i := range p {
		for pos&(pos-1) == 0 {
			pos++
		}
		p[i] = pos
		pos++
	}
	return p
}()

// checkTags checks the tags and states of a protected set before it is
// looked at. The flips that protection cannot undo take effect now.
func (c *Cache) checkTags(l CacheLevel, first int, q request) {
	a := &c.levels[l]
	if a.Protection == Unprotected {
		return
	}
	for j := 0; j < len(c.flaws); j++ {
		f := &c.flaws[j]
		if f.level != l || f.i < first || f.i >= first+a.Ways || f.tag == 0 && f.state == 0 {
			continue
		}
		k := &a.lines[f.i]
		i, tag, state := f.i, f.tag, f.state
		n := bits.OnesCount64(tag) + bits.OnesCount8(uint8(state))
		clean := k.state != Modified && k.state^state != Modified
		takes := true
		switch {
		case n == 1 && a.Protection == SECDED:
			c.report(f, 0, q, true)
			takes = false
		case n%2 == 1 && a.Protection == Parity && clean:
			c.report(f, 0, q, true)
			f.tag, f.state = 0, 0
			addr := k.addr
			c.remove(l, i, FateCorrected)
			if l == L2 { // inclusion; what is modified above goes to memory
				c.evictCopies(L1I, addr)
				c.evictCopies(L1D, addr)
			}
			takes = false
		case n%2 == 1 || a.Protection == SECDED:
			c.report(f, 0, q, false)
		}
		if f := c.flawAt(l, i); f != nil {
			f.tag, f.state = 0, 0
		}
		if takes {
			if tag != 0 {
				c.retag(l, i, k.addr^tag)
			}
			if state != 0 {
				c.restate(l, i, k.state^state)
			}
		}
		c.prune()
		j = -1 // the list has changed
	}
}
