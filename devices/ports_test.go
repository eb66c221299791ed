package devices

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// echo answers each read with its port and notes every access.
type echo struct {
	width int
	log   *[]string
}

func (e echo) PortWidth() int { return e.width }

func (e echo) In(port uint16, size int) uint32 {
	*e.log = append(*e.log, fmt.Sprintf("in%d %x", size, port))
	return uint32(port) | 0xaabb0000
}

func (e echo) Out(port uint16, size int, v uint32) {
	*e.log = append(*e.log, fmt.Sprintf("out%d %x=%x", size, port, v))
}

// TestPorts: how accesses meet devices of each width, their edges and the
// empty rest.
func TestPorts(t *testing.T) {
	for _, c := range []struct {
		name string
		port uint16
		size int
		in   uint32
		want []string // for the read, then the write of 0x44332211
	}{
		{"byte of an 8-bit device", 0x11, 1, 0x11, []string{"in1 11", "out1 11=11"}},
		{"word of an 8-bit device", 0x12, 2, 0x1312, []string{"in1 12", "in1 13", "out1 12=11", "out1 13=22"}},
		{"dword of an 8-bit device", 0x10, 4, 0x13121110,
			[]string{"in1 10", "in1 11", "in1 12", "in1 13", "out1 10=11", "out1 11=22", "out1 12=33", "out1 13=44"}},
		{"dword of a 16-bit device", 0x20, 4, 0x00220020, []string{"in2 20", "in2 22", "out2 20=2211", "out2 22=4433"}},
		{"dword of a 32-bit device", 0x30, 4, 0xaabb0030, []string{"in4 30", "out4 30=44332211"}},
		{"byte of a 32-bit device", 0x31, 1, 0x31, []string{"in1 31", "out1 31=11"}},
		{"past the end of a device", 0x33, 2, 0xff33, []string{"in1 33", "out1 33=11"}},
		{"into the next device", 0x17, 2, 0x1817, []string{"in1 17", "in1 18", "out1 17=11", "out1 18=22"}},
		{"nothing", 0x100, 4, 0xffffffff, nil},
		{"nothing, byte", 0x100, 1, 0xff, nil},
		{"the last port", 0xffff, 4, 0xffffffff, []string{"in1 ffff", "out1 ffff=11"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log []string
			p := &Ports{}
			p.Map(0x10, 0x17, echo{1, &log})
			p.Map(0x18, 0x1f, echo{1, &log})
			p.Map(0x20, 0x23, echo{2, &log})
			p.Map(0x30, 0x33, echo{4, &log})
			p.Map(0xffff, 0xffff, echo{1, &log})
			if got := p.In(c.port, c.size); got != c.in {
				t.Errorf("read %#x, want %#x", got, c.in)
			}
			p.Out(c.port, c.size, 0x44332211)
			if diff := cmp.Diff(c.want, log); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPortsOverlap: a board that maps a port twice is wrong.
func TestPortsOverlap(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	p := &Ports{}
	p.Map(0x10, 0x17, echo{1, nil})
	p.Map(0x17, 0x18, echo{1, nil})
}

// TestExitPort: 8, 16 and 32 bits; other ports of the range do nothing.
func TestExitPort(t *testing.T) {
	var got []uint32
	p := &Ports{}
	p.Map(ExitFirst, ExitLast, NewExitPort(func(v uint32) { got = append(got, v) }))
	p.Out(0xf4, 1, 0x111)
	p.Out(0xf4, 2, 0x22222)
	p.Out(0xf4, 4, 0x33333333)
	p.Out(0xf5, 1, 4)
	if diff := cmp.Diff([]uint32{0x11, 0x2222, 0x33333333}, got); diff != "" {
		t.Error(diff)
	}
	if got := p.In(0xf4, 4); got != 0xffffffff {
		t.Errorf("reads %#x", got)
	}
}

// TestProbe: hv/src/include/abi.h.
func TestProbe(t *testing.T) {
	type write struct {
		port uint16
		size int
		v    uint32
	}
	data := func(v uint32) write { return write{0xf14, 4, v} }
	commit := func(v uint32) write { return write{0xf18, 4, v} }
	many := func(n uint32) (w []write) {
		for i := range n {
			w = append(w, data(i))
		}
		return w
	}
	sixteen := []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	for _, c := range []struct {
		name   string
		writes []write
		want   []Report
	}{
		{"phase", []write{data(1), data(0), commit(1)}, []Report{{Kind: ReportPhase, Words: []uint32{1, 0}, At: 7}}},
		{"two in a row", []write{data(1), commit(1), data(2), commit(2)},
			[]Report{{Kind: ReportPhase, Words: []uint32{1}, At: 7}, {Kind: ReportOutput, Words: []uint32{2}, At: 7}}},
		{"no words", []write{commit(3)}, []Report{{Kind: ReportDetection, Words: []uint32{}, At: 7}}},
		{"sixteen words", append(many(16), commit(5)), []Report{{Kind: ReportProfile, Words: sixteen, At: 7}}},
		{"seventeen words, and a good one after", append(many(17), commit(5), commit(4)), []Report{
			{Kind: ReportProfile, Words: sixteen, At: 7, Malformed: true},
			{Kind: ReportVMStopped, Words: []uint32{}, At: 7}}},
		{"unknown kind", []write{data(9), commit(6)}, []Report{{Kind: 6, Words: []uint32{9}, At: 7, Malformed: true}}},
		{"kind 0", []write{commit(0)}, []Report{{Words: []uint32{}, At: 7, Malformed: true}}},
		{"half a word", []write{{0xf14, 2, 5}, commit(1)}, []Report{{Kind: ReportPhase, Words: []uint32{}, At: 7, Malformed: true}}},
		{"half a commit", []write{data(5), {0xf18, 1, 1}}, []Report{{Kind: ReportPhase, Words: []uint32{5}, At: 7, Malformed: true}}},
		{"the number is not writable", []write{{0xf10, 4, 5}, commit(1)}, []Report{{Kind: ReportPhase, Words: []uint32{}, At: 7}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []Report
			ports := &Ports{}
			ports.Map(ProbeFirst, ProbeLast, NewProbe(&testClock{7}, func(r Report) { got = append(got, r.Clone()) }))
			for _, w := range c.writes {
				ports.Out(w.port, w.size, w.v)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	ports := &Ports{}
	ports.Map(ProbeFirst, ProbeLast, NewProbe(&testClock{}, nil))
	for _, c := range []struct {
		port uint16
		size int
		want uint32
	}{
		{0xf10, 4, 0x46504c46}, {0xf12, 2, 0x4650}, {0xf11, 1, 0x4c}, {0xf14, 4, 0xffffffff}, {0xf18, 4, 0xffffffff},
	} {
		if got := ports.In(c.port, c.size); got != c.want {
			t.Errorf("port %#x reads %#x, want %#x", c.port, got, c.want)
		}
	}
}
