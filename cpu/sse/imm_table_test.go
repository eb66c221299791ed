package sse

import "github.com/flipvisor/flipvisor/cpu/sse/internal/native"

// immediateInstructions are the instructions with an immediate, once for each
// of its values.
var immediateInstructions = concat(
	shiftImm("psllw", "71", 6, PSLLW, PSLLW64),
	shiftImm("pslld", "72", 6, PSLLD, PSLLD64),
	shiftImm("psllq", "73", 6, PSLLQ, PSLLQ64),
	shiftImm("psrlw", "71", 2, PSRLW, PSRLW64),
	shiftImm("psrld", "72", 2, PSRLD, PSRLD64),
	shiftImm("psrlq", "73", 2, PSRLQ, PSRLQ64),
	shiftImm("psraw", "71", 4, PSRAW, PSRAW64),
	shiftImm("psrad", "72", 4, PSRAD, PSRAD64),
	xi("pslldq", "660f73f8", "", func(d, _ X, imm uint8) X { return PSLLDQ(d, imm) }),
	xi("psrldq", "660f73d8", "", func(d, _ X, imm uint8) X { return PSRLDQ(d, imm) }),
	xi("palignr", "660f3a0fc1", "ssse3", PALIGNR),
	immediates(instruction{name: "palignr mm", code: "0f3a0fc1%02x", feature: "ssse3", operand: integers},
		func(imm uint8) func(*native.State) bool {
			return mm(func(d, s uint64) uint64 { return PALIGNR64(d, s, imm) })
		}),
	xi("pshufd", "660f70c1", "", func(_, s X, imm uint8) X { return PSHUFD(s, imm) }),
	xi("pshuflw", "f20f70c1", "", func(_, s X, imm uint8) X { return PSHUFLW(s, imm) }),
	xi("pshufhw", "f30f70c1", "", func(_, s X, imm uint8) X { return PSHUFHW(s, imm) }),
	immediates(instruction{name: "pshufw", code: "0f70c1%02x", operand: integers},
		func(imm uint8) func(*native.State) bool {
			return mm1(func(s uint64) uint64 { return PSHUFW64(s, imm) })
		}),
	xi("shufps", "0fc6c1", "", SHUFPS),
	xi("shufpd", "660fc6c1", "", SHUFPD),
	xi("pblendw", "660f3a0ec1", "sse4.1", PBLENDW),
	xi("blendps", "660f3a0cc1", "sse4.1", BLENDPS),
	xi("blendpd", "660f3a0dc1", "sse4.1", BLENDPD),
	xi("mpsadbw", "660f3a42c1", "sse4.1", MPSADBW),
	xi("insertps", "660f3a21c1", "sse4.1", func(d, s X, imm uint8) X {
		return INSERTPS(d, PEXTRD(s, imm>>6), imm)
	}),

	toAXImm("pextrw eax, xmm1", "660fc5c1", "", func(s *native.State, imm uint8) uint64 {
		return uint64(PEXTRW(X{s.X1[0], s.X1[1]}, imm))
	}),
	toAXImm("pextrw eax, mm1", "0fc5c1", "", func(s *native.State, imm uint8) uint64 {
		return uint64(PEXTRW64(s.M1, imm))
	}),
	toAXImm("pextrb eax, xmm1", "660f3a14c8", "sse4.1", func(s *native.State, imm uint8) uint64 {
		return uint64(PEXTRB(X{s.X1[0], s.X1[1]}, imm))
	}),
	toAXImm("pextrd eax, xmm1", "660f3a16c8", "sse4.1", func(s *native.State, imm uint8) uint64 {
		return uint64(PEXTRD(X{s.X1[0], s.X1[1]}, imm))
	}),
	toAXImm("pextrq rax, xmm1", "66480f3a16c8", "sse4.1", func(s *native.State, imm uint8) uint64 {
		return PEXTRQ(X{s.X1[0], s.X1[1]}, imm)
	}),
	toAXImm("extractps eax, xmm1", "660f3a17c8", "sse4.1", func(s *native.State, imm uint8) uint64 {
		return uint64(PEXTRD(X{s.X1[0], s.X1[1]}, imm))
	}),
	fromCXImm("pinsrw xmm0, ecx", "660fc4c1", "", func(d X, v uint64, imm uint8) X { return PINSRW(d, uint32(v), imm) }),
	fromCXImm("pinsrb xmm0, ecx", "660f3a20c1", "sse4.1", func(d X, v uint64, imm uint8) X { return PINSRB(d, uint32(v), imm) }),
	fromCXImm("pinsrd xmm0, ecx", "660f3a22c1", "sse4.1", func(d X, v uint64, imm uint8) X { return PINSRD(d, uint32(v), imm) }),
	fromCXImm("pinsrq xmm0, rcx", "66480f3a22c1", "sse4.1", PINSRQ),
	immediates(instruction{name: "pinsrw mm0, ecx", code: "0fc4c1%02x", operand: integers},
		func(imm uint8) func(*native.State) bool {
			return func(s *native.State) bool {
				s.M0 = PINSRW64(s.M0, uint32(s.CX), imm)
				return false
			}
		}),

	floatImm("roundss", "660f3a0ac1", singles, func(s *native.State, imm uint8) bool {
		r, f := Round32(uint32(s.X1[0]), imm, Control(s.MXCSR))
		return finish(s, f, func() { setLow32(s, r) })
	}),
	floatImm("roundsd", "660f3a0bc1", doubles, func(s *native.State, imm uint8) bool {
		r, f := Round64(s.X1[0], imm, Control(s.MXCSR))
		return finish(s, f, func() { s.X0[0] = r })
	}),
	floatImm("roundps", "660f3a08c1", singles, func(s *native.State, imm uint8) bool {
		_, src, c := regs(s)
		r, f := RoundPS(src, imm, c)
		return finish(s, f, func() { setX0(s, r) })
	}),
	floatImm("roundpd", "660f3a09c1", doubles, func(s *native.State, imm uint8) bool {
		_, src, c := regs(s)
		r, f := RoundPD(src, imm, c)
		return finish(s, f, func() { setX0(s, r) })
	}),
	floatImm("dpps", "660f3a40c1", singles, func(s *native.State, imm uint8) bool {
		d, src, c := regs(s)
		r, f := DotPS(d, src, imm, c)
		return finish(s, f, func() { setX0(s, r) })
	}),
	floatImm("dppd", "660f3a41c1", doubles, func(s *native.State, imm uint8) bool {
		d, src, c := regs(s)
		r, f := DotPD(d, src, imm, c)
		return finish(s, f, func() { setX0(s, r) })
	}),

	str("pcmpestrm", "660f3a60c1", explicit32, strMask),
	str("pcmpestri", "660f3a61c1", explicit32, strIndex),
	str("pcmpestrm64", "66480f3a60c1", explicit64, strMask),
	str("pcmpestri64", "66480f3a61c1", explicit64, strIndex),
	str("pcmpistrm", "660f3a62c1", implicit, strMask),
	str("pcmpistri", "660f3a63c1", implicit, strIndex),
)

