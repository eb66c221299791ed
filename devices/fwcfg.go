package devices

import (
	"encoding/binary"

	"github.com/flipvisor/flipvisor/internal/state"
)

// FwCfg is the configuration interface of QEMU's boards (QEMU documentation,
// "QEMU Firmware Configuration Device"), at port 0x510 for selecting an item
// and 0x511 for reading it byte by byte. Test programs written for those
// boards ask it for the number of processors and the size of memory; it has
// these and little else, no files and no DMA.
type FwCfg struct {
	items map[uint16][]byte
	item  uint16
	next  uint32 // byte to be read next
}

// FwCfgFirst and FwCfgLast are its ports.
const (
	FwCfgFirst = 0x510
	FwCfgLast  = 0x511
)

// Items, by number.
const (
	fwSignature  = 0x00
	fwID         = 0x01
	fwRAMSize    = 0x03
	fwNoGraphic  = 0x04
	fwProcessors = 0x05
	fwMaxCPUs    = 0x0f
	fwFiles      = 0x19
)

// NewFwCfg makes one for a machine with so many bytes of memory and so many
// processors.
func NewFwCfg(memory uint64, processors uint16) *FwCfg {
	n := binary.LittleEndian.AppendUint16(nil, processors)
	return &FwCfg{items: map[uint16][]byte{
		fwSignature:  []byte("QEMU"),
		fwID:         {1, 0, 0, 0}, // the port interface, and no other
		fwRAMSize:    binary.LittleEndian.AppendUint64(nil, memory),
		fwNoGraphic:  {1, 0},
		fwProcessors: n,
		fwMaxCPUs:    n,
		fwFiles:      {0, 0, 0, 0},
	}}
}

// In reads the next byte of the item at 0x511, 0 beyond its end.
func (f *FwCfg) In(port uint16, size int) (v uint32) {
	if port == FwCfgFirst {
		return sizeMask(size) // the selector is write-only
	}
	data := f.items[f.item]
	if f.next < uint32(len(data)) {
		v = uint32(data[f.next])
		f.next++
	}
	return v
}

// Out selects an item; one write of 16 bits.
func (f *FwCfg) Out(port uint16, size int, v uint32) {
	if port == FwCfgFirst && size == 2 {
		f.item, f.next = uint16(v), 0
	}
}

// Walk names the state.
func (f *FwCfg) Walk(w *state.Walker) {
	w.U16("item", &f.item)
	w.U32("next", &f.next)
}
