package mmu

import (
	"encoding/binary"
	"fmt"
)

// The fixed parts of a PC's physical address space.
const (
	pcHoleBase  = 0xA0000    // video memory, option ROMs, BIOS
	pcHoleEnd   = 0x100000   //
	videoEnd    = 0xC0000    // of the video memory in the hole
	pciHoleBase = 3 << 30    // PCI, local APIC, firmware
	pciHoleEnd  = 4 << 30    //
	allOnes     = ^uint64(0) // what a read of nothing returns
)

// Device answers accesses to a range of physical addresses. An access never
// crosses a page, its size is 1, 2, 4 or 8 bytes, and off is relative to
// where the device is mapped.
type Device interface {
	ReadPhysical(off uint64, size int) uint64
	WritePhysical(off uint64, size int, v uint64)
}

type mapping struct {
	base, size uint64
	device     Device
}

// What is known of each page of RAM.
const (
	pageAbsent  uint8 = 1 << iota // in the PC hole, or covered by a device
	pageDirty                     // may differ from the base snapshot
	pageStale                     // its digest is out of date
	pageWatched                   // a watch lies on it
)

// pageTouched is the state in which writing to a page needs no more notes.
const pageTouched = pageDirty | pageStale

// Memory is a machine's physical address space. RAM starts at 0 and leaves
// out the PC hole; what does not fit below 3 GiB continues at 4 GiB. A read
// of nothing returns all ones, a write to nothing is ignored, and no address
// reaches outside.
//
// Addresses are grouped in frames: a frame is the index of a page in RAM.
type Memory struct {
	size      uint64
	ram       []Page
	lowFrames uint64 // frames below the PCI hole
	flags     []uint8
	devices   []mapping
	hole      uint64 // where the PC hole begins: see OpenVideo

	// CodeWritten is called after bytes of a marked chunk have changed (see
	// MarkCode), whatever changed them. The range may exceed the change.
	CodeWritten func(pa uint64, n int)
	code        []uint64 // a bit per 64 bytes of each frame

	// Watched is called for each access that touches a watch (see Watch):
	// before a read takes the bytes, after a write has changed them.
	Watched func(id int, pa uint64, size int, write bool)
	watches []watch

	base  *Pages   // what Restore and Snapshot last agreed on
	dirty []uint32 // frames with pageDirty
	stale []uint32 // frames with pageStale: each is dirty too
	sums  []Sum    // each frame's share of the digest, unless stale
	total Sum
	units []*MMU
	cache *Cache
}

// NewMemory makes size bytes of RAM, rounded down to whole pages.
func NewMemory(size uint64) *Memory {
	frames := size / PageSize
	m := &Memory{
		size:      frames * PageSize,
		ram:       make([]Page, frames),
		lowFrames: min(frames, pciHoleBase/PageSize),
		flags:     make([]uint8, frames),
		code:      make([]uint64, frames),
		sums:      make([]Sum, frames),
		base:      emptyPages(frames),
		hole:      pcHoleBase,
	}
	m.coverHole()
	return m
}

// coverHole hides the RAM in the PC hole.
func (m *Memory) coverHole() { m.setAbsent(m.hole, pcHoleEnd-m.hole, true) }

// OpenVideo makes the PC hole's first 128 KiB RAM like any other, as a
// graphics adapter's memory is to programs that only write to it.
func (m *Memory) OpenVideo() {
	m.setAbsent(pcHoleBase, videoEnd-pcHoleBase, false)
	m.hole = videoEnd
	m.dropFast()
}

// Size is the number of bytes of RAM, those lost in the PC hole included.
func (m *Memory) Size() uint64 { return m.size }

// Frames is the number of pages of RAM, those lost in the PC hole included.
func (m *Memory) Frames() int { return len(m.ram) }

// noFrame is the frame of addresses that are not RAM.
const noFrame = -1

// frame is the frame that holds pa, or noFrame.
func (m *Memory) frame(pa uint64) int {
	n := pa / PageSize
	if n >= m.lowFrames {
		if pa < pciHoleEnd {
			return noFrame
		}
		n -= (pciHoleEnd - pciHoleBase) / PageSize
		if n >= uint64(len(m.flags)) {
			return noFrame
		}
	}
	if m.flags[n]&pageAbsent != 0 {
		return noFrame
	}
	return int(n)
}

// address is where a frame lies.
func (m *Memory) address(frame int) uint64 {
	if uint64(frame) >= m.lowFrames {
		return uint64(frame)*PageSize + pciHoleEnd - pciHoleBase
	}
	return uint64(frame) * PageSize
}

