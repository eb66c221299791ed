package sse

import (
	"fmt"

	"github.com/flipvisor/flipvisor/cpu/sse/internal/native"
)

// floatInstructions are all the floating-point instructions of SSE to SSE3
// whose results are exactly defined.
var floatInstructions = append([]instruction{
	{name: "addss", code: "f30f58c1", ours: ss(Add32)},
	{name: "subss", code: "f30f5cc1", ours: ss(Sub32)},
	{name: "mulss", code: "f30f59c1", ours: ss(Mul32)},
	{name: "divss", code: "f30f5ec1", ours: ss(Div32)},
	{name: "minss", code: "f30f5dc1", ours: ss(Min32)},
	{name: "maxss", code: "f30f5fc1", ours: ss(Max32)},
	{name: "sqrtss", code: "f30f51c1", ours: ss1(Sqrt32)},
	{name: "addps", code: "0f58c1", ours: packed(AddPS)},
	{name: "subps", code: "0f5cc1", ours: packed(SubPS)},
	{name: "mulps", code: "0f59c1", ours: packed(MulPS)},
	{name: "divps", code: "0f5ec1", ours: packed(DivPS)},
	{name: "minps", code: "0f5dc1", ours: packed(MinPS)},
	{name: "maxps", code: "0f5fc1", ours: packed(MaxPS)},
	{name: "sqrtps", code: "0f51c1", ours: packed1(SqrtPS)},
	{name: "haddps", code: "f20f7cc1", feature: "sse3", ours: packed(HaddPS)},
	{name: "hsubps", code: "f20f7dc1", feature: "sse3", ours: packed(HsubPS)},
	{name: "addsubps", code: "f20fd0c1", feature: "sse3", ours: packed(AddsubPS)},

	{name: "addsd", code: "f20f58c1", operand: doubles, ours: sd(Add64)},
	{name: "subsd", code: "f20f5cc1", operand: doubles, ours: sd(Sub64)},
	{name: "mulsd", code: "f20f59c1", operand: doubles, ours: sd(Mul64)},
	{name: "divsd", code: "f20f5ec1", operand: doubles, ours: sd(Div64)},
	{name: "minsd", code: "f20f5dc1", operand: doubles, ours: sd(Min64)},
	{name: "maxsd", code: "f20f5fc1", operand: doubles, ours: sd(Max64)},
	{name: "sqrtsd", code: "f20f51c1", operand: doubles, ours: sd1(Sqrt64)},
	{name: "addpd", code: "660f58c1", operand: doubles, ours: packed(AddPD)},
	{name: "subpd", code: "660f5cc1", operand: doubles, ours: packed(SubPD)},
	{name: "mulpd", code: "660f59c1", operand: doubles, ours: packed(MulPD)},
	{name: "divpd", code: "660f5ec1", operand: doubles, ours: packed(DivPD)},
	{name: "minpd", code: "660f5dc1", operand: doubles, ours: packed(MinPD)},
	{name: "maxpd", code: "660f5fc1", operand: doubles, ours: packed(MaxPD)},
	{name: "sqrtpd", code: "660f51c1", operand: doubles, ours: packed1(SqrtPD)},
	{name: "haddpd", code: "660f7cc1", feature: "sse3", operand: doubles, ours: packed(HaddPD)},
	{name: "hsubpd", code: "660f7dc1", feature: "sse3", operand: doubles, ours: packed(HsubPD)},
	{name: "addsubpd", code: "660fd0c1", feature: "sse3", operand: doubles, ours: packed(AddsubPD)},

	{name: "comiss", code: "0f2fc1", ours: comi(func(s *native.State) (uint32, Flags) {
		return Comi32(uint32(s.X0[0]), uint32(s.X1[0]), Control(s.MXCSR))
	})},
	{name: "ucomiss", code: "0f2ec1", ours: comi(func(s *native.State) (uint32, Flags) {
		return Ucomi32(uint32(s.X0[0]), uint32(s.X1[0]), Control(s.MXCSR))
	})},
	{name: "comisd", code: "660f2fc1", operand: doubles, ours: comi(func(s *native.State) (uint32, Flags) {
		return Comi64(s.X0[0], s.X1[0], Control(s.MXCSR))
	})},
	{name: "ucomisd", code: "660f2ec1", operand: doubles, ours: comi(func(s *native.State) (uint32, Flags) {
		return Ucomi64(s.X0[0], s.X1[0], Control(s.MXCSR))
	})},

	{name: "cvtss2sd", code: "f30f5ac1", ours: func(s *native.State) bool {
		r, f := CvtSS2SD(uint32(s.X1[0]), Control(s.MXCSR))
		return finish(s, f, func() { s.X0[0] = r })
	}},
	{name: "cvtsd2ss", code: "f20f5ac1", operand: doubles, ours: func(s *native.State) bool {
		r, f := CvtSD2SS(s.X1[0], Control(s.MXCSR))
		return finish(s, f, func() { setLow32(s, r) })
	}},
	{name: "cvtsi2ss xmm0, ecx", code: "f30f2ac1", operand: integers, ours: func(s *native.State) bool {
		r, f := CvtSI2SS32(int32(s.CX), Control(s.MXCSR))
		return finish(s, f, func() { setLow32(s, r) })
	}},
	{name: "cvtsi2ss xmm0, rcx", code: "f3480f2ac1", operand: integers, ours: func(s *native.State) bool {
		r, f := CvtSI2SS64(int64(s.CX), Control(s.MXCSR))
		return finish(s, f, func() { setLow32(s, r) })
	}},
	{name: "cvtsi2sd xmm0, ecx", code: "f20f2ac1", operand: integers, ours: func(s *native.State) bool {
		s.X0[0] = CvtSI2SD32(int32(s.CX))
		return false
	}},
	{name: "cvtsi2sd xmm0, rcx", code: "f2480f2ac1", operand: integers, ours: func(s *native.State) bool {
		r, f := CvtSI2SD64(int64(s.CX), Control(s.MXCSR))
		return finish(s, f, func() { s.X0[0] = r })
	}},
	{name: "cvtdq2ps", code: "0f5bc1", operand: integers, ours: packed1(CvtDQ2PS)},
	{name: "cvtdq2pd", code: "f30fe6c1", operand: integers, ours: fromLow(func(s uint64, _ Control) (X, Flags) {
		return CvtDQ2PD(s), 0
	})},
	{name: "cvtpi2ps xmm0, mm1", code: "0f2ac1", operand: integers, ours: func(s *native.State) bool {
		r, f := CvtPI2PS(s.M1, Control(s.MXCSR))
		return finish(s, f, func() { s.X0[0] = r })
	}},
	{name: "cvtpi2pd xmm0, mm1", code: "660f2ac1", operand: integers, ours: func(s *native.State) bool {
		setX0(s, CvtDQ2PD(s.M1))
		return false
	}},

	{name: "cvtps2pd", code: "0f5ac1", ours: fromLow(CvtPS2PD)},
	{name: "cvtpd2ps", code: "660f5ac1", operand: doubles, ours: toLow(CvtPD2PS)},
	{name: "cvtps2dq", code: "660f5bc1", ours: packed1(CvtPS2DQ)},
	{name: "cvttps2dq", code: "f30f5bc1", ours: packed1(CvttPS2DQ)},
	{name: "cvtpd2dq", code: "f20fe6c1", operand: doubles, ours: toLow(CvtPD2DQ)},
	{name: "cvttpd2dq", code: "660fe6c1", operand: doubles, ours: toLow(CvttPD2DQ)},
	{name: "cvtpd2pi mm0, xmm1", code: "660f2dc1", operand: doubles, ours: toMM(CvtPD2DQ)},
	{name: "cvttpd2pi mm0, xmm1", code: "660f2cc1", operand: doubles, ours: toMM(CvttPD2DQ)},
	{name: "cvtps2pi mm0, xmm1", code: "0f2dc1", ours: toMM(func(s X, c Control) (uint64, Flags) {
		return CvtPS2PI(s.Lo, c)
	})},
	{name: "cvttps2pi mm0, xmm1", code: "0f2cc1", ours: toMM(func(s X, c Control) (uint64, Flags) {
		return CvttPS2PI(s.Lo, c)
	})},

	{name: "cvtss2si eax, xmm1", code: "f30f2dc1", ours: toAX(func(s *native.State) (uint64, Flags) {
		r, f := CvtSS2SI32(uint32(s.X1[0]), Control(s.MXCSR))
		return uint64(r), f
	})},
	{name: "cvtss2si rax, xmm1", code: "f3480f2dc1", ours: toAX(func(s *native.State) (uint64, Flags) {
		return CvtSS2SI64(uint32(s.X1[0]), Control(s.MXCSR))
	})},
	{name: "cvttss2si eax, xmm1", code: "f30f2cc1", ours: toAX(func(s *native.State) (uint64, Flags) {
		r, f := CvttSS2SI32(uint32(s.X1[0]), Control(s.MXCSR))
		return uint64(r), f
	})},
	{name: "cvttss2si rax, xmm1", code: "f3480f2cc1", ours: toAX(func(s *native.State) (uint64, Flags) {
		return CvttSS2SI64(uint32(s.X1[0]), Control(s.MXCSR))
	})},
	{name: "cvtsd2si eax, xmm1", code: "f20f2dc1", operand: doubles, ours: toAX(func(s *native.State) (uint64, Flags) {
		r, f := CvtSD2SI32(s.X1[0], Control(s.MXCSR))
		return uint64(r), f
	})},
	{name: "cvtsd2si rax, xmm1", code: "f2480f2dc1", operand: doubles, ours: toAX(func(s *native.State) (uint64, Flags) {
		return CvtSD2SI64(s.X1[0], Control(s.MXCSR))
	})},
	{name: "cvttsd2si eax, xmm1", code: "f20f2cc1", operand: doubles, ours: toAX(func(s *native.State) (uint64, Flags) {
		r, f := CvttSD2SI32(s.X1[0], Control(s.MXCSR))
		return uint64(r), f
	})},
	{name: "cvttsd2si rax, xmm1", code: "f2480f2cc1", operand: doubles, ours: toAX(func(s *native.State) (uint64, Flags) {
		return CvttSD2SI64(s.X1[0], Control(s.MXCSR))
	})},
}, comparisons()...)

// comparisons are CMPSS, CMPSD, CMPPS and CMPPD with all predicates.
func comparisons() []instruction {
	var all []instruction
	for pred := uint8(0); pred < 8; pred++ {
		imm := fmt.Sprintf("%02x", pred)
		all = append(all,
			instruction{name: "cmpss " + imm, code: "f30fc2c1" + imm,
				ours: ss(func(a, b uint32, c Control) (uint32, Flags) { return Cmp32(a, b, pred, c) })},
			instruction{name: "cmpps " + imm, code: "0fc2c1" + imm,
				ours: packed(func(d, s X, c Control) (X, Flags) { return CmpPS(d, s, pred, c) })},
			instruction{name: "cmpsd " + imm, code: "f20fc2c1" + imm, operand: doubles,
				ours: sd(func(a, b uint64, c Control) (uint64, Flags) { return Cmp64(a, b, pred, c) })},
			instruction{name: "cmppd " + imm, code: "660fc2c1" + imm, operand: doubles,
				ours: packed(func(d, s X, c Control) (X, Flags) { return CmpPD(d, s, pred, c) })},
		)
	}
	return all
}
