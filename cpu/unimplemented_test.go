package cpu

import "testing"

// TestUnimplemented: an instruction that cannot be executed stops the machine
// by name, after the exceptions that the architecture has for it.
func TestUnimplemented(t *testing.T) {
	const stops = -1
	for _, c := range []struct {
		name   string
		code   []byte
		change func(c *CPU)
		vector int
	}{
		{"x87", []byte{0xd8, 0xc1}, func(*CPU) {}, stops},
		{"x87, CR0.TS", []byte{0xd8, 0xc1}, func(c *CPU) { c.CR0 |= CR0TS }, VectorNM},
		{"x87, CR0.EM", []byte{0xd8, 0xc1}, func(c *CPU) { c.CR0 |= CR0EM }, VectorNM},
		{"AVX, no OSXSAVE", []byte{0xc5, 0xf8, 0x58, 0xc1}, func(*CPU) {}, VectorUD},
		{"AVX", []byte{0xc5, 0xf8, 0x58, 0xc1}, func(c *CPU) { c.CR4 |= CR4OSXSAVE }, stops},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newTestCPU(t, c.code)
			c.change(p)
			p.Settle()
			got := stops
			p.SetHooks(Hooks{Catch: func(e Exception) bool {
				got = int(e.Vector)
				return true
			}})
			stop := p.Run(p.Count + 1)
			if got != c.vector || (got == stops) != (stop == StopError) {
				t.Errorf("vector %d, %v: %v", got, stop, p.Err())
			}
		})
	}
}
