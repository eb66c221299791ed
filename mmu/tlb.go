package mmu

// PageSize is the granule of translation and of dirty tracking.
const PageSize = 4096

// Page is the bytes of one page of RAM.
type Page = [PageSize]byte

// Class says whose rights an access has: it indexes the fast arrays.
type Class uint8

const (
	Supervisor Class = iota
	User
)

// FastEntries is the number of slots in each fast array.
const FastEntries = 2048

// FastEntry maps the linear page Tag to the bytes of a page. Tag is the
// page's linear address; an empty slot holds 1, which no access of any size
// can produce.
type FastEntry struct {
	Tag  uint64
	Data *Page
}

// FastExec maps a linear page to the physical page instructions come from.
type FastExec struct {
	Tag      uint64
	Physical uint64
}

// Fast is the set of direct-mapped arrays that the interpreter looks at
// first. For an access of size bytes at va, the slot is
// (va >> 12) % FastEntries and it hits when
// Tag == (va+size-1)&^0xfff on a page holding the whole access, which one
// comparison decides for an aligned or inner access.
//
// Read holds no device page and no watched page. Write holds, besides, no
// page that contains decoded instructions and no page not yet marked dirty.
type Fast struct {
	Read  [2][FastEntries]FastEntry
	Write [2][FastEntries]FastEntry
	Exec  [2][FastEntries]FastExec
}

// FastIndex gives the slot of a linear address.
func FastIndex(va uint64) uint64 { return va >> 12 % FastEntries }
