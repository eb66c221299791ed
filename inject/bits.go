package inject

import (
	"fmt"
	"strconv"
	"strings"
)

// Bits are the bit numbers a fault touches, ascending, counted from the
// lowest bit of the target. In memory and in cache lines, bit 8n+k is bit k
// of the n-th byte.
type Bits []uint16

// maxBit bounds bit numbers that are read from outside: a page of memory.
const maxBit = 4096*8 - 1

// String prints numbers and ranges: 0-7,12.
func (b Bits) String() string {
	var s strings.Builder
	for i := 0; i < len(b); {
		j := i
		for j+1 < len(b) && b[j+1] == b[j]+1 {
			j++
		}
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprint(&s, b[i])
		if j > i {
			fmt.Fprintf(&s, "-%d", b[j])
		}
		i = j + 1
	}
	return s.String()
}

// ParseBits reads what String prints.
func ParseBits(s string) (Bits, error) {
	var b Bits
	for part := range strings.SplitSeq(s, ",") {
		from, to, ranged := strings.Cut(part, "-")
		if !ranged {
			to = from
		}
		lo, err1 := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
		hi, err2 := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
		switch {
		case err1 != nil || err2 != nil:
			return nil, fmt.Errorf("%q is not a bit number or a range such as 0-7", strings.TrimSpace(part))
		case hi < lo:
			return nil, fmt.Errorf("the range %d-%d runs backwards", lo, hi)
		case hi > maxBit:
			return nil, fmt.Errorf("bit %d is beyond the largest target (%d bits)", hi, maxBit+1)
		case len(b) > 0 && lo <= uint64(b[len(b)-1]):
			return nil, fmt.Errorf("bits %s are not in ascending order", s)
		}
		for i := lo; i <= hi; i++ {
			b = append(b, uint16(i))
		}
	}
	return b, nil
}

// Mask gives the bits below 64 as a mask.
func (b Bits) Mask() uint64 {
	var m uint64
	for _, i := range b {
		if i < 64 {
			m |= 1 << i
		}
	}
	return m
}

// And keeps the bits that are also in c; an empty c keeps them all.
func (b Bits) And(c Bits) Bits {
	if len(c) == 0 {
		return b
	}
	in := make(map[uint16]bool, len(c))
	for _, i := range c {
		in[i] = true
	}
	var both Bits
	for _, i := range b {
		if in[i] {
			both = append(both, i)
		}
	}
	return both
}

// adjacent reports whether the bits follow each other without a gap.
func (b Bits) adjacent() bool {
	return len(b) > 0 && int(b[len(b)-1]-b[0]) == len(b)-1
}

// without drops the bits that are in c.
func (b Bits) without(c Bits) Bits {
	drop := make(map[uint16]bool, len(c))
	for _, i := range c {
		drop[i] = true
	}
	var rest Bits
	for _, i := range b {
		if !drop[i] {
			rest = append(rest, i)
		}
	}
	return rest
}
