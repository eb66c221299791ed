package machine

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/flipvisor/flipvisor/cpu"
)

// words32 makes an image of 32-bit words.
func words32(words ...uint32) (b []byte) {
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

// aout is a kernel that is loaded by its header's addresses.
func aout(at uint32, code ...byte) []byte {
	magic, flags := uint32(0x1badb002), uint32(1<<16)
	return append(words32(magic, flags, -(magic+flags), at, at, 0, at+0x4000, at+32), code...)
}

// TestMultibootState: what a kernel finds at its entry (Multiboot
// Specification 0.6.96, sections 3.2 and 3.3).
func TestMultibootState(t *testing.T) {
	for _, at := range []uint32{0x100000, 0x8000} { // the second where the information usually is
		m, err := New(Config{Memory: 16 << 20})
		if err != nil {
			t.Fatal(err)
		}
		modules := []Module{{Args: "first one", Data: []byte("content")}, {Args: "", Data: make([]byte, 5000)}}
		if err := m.LoadMultiboot(aout(at, 0xf4), "kernel a=1", modules); err != nil {
			t.Fatal(err)
		}
		c := m.CPU
		if c.R[cpu.RAX] != 0x2badb002 || c.RIP != uint64(at)+32 || c.CR0&1 == 0 || c.CR0>>31 != 0 || c.RFLAGS() != 2 || c.CPL() != 0 {
			t.Errorf("eax %#x, eip %#x, cr0 %#x, eflags %#x", c.R[cpu.RAX], c.RIP, c.CR0, c.RFLAGS())
		}
		info := c.R[cpu.RBX]
		if info+infoSize > uint64(at) && info < uint64(at)+0x4000 {
			t.Fatalf("the information at %#x lies in the kernel", info)
		}
		word := func(pa uint64) uint64 { return m.Mem.Read(pa, 4) }
		text := func(pa uint64) string {
			b := make([]byte, 64)
			_ = m.Mem.ReadBytes(pa, b)
			s, _, _ := strings.Cut(string(b), "\x00")
			return s
		}
		if f := word(info); f != infoMemory|infoCmdline|infoModules|infoMmap|infoLoader {
			t.Errorf("flags %#x", f)
		}
		if word(info+4) != 639 || word(info+8) != 15<<10 || text(word(info+16)) != "kernel a=1" || text(word(info+64)) != "flipvisor" {
			t.Errorf("memory %d and %d KiB, command line %q, loader %q", word(info+4), word(info+8), text(word(info+16)), text(word(info+64)))
		}
		if n := word(info + 20); n != 2 {
			t.Fatalf("%d modules", n)
		}
		list := word(info + 24)
		start, end := word(list), word(list+4)
		if start&0xfff != 0 || start < 1<<20 || end-start != 7 || text(start) != "content" || text(word(list+8)) != "first one" {
			t.Errorf("module at %#x to %#x: %q, %q", start, end, text(start), text(word(list+8)))
		}
		if next := word(list + 16); next < end || word(list+20)-next != 5000 {
			t.Errorf("second module at %#x to %#x", next, word(list+20))
		}
		ram := uint64(0)
		for e, end := word(info+48), word(info+48)+word(info+44); e < end; e += word(e) + 4 {
			base, length := m.Mem.Read(e+4, 8), m.Mem.Read(e+12, 8)
			if word(e+20) == 1 {
				ram += length
				if !m.Mem.IsRAM(base) || !m.Mem.IsRAM(base+length-1) {
					t.Errorf("%#x+%#x is not all RAM", base, length)
				}
			}
		}
		if ram != 15<<20+639<<10 {
			t.Errorf("%d KiB are usable", ram>>10)
		}
	}
}

// TestMultibootErrors: images that cannot be loaded, and why.
func TestMultibootErrors(t *testing.T) {
	const magic = 0x1badb002
	header := func(flags uint32, rest ...uint32) []byte {
		return words32(append([]uint32{magic, flags, -(magic + flags)}, rest...)...)
	}
	for _, c := range []struct {
		name  string
		image []byte
		want  string
	}{
		{"nothing", nil, "no valid header"},
		{"checksum", words32(magic, 0, 1), "no valid header"},
		{"too far in", append(make([]byte, 8192), header(0)...), "no valid header"},
		{"unknown feature", header(1 << 3), "features this loader does not have (flags 0x8)"},
		{"cut off", header(1<<16, 1, 2), "multiboot header at offset 0x0 is cut off"},
		{"no ELF", header(0), "is no ELF file"},
		{"load address above header", header(1<<16, 0x1000, 0x2000, 0, 0, 0), "load address"},
		{"load end beyond the image", header(1<<16, 0x100000, 0x100000, 0x200000, 0, 0), "load end 0x200000 is beyond the image"},
		{"bss end before data", header(1<<16, 0x100000, 0x100000, 0, 0x100001, 0), "end of bss"},
		{"outside memory", header(1<<16, 0x8000000, 0x8000000, 0, 0, 0), "does not fit into memory of 16384 KiB"},
		{"into the ROM", header(1<<16, 0xf0000, 0xf0000, 0, 0, 0), "is not RAM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := New(Config{Memory: 16 << 20})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.LoadMultiboot(c.image, "", nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// FuzzLoadMultiboot: no image can do more than fail, or be loaded.
func FuzzLoadMultiboot(f *testing.F) {
	f.Add(aout(0x100000, 0xf4), "a b", []byte("module"))
	f.Add(readImage(f, "testdata/kernels/echo32.elf"), "", []byte{})
	f.Add(readImage(f, "hv/images/minios.elf")[:4096], "", []byte{})
	f.Fuzz(func(t *testing.T, image []byte, cmdline string, module []byte) {
		m, err := New(Config{Memory: 2 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.LoadMultiboot(image, cmdline, []Module{{Args: cmdline, Data: module}}); err == nil {
			m.Run(1000)
		}
	})
}
