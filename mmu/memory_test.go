package mmu

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const gib = 1 << 30

// TestLayout: where RAM is, and that nothing reaches outside of it. The
// memory is sparse: pages that nobody touches cost nothing.
func TestLayout(t *testing.T) {
	small, big := NewMemory(2<<20), NewMemory(3*gib+1<<20)
	tests := []struct {
		name string
		mem  *Memory
		pa   uint64
		ram  bool
	}{
		{"first byte", small, 0, true},
		{"last before the PC hole", small, 0x9FFFF, true},
		{"video memory", small, 0xA0000, false},
		{"BIOS", small, 0xFFFFF, false},
		{"1 MiB", small, 0x100000, true},
		{"last byte", small, 2<<20 - 1, true},
		{"after the end", small, 2 << 20, false},
		{"4 GiB of a small machine", small, 4 * gib, false},
		{"highest address", small, allOnes, false},
		{"last below the PCI hole", big, 3*gib - 1, true},
		{"PCI hole", big, 3 * gib, false},
		{"end of the PCI hole", big, 4*gib - 1, false},
		{"4 GiB", big, 4 * gib, true},
		{"last above 4 GiB", big, 4*gib + 1<<20 - 1, true},
		{"after that", big, 4*gib + 1<<20, false},
		{"bit 63", big, 1<<63 | 0x1000, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := tt.mem
			if m.IsRAM(tt.pa) != tt.ram || (m.Page(tt.pa) != nil) != tt.ram {
				t.Fatalf("RAM: %v", m.IsRAM(tt.pa))
			}
			m.Write(tt.pa, 1, 0x5A)
			want := uint64(0x5A)
			if !tt.ram {
				want = 0xFF
			}
			if v := m.Read(tt.pa, 1); v != want {
				t.Errorf("read %#x", v)
			}
			if err := m.WriteBytes(tt.pa, []byte{1}); (err == nil) != tt.ram {
				t.Errorf("WriteBytes: %v", err)
			}
			if err := m.ReadBytes(tt.pa, make([]byte, 1)); (err == nil) != tt.ram {
				t.Errorf("ReadBytes: %v", err)
			}
			if m.Flip(tt.pa, 7) != tt.ram {
				t.Error("Flip")
			}
		})
	}
	if v := small.Read(2<<20-4, 8); v != 0xFFFFFFFF_5A000000&^0xFF000000|small.Read(2<<20-1, 1)<<24 {
		t.Errorf("across the end: %#x", v)
	}
	if err := small.WriteBytes(2<<20-4, make([]byte, 8)); err == nil || small.Read(2<<20-1, 1) == 0 {
		t.Errorf("a write that does not fit wrote something: %v", err)
	}
	for i := range small.Frames() {
		if pa, ok := small.FrameAddress(i); ok != small.IsRAM(pa) {
			t.Errorf("frame %d", i)
		}
	}
}

// logDevice notes its accesses.
type logDevice struct{ log []string }

func (d *logDevice) ReadPhysical(off uint64, size int) uint64 {
	d.log = append(d.log, fmt.Sprintf("r%d %#x", size, off))
	return 0xFFFF_FFFF_0000_0000 | off
}

func (d *logDevice) WritePhysical(off uint64, size int, v uint64) {
	d.log = append(d.log, fmt.Sprintf("w%d %#x %#x", size, off, v))
}

func TestDevices(t *testing.T) {
	m := NewMemory(2 << 20)
	u := New(m)
	var r Regime
	low, high := &logDevice{}, &logDevice{}
	m.MapDevice(0xFEE00000, PageSize, high)
	m.Write(0x5000, 4, 0x77)
	m.Read(0x5000, 4)
	if _, ok := u.Read(&r, 0x5000, 4, Supervisor); !ok || u.Fast.Read[Supervisor][5].Tag != 0x5000 {
		t.Error("RAM did not enter the fast array")
	}
	m.MapDevice(0x5000, PageSize, low) // over RAM
	if v, _ := u.Read(&r, 0x5010, 4, Supervisor); v != 0x10 || !u.Device {
		t.Errorf("read %#x", v)
	}
	u.Write(&r, 0xFEE000B0, 4, 0x1234567890, Supervisor)
	u.Read(&r, 0xFEE00FFE, 4, Supervisor)
	if u.Fast.Read[Supervisor][5].Tag != emptyTag {
		t.Error("a device page is in the fast array")
	}
	if d := cmp.Diff([]string{"r4 0x10"}, low.log); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"w4 0xb0 0x34567890", "r1 0xffe", "r1 0xfff"}, high.log); d != "" {
		t.Error(d)
	}
	m.UnmapDevice(0x5000, low)
	if v := m.Read(0x5000, 4); v != 0x77 {
		t.Errorf("the RAM below reads %#x", v)
	}

	m.MapROM(0xF0000, []byte{1, 2, 3})
	m.Write(0xF0000, 1, 9)
	b := make([]byte, 4)
	if err := m.ReadBytes(0xF0000, b); err != nil || string(b) != "\x01\x02\x03\xff" || m.Read(0xF0001, 4) != 0xFFFF0302 {
		t.Errorf("ROM: %x %v", b, err)
	}
}

