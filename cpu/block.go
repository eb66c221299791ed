package cpu

import (
	"math"

	"github.com/flipvisor/flipvisor/cpu/decode"
)

type handler func(c *CPU, in *Inst) *Inst

// Inst is a decoded instruction bound to its handler.
type Inst struct {
	fn   handler
	next *Inst // the following instruction of the block, nil for the last
	imm  uint64
	disp int64

	offset uint16 // of the instruction in its page
	index  uint8  // in its block
	len    uint8

	dst, src    uint8 // registers; byte registers 16..19 are AH, CH, DH, BH
	base, idx   uint8
	scale       uint8 // shift count
	seg         uint8
	slowAddress bool // the address needs a segment or a mask: see CPU.ea
	fused       bool // fn also does the next instruction's work
	unaligned   bool // a vector operand may lie anywhere
	fromMem     bool // a vector source is memory
	memWrite    bool // the memory operand is written
	addrSize    uint8
	size        uint8 // bytes of the memory operand, for limit checks
	events      uint8
}

// Events of an instruction: what it adds to the performance counters.
const (
	eventBranch = 1 << iota
	eventLoad
	eventStore
)

// Packed event counts: three fields of a uint64.
const (
	packBits   = 21
	packBranch = 1
	packLoad   = 1 << packBits
	packStore  = 1 << (2 * packBits)
	packMask   = 1<<packBits - 1
)

func packEvents(e uint8) (p uint64) {
	if e&eventBranch != 0 {
		p += packBranch
	}
	if e&eventLoad != 0 {
		p += packLoad
	}
	if e&eventStore != 0 {
		p += packStore
	}
	return p
}

// maxBlock is the most instructions of a block.
const maxBlock = 32

// block is straight-line code of one page. Its Inst slice ends with a pseudo
// instruction of no length when its last instruction can fall through.
type block struct {
	n       int64 // what entering costs: size, or deadBlock
	size    int64 // instructions
	offset  uint64
	events  uint64
	insts   []Inst
	dec     []decode.Inst
	plain   handler  // of the fused instruction, alone
	touched *Touched // by any instruction; made when asked for

	// Successors in the same page: for these the translation is known to
	// hold, for code stays in its page's fetch.
	taken, fall *block

	physical uint64
	second   uint64 // physical page of the bytes after a page crossing, or 0
	mode     decode.Mode
}

// deadBlock is longer than any budget.
const deadBlock = math.MaxInt64 / 4

func (b *block) dead() bool { return b.n == deadBlock }

// eventsFrom packs the events of instruction i and its successors.
func (b *block) eventsFrom(i int64) (p uint64) {
	for j := i; j < b.size; j++ {
		p += packEvents(b.insts[j].events)
	}
	return p
}

// codeCache holds all decoded blocks.
type codeCache struct {
	pages map[uint64]*codePage
	hot   []*block // direct-mapped by physical address
	count int
}

type codePage struct {
	blocks map[uint32]*block // by offset<<4 | mode
}

const (
	hotBlocks = 1 << 14
	maxBlocks = 1 << 17 // then all are dropped
)

func (k *codeCache) init() {
	k.pages = make(map[uint64]*codePage)
	k.hot = make([]*block, hotBlocks)
	k.count = 0
}

func hotIndex(pa uint64) uint64 { return (pa ^ pa>>12) % hotBlocks }

// find returns the block that begins at a physical address, decoding it if
// need be. nil means that an exception was raised.
func (c *CPU) find(pa uint64) *block {
	h := &c.code.hot[hotIndex(pa)]
	if b := *h; b != nil && b.physical == pa && b.mode == c.mode && !b.dead() {
		return b
	}
	page := c.code.pages[pa>>12]
	if page != nil {
		if b := page.blocks[uint32(pa&0xfff)<<4|uint32(c.mode)]; b != nil && !b.dead() {
			*h = b
			return b
		}
	}
	return nil
}

