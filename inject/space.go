package inject

import (
	"fmt"
	"math"
	"sort"
)

// Space is a set of faults to sample from: groups, each a product of
// locations, bits and moments.
type Space struct {
	Groups []Group
}

// Group is the faults of one fault block.
type Group struct {
	Name   string
	Weight int // how often it is drawn, relative to the other groups
	Kind   Kind
	Width  int    // Burst, RandomMask: how many bits
	Period uint64 // Intermittent

	Locations []Location
	Moments   Moments

	// Exactly lists faults one by one instead; the fields above but Name
	// and Weight are then unused.
	Exactly []Fault
}

// Location is a target and which of its bits may be hit. For memory it is a
// range: Length bytes from Target.Address, of which Bits are bits of each
// byte (all eight when empty).
type Location struct {
	Target Target
	Bits   Bits
	Length uint64
}

// Moments is a sequence of triggers of which each is equally likely.
type Moments interface {
	Len() uint64
	At(k uint64) Trigger
}

// Sample gives the fault of an experiment: a function of its arguments
// alone. The space must have passed Check.
func (s *Space) Sample(key, seed, index uint64) (group string, f Fault) {
	const ( // purposes of streams
		choosing = iota
		placing
		timing
	)
	g := s.choose(NewStream(key, seed, index, choosing))
	if g.Exactly != nil {
		n := NewStream(key, seed, index, placing).Below(uint64(len(g.Exactly)))
		return g.Name, g.Exactly[n]
	}
	f = Fault{Kind: g.Kind, Period: g.Period}
	if g.Kind != Null {
		f.Target, f.Bits = g.place(NewStream(key, seed, index, placing))
	}
	f.Trigger = g.Moments.At(NewStream(key, seed, index, timing).Below(g.Moments.Len()))
	return g.Name, f
}

func (s *Space) choose(r *Stream) *Group {
	total := 0
	for i := range s.Groups {
		total += s.Groups[i].Weight
	}
	n := int(r.Below(uint64(total)))
	for i := range s.Groups {
		if n -= s.Groups[i].Weight; n < 0 {
			return &s.Groups[i]
		}
	}
	panic("inject: weights do not add up")
}

// place chooses a target and bits of it: every bit of every location is
// equally likely to be the (first) one hit.
func (g *Group) place(r *Stream) (Target, Bits) {
	upto := make([]uint64, len(g.Locations))
	sum := uint64(0)
	for i := range g.Locations {
		sum += g.Locations[i].places(g.Kind, g.Width)
		upto[i] = sum
	}
	n := r.Below(sum)
	i := sort.Search(len(upto), func(i int) bool { return n < upto[i] })
	if i > 0 {
		n -= upto[i-1]
	}
	return g.Locations[i].place(n, g.Kind, g.Width, r)
}

// size is the number of bits.
func (l *Location) size() uint64 {
	if l.Target.Class == MemoryClass {
		return l.Length * uint64(l.bitsOfByte())
	}
	return uint64(len(l.Bits))
}

func (l *Location) bitsOfByte() int {
	if len(l.Bits) == 0 {
		return 8
	}
	return len(l.Bits)
}

// places is the number of ways to put a fault: a burst must fit.
func (l *Location) places(k Kind, width int) uint64 {
	n := l.size()
	if k == Burst {
		return n - min(n, uint64(width)) + 1
	}
	return n
}

// bit gives the n-th bit of the location as a target and a bit number.
func (l *Location) bit(n uint64) (Target, uint16) {
	if l.Target.Class != MemoryClass {
		return l.Target, l.Bits[n]
	}
	per := uint64(l.bitsOfByte())
	t := l.Target
	t.Address += n / per
	if len(l.Bits) == 0 {
		return t, uint16(n % per)
	}
	return t, l.Bits[n%per]
}

func (l *Location) place(n uint64, k Kind, width int, r *Stream) (Target, Bits) {
	t, b := l.bit(n)
	switch k {
	case Burst:
		bits := Bits{b}
		for i := uint64(1); i < min(uint64(width), l.size()); i++ {
			next, b := l.bit(n + i)
			bits = append(bits, b+uint16(8*(next.Address-t.Address)))
		}
		return t, bits
	case RandomMask:
		return l.mask(t, b, width, r)
	default:
		return t, Bits{b}
	}
}

// mask chooses width different bits of the word that bit b of t is in: the
// register, or the aligned eight bytes of memory.
func (l *Location) mask(t Target, b uint16, width int, r *Stream) (Target, Bits) {
	pool := l.Bits
	if t.Class == MemoryClass {
		first := max(t.Address&^7, l.Target.Address)
		last := min(t.Address|7, l.Target.Address+l.Length-1)
		b += uint16(8 * (t.Address - first))
		t.Address = first
		pool = nil
		for i := range last - first + 1 {
			for bit := range uint16(8) {
				if len(l.Bits) == 0 || len((Bits{bit}).And(l.Bits)) > 0 {
					pool = append(pool, bit+uint16(8*i))
				}
			}
		}
	}
	chosen := Bits{b}
	rest := pool.without(chosen)
	for len(chosen) < width && len(rest) > 0 {
		i := r.Below(uint64(len(rest)))
		chosen = append(chosen, rest[i])
		rest = rest.without(Bits{rest[i]})
	}
	sort.Slice(chosen, func(i, j int) bool { return chosen[i] < chosen[j] })
	return t, chosen
}

// Places is in how many ways the group's bits can be chosen at one moment.
// A random mask is counted by its first bit.
func (g *Group) Places() float64 {
	switch {
	case g.Exactly != nil:
		return float64(len(g.Exactly))
	case g.Kind == Null:
		return 1
	}
	n := 0.0
	for i := range g.Locations {
		n += float64(g.Locations[i].places(g.Kind, g.Width))
	}
	return n
}

// Size is the number of different faults in the group.
func (g *Group) Size() float64 {
	if g.Exactly != nil {
		return float64(len(g.Exactly))
	}
	return g.Places() * float64(g.Moments.Len())
}

// Size is the number of different faults in the space.
func (s *Space) Size() float64 {
	n := 0.0
	for i := range s.Groups {
		n += s.Groups[i].Size()
	}
	return n
}

// Check says why a space cannot be sampled.
func (s *Space) Check() error {
	if len(s.Groups) == 0 {
		return fmt.Errorf("the fault space is empty: there is no fault block")
	}
	total := 0
	for i := range s.Groups {
		g := &s.Groups[i]
		switch {
		case g.Weight < 0 || g.Weight > math.MaxInt32:
			return fmt.Errorf("fault %q: weight %d is out of range", g.Name, g.Weight)
		case g.Exactly == nil && g.Moments == nil:
			return fmt.Errorf("fault %q: there is no moment at which it could happen", g.Name)
		case g.Exactly == nil && g.Moments.Len() == 0:
			return fmt.Errorf("fault %q: the golden run has no moment at which it could happen", g.Name)
		case g.Places() == 0:
			return fmt.Errorf("fault %q: there is no bit it could hit", g.Name)
		}
		for j := range g.Locations {
			if g.Kind != Null && g.Locations[j].size() == 0 {
				return fmt.Errorf("fault %q: %s has no bit it could hit", g.Name, g.Locations[j].Target)
			}
		}
		total += g.Weight
	}
	if total == 0 {
		return fmt.Errorf("every fault has weight 0")
	}
	return nil
}
