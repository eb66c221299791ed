package machine

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/mmu"
)

// Module is a file that a boot loader puts into memory beside the kernel.
type Module struct {
	Args string // its command line
	Data []byte
}

// Multiboot Specification 0.6.96, sections 3.1 and 3.3.
const (
	mbHeaderMagic = 0x1badb002
	mbBootMagic   = 0x2badb002
	mbSearch      = 8192 // the header lies in so many first bytes

	mbPageAlign = 1 << 0
	mbMemory    = 1 << 1
	mbVideo     = 1 << 2
	mbAddresses = 1 << 16

	infoMemory  = 1 << 0
	infoCmdline = 1 << 2
	infoModules = 1 << 3
	infoMmap    = 1 << 6
	infoLoader  = 1 << 9
)

// ErrNotMultiboot reports an image without a multiboot header.
var ErrNotMultiboot = errors.New("no multiboot kernel: no valid header in the first 8192 bytes")

type mbHeader struct {
	offset                               int
	flags                                uint32
	header, load, loadEnd, bssEnd, entry uint32
}

func findMultiboot(image []byte) (h mbHeader, err error) {
	word := func(o int) uint32 { return binary.LittleEndian.Uint32(image[o:]) }
	for o := 0; o+12 <= min(len(image), mbSearch); o += 4 {
		if word(o) != mbHeaderMagic || word(o)+word(o+4)+word(o+8) != 0 {
			continue
		}
		h = mbHeader{offset: o, flags: word(o + 4)}
		if h.flags&mbAddresses != 0 {
			if o+32 > len(image) {
				return h, fmt.Errorf("multiboot header at offset %#x is cut off", o)
			}
			h.header, h.load, h.loadEnd, h.bssEnd, h.entry = word(o+12), word(o+16), word(o+20), word(o+24), word(o+28)
		}
		if unknown := h.flags & 0xffff &^ (mbPageAlign | mbMemory | mbVideo); unknown != 0 {
			return h, fmt.Errorf("multiboot header asks for features this loader does not have (flags %#x)", unknown)
		}
		return h, nil
	}
	return h, ErrNotMultiboot
}

// LoadMultiboot puts a multiboot (version 1) kernel and its modules into
// memory and the processor at its entry, in the state the specification asks
// for: 32-bit protected mode with flat segments, paging off.
func (m *Machine) LoadMultiboot(image []byte, cmdline string, modules []Module) error {
	h, err := findMultiboot(image)
	if err != nil {
		return err
	}
	l := loader{m: m}
	if h.flags&mbAddresses != 0 {
		err = l.addresses(image, &h)
	} else {
		err = l.elf(image)
	}
	if err != nil {
		return err
	}
	if err := l.information(cmdline, modules); err != nil {
		return err
	}
	c := m.CPU
	c.CR0 = cpu.CR0PE | cpu.CR0ET
	const flat = cpu.AttrG | cpu.AttrDB | cpu.AttrP | cpu.AttrS | cpu.AttrAccessed
	for _, s := range [...]int{cpu.ES, cpu.SS, cpu.DS, cpu.FS, cpu.GS} {
		c.Seg[s] = cpu.Segment{Selector: 0x10, Limit: 0xffffffff, Attr: flat | cpu.AttrWritable}
	}
	c.Seg[cpu.CS] = cpu.Segment{Selector: 8, Limit: 0xffffffff, Attr: flat | cpu.AttrCode | cpu.AttrReadable}
	c.GDTR, c.IDTR = cpu.Table{}, cpu.Table{}
	clear(c.R[:16])
	c.R[cpu.RAX], c.R[cpu.RBX] = mbBootMagic, l.info
	c.RIP = l.entry
	c.SetRFLAGS(cpu.FlagR1)
	c.Settle()
	return nil
}

// loader places things in memory.
type loader struct {
	m     *Machine
	entry uint64
	end   uint64 // of what is loaded
	low   bool   // some of it is where the information would be
	info  uint64
}

