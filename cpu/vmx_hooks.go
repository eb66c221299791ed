package cpu

import (
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/internal/state"
	"github.com/flipvisor/flipvisor/mmu"
)

// VMX is the processor's virtual-machine state.
type VMX struct{}

func (v *VMX) Walk(w *state.Walker) {}
func (v *VMX) reset()               {}

// ExitReason is a basic exit reason (SDM Vol. 3D, appendix C).
type ExitReason uint16

const (
	ExitCPUID        ExitReason = 10
	ExitINVD         ExitReason = 13
	ExitEPTViolation ExitReason = 48
	ExitEPTMisconfig ExitReason = 49
)

var vmxBinders = map[decode.Op]binder{}

type interceptKind uint8

const (
	interceptHLT interceptKind = iota
	interceptRDTSC
	interceptRDTSCP
	interceptRDPMC
	interceptWBINVD
	interceptINVPCID
)

const (
	enableRDTSCP = iota
	enableINVPCID
)

func (c *CPU) vmxRegime(r *mmu.Regime)                                      {}
func (c *CPU) interceptException(e *Exception) bool                         { return false }
func (c *CPU) vmexitFault(e Exception)                                      {}
func (c *CPU) vmxVectoring(e Exception, length uint8)                       {}
func (c *CPU) vmxVectoringDone()                                            {}
func (c *CPU) interceptTripleFault() bool                                   { return false }
func (c *CPU) vmxHorizon() uint64                                           { return ^uint64(0) }
func (c *CPU) vmxAttention() bool                                           { return false }
func (c *CPU) vmxBlocksINIT() bool                                          { return false }
func (c *CPU) vmxInit() bool                                                { return false }
func (c *CPU) vmxBoundaryFirst() bool                                       { return false }
func (c *CPU) vmxPreemptionTimer() bool                                     { return false }
func (c *CPU) vmxNMIBlocked() bool                                          { return c.nmiBlocked }
func (c *CPU) vmxWindows() bool                                             { return false }
func (c *CPU) interceptNMI() bool                                           { return false }
func (c *CPU) interceptInterrupt() bool                                     { return false }
func (c *CPU) interceptIO(in *Inst, port uint16, size int, input bool) bool { return false }
func (c *CPU) intercept(in *Inst, k interceptKind) bool                     { return false }
func (c *CPU) interceptAlways(in *Inst, r ExitReason, qual uint64) bool     { return false }
func (c *CPU) interceptINVLPG(in *Inst, a uint64) bool                      { return false }
func (c *CPU) interceptTable(in *Inst) bool                                 { return false }
func (c *CPU) interceptMovToCR(in *Inst, cr, r uint8, v *uint64) bool       { return false }
func (c *CPU) interceptMovFromCR(in *Inst, cr, r uint8) bool                { return false }
func (c *CPU) interceptLMSW(in *Inst, v *uint64) bool                       { return false }
func (c *CPU) interceptCLTS(in *Inst) bool                                  { return false }
func (c *CPU) interceptDR(in *Inst, dr, r uint8, to bool) bool              { return false }
func (c *CPU) interceptMSR(in *Inst, index uint32, write bool) bool         { return false }
func (c *CPU) interceptPause(in *Inst) bool                                 { return false }
func (c *CPU) vmxTSCOffset() uint64                                         { return 0 }
func (c *CPU) vmxEnabled(k int) bool                                        { return true }
func (c *CPU) vmxReadCR0() uint64                                           { return c.CR0 }
func (c *CPU) vmxReadCR4() uint64                                           { return c.CR4 }
func (c *CPU) vmxReadTPR() (uint8, bool)                                    { return 0, false }
func (c *CPU) vmxWriteTPR(v uint8) bool                                     { return false }
func (c *CPU) vmxAllowsCR0(v uint64) bool                                   { return true }
func (c *CPU) vmxAllowsCR4(v uint64) bool                                   { return true }
func (c *CPU) vmxReadMSR(index uint32) (uint64, bool)                       { return 0, false }
func (c *CPU) vmxWriteMSR(index uint32, v uint64) bool                      { return false }
func (c *CPU) vmxCapability(index uint32) (uint64, bool)                    { return 0, false }
func (c *CPU) vmxIRET()                                                     { c.nmiBlocked = false }

func (c *CPU) InGuest() bool { return false }
