package sse

import (
	"fmt"

	"github.com/flipvisor/flipvisor/cpu/sse/internal/native"
)

// The shapes of integer instructions.

func xx(op func(d, s X) X) func(*native.State) bool {
	return func(s *native.State) bool {
		d, src, _ := regs(s)
		setX0(s, op(d, src))
		return false
	}
}

func x1(op func(s X) X) func(*native.State) bool {
	return xx(func(_, s X) X { return op(s) })
}

func xl(op func(s uint64) X) func(*native.State) bool {
	return xx(func(_, s X) X { return op(s.Lo) })
}

func mm(op func(d, s uint64) uint64) func(*native.State) bool {
	return func(s *native.State) bool {
		s.M0 = op(s.M0, s.M1)
		return false
	}
}

func mm1(op func(s uint64) uint64) func(*native.State) bool {
	return mm(func(_, s uint64) uint64 { return op(s) })
}

func ax(op func(s *native.State) uint64) func(*native.State) bool {
	return func(s *native.State) bool {
		s.AX = op(s)
		return false
	}
}

// pair is an instruction with an XMM and an MMX form.
func pair(name, opcode, feature string, x func(d, s X) X, m func(d, s uint64) uint64) []instruction {
	return []instruction{
		{name: name, code: "660f" + opcode + "c1", feature: feature, operand: integers, ours: xx(x)},
		{name: name + " mm", code: "0f" + opcode + "c1", feature: feature, operand: integers, ours: mm(m)},
	}
}

func pair1(name, opcode, feature string, x func(s X) X, m func(s uint64) uint64) []instruction {
	return pair(name, opcode, feature,
		func(_, s X) X { return x(s) }, func(_, s uint64) uint64 { return m(s) })
}

// only is an instruction with an XMM form only.
func only(name, opcode, feature string, x func(d, s X) X) []instruction {
	return []instruction{{name: name, code: "660f" + opcode + "c1", feature: feature, operand: integers, ours: xx(x)}}
}

// immediates makes an instruction for every immediate: %02x in code stands
// for it.
func immediates(in instruction, ours func(imm uint8) func(*native.State) bool) []instruction {
	var all []instruction
	for imm := 0; imm < 256; imm++ {
		one := in
		one.name = fmt.Sprintf("%s %02x", in.name, imm)
		one.code = fmt.Sprintf(in.code, imm)
		one.immediate = true
		one.ours = ours(uint8(imm))
		all = append(all, one)
	}
	return all
}

