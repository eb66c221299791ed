package decode

// The groups of the two-byte map whose members differ by mandatory prefix
// and by memory against register: SDM Vol. 2D, table A-6.

// group7 is 0F 01. The register forms are instructions of their own.
var group7 = mod(
	grp(
		o(SGDT, Ms|wr).f64(), o(SIDT, Ms|wr).f64(), o(LGDT, Ms).f64(), o(LIDT, Ms).f64(),
		o(SMSW, Ewv|wr),
		pF3(o(RSTORSSP, Mq|rcw)),
		o(LMSW, Ew),
		o(INVLPG, Mb|na)),
	grp(
		rm(
			ud, // ENCLV, when the processor has it
			np(o(VMCALL)), np(o(VMLAUNCH)), np(o(VMRESUME)), np(o(VMXOFF)), np(o(PCONFIG)),
			pfx(o(WRMSRNS), ud, o(RDMSRLIST), o(WRMSRLIST)), ud),
		rm(
			np(o(MONITOR).implied()), np(o(MWAIT)), np(o(CLAC)), np(o(STAC)), ud, ud, ud, np(o(ENCLS))),
		rm(
			np(o(XGETBV)), np(o(XSETBV)), ud, ud, np(o(VMFUNC)), np(o(XEND)), np(o(XTEST)), np(o(ENCLU))),
		ud, // AMD's SVM
		o(SMSW, Ewv|wr),
		rm(
			pfx(o(SERIALIZE), ud, o(SETSSBSY), o(XSUSLDTRK)),
			pfx(ud, ud, ud, o(XRESLDTRK)),
			pF3(o(SAVEPREVSSP)),
			ud,
			pF3(o(UIRET).o64()),
			pF3(o(TESTUI).o64()),
			pfx(o(RDPKRU), ud, o(CLUI).o64(), ud),
			pfx(o(WRPKRU), ud, o(STUI).o64(), ud)),
		o(LMSW, Ew),
		rm(o(SWAPGS).o64(), o(RDTSCP), ud, ud, ud, ud, ud, ud)))

// group0F1E is F3 0F 1E with a register: shadow-stack reads and branch-target
// markers among hint NOPs.
var group0F1E = grp(
	o(NOP, Ev|na), o(RDSSP, Ry|cw), o(NOP, Ev|na), o(NOP, Ev|na),
	o(NOP, Ev|na), o(NOP, Ev|na), o(NOP, Ev|na),
	rm(o(NOP, Ev|na), o(NOP, Ev|na), o(ENDBR64), o(ENDBR32), o(NOP, Ev|na), o(NOP, Ev|na), o(NOP, Ev|na), o(NOP, Ev|na)))

// group9 is 0F C7.
var group9 = mod(
	grp(
		ud,
		wbit(o(CMPXCHG8B, Mq|rcw).lock(), o(CMPXCHG16B, Mdq|rcw).lock()),
		ud,
		np(o(XRSTORS, Mxs)), np(o(XSAVEC, Mxs|cw)), np(o(XSAVES, Mxs|cw)),
		pfx(o(VMPTRLD, Mq), o(VMCLEAR, Mq), o(VMXON, Mq), ud),
		np(o(VMPTRST, Mq|wr))),
	grp(
		ud, ud, ud, ud, ud, ud,
		rep(o(RDRAND, Rv|wr), o(SENDUIPI, Rn).o64(), ud),
		rep(o(RDSEED, Rv|wr), o(RDPID, Rn|wr), ud)))

// group15 is 0F AE.
var group15 = mod(
	grp(
		np(o(FXSAVE, Mfx|wr)),
		np(o(FXRSTOR, Mfx)),
		np(o(LDMXCSR, Md)),
		np(o(STMXCSR, Md|wr)),
		pfx(o(XSAVE, Mxs|cw), ud, o(PTWRITE, Ey), ud),
		np(o(XRSTOR, Mxs)),
		pfx(o(XSAVEOPT, Mxs|cw), o(CLWB, Mb|na), o(CLRSSBSY, Mq|rcw), ud),
		pfx(o(CLFLUSH, Mb|na), o(CLFLUSHOPT, Mb|na), ud, ud)),
	grp(
		pF3(o(RDFSBASE, Ry|wr).o64()),
		pF3(o(RDGSBASE, Ry|wr).o64()),
		pF3(o(WRFSBASE, Ry).o64()),
		pF3(o(WRGSBASE, Ry).o64()),
		pF3(o(PTWRITE, Ey)),
		pfx(o(LFENCE), ud, o(INCSSP, Ry), ud),
		pfx(o(MFENCE), o(TPAUSE, Rd), o(UMONITOR, Ras).implied(), o(UMWAIT, Rd)),
		np(o(SFENCE))))
