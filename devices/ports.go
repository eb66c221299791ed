package devices

import "fmt"

// PortDevice answers in a range of I/O ports. The size of an access is 1, 2
// or 4 bytes; of what In returns only that many low bytes count.
type PortDevice interface {
	In(port uint16, size int) uint32
	Out(port uint16, size int, v uint32)
}

// Narrow is a PortDevice that cannot take every width. The bus splits wider
// accesses as a PC's does for an 8-bit card: low part first, at consecutive
// ports.
type Narrow interface {
	// PortWidth is the widest access in bytes: 1, 2 or 4.
	PortWidth() int
}

// Ports is the I/O address space. Where nothing is mapped, reads give all
// ones and writes are lost.
type Ports struct {
	ranges []portRange
	// slot numbers the range at each port: 0 is nothing, n is ranges[n-1].
	slot [1 << 16]uint8
}

type portRange struct {
	first, last uint16
	width       int
	device      PortDevice
}

// Map puts d at the ports first to last. Mapping a port twice is a mistake
// in the board, and panics.
func (p *Ports) Map(first, last uint16, d PortDevice) {
	if last < first || len(p.ranges) == 255 {
		panic(fmt.Sprintf("devices: cannot map ports %#x to %#x", first, last))
	}
	width := 4
	if n, ok := d.(Narrow); ok {
		width = n.PortWidth()
	}
	p.ranges = append(p.ranges, portRange{first, last, width, d})
	for port := int(first); port <= int(last); port++ {
		if p.slot[port] != 0 {
			panic(fmt.Sprintf("devices: port %#x mapped twice", port))
		}
		p.slot[port] = uint8(len(p.ranges))
	}
}

// In reads size bytes at port.
func (p *Ports) In(port uint16, size int) uint32 {
	r := p.find(port)
	if r != nil && r.takes(port, size) {
		return r.device.In(port, size) & sizeMask(size)
	}
	if size == 1 {
		return 0xff
	}
	half := size / 2
	low := p.In(port, half)
	high := sizeMask(half)
	if next, ok := offsetPort(port, half); ok {
		high = p.In(next, half)
	}
	return low | high<<(8*half)
}

// Out writes the size low bytes of v at port.
func (p *Ports) Out(port uint16, size int, v uint32) {
	r := p.find(port)
	if r != nil && r.takes(port, size) {
		r.device.Out(port, size, v&sizeMask(size))
		return
	}
	if size == 1 {
		return
	}
	half := size / 2
	p.Out(port, half, v&sizeMask(half))
	if next, ok := offsetPort(port, half); ok {
		p.Out(next, half, v>>(8*half))
	}
}

func (p *Ports) find(port uint16) *portRange {
	if s := p.slot[port]; s != 0 {
		return &p.ranges[s-1]
	}
	return nil
}

// takes says whether the device sees the access whole.
func (r *portRange) takes(port uint16, size int) bool {
	return size <= r.width && int(port)+size-1 <= int(r.last)
}

// offsetPort is port+n; the I/O space does not wrap.
func offsetPort(port uint16, n int) (uint16, bool) {
	next := int(port) + n
	return uint16(next), next < 1<<16
}

func sizeMask(size int) uint32 { return uint32(1<<(8*size) - 1) }