// zero clears memory that must be RAM.
func (l *loader) zero(pa, n uint64) error {
	var page [mmu.PageSize]byte
	for n > 0 {
		k := min(n, mmu.PageSize)
		if err := l.m.Mem.WriteBytes(pa, page[:k]); err != nil {
			return err
		}
		pa, n = pa+k, n-k
	}
	return nil
}

func (l *loader) put(what string, pa uint64, data []byte, size uint64) error {
	if pa+size < pa || pa+size > l.m.Mem.Size() && pa < 1<<32 && !l.m.Mem.IsRAM(pa+size-1) {
		return fmt.Errorf("%s at %#x to %#x does not fit into memory of %d KiB", what, pa, pa+size, l.m.Mem.Size()>>10)
	}
	if err := l.m.Mem.WriteBytes(pa, data); err != nil {
		return fmt.Errorf("%s at %#x: %w", what, pa, err)
	}
	if err := l.zero(pa+uint64(len(data)), size-uint64(len(data))); err != nil {
		return fmt.Errorf("%s at %#x: %w", what, pa, err)
	}
	l.end = max(l.end, pa+size)
	l.low = l.low || pa < infoEnd && pa+size > infoBase
	return nil
}

// addresses loads by the header's address fields.
func (l *loader) addresses(image []byte, h *mbHeader) error {
	start := int64(h.offset) - int64(h.header-h.load)
	if h.load > h.header || start < 0 || start > int64(len(image)) {
		return fmt.Errorf("multiboot header: load address %#x does not fit header address %#x", h.load, h.header)
	}
	data := image[start:]
	if h.loadEnd != 0 {
		if h.loadEnd < h.load || uint64(h.loadEnd-h.load) > uint64(len(data)) {
			return fmt.Errorf("multiboot header: load end %#x is beyond the image", h.loadEnd)
		}
		data = data[:h.loadEnd-h.load]
	}
	size := uint64(len(data))
	if h.bssEnd != 0 {
		if uint64(h.bssEnd) < uint64(h.load)+size {
			return fmt.Errorf("multiboot header: end of bss %#x is before the end of data", h.bssEnd)
		}
		size = uint64(h.bssEnd - h.load)
	}
	l.entry = uint64(h.entry)
	return l.put("kernel", uint64(h.load), data, size)
}

// elf loads the program headers of an ELF image, 32 or 64 bits.
func (l *loader) elf(image []byte) error {
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return fmt.Errorf("multiboot kernel without addresses is no ELF file: %w", err)
	}
	if f.Machine != elf.EM_386 && f.Machine != elf.EM_X86_64 {
		return fmt.Errorf("kernel is for %v, not x86", f.Machine)
	}
	loaded := false
	l.entry = f.Entry
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || p.Memsz == 0 {
			continue
		}
		if p.Filesz > p.Memsz || p.Off+p.Filesz < p.Off || p.Off+p.Filesz > uint64(len(image)) {
			return fmt.Errorf("segment at %#x lies outside the image", p.Paddr)
		}
		if err := l.put("segment", p.Paddr, image[p.Off:p.Off+p.Filesz], p.Memsz); err != nil {
			return err
		}
		// The entry is a virtual address; without paging it must be the
		// physical one of the same place.
		if f.Entry >= p.Vaddr && f.Entry < p.Vaddr+p.Memsz && p.Vaddr != p.Paddr && f.Entry > 0xffffffff {
			l.entry = f.Entry - p.Vaddr + p.Paddr
		}
		loaded = true
	}
	if !loaded {
		return errors.New("kernel has no segment to load")
	}
	return nil
}

// infoBase is where the multiboot information is built, followed by its
// strings and lists, below the extended BIOS data area; or, where the kernel
// itself lies in low memory, behind everything else.
const (
	infoBase = 0x9000
	infoEnd  = 0x9f000
	infoSize = 116
)

