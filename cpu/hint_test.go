package cpu

import "testing"

// TestRDSSPWithoutShadowStacks: the instruction is in the space of NOPs and
// stays one where shadow stacks are not enabled (SDM Vol. 2B, RDSSP).
func TestRDSSPWithoutShadowStacks(t *testing.T) {
	c := bareCPU(t, 0x1000, 0xf3, 0x0f, 0x1e, 0xce)
	c.R[RSI] = 1
	c.Settle()
	if stop := c.Run(1); stop != StopCount || c.RIP != 0x1004 || c.R[RSI] != 1 {
		t.Errorf("%v (%v) at %#x, rsi %#x", stop, c.Err(), c.RIP, c.R[RSI])
	}
}
