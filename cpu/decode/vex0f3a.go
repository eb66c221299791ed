package decode

// The VEX form of the map 0F 3A (VEX.mmmmm = 3): SDM Vol. 2D, table A-5.
var vex0F3A = [256]entry{
	0x00: p66(o(VPERMQ, Vqq|wr, Wqq, Ib).l1().w1()),
	0x01: p66(o(VPERMPD, Vqq|wr, Wqq, Ib).l1().w1()),
	0x02: p66(o(VPBLENDD, Vx|wr, Hx, Wx, Ib).w0()),
	0x04: p66(o(VPERMILPS, Vx|wr, Wx, Ib).w0()),
	0x05: p66(o(VPERMILPD, Vx|wr, Wx, Ib).w0()),
	0x06: p66(o(VPERM2F128, Vqq|wr, Hqq, Wqq, Ib).l1().w0()),
	0x08: p66(o(VROUNDPS, Vx|wr, Wx, Ib)),
	0x09: p66(o(VROUNDPD, Vx|wr, Wx, Ib)),
	0x0A: p66(o(VROUNDSS, Vdq|wr, Hdq, Wss, Ib)),
	0x0B: p66(o(VROUNDSD, Vdq|wr, Hdq, Wsd, Ib)),
	0x0C: p66(o(VBLENDPS, Vx|wr, Hx, Wx, Ib)),
	0x0D: p66(o(VBLENDPD, Vx|wr, Hx, Wx, Ib)),
	0x0E: p66(o(VPBLENDW, Vx|wr, Hx, Wx, Ib)),
	0x0F: p66(o(VPALIGNR, Vx|wr, Hx, Wx, Ib)),

	0x14: p66(o(VPEXTRB, Ebd|wr, Vdq, Ib).l0()),
	0x15: p66(o(VPEXTRW, Ewd|wr, Vdq, Ib).l0()),
	0x16: p66(wbit(o(VPEXTRD, Ed|wr, Vdq, Ib), o(VPEXTRQ, Eq|wr, Vdq, Ib)).l0()),
	0x17: p66(o(VEXTRACTPS, Ed|wr, Vdq, Ib).l0()),
	0x18: p66(o(VINSERTF128, Vqq|wr, Hqq, Wdq, Ib).l1().w0()),
	0x19: p66(o(VEXTRACTF128, Wdq|wr, Vqq, Ib).l1().w0()),
	0x1D: p66(o(VCVTPS2PH, Whx|wr, Vx, Ib).w0()),

	0x20: p66(o(VPINSRB, Vdq|wr, Hdq, Ebd, Ib).l0()),
	0x21: p66(mod(o(VINSERTPS, Vdq|wr, Hdq, Md, Ib), o(VINSERTPS, Vdq|wr, Hdq, Udq, Ib)).l0()),
	0x22: p66(wbit(o(VPINSRD, Vdq|wr, Hdq, Ed, Ib), o(VPINSRQ, Vdq|wr, Hdq, Eq, Ib)).l0()),

	0x30: p66(vexw(o(KSHIFTRB, KGb|wr, KRb, Ib), o(KSHIFTRW, KGw|wr, KRw, Ib)).l0()),
	0x31: p66(vexw(o(KSHIFTRD, KGd|wr, KRd, Ib), o(KSHIFTRQ, KGq|wr, KRq, Ib)).l0()),
	0x32: p66(vexw(o(KSHIFTLB, KGb|wr, KRb, Ib), o(KSHIFTLW, KGw|wr, KRw, Ib)).l0()),
	0x33: p66(vexw(o(KSHIFTLD, KGd|wr, KRd, Ib), o(KSHIFTLQ, KGq|wr, KRq, Ib)).l0()),
	0x38: p66(o(VINSERTI128, Vqq|wr, Hqq, Wdq, Ib).l1().w0()),
	0x39: p66(o(VEXTRACTI128, Wdq|wr, Vqq, Ib).l1().w0()),

	0x40: p66(o(VDPPS, Vx|wr, Hx, Wx, Ib)),
	0x41: p66(o(VDPPD, Vdq|wr, Hdq, Wdq, Ib).l0()),
	0x42: p66(o(VMPSADBW, Vx|wr, Hx, Wx, Ib)),
	0x44: p66(o(VPCLMULQDQ, Vx|wr, Hx, Wx, Ib)),
	0x46: p66(o(VPERM2I128, Vqq|wr, Hqq, Wqq, Ib).l1().w0()),
	0x4A: p66(o(VBLENDVPS, Vx|wr, Hx, Wx, Lx).w0()),
	0x4B: p66(o(VBLENDVPD, Vx|wr, Hx, Wx, Lx).w0()),
	0x4C: p66(o(VPBLENDVB, Vx|wr, Hx, Wx, Lx).w0()),

	0x60: p66(o(VPCMPESTRM, Vdq, Wdq, Ib).l0()),
	0x61: p66(o(VPCMPESTRI, Vdq, Wdq, Ib).l0()),
	0x62: p66(o(VPCMPISTRM, Vdq, Wdq, Ib).l0()),
	0x63: p66(o(VPCMPISTRI, Vdq, Wdq, Ib).l0()),

	0xCE: p66(o(VGF2P8AFFINEQB, Vx|wr, Hx, Wx, Ib).w1()),
	0xCF: p66(o(VGF2P8AFFINEINVQB, Vx|wr, Hx, Wx, Ib).w1()),

	0xDE: p66(o(VSM3RNDS2, Vdq|rw, Hdq, Wdq, Ib).l0().w0()),
	0xDF: p66(o(VAESKEYGENASSIST, Vdq|wr, Wdq, Ib).l0()),

	0xF0: pF2(o(RORX, Gy|wr, Ey, Ib).l0()),
}