// add enters a new block into the cache and marks its bytes as code.
func (c *CPU) add(b *block, n int) {
	if c.code.count >= maxBlocks {
		c.dropCode()
	}
	page := c.code.pages[b.physical>>12]
	if page == nil {
		page = &codePage{blocks: make(map[uint32]*block)}
		c.code.pages[b.physical>>12] = page
	}
	page.blocks[uint32(b.physical&0xfff)<<4|uint32(b.mode)] = b
	c.code.hot[hotIndex(b.physical)] = b
	c.code.count++
	c.MMU.Mem.MarkCode(b.physical, n)
}

// dropCode forgets every block.
func (c *CPU) dropCode() {
	for pn, page := range c.code.pages {
		for _, b := range page.blocks {
			c.kill(b)
		}
		c.MMU.Mem.ClearCode(pn)
	}
	c.code.init()
}

// codeWritten invalidates the blocks that n changed bytes at pa belong to.
func (c *CPU) codeWritten(pa uint64, n int) {
	for pn := pa >> 12; pn <= (pa+uint64(n)-1)>>12; pn++ {
		page := c.code.pages[pn]
		if page == nil {
			continue
		}
		for key, b := range page.blocks {
			first := b.physical
			last := first + uint64(b.bytes())
			if first < pa+uint64(n) && pa < last {
				c.kill(b)
				delete(page.blocks, key)
				c.code.count--
			}
		}
		if len(page.blocks) == 0 {
			delete(c.code.pages, pn)
			c.MMU.Mem.ClearCode(pn)
		}
	}
}

// bytes is the length of a block's code.
func (b *block) bytes() int {
	last := &b.insts[b.size-1]
	return int(last.offset) + int(last.len) - int(b.offset)
}

// kill makes a block unreachable. If it is the one running, its remaining
// instructions become ways out.
func (c *CPU) kill(b *block) {
	b.n = deadBlock
	if c.blk == b {
		c.clearTrap()
		for i := range b.insts {
			b.insts[i].fn = trapped
			b.insts[i].fused = false
		}
	}
}

// jump goes to the instruction at rip, in this or another page. Without
// budget it only notes where to go on: whether the target has been fetched
// must not depend on what the fast arrays happen to hold.
func (c *CPU) jump(rip uint64) *Inst {
	if c.budget <= 0 {
		c.RIP = rip
		return nil
	}
	linear := rip
	if !c.long {
		if rip > uint64(c.Seg[CS].Limit) {
			return c.jumpSlow(rip)
		}
		linear = (rip + c.Seg[CS].Base) & 0xffffffff
	}
	if page := linear &^ 0xfff; page != c.fetchLinear {
		e := &c.ex[linear>>12%uint64(len(c.ex))]
		if e.Tag != page {
			return c.jumpSlow(rip)
		}
		c.fetchLinear, c.fetchPhysical = page, e.Physical
	}
	c.R[regRIP] = rip - linear&0xfff
	pa := c.fetchPhysical | linear&0xfff
	if b := c.code.hot[hotIndex(pa)]; b != nil && b.physical == pa && b.mode == c.mode {
		return c.enter(b)
	}
	return c.jumpSlow(rip)
}

func (c *CPU) jumpSlow(rip uint64) *Inst {
	c.RIP = rip
	return c.resume()
}

// resume begins execution at RIP. It returns nil when there is nothing to
// run, having raised the exception or set short.
func (c *CPU) resume() *Inst {
	linear := c.RIP
	if !c.long {
		if c.RIP > uint64(c.Seg[CS].Limit) {
			return c.fetchFault(Exception{Vector: VectorGP, HasCode: true})
		}
		linear = (c.RIP + c.Seg[CS].Base) & 0xffffffff
	} else if !canonical(linear) {
		return c.fetchFault(Exception{Vector: VectorGP, HasCode: true})
	}
	if c.fetchLinear != linear&^0xfff {
		pa, ok := c.MMU.Fetch(&c.regime, linear, c.class)
		if !ok {
			c.fetchLinear = noFetch
			c.memoryFault()
			return c.fetchFault(c.exc)
		}
		c.fetchLinear, c.fetchPhysical = linear&^0xfff, pa&^0xfff
	}
	c.R[regRIP] = c.RIP - linear&0xfff
	pa := c.fetchPhysical | linear&0xfff
	b := c.find(pa)
	if b == nil {
		if b = c.decodeBlock(linear, pa); b == nil {
			return nil
		}
	}
	return c.enter(b)
}

