package cpu

import (
	"github.com/flipvisor/flipvisor/internal/state"
	"github.com/flipvisor/flipvisor/mmu"
)

// mcBanks is the number of machine-check banks: instruction cache, data
// cache, and the second-level cache with memory.
const mcBanks = 4

// Bits of IA32_MCi_STATUS and IA32_MCG_STATUS (SDM Vol. 3B, 15.3).
const (
	mcVAL   = 1 << 63
	mcOVER  = 1 << 62
	mcUC    = 1 << 61
	mcEN    = 1 << 60
	mcMISCV = 1 << 59
	mcADDRV = 1 << 58
	mcPCC   = 1 << 57

	mcgRIPV = 1 << 0
	mcgEIPV = 1 << 1
	mcgMCIP = 1 << 2
)

// MachineCheck is the machine-check architecture's registers.
type MachineCheck struct {
	Cap, Status, Ctl uint64 // IA32_MCG_*
	Bank             [mcBanks]struct{ Ctl, Status, Addr, Misc, Ctl2 uint64 }
}

func (m *MachineCheck) reset() {
	*m = MachineCheck{Cap: mcBanks | 1<<8} // MCG_CTL_P
}

// Walk visits the registers.
func (m *MachineCheck) Walk(w *state.Walker) {
	w.U64("mcg_cap", &m.Cap)
	w.U64("mcg_status", &m.Status)
	w.U64("mcg_ctl", &m.Ctl)
	for i := range m.Bank {
		b := &m.Bank[i]
		w.U64("ctl", &b.Ctl)
		w.U64("status", &b.Status)
		w.U64("addr", &b.Addr)
		w.U64("misc", &b.Misc)
		w.U64("ctl2", &b.Ctl2)
	}
}

// MachineCheck records an error in its bank. An uncorrected one raises #MC
// before the next instruction (SDM Vol. 3B, 15.9.3.2): without CR4.MCE, or
// with a machine check in progress, the processor shuts down.
func (c *CPU) MachineCheck(e mmu.MCE) {
	b := &c.mc.Bank[e.Bank%mcBanks]
	status := e.Status | mcVAL
	if b.Status&mcVAL != 0 {
		if b.Status&mcUC != 0 || status&mcUC == 0 {
			b.Status |= mcOVER // the more severe record stays
			status = b.Status
		} else {
			status |= mcOVER
		}
	}
	if status != b.Status {
		b.Status, b.Addr, b.Misc = status, e.Address, 0
	}
	if e.Status&mcUC != 0 && e.Status&mcEN != 0 {
		c.mcPending = true
	}
}

// deliverMC raises a pending machine-check exception.
func (c *CPU) deliverMC() {
	c.mcPending = false
	if c.CR4&CR4MCE == 0 || c.mc.Status&mcgMCIP != 0 {
		c.tripleFault()
		return
	}
	c.mc.Status |= mcgMCIP | mcgRIPV
	c.exception(Exception{Vector: VectorMC, trap: true})
}
