package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

var sseIntBinders = map[decode.Op]binder{}

// bindInt is a packed-integer operation in its XMM and MMX forms.
func bindInt(f func(d, s XMM) XMM, f64 func(d, s uint64) uint64) binder {
	wide := bindPure(f)
	return func(in *Inst, d *decode.Inst) handler {
		if d.Args[0].Kind != decode.KindMMX {
			return wide(in, d)
		}
		return func(c *CPU, in *Inst) *Inst {
			if !c.mmxReady() {
				return c.fault(in)
			}
			s, ok := c.low(in, 1)
			if !ok {
				return c.fault(in)
			}
			r := c.decoded(in).Args[0].Reg
			c.setMMX(r, f64(c.mmx(r), s))
			return in.next
		}
	}
}
