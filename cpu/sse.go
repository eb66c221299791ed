package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

var sseBinders = map[decode.Op]binder{}
