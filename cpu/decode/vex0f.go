package decode

// The VEX form of the two-byte map (VEX.mmmmm = 1): SDM Vol. 2D, table A-3,
// rows marked v. One source more than the legacy forms, VEX.vvvv, and the
// destination is written whole, to its top.
var vex0F = [256]entry{
	0x10: pfx(o(VMOVUPS, Vx|wr, Wx), o(VMOVUPD, Vx|wr, Wx), mod(o(VMOVSS, Vdq|wr, Wss), o(VMOVSS, Vdq|wr, Hdq, Uss)), mod(o(VMOVSD, Vdq|wr, Wsd), o(VMOVSD, Vdq|wr, Hdq, Usd))),
	0x11: pfx(o(VMOVUPS, Wx|wr, Vx), o(VMOVUPD, Wx|wr, Vx), mod(o(VMOVSS, Wss|wr, Vss), o(VMOVSS, Udq|wr, Hdq, Vss)), mod(o(VMOVSD, Wsd|wr, Vsd), o(VMOVSD, Udq|wr, Hdq, Vsd))),
	0x12: pfx(mod(o(VMOVLPS, Vdq|wr, Hdq, Mq), o(VMOVHLPS, Vdq|wr, Hdq, Udq)).l0(), o(VMOVLPD, Vdq|wr, Hdq, Mq).l0(), o(VMOVSLDUP, Vx|wr, Wx), lbit(o(VMOVDDUP, Vdq|wr, Wsd), o(VMOVDDUP, Vqq|wr, Wqq))),
	0x13: pfx(o(VMOVLPS, Mq|wr, Vsd).l0(), o(VMOVLPD, Mq|wr, Vsd).l0(), ud, ud),
	0x14: vexPsPd(VUNPCKLPS, VUNPCKLPD),
	0x15: vexPsPd(VUNPCKHPS, VUNPCKHPD),
	0x16: pfx(mod(o(VMOVHPS, Vdq|wr, Hdq, Mq), o(VMOVLHPS, Vdq|wr, Hdq, Udq)).l0(), o(VMOVHPD, Vdq|wr, Hdq, Mq).l0(), o(VMOVSHDUP, Vx|wr, Wx), ud),
	0x17: pfx(o(VMOVHPS, Mq|wr, Vdq).l0(), o(VMOVHPD, Mq|wr, Vdq).l0(), ud, ud),

	0x28: pfx(o(VMOVAPS, Vx|wr, Wx), o(VMOVAPD, Vx|wr, Wx), ud, ud),
	0x29: pfx(o(VMOVAPS, Wx|wr, Vx), o(VMOVAPD, Wx|wr, Vx), ud, ud),
	0x2A: pfx(ud, ud, o(VCVTSI2SS, Vdq|wr, Hdq, Ey), o(VCVTSI2SD, Vdq|wr, Hdq, Ey)),
	0x2B: pfx(o(VMOVNTPS, Mx|wr, Vx), o(VMOVNTPD, Mx|wr, Vx), ud, ud),
	0x2C: pfx(ud, ud, o(VCVTTSS2SI, Gy|wr, Wss), o(VCVTTSD2SI, Gy|wr, Wsd)),
	0x2D: pfx(ud, ud, o(VCVTSS2SI, Gy|wr, Wss), o(VCVTSD2SI, Gy|wr, Wsd)),
	0x2E: pfx(o(VUCOMISS, Vss, Wss), o(VUCOMISD, Vsd, Wsd), ud, ud),
	0x2F: pfx(o(VCOMISS, Vss, Wss), o(VCOMISD, Vsd, Wsd), ud, ud),

	0x41: k3(KANDB, KANDW, KANDD, KANDQ),
	0x42: k3(KANDNB, KANDNW, KANDND, KANDNQ),
	0x44: pfx(vexw(o(KNOTW, KGw|wr, KRw), o(KNOTQ, KGq|wr, KRq)).l0(), vexw(o(KNOTB, KGb|wr, KRb), o(KNOTD, KGd|wr, KRd)).l0(), ud, ud),
	0x45: k3(KORB, KORW, KORD, KORQ),
	0x46: k3(KXNORB, KXNORW, KXNORD, KXNORQ),
	0x47: k3(KXORB, KXORW, KXORD, KXORQ),
	0x4A: k3(KADDB, KADDW, KADDD, KADDQ),
	0x4B: pfx(vexw(o(KUNPCKWD, KGd|wr, KBw, KRw), o(KUNPCKDQ, KGq|wr, KBd, KRd)).l1(), vexw(o(KUNPCKBW, KGw|wr, KBb, KRb), ud).l1(), ud, ud),

	0x50: pfx(o(VMOVMSKPS, Gd|wr, Ux), o(VMOVMSKPD, Gd|wr, Ux), ud, ud),
	0x51: pfx(o(VSQRTPS, Vx|wr, Wx), o(VSQRTPD, Vx|wr, Wx), o(VSQRTSS, Vdq|wr, Hdq, Wss), o(VSQRTSD, Vdq|wr, Hdq, Wsd)),
	0x52: pfx(o(VRSQRTPS, Vx|wr, Wx), ud, o(VRSQRTSS, Vdq|wr, Hdq, Wss), ud),
	0x53: pfx(o(VRCPPS, Vx|wr, Wx), ud, o(VRCPSS, Vdq|wr, Hdq, Wss), ud),
	0x54: vexPsPd(VANDPS, VANDPD),
	0x55: vexPsPd(VANDNPS, VANDNPD),
	0x56: vexPsPd(VORPS, VORPD),
	0x57: vexPsPd(VXORPS, VXORPD),
	0x58: vexArith(VADDPS, VADDPD, VADDSS, VADDSD),
	0x59: vexArith(VMULPS, VMULPD, VMULSS, VMULSD),
	0x5A: pfx(o(VCVTPS2PD, Vx|wr, Whx), lbit(o(VCVTPD2PS, Vdq|wr, Wdq), o(VCVTPD2PS, Vdq|wr, Wqq)), o(VCVTSS2SD, Vdq|wr, Hdq, Wss), o(VCVTSD2SS, Vdq|wr, Hdq, Wsd)),
	0x5B: pfx(o(VCVTDQ2PS, Vx|wr, Wx), o(VCVTPS2DQ, Vx|wr, Wx), o(VCVTTPS2DQ, Vx|wr, Wx), ud),
	0x5C: vexArith(VSUBPS, VSUBPD, VSUBSS, VSUBSD),
	0x5D: vexArith(VMINPS, VMINPD, VMINSS, VMINSD),
	0x5E: vexArith(VDIVPS, VDIVPD, VDIVSS, VDIVSD),
	0x5F: vexArith(VMAXPS, VMAXPD, VMAXSS, VMAXSD),

	0x60: vex66(VPUNPCKLBW),
	0x61: vex66(VPUNPCKLWD),
	0x62: vex66(VPUNPCKLDQ),
	0x63: vex66(VPACKSSWB),
	0x64: vex66(VPCMPGTB),
	0x65: vex66(VPCMPGTW),
	0x66: vex66(VPCMPGTD),
	0x67: vex66(VPACKUSWB),
	0x68: vex66(VPUNPCKHBW),
	0x69: vex66(VPUNPCKHWD),
	0x6A: vex66(VPUNPCKHDQ),
	0x6B: vex66(VPACKSSDW),
	0x6C: vex66(VPUNPCKLQDQ),
	0x6D: vex66(VPUNPCKHQDQ),
	0x6E: p66(wbit(o(VMOVD, Vdq|wr, Ed), o(VMOVQ, Vdq|wr, Eq)).l0()),
	0x6F: pfx(ud, o(VMOVDQA, Vx|wr, Wx), o(VMOVDQU, Vx|wr, Wx), ud),

	0x70: pfx(ud, o(VPSHUFD, Vx|wr, Wx, Ib), o(VPSHUFHW, Vx|wr, Wx, Ib), o(VPSHUFLW, Vx|wr, Wx, Ib)),
	0x71: grp(ud, ud, vexShift(VPSRLW), ud, vexShift(VPSRAW), ud, vexShift(VPSLLW), ud),
	0x72: grp(ud, ud, vexShift(VPSRLD), ud, vexShift(VPSRAD), ud, vexShift(VPSLLD), ud),
	0x73: grp(ud, ud, vexShift(VPSRLQ), vexShift(VPSRLDQ), ud, ud, vexShift(VPSLLQ), vexShift(VPSLLDQ)),
	0x74: vex66(VPCMPEQB),
	0x75: vex66(VPCMPEQW),
	0x76: vex66(VPCMPEQD),
	0x77: np(lbit(o(VZEROUPPER), o(VZEROALL))),
	0x7C: pfx(ud, o(VHADDPD, Vx|wr, Hx, Wx), ud, o(VHADDPS, Vx|wr, Hx, Wx)),
	0x7D: pfx(ud, o(VHSUBPD, Vx|wr, Hx, Wx), ud, o(VHSUBPS, Vx|wr, Hx, Wx)),
	0x7E: pfx(ud, wbit(o(VMOVD, Ed|wr, Vss), o(VMOVQ, Eq|wr, Vsd)).l0(), o(VMOVQ, Vdq|wr, Wsd).l0(), ud),
	0x7F: pfx(ud, o(VMOVDQA, Wx|wr, Vx), o(VMOVDQU, Wx|wr, Vx), ud),

	0x90: pfx(vexw(o(KMOVW, KGw|wr, KEw), o(KMOVQ, KGq|wr, KEq)).l0(), vexw(o(KMOVB, KGb|wr, KEb), o(KMOVD, KGd|wr, KEd)).l0(), ud, ud),
	0x91: mod(pfx(vexw(o(KMOVW, KEw|wr, KGw), o(KMOVQ, KEq|wr, KGq)).l0(), vexw(o(KMOVB, KEb|wr, KGb), o(KMOVD, KEd|wr, KGd)).l0(), ud, ud), ud),
	0x92: pfx(o(KMOVW, KGw|wr, Rd).l0().w0(), o(KMOVB, KGb|wr, Rd).l0().w0(), ud, wbit(o(KMOVD, KGd|wr, Rd), o(KMOVQ, KGq|wr, Ry)).l0()),
	0x93: pfx(o(KMOVW, Gd|wr, KRw).l0().w0(), o(KMOVB, Gd|wr, KRb).l0().w0(), ud, wbit(o(KMOVD, Gd|wr, KRd), o(KMOVQ, Gy|wr, KRq)).l0()),
	0x98: pfx(vexw(o(KORTESTW, KGw, KRw), o(KORTESTQ, KGq, KRq)).l0(), vexw(o(KORTESTB, KGb, KRb), o(KORTESTD, KGd, KRd)).l0(), ud, ud),
	0x99: pfx(vexw(o(KTESTW, KGw, KRw), o(KTESTQ, KGq, KRq)).l0(), vexw(o(KTESTB, KGb, KRb), o(KTESTD, KGd, KRd)).l0(), ud, ud),

	0xAE: mod(np(grp(ud, ud, o(VLDMXCSR, Md).l0(), o(VSTMXCSR, Md|wr).l0(), ud, ud, ud, ud)), ud),

	0xC2: pfx(o(VCMPPS, Vx|wr, Hx, Wx, Ib), o(VCMPPD, Vx|wr, Hx, Wx, Ib), o(VCMPSS, Vdq|wr, Hdq, Wss, Ib), o(VCMPSD, Vdq|wr, Hdq, Wsd, Ib)),
	0xC4: p66(o(VPINSRW, Vdq|wr, Hdq, Ewd, Ib).l0()),
	0xC5: p66(o(VPEXTRW, Gd|wr, Udq, Ib).l0()),
	0xC6: pfx(o(VSHUFPS, Vx|wr, Hx, Wx, Ib), o(VSHUFPD, Vx|wr, Hx, Wx, Ib), ud, ud),

	0xD0: pfx(ud, o(VADDSUBPD, Vx|wr, Hx, Wx), ud, o(VADDSUBPS, Vx|wr, Hx, Wx)),
	0xD1: p66(o(VPSRLW, Vx|wr, Hx, Wdq)),
	0xD2: p66(o(VPSRLD, Vx|wr, Hx, Wdq)),
	0xD3: p66(o(VPSRLQ, Vx|wr, Hx, Wdq)),
	0xD4: vex66(VPADDQ),
	0xD5: vex66(VPMULLW),
	0xD6: p66(mod(o(VMOVQ, Mq|wr, Vsd), o(VMOVQ, Udq|wr, Vsd)).l0()),
	0xD7: p66(o(VPMOVMSKB, Gd|wr, Ux)),
	0xD8: vex66(VPSUBUSB),
	0xD9: vex66(VPSUBUSW),
	0xDA: vex66(VPMINUB),
	0xDB: vex66(VPAND),
	0xDC: vex66(VPADDUSB),
	0xDD: vex66(VPADDUSW),
	0xDE: vex66(VPMAXUB),
	0xDF: vex66(VPANDN),

	0xE0: vex66(VPAVGB),
	0xE1: p66(o(VPSRAW, Vx|wr, Hx, Wdq)),
	0xE2: p66(o(VPSRAD, Vx|wr, Hx, Wdq)),
	0xE3: vex66(VPAVGW),
	0xE4: vex66(VPMULHUW),
	0xE5: vex66(VPMULHW),
	0xE6: pfx(ud, lbit(o(VCVTTPD2DQ, Vdq|wr, Wdq), o(VCVTTPD2DQ, Vdq|wr, Wqq)), o(VCVTDQ2PD, Vx|wr, Whx), lbit(o(VCVTPD2DQ, Vdq|wr, Wdq), o(VCVTPD2DQ, Vdq|wr, Wqq))),
	0xE7: p66(o(VMOVNTDQ, Mx|wr, Vx)),
	0xE8: vex66(VPSUBSB),
	0xE9: vex66(VPSUBSW),
	0xEA: vex66(VPMINSW),
	0xEB: vex66(VPOR),
	0xEC: vex66(VPADDSB),
	0xED: vex66(VPADDSW),
	0xEE: vex66(VPMAXSW),
	0xEF: vex66(VPXOR),

	0xF0: pF2(o(VLDDQU, Vx|wr, Mx)),
	0xF1: p66(o(VPSLLW, Vx|wr, Hx, Wdq)),
	0xF2: p66(o(VPSLLD, Vx|wr, Hx, Wdq)),
	0xF3: p66(o(VPSLLQ, Vx|wr, Hx, Wdq)),
	0xF4: vex66(VPMULUDQ),
	0xF5: vex66(VPMADDWD),
	0xF6: vex66(VPSADBW),
	0xF7: p66(o(VMASKMOVDQU, Vdq, Udq).l0().implied()),
	0xF8: vex66(VPSUBB),
	0xF9: vex66(VPSUBW),
	0xFA: vex66(VPSUBD),
	0xFB: vex66(VPSUBQ),
	0xFC: vex66(VPADDB),
	0xFD: vex66(VPADDW),
	0xFE: vex66(VPADDD),
}

