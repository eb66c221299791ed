package decode

// The x87 escape opcodes D8 to DF: SDM Vol. 2D, tables. With a
// memory operand ModRM.reg chooses; with a register, ModRM.reg and
// sometimes ModRM.rm. The encodings that the manual leaves blank but
// processors execute as aliases are marked.
var x87Rows = [8]entry{
	// D8: single precision
	mod(
		grp(o(FADD, Md), o(FMUL, Md), o(FCOM, Md), o(FCOMP, Md), o(FSUB, Md), o(FSUBR, Md), o(FDIV, Md), o(FDIVR, Md)),
		grp(o(FADD, ST0|rw, STi), o(FMUL, ST0|rw, STi), o(FCOM, STi), o(FCOMP, STi),
			o(FSUB, ST0|rw, STi), o(FSUBR, ST0|rw, STi), o(FDIV, ST0|rw, STi), o(FDIVR, ST0|rw, STi))),
	// D9
	mod(
		grp(o(FLD, Md), ud, o(FST, Md|wr), o(FSTP, Md|wr), o(FLDENV, Menv), o(FLDCW, Mw), o(FNSTENV, Menv|wr), o(FNSTCW, Mw|wr)),
		grp(
			o(FLD, STi),
			o(FXCH, STi|rw),
			rm(o(FNOP), ud, ud, ud, ud, ud, ud, ud),
			o(FSTP, STi|wr), // alias
			rm(o(FCHS), o(FABS), ud, ud, o(FTST), o(FXAM), ud, ud),
			rm(o(FLD1), o(FLDL2T), o(FLDL2E), o(FLDPI), o(FLDLG2), o(FLDLN2), o(FLDZ), ud),
			rm(o(F2XM1), o(FYL2X), o(FPTAN), o(FPATAN), o(FXTRACT), o(FPREM1), o(FDECSTP), o(FINCSTP)),
			rm(o(FPREM), o(FYL2XP1), o(FSQRT), o(FSINCOS), o(FRNDINT), o(FSCALE), o(FSIN), o(FCOS)))),
	// DA: doubleword integers
	mod(
		grp(o(FIADD, Md), o(FIMUL, Md), o(FICOM, Md), o(FICOMP, Md), o(FISUB, Md), o(FISUBR, Md), o(FIDIV, Md), o(FIDIVR, Md)),
		grp(o(FCMOVB, ST0|cw, STi), o(FCMOVE, ST0|cw, STi), o(FCMOVBE, ST0|cw, STi), o(FCMOVU, ST0|cw, STi),
			ud, rm(ud, o(FUCOMPP), ud, ud, ud, ud, ud, ud), ud, ud)),
	// DB
	mod(
		grp(o(FILD, Md), o(FISTTP, Md|wr), o(FIST, Md|wr), o(FISTP, Md|wr), ud, o(FLD, Mt), ud, o(FSTP, Mt|wr)),
		grp(o(FCMOVNB, ST0|cw, STi), o(FCMOVNE, ST0|cw, STi), o(FCMOVNBE, ST0|cw, STi), o(FCMOVNU, ST0|cw, STi),
			rm(o(FNENI), o(FNDISI), o(FNCLEX), o(FNINIT), o(FNSETPM), ud, ud, ud),
			o(FUCOMI, ST0, STi), o(FCOMI, ST0, STi), ud)),
	// DC: double precision; DC D0 and DC D8 are aliases
	mod(
		grp(o(FADD, Mq), o(FMUL, Mq), o(FCOM, Mq), o(FCOMP, Mq), o(FSUB, Mq), o(FSUBR, Mq), o(FDIV, Mq), o(FDIVR, Mq)),
		grp(o(FADD, STi|rw, ST0), o(FMUL, STi|rw, ST0), o(FCOM, STi), o(FCOMP, STi),
			o(FSUBR, STi|rw, ST0), o(FSUB, STi|rw, ST0), o(FDIVR, STi|rw, ST0), o(FDIV, STi|rw, ST0))),
	// DD; DD C8 is an alias
	mod(
		grp(o(FLD, Mq), o(FISTTP, Mq|wr), o(FST, Mq|wr), o(FSTP, Mq|wr), o(FRSTOR, Mfsave), ud, o(FNSAVE, Mfsave|wr), o(FNSTSW, Mw|wr)),
		grp(o(FFREE, STi|na), o(FXCH, STi|rw), o(FST, STi|wr), o(FSTP, STi|wr), o(FUCOM, STi), o(FUCOMP, STi), ud, ud)),
	// DE: word integers; DE D0 is an alias
	mod(
		grp(o(FIADD, Mw), o(FIMUL, Mw), o(FICOM, Mw), o(FICOMP, Mw), o(FISUB, Mw), o(FISUBR, Mw), o(FIDIV, Mw), o(FIDIVR, Mw)),
		grp(o(FADDP, STi|rw, ST0), o(FMULP, STi|rw, ST0), o(FCOMP, STi), rm(ud, o(FCOMPP), ud, ud, ud, ud, ud, ud),
			o(FSUBRP, STi|rw, ST0), o(FSUBP, STi|rw, ST0), o(FDIVRP, STi|rw, ST0), o(FDIVP, STi|rw, ST0))),
	// DF; DF C0 is undocumented, DF C8, D0 and D8 are aliases
	mod(
		grp(o(FILD, Mw), o(FISTTP, Mw|wr), o(FIST, Mw|wr), o(FISTP, Mw|wr), o(FBLD, Mt), o(FILD, Mq), o(FBSTP, Mt|wr), o(FISTP, Mq|wr)),
		grp(o(FFREEP, STi|na), o(FXCH, STi|rw), o(FSTP, STi|wr), o(FSTP, STi|wr),
			rm(o(FNSTSW, AX|wr), ud, ud, ud, ud, ud, ud, ud), o(FUCOMIP, ST0, STi), o(FCOMIP, ST0, STi), ud)),
}
