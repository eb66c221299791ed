package hv

import (
	"bytes"
	"debug/elf"
	"fmt"
	"sort"
)

// Symbol is a function or object of an image.
type Symbol struct {
	Name    string
	Section string
	Address uint64
	Size    uint64
	Func    bool
}

// Section is a part of an image that is in memory when it runs.
type Section struct {
	Name    string
	Address uint64
	Size    uint64
}

// Symbols is what an image calls its addresses.
type Symbols struct {
	All      []Symbol // by address
	Sections []Section
}

// ReadSymbols reads the symbol table of an ELF image. A symbol without a
// size reaches to the next one of its section.
func ReadSymbols(image []byte) (*Symbols, error) {
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, fmt.Errorf("reading symbols: %w", err)
	}
	s := new(Symbols)
	for _, sec := range f.Sections {
		if sec.Flags&elf.SHF_ALLOC != 0 {
			s.Sections = append(s.Sections, Section{sec.Name, sec.Addr, sec.Size})
		}
	}
	syms, err := f.Symbols()
	if err != nil && len(syms) == 0 {
		return s, nil // a stripped image has no names, and runs all the same
	}
	for _, sym := range syms {
		typ := elf.ST_TYPE(sym.Info)
		if sym.Name == "" || typ == elf.STT_SECTION || typ == elf.STT_FILE || int(sym.Section) >= len(f.Sections) || sym.Section == elf.SHN_UNDEF {
			continue
		}
		sec := f.Sections[sym.Section]
		if sec.Flags&elf.SHF_ALLOC == 0 || sym.Value < sec.Addr || sym.Value >= sec.Addr+sec.Size {
			continue
		}
		s.All = append(s.All, Symbol{
			Name: sym.Name, Section: sec.Name, Address: sym.Value, Size: sym.Size, Func: typ == elf.STT_FUNC,
		})
	}
	sort.SliceStable(s.All, func(i, j int) bool { return s.All[i].Address < s.All[j].Address })
	for i := range s.All {
		a := &s.All[i]
		if a.Size != 0 {
			continue
		}
		end := s.sectionEnd(a.Address)
		if i+1 < len(s.All) && s.All[i+1].Address < end {
			end = s.All[i+1].Address
		}
		a.Size = end - a.Address
	}
	return s, nil
}

func (s *Symbols) sectionEnd(a uint64) uint64 {
	for _, sec := range s.Sections {
		if a >= sec.Address && a < sec.Address+sec.Size {
			return sec.Address + sec.Size
		}
	}
	return a
}

// Lookup gives the symbol that an address belongs to and its start, or "".
// It has the form that disassembly wants.
func (s *Symbols) Lookup(a uint64) (name string, base uint64) {
	i := sort.Search(len(s.All), func(i int) bool { return s.All[i].Address > a })
	for i--; i >= 0; i-- {
		sym := &s.All[i]
		if a-sym.Address < sym.Size {
			return sym.Name, sym.Address
		}
		if a-sym.Address > 1<<20 {
			break
		}
	}
	return "", 0
}

// Format gives an address as symbol+offset, or "" where there is none.
func (s *Symbols) Format(a uint64) string {
	name, base := s.Lookup(a)
	switch {
	case name == "":
		return ""
	case a == base:
		return name
	}
	return fmt.Sprintf("%s+%#x", name, a-base)
}
