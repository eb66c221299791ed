package cpu

import "errors"

// How a task switch came about.
type taskSource uint8

const (
	taskCall taskSource = iota
	taskIRET
	taskJump
	taskIDT
)

var errTaskSwitch = errors.New("hardware task switch")

// taskGate delivers an event through a task gate.
func (c *CPU) taskGate(sel uint16, e Exception) bool {
	c.stop, c.stopErr = StopError, errTaskSwitch
	return true
}

// taskTransfer is a far JMP or CALL to a task.
func (c *CPU) taskTransfer(in *Inst, sel uint16, desc uint64, by taskSource) *Inst {
	c.unwind(in)
	c.stop, c.stopErr = StopError, errTaskSwitch
	return nil
}

// taskReturn is IRET with NT set.
func (c *CPU) taskReturn(in *Inst) *Inst {
	c.unwind(in)
	c.stop, c.stopErr = StopError, errTaskSwitch
	return nil
}