// TestCodeWritten: every source of writes reports marked chunks, after the
// bytes have changed, and only those.
func TestCodeWritten(t *testing.T) {
	m := NewMemory(1 << 16)
	u := New(m)
	var r Regime
	var got []string
	m.CodeWritten = func(pa uint64, n int) {
		got = append(got, fmt.Sprintf("%#x+%d=%#x", pa, n, m.Page(pa)[pa%PageSize]))
	}
	empty := m.Snapshot()
	u.Write(&r, 0x1000, 1, 1, Supervisor)
	u.Write(&r, 0x1000, 1, 2, Supervisor)
	if u.Fast.Write[Supervisor][1].Tag != 0x1000 {
		t.Fatal("no fast slot")
	}
	m.MarkCode(0x103E, 4) // chunks 0 and 1
	if u.Fast.Write[Supervisor][1].Tag == 0x1000 {
		t.Error("the fast slot remains")
	}
	tests := []struct {
		name string
		do   func()
		want []string
	}{
		{"store beside", func() { u.Write(&r, 0x1080, 8, 3, Supervisor) }, nil},
		{"store before the end", func() { u.Write(&r, 0x107F, 1, 4, Supervisor) }, []string{"0x107f+1=0x4"}},
		{"store into", func() { u.Write(&r, 0x1000, 2, 5, Supervisor) }, []string{"0x1000+2=0x5"}},
		{"device", func() { m.Write(0x1001, 1, 6) }, []string{"0x1001+1=0x6"}},
		{"loader", func() { m.WriteBytes(0x0FFF, []byte{1, 7, 8}) }, []string{"0x1000+2=0x7"}},
		{"flip", func() { m.Flip(0x1000, 7) }, []string{"0x1000+1=0x87"}},
		{"restore", func() { m.Restore(empty) }, []string{"0x1000+4096=0x0"}},
		{"restore that changes nothing", func() { m.Restore(empty) }, nil},
		{"restore that changes data beside", func() { m.Write(0x1800, 1, 1); m.Restore(empty) }, nil},
		{"cleared", func() { m.ClearCode(1); u.Write(&r, 0x1000, 1, 1, Supervisor) }, nil},
	}
	for _, tt := range tests {
		got = nil
		tt.do()
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

func TestWatches(t *testing.T) {
	b := newLongBench()
	b.set64(pt, data|table)
	var got []string
	b.Mem.Watched = func(id int, pa uint64, size int, write bool) {
		kind := "read"
		if write {
			kind = "write"
		}
		got = append(got, fmt.Sprintf("%d: %s %#x+%d %#x", id, kind, pa, size, b.Mem.Page(pa)[pa%PageSize]))
	}
	b.Read(&b.r, longBase, 8, Supervisor)
	b.Write(&b.r, longBase, 8, 0, Supervisor)
	b.Fetch(&b.r, longBase, Supervisor)
	b.Mem.Watch(data+0x10, 2, 7)
	b.Mem.Watch(pd+16, 1, 8)
	inFast := func() bool {
		i := FastIndex(longBase)
		return b.Fast.Read[0][i].Tag == longBase || b.Fast.Write[0][i].Tag == longBase || b.Fast.Exec[0][i].Tag == longBase
	}
	tests := []struct {
		name string
		do   func()
		want []string
	}{
		{"beside", func() { b.Read(&b.r, longBase, 8, Supervisor); b.Read(&b.r, longBase+0x12, 8, Supervisor) }, nil},
		{"read", func() { b.Read(&b.r, longBase+0xA, 8, Supervisor) }, []string{"7: read 0x500a+8 0x0"}},
		{"write, seen after", func() { b.Write(&b.r, longBase+0x11, 1, 5, Supervisor) }, []string{"7: write 0x5011+1 0x5"}},
		{"fetch of the page", func() { b.Fetch(&b.r, longBase, Supervisor) }, nil},
		{"fetch of the bytes", func() { b.Mem.NoteFetch(data+0xF, 3) }, []string{"7: read 0x500f+3 0x0"}},
		{"device", func() { b.Mem.Write(data+0x10, 1, 6) }, []string{"7: write 0x5010+1 0x6"}},
		{"page walk", func() { b.Invlpg(&b.r, longBase); b.Read(&b.r, longBase, 1, Supervisor) }, []string{"8: read 0x3010+8 0x27"}},
		{"injection and debuggers", func() { b.Mem.Flip(data+0x10, 0); b.Mem.ReadBytes(data, make([]byte, 99)); b.Translate(&b.r, longBase) }, nil},
	}
	for _, tt := range tests {
		got = nil
		tt.do()
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
		if inFast() {
			t.Fatalf("%s: a watched page is in a fast array", tt.name)
		}
	}
	b.Mem.Unwatch(7)
	b.Mem.Unwatch(8)
	b.Read(&b.r, longBase, 1, Supervisor)
	if !inFast() {
		t.Error("after Unwatch the page is not in the fast array")
	}
}
