package campaigns

import (
	"fmt"
	"slices"
	"sort"

	"github.com/flipvisor/flipvisor/inject"
)

// Layout says whose each byte of physical memory is, once every VM is
// ready, and what the hypervisor calls it.
type Layout struct {
	Regions []Region // disjoint
	Symbols []Symbol
}

// Region is a range of physical memory with one owner: hv-text, hv-rodata,
// hv-data, hv-bss, hv-stack, hv-heap, hv-page-tables, ept, vmcs, or vm0,
// vm1, … for a VM's memory. Section names the image's section it was loaded
// from, if it was.
type Region struct {
	Owner   string
	Section string
	Start   uint64
	Size    uint64
}

// Symbol is a named object or function of the hypervisor.
type Symbol struct {
	Name    string
	Section string
	Address uint64 // physical
	Linear  uint64 // where the hypervisor sees it
	Size    uint64
}

// Owners lists the owners there are.
func (l *Layout) Owners() []string {
	return l.distinct(func(r Region) string { return r.Owner })
}

// Sections lists the sections there are.
func (l *Layout) Sections() []string {
	return l.distinct(func(r Region) string { return r.Section })
}

func (l *Layout) distinct(of func(Region) string) []string {
	var all []string
	for _, r := range l.Regions {
		if name := of(r); name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// Find gives the symbol of a name.
func (l *Layout) Find(name string) (Symbol, bool) {
	for _, s := range l.Symbols {
		if s.Name == name {
			return s, true
		}
	}
	return Symbol{}, false
}

// SymbolNames lists every symbol's name, sorted.
func (l *Layout) SymbolNames() []string {
	all := make([]string, len(l.Symbols))
	for i, s := range l.Symbols {
		all[i] = s.Name
	}
	sort.Strings(all)
	return all
}

// Place says whose the byte at a physical address is and what it is called.
func (l *Layout) Place(address uint64) inject.Place {
	var p inject.Place
	for _, r := range l.Regions {
		if address >= r.Start && address-r.Start < r.Size {
			p.Owner = r.Owner
			break
		}
	}
	for _, s := range l.Symbols {
		if address >= s.Address && address-s.Address < s.Size {
			p.Symbol = s.Name
			if off := address - s.Address; off != 0 {
				p.Symbol = fmt.Sprintf("%s+%#x", s.Name, off)
			}
			break
		}
	}
	return p
}