// information loads the modules and builds the multiboot information.
func (l *loader) information(cmdline string, modules []Module) error {
	mem := l.m.Mem
	below4G := min(mem.Size(), 3<<30)
	starts, next, err := l.modules(modules, below4G)
	if err != nil {
		return err
	}
	l.info = infoBase
	limit := uint64(infoEnd)
	if l.low {
		l.info, limit = next, below4G
	}
	at := l.info + (infoSize+7)&^7
	place := func(b []byte) (uint64, error) {
		pa := at
		at = (at + uint64(len(b)) + 7) &^ 7
		if at > limit {
			return 0, errors.New("command lines are too long for the memory there is for them")
		}
		return pa, mem.WriteBytes(pa, b)
	}
	info := make([]byte, infoSize)
	set := func(o int, v uint64) { binary.LittleEndian.PutUint32(info[o:], uint32(v)) }
	flags := uint64(infoMemory | infoCmdline | infoMmap | infoLoader)

	set(4, baseMemory>>10)
	set(8, (below4G-1<<20)>>10)
	pa, err := place(append([]byte(cmdline), 0))
	if err != nil {
		return err
	}
	set(16, pa)

	var list []byte
	for i, mod := range modules {
		args, err := place(append([]byte(mod.Args), 0))
		if err != nil {
			return err
		}
		for _, v := range [...]uint64{starts[i], starts[i] + uint64(len(mod.Data)), args, 0} {
			list = binary.LittleEndian.AppendUint32(list, uint32(v))
		}
	}
	if len(modules) > 0 {
		if pa, err = place(list); err != nil {
			return err
		}
		flags |= infoModules
		set(20, uint64(len(modules)))
		set(24, pa)
	}

	mmap := memoryMap(mem.Size(), below4G)
	if pa, err = place(mmap); err != nil {
		return err
	}
	set(44, uint64(len(mmap)))
	set(48, pa)
	if pa, err = place([]byte("flipvisor\x00")); err != nil {
		return err
	}
	set(64, pa)
	set(0, flags)
	return mem.WriteBytes(l.info, info)
}

// modules loads the modules on pages of their own behind the kernel, above
// 1 MiB, and gives where they begin and where the next would.
func (l *loader) modules(modules []Module, top uint64) (starts []uint64, next uint64, err error) {
	page := func(a uint64) uint64 { return (a + mmu.PageSize - 1) &^ (mmu.PageSize - 1) }
	next = page(max(l.end, 1<<20))
	for i, mod := range modules {
		size := uint64(len(mod.Data))
		if next+size > top {
			return nil, 0, fmt.Errorf("module %d (%d KiB) does not fit into memory of %d KiB", i+1, size>>10, l.m.Mem.Size()>>10)
		}
		if err := l.m.Mem.WriteBytes(next, mod.Data); err != nil {
			return nil, 0, fmt.Errorf("module %d: %w", i+1, err)
		}
		starts = append(starts, next)
		next = page(next + size)
	}
	return starts, next, nil
}

// memoryMap is the multiboot memory map: what is RAM, and what must be left
// alone.
func memoryMap(size, below4G uint64) (mmap []byte) {
	const usable, reserved = 1, 2
	region := func(base, length uint64, typ uint32) {
		mmap = binary.LittleEndian.AppendUint32(mmap, 20)
		mmap = binary.LittleEndian.AppendUint64(mmap, base)
		mmap = binary.LittleEndian.AppendUint64(mmap, length)
		mmap = binary.LittleEndian.AppendUint32(mmap, typ)
	}
	region(0, baseMemory, usable)
	region(baseMemory, 640<<10-baseMemory, reserved)
	region(romBase, romSize, reserved)
	region(1<<20, below4G-1<<20, usable)
	region(0xfec00000, 0x1400000, reserved)
	if size > below4G {
		region(1<<32, size-below4G, usable)
	}
	return mmap
}
