package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

// featureOf is the feature that an operation comes with. One that comes with
// a feature that the model does not have is undefined. Operations with
// control bits or conditions of their own check for themselves.
var featureOf = func() map[decode.Op]Feature {
	m := make(map[decode.Op]Feature)
	for f, ops := range map[Feature][]decode.Op{
		FeatureSSE3: {decode.ADDSUBPS, decode.ADDSUBPD, decode.HADDPS, decode.HADDPD, decode.HSUBPS, decode.HSUBPD,
			decode.MOVDDUP, decode.MOVSLDUP, decode.MOVSHDUP, decode.LDDQU, decode.FISTTP},
		FeatureSSSE3: {decode.PSHUFB, decode.PHADDW, decode.PHADDD, decode.PHADDSW, decode.PHSUBW, decode.PHSUBD,
			decode.PHSUBSW, decode.PMADDUBSW, decode.PMULHRSW, decode.PSIGNB, decode.PSIGNW, decode.PSIGND,
			decode.PABSB, decode.PABSW, decode.PABSD, decode.PALIGNR},
		FeatureSSE41: {decode.PMULLD, decode.PMULDQ, decode.PMINSB, decode.PMAXSB, decode.PMINUW, decode.PMAXUW,
			decode.PMINSD, decode.PMAXSD, decode.PMINUD, decode.PMAXUD, decode.PCMPEQQ, decode.PACKUSDW,
			decode.PHMINPOSUW, decode.MPSADBW, decode.MOVNTDQA, decode.PTEST,
			decode.PMOVSXBW, decode.PMOVSXBD, decode.PMOVSXBQ, decode.PMOVSXWD, decode.PMOVSXWQ, decode.PMOVSXDQ,
			decode.PMOVZXBW, decode.PMOVZXBD, decode.PMOVZXBQ, decode.PMOVZXWD, decode.PMOVZXWQ, decode.PMOVZXDQ,
			decode.PEXTRB, decode.PEXTRD, decode.PEXTRQ, decode.EXTRACTPS,
			decode.PINSRB, decode.PINSRD, decode.PINSRQ, decode.INSERTPS,
			decode.PBLENDW, decode.BLENDPS, decode.BLENDPD, decode.PBLENDVB, decode.BLENDVPS, decode.BLENDVPD,
			decode.DPPS, decode.DPPD, decode.ROUNDPS, decode.ROUNDPD, decode.ROUNDSS, decode.ROUNDSD},
		FeatureSSE42:      {decode.PCMPGTQ, decode.PCMPESTRI, decode.PCMPESTRM, decode.PCMPISTRI, decode.PCMPISTRM, decode.CRC32},
		FeaturePOPCNT:     {decode.POPCNT},
		FeatureMOVBE:      {decode.MOVBE},
		FeatureBMI1:       {decode.ANDN, decode.BEXTR, decode.BLSI, decode.BLSMSK, decode.BLSR},
		FeatureBMI2:       {decode.BZHI, decode.MULX, decode.PDEP, decode.PEXT, decode.RORX, decode.SARX, decode.SHLX, decode.SHRX},
		FeatureADX:        {decode.ADCX, decode.ADOX},
		FeatureCLFLUSHOPT: {decode.CLFLUSHOPT},
		FeatureCLWB:       {decode.CLWB},
		FeatureSERIALIZE:  {decode.SERIALIZE},
	} {
		for _, op := range ops {
			m[op] = f
		}
	}
	return m
}()

// absent says that the model does not have an instruction. LZCNT and TZCNT
// are never absent: without their features the prefix means nothing, and
// they become BSR and BSF.
func (c *CPU) absent(d *decode.Inst) bool {
	switch d.Op {
	case decode.LZCNT:
		if !c.Model.Has(FeatureLZCNT) {
			d.Op, d.Args[0].Access = decode.BSR, decode.CondWrite
		}
	case decode.TZCNT:
		if !c.Model.Has(FeatureBMI1) {
			d.Op, d.Args[0].Access = decode.BSF, decode.CondWrite
		}
	case decode.PEXTRW:
		return d.Map == 3 && !c.Model.Has(FeatureSSE41)
	}
	f := featureOf[d.Op]
	return f != 0 && !c.Model.Has(f)
}

// FeatureOf is the feature that an operation comes with, or 0.
func FeatureOf(op decode.Op) Feature { return featureOf[op] }