// FrameAddress is the physical address of the i-th page of RAM, and false if
// that page cannot be reached because the PC hole or a device covers it.
func (m *Memory) FrameAddress(i int) (pa uint64, ok bool) {
	return m.address(i), m.flags[i]&pageAbsent == 0
}

// IsRAM says whether pa is an address of RAM.
func (m *Memory) IsRAM(pa uint64) bool { return m.frame(pa) != noFrame }

// Page is the page of RAM that holds pa, nil if pa is not RAM. It is for
// reading: changes go through Write, WriteBytes or Flip.
func (m *Memory) Page(pa uint64) *Page {
	f := m.frame(pa)
	if f == noFrame {
		return nil
	}
	return &m.ram[f]
}

// MapDevice gives the range to d. Whole pages are mapped; the newest mapping
// of a page answers, RAM below it is hidden until UnmapDevice.
func (m *Memory) MapDevice(base, size uint64, d Device) {
	if base%PageSize != 0 || size%PageSize != 0 || size == 0 || base+size < base {
		panic(fmt.Sprintf("mmu: device range %#x+%#x is not whole pages", base, size))
	}
	if m.cache != nil {
		m.cache.WriteBackAll() // no line may stand for what is RAM no more
	}
	m.devices = append(m.devices, mapping{base, size, d})
	m.setAbsent(base, size, true)
	m.dropFast()
}

// UnmapDevice takes back what MapDevice gave to d at base.
func (m *Memory) UnmapDevice(base uint64, d Device) {
	for i, x := range m.devices {
		if x.base != base || x.device != d {
			continue
		}
		m.devices = append(m.devices[:i], m.devices[i+1:]...)
		m.setAbsent(x.base, x.size, false)
		m.coverHole()
		for _, y := range m.devices {
			m.setAbsent(y.base, y.size, true)
		}
		m.dropFast()
		return
	}
}

// setAbsent sets or clears pageAbsent on the RAM in the range.
func (m *Memory) setAbsent(base, size uint64, absent bool) {
	for i := range m.flags {
		if a := m.address(i); a >= base && a-base < size {
			if absent {
				m.flags[i] |= pageAbsent
			} else {
				m.flags[i] &^= pageAbsent
			}
		}
	}
}

// rom is read-only memory as a device.
type rom []byte

func (b rom) ReadPhysical(off uint64, size int) uint64 {
	v := allOnes
	for i := size - 1; i >= 0; i-- {
		c := byte(0xFF)
		if off+uint64(i) < uint64(len(b)) {
			c = b[off+uint64(i)]
		}
		v = v<<8 | uint64(c)
	}
	return v
}

func (rom) WritePhysical(uint64, int, uint64) {}

// MapROM maps data read-only at base; the last page is filled with ones.
func (m *Memory) MapROM(base uint64, data []byte) {
	size := (uint64(len(data)) + PageSize - 1) &^ (PageSize - 1)
	r := rom(data)
	m.MapDevice(base, size, &r)
}

// device finds who answers at pa.
func (m *Memory) device(pa uint64) (d Device, off uint64) {
	for i := len(m.devices) - 1; i >= 0; i-- {
		if x := &m.devices[i]; pa-x.base < x.size {
			return x.device, pa - x.base
		}
	}
	return nil, 0
}

// Read reads size bytes, at most 8, as an agent on the bus does: a device,
// or whoever looks at memory past the processor's caches. The processor's
// own accesses go through an MMU.
func (m *Memory) Read(pa uint64, size int) uint64 {
	if pa%PageSize+uint64(size) > PageSize {
		var v uint64
		for i := size - 1; i >= 0; i-- {
			v = v<<8 | m.Read(pa+uint64(i), 1)
		}
		return v
	}
	if m.cache != nil {
		if v, ok := m.cache.snoopRead(pa, size); ok {
			return v
		}
	}
	return m.load(pa, size)
}

// Write writes size bytes, at most 8, as an agent on the bus does.
func (m *Memory) Write(pa uint64, size int, v uint64) {
	if pa%PageSize+uint64(size) > PageSize {
		for i := range size {
			m.Write(pa+uint64(i), 1, v>>(8*i))
		}
		return
	}
	if m.cache != nil {
		m.cache.snoopWrite(pa, size)
	}
	m.store(pa, size, v)
}

// load reads within one page what the processor sees there.
func (m *Memory) load(pa uint64, size int) uint64 {
	f := m.frame(pa)
	if f == noFrame {
		return m.loadDevice(pa, size)
	}
	return m.loadFrame(f, pa, size)
}