// integerInstructions are the instructions without an immediate.
var integerInstructions = concat(
	pair("paddb", "fc", "", PADDB, PADDB64),
	pair("paddw", "fd", "", PADDW, PADDW64),
	pair("paddd", "fe", "", PADDD, PADDD64),
	pair("paddq", "d4", "", PADDQ, PADDQ64),
	pair("psubb", "f8", "", PSUBB, PSUBB64),
	pair("psubw", "f9", "", PSUBW, PSUBW64),
	pair("psubd", "fa", "", PSUBD, PSUBD64),
	pair("psubq", "fb", "", PSUBQ, PSUBQ64),
	pair("paddusb", "dc", "", PADDUSB, PADDUSB64),
	pair("paddusw", "dd", "", PADDUSW, PADDUSW64),
	pair("psubusb", "d8", "", PSUBUSB, PSUBUSB64),
	pair("psubusw", "d9", "", PSUBUSW, PSUBUSW64),
	pair("paddsb", "ec", "", PADDSB, PADDSB64),
	pair("paddsw", "ed", "", PADDSW, PADDSW64),
	pair("psubsb", "e8", "", PSUBSB, PSUBSB64),
	pair("psubsw", "e9", "", PSUBSW, PSUBSW64),
	pair("pavgb", "e0", "", PAVGB, PAVGB64),
	pair("pavgw", "e3", "", PAVGW, PAVGW64),
	pair("psadbw", "f6", "", PSADBW, PSADBW64),

	pair("pcmpeqb", "74", "", PCMPEQB, PCMPEQB64),
	pair("pcmpeqw", "75", "", PCMPEQW, PCMPEQW64),
	pair("pcmpeqd", "76", "", PCMPEQD, PCMPEQD64),
	pair("pcmpgtb", "64", "", PCMPGTB, PCMPGTB64),
	pair("pcmpgtw", "65", "", PCMPGTW, PCMPGTW64),
	pair("pcmpgtd", "66", "", PCMPGTD, PCMPGTD64),
	pair("pminub", "da", "", PMINUB, PMINUB64),
	pair("pmaxub", "de", "", PMAXUB, PMAXUB64),
	pair("pminsw", "ea", "", PMINSW, PMINSW64),
	pair("pmaxsw", "ee", "", PMAXSW, PMAXSW64),
	pair("pand", "db", "", PAND, PAND64),
	pair("pandn", "df", "", PANDN, PANDN64),
	pair("por", "eb", "", POR, POR64),
	pair("pxor", "ef", "", PXOR, PXOR64),
	only("pcmpeqq", "3829", "sse4.1", PCMPEQQ),
	only("pcmpgtq", "3837", "sse4.2", PCMPGTQ),
	only("pminsb", "3838", "sse4.1", PMINSB),
	only("pmaxsb", "383c", "sse4.1", PMAXSB),
	only("pminuw", "383a", "sse4.1", PMINUW),
	only("pmaxuw", "383e", "sse4.1", PMAXUW),
	only("pminsd", "3839", "sse4.1", PMINSD),
	only("pmaxsd", "383d", "sse4.1", PMAXSD),
	only("pminud", "383b", "sse4.1", PMINUD),
	only("pmaxud", "383f", "sse4.1", PMAXUD),

	pair("pmullw", "d5", "", PMULLW, PMULLW64),
	pair("pmulhw", "e5", "", PMULHW, PMULHW64),
	pair("pmulhuw", "e4", "", PMULHUW, PMULHUW64),
	pair("pmuludq", "f4", "", PMULUDQ, PMULUDQ64),
	pair("pmaddwd", "f5", "", PMADDWD, PMADDWD64),
	pair("pmulhrsw", "380b", "ssse3", PMULHRSW, PMULHRSW64),
	pair("pmaddubsw", "3804", "ssse3", PMADDUBSW, PMADDUBSW64),
	only("pmuldq", "3828", "sse4.1", PMULDQ),
	only("pmulld", "3840", "sse4.1", PMULLD),
	only("phminposuw", "3841", "sse4.1", func(_, s X) X { return PHMINPOSUW(s) }),

	pair("packsswb", "63", "", PACKSSWB, PACKSSWB64),
	pair("packuswb", "67", "", PACKUSWB, PACKUSWB64),
	pair("packssdw", "6b", "", PACKSSDW, PACKSSDW64),
	only("packusdw", "382b", "sse4.1", PACKUSDW),
	pair("punpcklbw", "60", "", PUNPCKLBW, PUNPCKLBW64),
	pair("punpcklwd", "61", "", PUNPCKLWD, PUNPCKLWD64),
	pair("punpckldq", "62", "", PUNPCKLDQ, PUNPCKLDQ64),
	pair("punpckhbw", "68", "", PUNPCKHBW, PUNPCKHBW64),
	pair("punpckhwd", "69", "", PUNPCKHWD, PUNPCKHWD64),
	pair("punpckhdq", "6a", "", PUNPCKHDQ, PUNPCKHDQ64),
	only("punpcklqdq", "6c", "", PUNPCKLQDQ),
	only("punpckhqdq", "6d", "", PUNPCKHQDQ),

	pair("pshufb", "3800", "ssse3", PSHUFB, PSHUFB64),
	pair("phaddw", "3801", "ssse3", PHADDW, PHADDW64),
	pair("phaddd", "3802", "ssse3", PHADDD, PHADDD64),
	pair("phaddsw", "3803", "ssse3", PHADDSW, PHADDSW64),
	pair("phsubw", "3805", "ssse3", PHSUBW, PHSUBW64),
	pair("phsubd", "3806", "ssse3", PHSUBD, PHSUBD64),
	pair("phsubsw", "3807", "ssse3", PHSUBSW, PHSUBSW64),
	pair("psignb", "3808", "ssse3", PSIGNB, PSIGNB64),
	pair("psignw", "3809", "ssse3", PSIGNW, PSIGNW64),
	pair("psignd", "380a", "ssse3", PSIGND, PSIGND64),
	pair1("pabsb", "381c", "ssse3", PABSB, PABSB64),
	pair1("pabsw", "381d", "ssse3", PABSW, PABSW64),
	pair1("pabsd", "381e", "ssse3", PABSD, PABSD64),

	shift("psllw", "f1", PSLLW, PSLLW64),
	shift("pslld", "f2", PSLLD, PSLLD64),
	shift("psllq", "f3", PSLLQ, PSLLQ64),
	shift("psrlw", "d1", PSRLW, PSRLW64),
	shift("psrld", "d2", PSRLD, PSRLD64),
	shift("psrlq", "d3", PSRLQ, PSRLQ64),
	shift("psraw", "e1", PSRAW, PSRAW64),
	shift("psrad", "e2", PSRAD, PSRAD64),

	[]instruction{
		{name: "pmovsxbw", code: "660f3820c1", feature: "sse4.1", operand: integers, ours: xl(PMOVSXBW)},
		{name: "pmovsxbd", code: "660f3821c1", feature: "sse4.1", operand: integers, ours: xl(PMOVSXBD)},
		{name: "pmovsxbq", code: "660f3822c1", feature: "sse4.1", operand: integers, ours: xl(PMOVSXBQ)},
		{name: "pmovsxwd", code: "660f3823c1", feature: "sse4.1", operand: integers, ours: xl(PMOVSXWD)},
		{name: "pmovsxwq", code: "660f3824c1", feature: "sse4.1", operand: integers, ours: xl(PMOVSXWQ)},
		{name: "pmovsxdq", code: "660f3825c1", feature: "sse4.1", operand: integers, ours: xl(PMOVSXDQ)},
		{name: "pmovzxbw", code: "660f3830c1", feature: "sse4.1", operand: integers, ours: xl(PMOVZXBW)},
		{name: "pmovzxbd", code: "660f3831c1", feature: "sse4.1", operand: integers, ours: xl(PMOVZXBD)},
		{name: "pmovzxbq", code: "660f3832c1", feature: "sse4.1", operand: integers, ours: xl(PMOVZXBQ)},
		{name: "pmovzxwd", code: "660f3833c1", feature: "sse4.1", operand: integers, ours: xl(PMOVZXWD)},
		{name: "pmovzxwq", code: "660f3834c1", feature: "sse4.1", operand: integers, ours: xl(PMOVZXWQ)},
		{name: "pmovzxdq", code: "660f3835c1", feature: "sse4.1", operand: integers, ours: xl(PMOVZXDQ)},
		{name: "movddup", code: "f20f12c1", feature: "sse3", operand: integers, ours: xl(MOVDDUP)},
		{name: "movsldup", code: "f30f12c1", feature: "sse3", operand: integers, ours: x1(MOVSLDUP)},
		{name: "movshdup", code: "f30f16c1", feature: "sse3", operand: integers, ours: x1(MOVSHDUP)},
		{name: "unpcklps", code: "0f14c1", operand: integers, ours: xx(PUNPCKLDQ)},
		{name: "unpckhps", code: "0f15c1", operand: integers, ours: xx(PUNPCKHDQ)},
		{name: "unpcklpd", code: "660f14c1", operand: integers, ours: xx(PUNPCKLQDQ)},
		{name: "unpckhpd", code: "660f15c1", operand: integers, ours: xx(PUNPCKHQDQ)},
		{name: "andps", code: "0f54c1", operand: integers, ours: xx(PAND)},
		{name: "andnps", code: "0f55c1", operand: integers, ours: xx(PANDN)},
		{name: "orps", code: "0f56c1", operand: integers, ours: xx(POR)},
		{name: "xorps", code: "0f57c1", operand: integers, ours: xx(PXOR)},
		{name: "pmovmskb eax, xmm1", code: "660fd7c1", operand: integers, ours: ax(func(s *native.State) uint64 {
			_, src, _ := regs(s)
			return uint64(PMOVMSKB(src))
		})},
		{name: "pmovmskb eax, mm1", code: "0fd7c1", operand: integers, ours: ax(func(s *native.State) uint64 {
			return uint64(PMOVMSKB64(s.M1))
		})},
		{name: "movmskps eax, xmm1", code: "0f50c1", operand: integers, ours: ax(func(s *native.State) uint64 {
			_, src, _ := regs(s)
			return uint64(MOVMSKPS(src))
		})},
		{name: "movmskpd eax, xmm1", code: "660f50c1", operand: integers, ours: ax(func(s *native.State) uint64 {
			_, src, _ := regs(s)
			return uint64(MOVMSKPD(src))
		})},
		{name: "ptest", code: "660f3817c1", feature: "sse4.1", operand: integers, ours: func(s *native.State) bool {
			d, src, _ := regs(s)
			s.Flags = uint64(PTEST(d, src))
			return false
		}},
		{name: "crc32 eax, cl", code: "f20f38f0c1", feature: "sse4.2", operand: integers, ours: crc(1)},
		{name: "crc32 eax, cx", code: "66f20f38f1c1", feature: "sse4.2", operand: integers, ours: crc(2)},
		{name: "crc32 eax, ecx", code: "f20f38f1c1", feature: "sse4.2", operand: integers, ours: crc(4)},
		{name: "crc32 rax, rcx", code: "f2480f38f1c1", feature: "sse4.2", operand: integers, ours: crc(8)},
		// The masks of the variable blends are in XMM0, which is the
		// destination here, too.
		{name: "pblendvb", code: "660f3810c1", feature: "sse4.1", operand: integers,
			ours: xx(func(d, s X) X { return PBLENDVB(d, s, d) })},
		{name: "blendvps", code: "660f3814c1", feature: "sse4.1", operand: integers,
			ours: xx(func(d, s X) X { return BLENDVPS(d, s, d) })},
		{name: "blendvpd", code: "660f3815c1", feature: "sse4.1", operand: integers,
			ours: xx(func(d, s X) X { return BLENDVPD(d, s, d) })},
	},
)

func crc(size int) func(*native.State) bool {
	return ax(func(s *native.State) uint64 { return uint64(CRC32(uint32(s.AX), s.CX, size)) })
}

// shift is a shift by a register; the immediate forms are with the immediates.
func shift(name, opcode string, x func(d X, count uint64) X, m func(d, count uint64) uint64) []instruction {
	return pair(name, opcode, "", func(d, s X) X { return x(d, s.Lo) }, m)
}

func concat(lists ...[]instruction) []instruction {
	var all []instruction
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