// shiftImm is a shift by an immediate of XMM0 and of MM0; digit is the
// opcode extension in ModRM.
func shiftImm(name, opcode string, digit byte, x func(d X, count uint64) X, m func(d, count uint64) uint64) []instruction {
	modrm := string("0123456789abcdef"[0xc0>>4|digit>>1]) + string("08"[digit&1])
	return concat(
		xi(name, "660f"+opcode+modrm, "", func(d, _ X, imm uint8) X { return x(d, uint64(imm)) }),
		immediates(instruction{name: name + " mm", code: "0f" + opcode + modrm + "%02x", operand: integers},
			func(imm uint8) func(*native.State) bool {
				return mm(func(d, _ uint64) uint64 { return m(d, uint64(imm)) })
			}),
	)
}

func xi(name, code, feature string, op func(d, s X, imm uint8) X) []instruction {
	return immediates(instruction{name: name, code: code + "%02x", feature: feature, operand: integers},
		func(imm uint8) func(*native.State) bool {
			return xx(func(d, s X) X { return op(d, s, imm) })
		})
}

func toAXImm(name, code, feature string, op func(s *native.State, imm uint8) uint64) []instruction {
	return immediates(instruction{name: name, code: code + "%02x", feature: feature, operand: integers},
		func(imm uint8) func(*native.State) bool {
			return ax(func(s *native.State) uint64 { return op(s, imm) })
		})
}

func fromCXImm(name, code, feature string, op func(d X, v uint64, imm uint8) X) []instruction {
	return immediates(instruction{name: name, code: code + "%02x", feature: feature, operand: integers},
		func(imm uint8) func(*native.State) bool {
			return func(s *native.State) bool {
				setX0(s, op(X{s.X0[0], s.X0[1]}, s.CX, imm))
				return false
			}
		})
}

func floatImm(name, code string, kind operand, op func(s *native.State, imm uint8) bool) []instruction {
	return immediates(instruction{name: name, code: code + "%02x", feature: "sse4.1", operand: kind},
		func(imm uint8) func(*native.State) bool {
			return func(s *native.State) bool { return op(s, imm) }
		})
}

type lengths func(s *native.State, imm uint8) (nd, ns int)

func explicit32(s *native.State, imm uint8) (nd, ns int) {
	return ExplicitLength(int64(int32(s.AX)), imm), ExplicitLength(int64(int32(s.DX)), imm)
}

func explicit64(s *native.State, imm uint8) (nd, ns int) {
	return ExplicitLength(int64(s.AX), imm), ExplicitLength(int64(s.DX), imm)
}

func implicit(s *native.State, imm uint8) (nd, ns int) {
	d, src, _ := regs(s)
	return ImplicitLength(d, imm), ImplicitLength(src, imm)
}

func strMask(s *native.State, result uint32, imm uint8)  { setX0(s, StringMask(result, imm)) }
func strIndex(s *native.State, result uint32, imm uint8) { s.CX = uint64(StringIndex(result, imm)) }

func str(name, code string, count lengths, give func(s *native.State, result uint32, imm uint8)) []instruction {
	return immediates(instruction{name: name, code: code + "%02x", feature: "sse4.2", operand: text},
		func(imm uint8) func(*native.State) bool {
			return func(s *native.State) bool {
				d, src, _ := regs(s)
				nd, ns := count(s, imm)
				result, eflags := CompareStrings(d, src, nd, ns, imm)
				s.Flags = uint64(eflags)
				give(s, result, imm)
				return false
			}
		})
}
