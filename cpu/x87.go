package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

var x87Binders = map[decode.Op]binder{}