// fetchFault raises an exception for an instruction that could not be
// fetched or decoded. It uses up the instruction's place in time.
func (c *CPU) fetchFault(e Exception) *Inst {
	if c.budget <= 0 {
		return nil
	}
	c.budget--
	c.notRetired++
	c.exception(e)
	return nil
}

// decodeBlock decodes from linear address on. A first instruction that
// cannot be decoded raises its exception; a later one ends the block.
func (c *CPU) decodeBlock(linear, pa uint64) *block {
	var window [2 * decode.MaxLen]byte
	page := c.MMU.Mem.Page(pa)
	b := &block{physical: pa, offset: linear & 0xfff, mode: c.mode}
	off := linear & 0xfff
	limit := uint64(math.MaxUint64)
	if !c.long {
		limit = uint64(c.Seg[CS].Limit) - c.RIP
	}
	for len(b.dec) < maxBlock {
		var code []byte
		if page != nil {
			code = page[off:]
		} else { // instructions from device memory or nowhere
			code = window[:min(decode.MaxLen, 4096-off)]
			for i := range code {
				code[i] = uint8(c.MMU.Mem.Read(pa-linear&0xfff+off+uint64(i), 1))
			}
		}
		var d decode.Inst
		err := decode.DecodeInto(&d, code[:min(len(code), decode.MaxLen+1)], c.mode)
		if off-b.offset+uint64(d.Len)-1 > limit && (err == nil || len(b.dec) == 0) {
			if len(b.dec) > 0 {
				break
			}
			c.fetchFault(Exception{Vector: VectorGP, HasCode: true})
			return nil
		}
		if err == decode.ErrTruncated && len(code) < decode.MaxLen {
			if len(b.dec) > 0 {
				break
			}
			return c.decodeCrossing(linear, pa, code)
		}
		switch {
		case err == nil:
		case len(b.dec) > 0:
			goto done
		case err == decode.ErrInvalid:
			c.fetchFault(Exception{Vector: VectorUD})
			return nil
		default:
			c.fetchFault(Exception{Vector: VectorGP, HasCode: true})
			return nil
		}
		b.dec = append(b.dec, d)
		off += uint64(d.Len)
		if endsBlock(&d) || off >= 4096 {
			break
		}
	}
done:
	c.bindBlock(b)
	if page != nil {
		c.add(b, int(off-b.offset))
	}
	return b
}

// decodeCrossing decodes one instruction that lies in two pages. It is
// decoded anew each time, because its two pages need not stay neighbours.
func (c *CPU) decodeCrossing(linear, pa uint64, head []byte) *block {
	var window [decode.MaxLen + 1]byte
	n := copy(window[:], head)
	next := (linear | 0xfff) + 1
	if !c.long {
		if next-linear > uint64(c.Seg[CS].Limit)-c.RIP { // the segment ends first
			c.fetchFault(Exception{Vector: VectorGP, HasCode: true})
			return nil
		}
		next &= 0xffffffff
	} else if !canonical(next) {
		c.fetchFault(Exception{Vector: VectorGP, HasCode: true})
		return nil
	}
	pa2, ok := c.MMU.Fetch(&c.regime, next, c.class)
	if !ok {
		c.memoryFault()
		c.fetchFault(c.exc)
		return nil
	}
	for i := n; i < len(window); i++ {
		window[i] = uint8(c.MMU.Mem.Read(pa2&^0xfff+uint64(i-n), 1))
	}
	b := &block{physical: pa, offset: linear & 0xfff, second: pa2 &^ 0xfff, mode: c.mode}
	var d decode.Inst
	err := decode.DecodeInto(&d, window[:], c.mode)
	switch {
	case err == nil && !c.long && c.RIP+uint64(d.Len)-1 > uint64(c.Seg[CS].Limit),
		err != nil && err != decode.ErrInvalid:
		c.fetchFault(Exception{Vector: VectorGP, HasCode: true})
		return nil
	case err != nil:
		c.fetchFault(Exception{Vector: VectorUD})
		return nil
	}
	b.dec = []decode.Inst{d}
	c.bindBlock(b)
	return b
}

func canonical(a uint64) bool { return uint64(int64(a<<16)>>16) == a }