// vex66 is an integer operation of three operands, of the width VEX.L says.
func vex66(op Op) entry { return p66(o(op, Vx|wr, Hx, Wx)) }

// vexPsPd is a packed operation in its single and double forms.
func vexPsPd(ps, pd Op) entry {
	return pfx(o(ps, Vx|wr, Hx, Wx), o(pd, Vx|wr, Hx, Wx), ud, ud)
}

// vexArith adds the scalar forms, whose upper bytes come from VEX.vvvv.
func vexArith(ps, pd, ss, sd Op) entry {
	return pfx(o(ps, Vx|wr, Hx, Wx), o(pd, Vx|wr, Hx, Wx), o(ss, Vdq|wr, Hdq, Wss), o(sd, Vdq|wr, Hdq, Wsd))
}

// vexShift is a shift by an immediate count; the destination is VEX.vvvv.
func vexShift(op Op) entry { return p66(o(op, Hx|wr, Ux, Ib)) }

// k3 is an operation on three AVX-512 mask registers in its four widths.
func k3(b, w, d, q Op) entry {
	return pfx(
		vexw(o(w, KGw|wr, KBw, KRw), o(q, KGq|wr, KBq, KRq)).l1(),
		vexw(o(b, KGb|wr, KBb, KRb), o(d, KGd|wr, KBd, KRd)).l1(), ud, ud)
}