func (m *Memory) loadFrame(f int, pa uint64, size int) uint64 {
	if m.flags[f]&pageWatched != 0 {
		m.notify(pa, size, false)
	}
	return loadBytes(m.ram[f][pa%PageSize:], size)
}

func (m *Memory) loadDevice(pa uint64, size int) uint64 {
	v := allOnes
	if d, off := m.device(pa); d != nil {
		v = d.ReadPhysical(off, size)
	}
	return v & (allOnes >> (64 - 8*size))
}

// store writes within one page, as the processor's view of it.
func (m *Memory) store(pa uint64, size int, v uint64) {
	f := m.frame(pa)
	if f == noFrame {
		m.storeDevice(pa, size, v)
		return
	}
	m.storeFrame(f, pa, size, v)
}

func (m *Memory) storeDevice(pa uint64, size int, v uint64) {
	if d, off := m.device(pa); d != nil {
		d.WritePhysical(off, size, v&(allOnes>>(64-8*size)))
	}
}

func (m *Memory) storeFrame(f int, pa uint64, size int, v uint64) {
	m.touch(f)
	storeBytes(m.ram[f][pa%PageSize:], size, v)
	m.changed(f, pa, size)
	if m.flags[f]&pageWatched != 0 {
		m.notify(pa, size, true)
	}
}

// touch notes that the bytes of a frame are about to change.
func (m *Memory) touch(f int) {
	if m.flags[f]&pageDirty == 0 {
		m.dirty = append(m.dirty, uint32(f))
	}
	if m.flags[f]&pageStale == 0 {
		m.stale = append(m.stale, uint32(f))
	}
	m.flags[f] |= pageTouched
}

func loadBytes(b []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	case 8:
		return binary.LittleEndian.Uint64(b)
	}
	var v uint64
	for i := size - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

func storeBytes(b []byte, size int, v uint64) {
	switch size {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	case 8:
		binary.LittleEndian.PutUint64(b, v)
	default:
		for i := range size {
			b[i] = byte(v >> (8 * i))
		}
	}
}

// ReadBytes copies what the processor sees at pa, for loaders, debuggers and
// injection: no watch fires. All of it must be RAM or ROM.
func (m *Memory) ReadBytes(pa uint64, b []byte) error {
	for len(b) > 0 {
		n := min(uint64(len(b)), PageSize-pa%PageSize)
		if p := m.Page(pa); p != nil {
			copy(b[:n], p[pa%PageSize:])
		} else if r, off := m.device(pa); isROM(r) {
			for i := range n {
				b[i] = byte(r.ReadPhysical(off+i, 1))
			}
		} else {
			return fmt.Errorf("reading %d bytes: physical address %#x is not RAM", len(b), pa)
		}
		b, pa = b[n:], pa+n
	}
	return nil
}

func isROM(d Device) bool {
	_, ok := d.(*rom)
	return ok
}

// WriteBytes changes what the processor sees at pa, for loaders and
// injection: no watch fires. All of it must be RAM, or nothing is written.
func (m *Memory) WriteBytes(pa uint64, b []byte) error {
	last := pa + uint64(max(len(b), 1)) - 1
	for n := range last/PageSize - pa/PageSize + 1 {
		if at := pa&^(PageSize-1) + n*PageSize; m.frame(at) == noFrame {
			return fmt.Errorf("writing %d bytes at %#x: physical address %#x is not RAM", len(b), pa, at)
		}
	}
	for len(b) > 0 {
		n := min(uint64(len(b)), PageSize-pa%PageSize)
		m.put(pa, b[:n])
		b, pa = b[n:], pa+n
	}
	return nil
}

// put replaces bytes within one page of RAM.
func (m *Memory) put(pa uint64, b []byte) {
	f := m.frame(pa)
	m.touch(f)
	copy(m.ram[f][pa%PageSize:], b)
	m.changed(f, pa, len(b))
}

// Flip inverts one bit of memory itself, below any cache. It says whether
// there was a bit to flip.
func (m *Memory) Flip(pa uint64, bit uint8) bool {
	p := m.Page(pa)
	if p == nil || bit > 7 {
		return false
	}
	if m.cache != nil {
		m.cache.flipMemory(pa, bit)
		return true
	}
	m.put(pa, []byte{p[pa%PageSize] ^ 1<<bit})
	return true
}

// dropFast empties the fast arrays of every MMU on this memory.
func (m *Memory) dropFast() {
	for _, u := range m.units {
		u.FlushFast()
	}
}
