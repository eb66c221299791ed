package decode

// roundsByMXCSR says that the operation rounds, compares or converts under
// MXCSR: it reads the register and may set its exception flags. Moves,
// shuffles, logic, RCPPS and RSQRTPS do not.
func (op Op) roundsByMXCSR() bool {
	switch op {
	case ADDPS, ADDPD, ADDSS, ADDSD, SUBPS, SUBPD, SUBSS, SUBSD, MULPS, MULPD, MULSS, MULSD, DIVPS, DIVPD, DIVSS,
		DIVSD, SQRTPS, SQRTPD, SQRTSS, SQRTSD, MAXPS, MAXPD, MAXSS, MAXSD, MINPS, MINPD, MINSS, MINSD, CMPPS, CMPPD,
		CMPSS, CMPSD, COMISS, COMISD, UCOMISS, UCOMISD, CVTSI2SS, CVTSI2SD, CVTSS2SI, CVTSD2SI, CVTTSS2SI,
		CVTTSD2SI, CVTPD2PS, CVTPS2PD, CVTSD2SS, CVTSS2SD, CVTDQ2PS, CVTPS2DQ, CVTPD2DQ, CVTTPS2DQ, CVTTPD2DQ,
		ADDSUBPS, ADDSUBPD, HADDPS, HADDPD, HSUBPS, HSUBPD, DPPS, DPPD, ROUNDPS, ROUNDPD, ROUNDSS, ROUNDSD,
		CVTPI2PS, CVTPI2PD, CVTPS2PI, CVTPD2PI, CVTTPS2PI, CVTTPD2PI:
		return true
	case VADDPS, VADDPD, VADDSS, VADDSD, VSUBPS, VSUBPD, VSUBSS, VSUBSD, VMULPS, VMULPD, VMULSS, VMULSD, VDIVPS,
		VDIVPD, VDIVSS, VDIVSD, VSQRTPS, VSQRTPD, VSQRTSS, VSQRTSD, VMAXPS, VMAXPD, VMAXSS, VMAXSD, VMINPS, VMINPD,
		VMINSS, VMINSD, VCMPPS, VCMPPD, VCMPSS, VCMPSD, VCOMISS, VCOMISD, VUCOMISS, VUCOMISD, VCVTSI2SS, VCVTSI2SD,
		VCVTSS2SI, VCVTSD2SI, VCVTTSS2SI, VCVTTSD2SI, VCVTPD2PS, VCVTPS2PD, VCVTSD2SS, VCVTSS2SD, VCVTDQ2PS,
		VCVTPS2DQ, VCVTPD2DQ, VCVTTPS2DQ, VCVTTPD2DQ, VADDSUBPS, VADDSUBPD, VHADDPS, VHADDPD, VHSUBPS, VHSUBPD,
		VDPPS, VDPPD, VROUNDPS, VROUNDPD, VROUNDSS, VROUNDSD, VCVTPH2PS, VCVTPS2PH:
		return true
	}
	return op >= VFMADD132PS && op <= VFNMSUB231SD
}

// isX87 says that the operation is one of D8 to DF, or WAIT.
func (op Op) isX87() bool { return op >= FLD && op <= FNSETPM || op == WAIT || op == EMMS }

