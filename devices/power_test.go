package devices

import "testing"

// ticks is a clock that tests set.
type ticks uint64

func (t *ticks) Now() uint64 { return uint64(*t) }

func TestPowerManagement(t *testing.T) {
	var now ticks
	off := 0
	p := NewPowerManagement(PowerConfig{Clock: &now, Off: func() { off++ }})
	if v := p.In(PM1Control, 2); v&1 == 0 {
		t.Errorf("control %#x: ACPI is not on", v)
	}
	now = 1_000_000_000
	if v := p.In(PMTimer, 4); v != 3_579_545 {
		t.Errorf("the timer is %d after a second, want 3579545", v)
	}
	if v := p.In(PM1Event, 2); v&1 != 0 {
		t.Error("the timer has not carried yet")
	}
	now = 2_400_000_000 // its top bit has changed
	if v := p.In(PM1Event, 4); v&1 == 0 {
		t.Error("the timer's carry is missing")
	}
	p.Out(PM1Event, 2, 1)
	if v := p.In(PM1Event, 2); v&1 != 0 {
		t.Error("writing 1 clears the status")
	}
	p.Out(PM1Event+2, 2, 0x21)
	if v := p.In(PM1Event+2, 2); v != 0x21 {
		t.Errorf("enable is %#x", v)
	}
	p.Out(PM1Control, 2, 1<<13|5<<10)
	if off != 0 {
		t.Error("only sleep type 0 is off")
	}
	p.Out(PM1Control, 2, 0)
	if off != 0 {
		t.Error("off without the enable bit")
	}
	p.Out(PM1Control, 2, 1<<13)
	if off != 1 {
		t.Error("it is still on")
	}
	if v := p.In(PM1Control, 2); v&(1<<13) != 0 {
		t.Error("the sleep enable bit reads as 0")
	}
}

func TestResetControl(t *testing.T) {
	resets := 0
	ports := new(Ports)
	ports.Map(ResetControlFirst, ResetControlLast, NewResetControl(func() { resets++ }))
	ports.Out(0xcf8, 4, 0x8000ff00)
	ports.Out(0xcf8, 2, 0x0400)
	ports.Out(0xcf9, 1, 0x02)
	if resets != 0 {
		t.Fatal("a reset that nobody asked for")
	}
	if v := ports.In(0xcf9, 1); v != 2 {
		t.Errorf("reads %#x", v)
	}
	if v := ports.In(0xcf8, 4); v != 0xffffffff {
		t.Errorf("PCI's address reads %#x: nothing is there", v)
	}
	ports.Out(0xcf9, 1, 0x06)
	ports.Out(0xcf9, 1, 0x06)
	if resets != 1 {
		t.Errorf("%d resets by one edge", resets)
	}
}

func TestFwCfg(t *testing.T) {
	ports := new(Ports)
	ports.Map(FwCfgFirst, FwCfgLast, NewFwCfg(0x12345000, 1))
	read := func(item uint32, n int) (b []byte) {
		ports.Out(0x510, 2, item)
		for range n {
			b = append(b, byte(ports.In(0x511, 1)))
		}
		return b
	}
	for item, want := range map[uint32]string{
		0: "QEMU\x00\x00", 1: "\x01\x00\x00\x00", 3: "\x00\x50\x34\x12\x00\x00\x00\x00\x00",
		5: "\x01\x00", 0x19: "\x00\x00\x00\x00", 0x4242: "\x00\x00",
	} {
		if got := string(read(item, len(want))); got != want {
			t.Errorf("item %#x is %q, want %q", item, got, want)
		}
	}
	read(0, 2)
	ports.Out(0x511, 1, 7) // nothing can be written
	if got := ports.In(0x511, 1); got != 'M' {
		t.Errorf("the third byte of the signature is %q", rune(got))
	}
}
