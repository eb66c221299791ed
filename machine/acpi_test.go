package machine

import (
	"encoding/binary"
	"testing"

	"github.com/flipvisor/flipvisor/devices"
)

// TestACPI walks the tables as a kernel does, from the root pointer on.
func TestACPI(t *testing.T) {
	m, err := New(Config{Memory: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	read := func(pa uint64, n int) []byte {
		b := make([]byte, n)
		if err := m.Mem.ReadBytes(pa, b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	sum := func(b []byte) (s uint8) {
		for _, x := range b {
			s += x
		}
		return s
	}
	le := binary.LittleEndian
	root := uint64(0)
	for pa := uint64(0xe0000); pa < 0x100000; pa += 16 {
		if string(read(pa, 8)) == "RSD PTR " {
			root = pa
			break
		}
	}
	if root == 0 {
		t.Fatal("no root pointer")
	}
	rsdp := read(root, 36)
	if sum(rsdp[:20]) != 0 || sum(rsdp) != 0 {
		t.Error("checksums of the root pointer")
	}
	table := func(pa uint64) []byte {
		b := read(pa, int(le.Uint32(read(pa+4, 4))))
		if sum(b) != 0 {
			t.Errorf("checksum of %s", b[:4])
		}
		return b
	}
	rsdt, xsdt := table(uint64(le.Uint32(rsdp[16:]))), table(le.Uint64(rsdp[24:]))
	found := map[string][]byte{}
	for i := 0; 36+8*i < len(xsdt); i++ {
		pa := le.Uint64(xsdt[36+8*i:])
		if uint64(le.Uint32(rsdt[36+4*i:])) != pa {
			t.Error("RSDT and XSDT differ")
		}
		b := table(pa)
		found[string(b[:4])] = b
	}
	fadt := found["FACP"]
	if len(fadt) != 268 { // revision 5, ACPI Specification 5.0, table 5-34
		t.Fatalf("FADT of %d bytes", len(fadt))
	}
	if b := table(uint64(le.Uint32(fadt[40:]))); string(b[:4]) != "DSDT" {
		t.Errorf("DSDT is %q", b[:4])
	}
	if b := read(uint64(le.Uint32(fadt[36:])), 8); string(b[:4]) != "FACS" || le.Uint32(fadt[36:])%64 != 0 {
		t.Errorf("FACS is %q", b[:4])
	}
	for _, f := range []struct {
		name string
		at   int
		want uint32
	}{
		{"PM1a event block", 56, devices.PM1Event}, {"PM1a control block", 64, devices.PM1Control},
		{"PM timer", 76, devices.PMTimer}, {"reset register", 120, devices.ResetControlPort},
	} {
		if got := le.Uint32(fadt[f.at:]); got != f.want {
			t.Errorf("%s at %#x, want %#x", f.name, got, f.want)
		}
	}
	if fadt[128] != 6 || le.Uint64(fadt[140:]) != uint64(le.Uint32(fadt[40:])) {
		t.Errorf("reset value %d, 64-bit DSDT %#x", fadt[128], le.Uint64(fadt[140:]))
	}

	madt := found["APIC"]
	if len(madt) == 0 || le.Uint32(madt[36:]) != lapicBase {
		t.Fatal("no MADT, or without the local APIC's address")
	}
	kinds := map[byte]int{}
	for b := madt[44:]; len(b) > 0; b = b[b[1]:] {
		kinds[b[0]]++
		if b[0] == 1 && (le.Uint32(b[4:]) != devices.IOAPICBase || b[2] != ioapicID) {
			t.Errorf("I/O APIC: % x", b[:b[1]])
		}
		if b[0] == 2 && b[3] == 0 && le.Uint32(b[4:]) != 2 {
			t.Errorf("override of the timer: % x", b[:b[1]])
		}
	}
	if kinds[0] != 1 || kinds[1] != 1 || kinds[2] != 2 || kinds[4] != 1 {
		t.Errorf("entries of the MADT: %v", kinds)
	}
	hpet := found["HPET"]
	if len(hpet) != 56 || le.Uint64(hpet[44:]) != devices.HPETBase || le.Uint32(hpet[36:]) != uint32(m.Mem.Read(devices.HPETBase, 4)) {
		t.Errorf("HPET: % x", hpet)
	}

	// The ROM is read-only, there at 4 GiB too, and its last 16 bytes run.
	m.Mem.Write(root, 1, 'X')
	if string(read(root, 8)) != "RSD PTR " || string(read(root+0xfff00000, 8)) != "RSD PTR " {
		t.Error("the ROM is not itself")
	}
	if read(0xfffffff0, 1)[0] == 0xff {
		t.Error("nothing at the reset vector")
	}
}

// TestBoard: where nothing is, and where something is that no test kernel
// looks at.
func TestBoard(t *testing.T) {
	m, err := New(Config{Memory: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []uint16{0x2f8, 0x1f0, 0x3d4, 0xcfc, 0xffff} {
		if v := m.Ports.In(port, 1); v != 0xff {
			t.Errorf("port %#x reads %#x", port, v)
		}
		m.Ports.Out(port, 1, 0)
	}
	for _, pa := range []uint64{0xc0000, 0xd8000, 16 << 20, 0xf0000000, 1 << 36} {
		m.Mem.Write(pa, 4, 0)
		if v := m.Mem.Read(pa, 4); v != 0xffffffff {
			t.Errorf("address %#x reads %#x", pa, v)
		}
	}
	m.Mem.Write(0xb8000, 2, 0x0741)
	if v := m.Mem.Read(0xb8000, 2); v != 0x0741 {
		t.Errorf("video memory reads %#x", v)
	}
	s := m.Snapshot()
	m.Mem.Write(0xb8000, 2, 0)
	if m.Equal(s) {
		t.Error("video memory is not in the snapshot")
	}
	if err := m.Restore(s); err != nil || m.Mem.Read(0xb8000, 2) != 0x0741 {
		t.Error("video memory is not restored")
	}
	m.Ports.Out(0x70, 1, 0x32)
	if v := m.Ports.In(0x71, 1); v != 0x20 {
		t.Errorf("the century is %#x", v)
	}
}

// TestDate: the clock begins where it is told to.
func TestDate(t *testing.T) {
	for date, want := range map[int64]uint32{0: 0x24, 946_684_800: 0x00} {
		m, err := New(Config{Memory: 1 << 20, Date: date})
		if err != nil {
			t.Fatal(err)
		}
		m.Ports.Out(0x70, 1, 9)
		if v := m.Ports.In(0x71, 1); v != want {
			t.Errorf("date %d: year %#x, want %#x", date, v, want)
		}
	}
}