// floatEffects adds the x87 state, MXCSR, and the implicit vector registers.
func (in *Inst) floatEffects(e *Effects) {
	op := in.Op
	switch {
	case op.isX87():
		e.Read.Sys |= SysX87
		e.CondWrite.Sys |= SysX87
		if op == FRSTOR {
			e.Write.Sys |= SysX87
			e.CondWrite.Sys &^= SysX87
		}
		return
	case op.roundsByMXCSR():
		e.Read.Sys |= SysMXCSR
		e.CondWrite.Sys |= SysMXCSR
		switch op {
		case CVTPI2PS, CVTPI2PD: // change to MMX state, even with a memory operand
			e.Read.Sys |= SysX87
			e.CondWrite.Sys |= SysX87
		}
		return
	}
	switch op {
	case LDMXCSR, VLDMXCSR:
		e.Write.Sys |= SysMXCSR
	case STMXCSR, VSTMXCSR:
		e.Read.Sys |= SysMXCSR
	case FXSAVE, FXRSTOR:
		in.stateArea(e, op == FXRSTOR, 0xFFFF, SysX87|SysMXCSR)
	case XSAVE, XSAVEC, XSAVEOPT, XSAVES:
		in.reads(e, 4, rAX, rDX)
		in.stateArea(e, false, 0xFFFFFFFF, SysX87|SysMXCSR|SysPKRU|SysXCR0|SysExt|SysMSR|SysSSP)
	case XRSTOR, XRSTORS:
		in.reads(e, 4, rAX, rDX)
		e.Read.Sys |= SysXCR0 | SysMSR
		in.stateArea(e, true, 0xFFFFFFFF, SysX87|SysMXCSR|SysPKRU|SysExt|SysMSR|SysSSP)
	case VZEROUPPER, VZEROALL:
		m := uint32(0xFFFF0000)
		if op == VZEROALL {
			m = 0xFFFFFFFF
		}
		for r := range in.vectorRegisters() {
			e.Write.XMM[r] |= m
		}
	case MASKMOVQ, MASKMOVDQU, VMASKMOVDQU:
		in.addressReads(e, &in.Mem, int(in.AddrSize))
		e.addMem(in.Mem, in.Args[0].Size, CondWrite, in.AddrSize, MemMask)
	case PCMPESTRI, VPCMPESTRI, PCMPESTRM, VPCMPESTRM, PCMPISTRI, VPCMPISTRI, PCMPISTRM, VPCMPISTRM:
		in.stringCompare(e)
	case GETSEC, RSM, ENCLS, ENCLU, ENCLV, PCONFIG, UIRET, TESTUI, CLUI, STUI, SENDUIPI, RDMSRLIST, WRMSRLIST, HRESET,
		INCSSP, RDSSP, SAVEPREVSSP, RSTORSSP, WRSS, WRUSS, SETSSBSY, CLRSSBSY, XEND, XABORT,
		LOADIWKEY, ENCODEKEY128, ENCODEKEY256, AESENC128KL, AESENC256KL, AESDEC128KL, AESDEC256KL,
		AESENCWIDE128KL, AESENCWIDE256KL, AESDECWIDE128KL, AESDECWIDE256KL,
		EVEX_UNKNOWN, XOP_UNKNOWN, AMD3DNOW,
		LDTILECFG, STTILECFG, TILERELEASE, TILEZERO, TILELOADD, TILELOADDT1, TILESTORED,
		TDPBSSD, TDPBSUD, TDPBUSD, TDPBUUD, TDPBF16PS, TDPFP16PS, TCMMIMFP16PS, TCMMRLFP16PS:
		in.everything(e)
	}
}

// vectorRegisters are how many vector registers the mode has.
func (in *Inst) vectorRegisters() int {
	if in.Mode == Mode64 {
		return 16
	}
	return 8
}

// stateArea adds the vector registers and system state that an area holds.
// What is loaded or saved depends on masks, so nothing is written for sure.
func (in *Inst) stateArea(e *Effects, restore bool, m uint32, sys SysSet) {
	set := &e.Read
	if restore {
		set = &e.CondWrite
	}
	for r := range in.vectorRegisters() {
		set.XMM[r] |= m
	}
	set.Sys |= sys
}

// stringCompare adds the SSE4.2 string comparisons' lengths in rAX and rDX,
// index in ECX and mask in XMM0.
func (in *Inst) stringCompare(e *Effects) {
	switch in.Op {
	case PCMPESTRI, VPCMPESTRI, PCMPESTRM, VPCMPESTRM:
		n := 4
		if in.OpSize == 8 {
			n = 8
		}
		in.reads(e, n, rAX, rDX)
	}
	switch in.Op {
	case PCMPESTRI, VPCMPESTRI, PCMPISTRI, VPCMPISTRI:
		in.writes(e, 4, rCX)
	case PCMPESTRM, PCMPISTRM:
		e.Write.XMM[0] |= 0xFFFF
	default:
		e.Write.XMM[0] |= 0xFFFFFFFF
	}
}
