package decode

// The three-byte map 0F 3A xx: SDM Vol. 2D, table A-5. Every instruction in
// it ends with an immediate byte.
var threeByte3A = [256]entry{
	0x08: p66(o(ROUNDPS, Vdq|wr, Wdq, Ib)),
	0x09: p66(o(ROUNDPD, Vdq|wr, Wdq, Ib)),
	0x0A: p66(o(ROUNDSS, Vss|wr, Wss, Ib)),
	0x0B: p66(o(ROUNDSD, Vsd|wr, Wsd, Ib)),
	0x0C: p66(o(BLENDPS, Vdq|rw, Wdq, Ib)),
	0x0D: p66(o(BLENDPD, Vdq|rw, Wdq, Ib)),
	0x0E: p66(o(PBLENDW, Vdq|rw, Wdq, Ib)),
	0x0F: pfx(o(PALIGNR, Pq|rw, Qq, Ib), o(PALIGNR, Vdq|rw, Wdq, Ib), ud, ud),

	0x14: p66(o(PEXTRB, Ebd|wr, Vdq, Ib)),
	0x15: p66(o(PEXTRW, Ewd|wr, Vdq, Ib)),
	0x16: p66(wbit(o(PEXTRD, Ed|wr, Vdq, Ib), o(PEXTRQ, Eq|wr, Vdq, Ib))),
	0x17: p66(o(EXTRACTPS, Ed|wr, Vdq, Ib)),

	0x20: p66(o(PINSRB, Vdq|rw, Ebd, Ib)),
	0x21: p66(mod(o(INSERTPS, Vdq|rw, Md, Ib), o(INSERTPS, Vdq|rw, Udq, Ib))),
	0x22: p66(wbit(o(PINSRD, Vdq|rw, Ed, Ib), o(PINSRQ, Vdq|rw, Eq, Ib))),

	0x40: p66(o(DPPS, Vdq|rw, Wdq, Ib)),
	0x41: p66(o(DPPD, Vdq|rw, Wdq, Ib)),
	0x42: p66(o(MPSADBW, Vdq|rw, Wdq, Ib)),
	0x44: p66(o(PCLMULQDQ, Vdq|rw, Wdq, Ib)),

	0x60: p66(o(PCMPESTRM, Vdq, Wdq, Ib)),
	0x61: p66(o(PCMPESTRI, Vdq, Wdq, Ib)),
	0x62: p66(o(PCMPISTRM, Vdq, Wdq, Ib)),
	0x63: p66(o(PCMPISTRI, Vdq, Wdq, Ib)),

	0xCC: np(o(SHA1RNDS4, Vdq|rw, Wdq, Ib)),
	0xCE: p66(o(GF2P8AFFINEQB, Vdq|rw, Wdq, Ib)),
	0xCF: p66(o(GF2P8AFFINEINVQB, Vdq|rw, Wdq, Ib)),
	0xDF: p66(o(AESKEYGENASSIST, Vdq|wr, Wdq, Ib)),

	0xF0: pF3(mod(ud, rm(o(HRESET, Ib), ud, ud, ud, ud, ud, ud, ud))),
}
