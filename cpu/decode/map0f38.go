package decode

// The three-byte map 0F 38 xx: SDM Vol. 2D, table A-4.
var threeByte38 = [256]entry{
	0x00: mmx(PSHUFB),
	0x01: mmx(PHADDW),
	0x02: mmx(PHADDD),
	0x03: mmx(PHADDSW),
	0x04: mmx(PMADDUBSW),
	0x05: mmx(PHSUBW),
	0x06: mmx(PHSUBD),
	0x07: mmx(PHSUBSW),
	0x08: mmx(PSIGNB),
	0x09: mmx(PSIGNW),
	0x0A: mmx(PSIGND),
	0x0B: mmx(PMULHRSW),

	0x10: p66(o(PBLENDVB, Vdq|rw, Wdq, XMM0)),
	0x14: p66(o(BLENDVPS, Vdq|rw, Wdq, XMM0)),
	0x15: p66(o(BLENDVPD, Vdq|rw, Wdq, XMM0)),
	0x17: p66(o(PTEST, Vdq, Wdq)),
	0x1C: mmxUnary(PABSB),
	0x1D: mmxUnary(PABSW),
	0x1E: mmxUnary(PABSD),

	0x20: p66(o(PMOVSXBW, Vdq|wr, Wsd)),
	0x21: p66(o(PMOVSXBD, Vdq|wr, Wss)),
	0x22: p66(o(PMOVSXBQ, Vdq|wr, Ww)),
	0x23: p66(o(PMOVSXWD, Vdq|wr, Wsd)),
	0x24: p66(o(PMOVSXWQ, Vdq|wr, Wss)),
	0x25: p66(o(PMOVSXDQ, Vdq|wr, Wsd)),
	0x28: p66(o(PMULDQ, Vdq|rw, Wdq)),
	0x29: p66(o(PCMPEQQ, Vdq|rw, Wdq)),
	0x2A: p66(o(MOVNTDQA, Vdq|wr, Mdq)),
	0x2B: p66(o(PACKUSDW, Vdq|rw, Wdq)),

	0x30: p66(o(PMOVZXBW, Vdq|wr, Wsd)),
	0x31: p66(o(PMOVZXBD, Vdq|wr, Wss)),
	0x32: p66(o(PMOVZXBQ, Vdq|wr, Ww)),
	0x33: p66(o(PMOVZXWD, Vdq|wr, Wsd)),
	0x34: p66(o(PMOVZXWQ, Vdq|wr, Wss)),
	0x35: p66(o(PMOVZXDQ, Vdq|wr, Wsd)),
	0x37: p66(o(PCMPGTQ, Vdq|rw, Wdq)),
	0x38: p66(o(PMINSB, Vdq|rw, Wdq)),
	0x39: p66(o(PMINSD, Vdq|rw, Wdq)),
	0x3A: p66(o(PMINUW, Vdq|rw, Wdq)),
	0x3B: p66(o(PMINUD, Vdq|rw, Wdq)),
	0x3C: p66(o(PMAXSB, Vdq|rw, Wdq)),
	0x3D: p66(o(PMAXSD, Vdq|rw, Wdq)),
	0x3E: p66(o(PMAXUW, Vdq|rw, Wdq)),
	0x3F: p66(o(PMAXUD, Vdq|rw, Wdq)),

	0x40: p66(o(PMULLD, Vdq|rw, Wdq)),
	0x41: p66(o(PHMINPOSUW, Vdq|wr, Wdq)),

	0x80: p66(o(INVEPT, Gn, Mdq).f64()),
	0x81: p66(o(INVVPID, Gn, Mdq).f64()),
	0x82: p66(o(INVPCID, Gn, Mdq).f64()),

	0xC8: np(o(SHA1NEXTE, Vdq|rw, Wdq)),
	0xC9: np(o(SHA1MSG1, Vdq|rw, Wdq)),
	0xCA: np(o(SHA1MSG2, Vdq|rw, Wdq)),
	0xCB: np(o(SHA256RNDS2, Vdq|rw, Wdq, XMM0)),
	0xCC: np(o(SHA256MSG1, Vdq|rw, Wdq)),
	0xCD: np(o(SHA256MSG2, Vdq|rw, Wdq)),
	0xCF: p66(o(GF2P8MULB, Vdq|rw, Wdq)),

	0xD8: pF3(grp(o(AESENCWIDE128KL, Mkl), o(AESDECWIDE128KL, Mkl), o(AESENCWIDE256KL, Mkw), o(AESDECWIDE256KL, Mkw), ud, ud, ud, ud)),
	0xDB: p66(o(AESIMC, Vdq|wr, Wdq)),
	0xDC: pfx(ud, o(AESENC, Vdq|rw, Wdq), mod(o(AESENC128KL, Vdq|rw, Mkl), o(LOADIWKEY, Vdq, Udq)), ud),
	0xDD: pfx(ud, o(AESENCLAST, Vdq|rw, Wdq), o(AESDEC128KL, Vdq|rw, Mkl), ud),
	0xDE: pfx(ud, o(AESDEC, Vdq|rw, Wdq), o(AESENC256KL, Vdq|rw, Mkw), ud),
	0xDF: pfx(ud, o(AESDECLAST, Vdq|rw, Wdq), o(AESDEC256KL, Vdq|rw, Mkw), ud),

	0xF0: rep(o(MOVBE, Gv|wr, Mv), ud, o(CRC32, Gy|rw, Eb)),
	0xF1: rep(o(MOVBE, Mv|wr, Gv), ud, o(CRC32, Gy|rw, Ev)),
	0xF5: p66(o(WRUSS, My|wr, Gy)),
	0xF6: pfx(o(WRSS, My|wr, Gy), o(ADCX, Gy|rw, Ey), o(ADOX, Gy|rw, Ey), ud),
	0xF8: pfx(ud, o(MOVDIR64B, Gas, Mcl), o(ENQCMDS, Gas, Mcl), o(ENQCMD, Gas, Mcl)),
	0xF9: np(o(MOVDIRI, My|wr, Gy)),
	0xFA: pF3(o(ENCODEKEY128, Gd|wr, Rd)),
	0xFB: pF3(o(ENCODEKEY256, Gd|wr, Rd)),
}

// mmxUnary is mmx with a destination that is not a source.
func mmxUnary(op Op) entry {
	return pfx(o(op, Pq|wr, Qq), o(op, Vdq|wr, Wdq), ud, ud)
}
