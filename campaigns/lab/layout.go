package lab

import (
	"fmt"
	"slices"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/machine"
)

// owners says whose the sections of the hypervisor's image are.
var owners = map[string]string{
	".text":       "hv-text",
	".rodata":     "hv-rodata",
	".data":       "hv-data",
	".bss":        "hv-bss",
	".vms":        "hv-data",
	".stacks":     "hv-stack",
	".pagetables": "hv-page-tables",
	".vmcs":       "vmcs",
	".ept":        "ept",
}

// layout puts together what the image says of itself and what the extended
// page tables say of the VMs.
func (l *Lab) layout(vms map[int][]campaigns.Region) campaigns.Layout {
	var out campaigns.Layout
	for _, s := range l.symbols.Sections {
		owner := owners[s.Name]
		if owner == "" {
			owner = "hv-data"
		}
		if s.Size > 0 {
			out.Regions = append(out.Regions, campaigns.Region{Owner: owner, Section: s.Name, Start: s.Address, Size: s.Size})
		}
	}
	for _, regions := range vms {
		out.Regions = append(out.Regions, regions...)
	}
	slices.SortFunc(out.Regions, func(a, b campaigns.Region) int {
		if a.Start < b.Start {
			return -1
		}
		return 1
	})
	for _, s := range l.symbols.All {
		out.Symbols = append(out.Symbols, campaigns.Symbol{
			Name: s.Name, Section: s.Section, Address: s.Address, Linear: s.Address, Size: s.Size,
		})
	}
	return out
}

// guestRegions reads which memory a VM has from its extended page tables:
// whatever leaf entries map writable RAM (SDM Vol. 3C, 29.3.2).
func guestRegions(m *machine.Machine, vm int) []campaigns.Region {
	var regions []campaigns.Region
	owner := fmt.Sprintf("vm%d", vm)
	add := func(start, size uint64) {
		if !m.Mem.IsRAM(start) {
			return
		}
		if n := len(regions); n > 0 && regions[n-1].Start+regions[n-1].Size == start {
			regions[n-1].Size += size
			return
		}
		regions = append(regions, campaigns.Region{Owner: owner, Start: start, Size: size})
	}
	var walk func(table uint64, level int)
	walk = func(table uint64, level int) {
		for i := range uint64(512) {
			e := m.Mem.Read(table+i*8, 8)
			if e&7 == 0 || !m.Mem.IsRAM(table) {
				continue
			}
			base := e & 0x000f_ffff_ffff_f000
			if level == 1 || level < 4 && e>>7&1 != 0 {
				size := uint64(4096) << (9 * (level - 1))
				if e&2 != 0 {
					add(base&^(size-1), size)
				}
				continue
			}
			walk(base, level-1)
		}
	}
	if eptp := m.CPU.EPTP(); eptp != 0 {
		walk(eptp&0x000f_ffff_ffff_f000, 4)
	}
	slices.SortFunc(regions, func(a, b campaigns.Region) int {
		if a.Start < b.Start {
			return -1
		}
		return 1
	})
	return regions
}
