package cpu

// Model is what differs between processors: identification and the features
// that are present. A feature that is absent is absent everywhere: its
// CPUID bit, its control bits and its instructions.
type Model struct {
	Vendor   string // 12 characters
	Brand    string // up to 48 characters
	Family   uint8
	Number   uint8
	Stepping uint8

	PhysBits   uint8 // MAXPHYADDR
	LinearBits uint8

	Features Feature

	// TSCHz is what CPUID leaves 15H and 16H report: the clock of a machine
	// whose TSC counts instructions.
	TSCHz uint64
}

// Feature is a set of optional features.
type Feature uint64

const (
	FeatureVMX Feature = 1 << iota
	FeaturePMU
	FeatureSMEP
	FeatureSMAP
	FeatureUMIP
	FeatureFSGSBASE
	FeaturePCID
	FeatureINVPCID
	Feature1GBPages
	FeatureX2APIC
	FeatureTSCDeadline
	FeatureRDTSCP
	FeatureRDRAND
	FeatureSSE3
	FeatureSSSE3
	FeatureSSE41
	FeatureSSE42
	FeaturePOPCNT
	FeatureLZCNT
	FeatureMOVBE
	FeatureBMI1
	FeatureBMI2
	FeatureADX
	FeatureXSAVE
	FeatureERMS
	FeatureCLFLUSHOPT
	FeatureCLWB
	FeatureRDPID
	FeatureSERIALIZE
)

// Has says whether all features of a set are present.
func (m *Model) Has(f Feature) bool { return m.Features&f == f }

// DefaultModel is the processor a machine has unless told otherwise: what
// the interpreter implements, under its own name.
func DefaultModel() Model {
	return Model{
		Vendor: "GenuineIntel", Brand: "flipvisor x86-64 processor",
		Family: 6, Number: 0x55, Stepping: 4,
		PhysBits: 39, LinearBits: 48,
		TSCHz: 1_000_000_000,
		Features: FeatureVMX | FeaturePMU | FeatureSMEP | FeatureSMAP | FeatureUMIP | FeatureFSGSBASE |
			FeaturePCID | FeatureINVPCID | Feature1GBPages | FeatureX2APIC | FeatureTSCDeadline |
			FeatureRDTSCP | FeatureSSE3 | FeatureSSSE3 | FeatureSSE41 | FeatureSSE42 | FeaturePOPCNT | FeatureLZCNT | FeatureMOVBE | FeatureBMI1 | FeatureBMI2 |
			FeatureADX | FeatureERMS | FeatureCLFLUSHOPT | FeatureCLWB | FeatureRDPID | FeatureSERIALIZE,
	}
}

// Signature is CPUID.01H:EAX.
func (m *Model) Signature() uint32 {
	family, ext := uint32(m.Family), uint32(0)
	if family > 15 {
		family, ext = 15, family-15
	}
	return uint32(m.Stepping&15) | uint32(m.Number&15)<<4 | family<<8 | uint32(m.Number>>4)<<16 | ext<<20
}

// bit gives 1<<n when all features of f are present.
func (m *Model) bit(n int, f Feature) uint32 {
	if m.Has(f) {
		return 1 << n
	}
	return 0
}

// cpuid is the CPUID instruction (SDM Vol. 2A, CPUID).
func (c *CPU) cpuid(leaf, sub uint32) (a, b, cx, d uint32) {
	m := &c.Model
	word := func(s string, i int) uint32 {
		var v uint32
		for k := range 4 {
			if i+k < len(s) {
				v |= uint32(s[i+k]) << (8 * k)
			}
		}
		return v
	}
	const maxBasic, maxExtended = 0x16, 0x80000008
	if leaf > maxBasic && leaf < 0x80000000 || leaf > maxExtended {
		leaf = maxBasic // out of range: the highest basic leaf
	}
	switch leaf {
	case 0:
		return maxBasic, word(m.Vendor, 0), word(m.Vendor, 8), word(m.Vendor, 4)
	case 1:
		a = m.Signature()
		b = uint32(c.APICID)<<24 | 1<<16 | 8<<8
		cx = m.bit(0, FeatureSSE3) | m.bit(5, FeatureVMX) | m.bit(9, FeatureSSSE3) | 1<<13 | // CX16
			m.bit(17, FeaturePCID) | m.bit(19, FeatureSSE41) | m.bit(20, FeatureSSE42) |
			m.bit(21, FeatureX2APIC) | m.bit(22, FeatureMOVBE) | m.bit(23, FeaturePOPCNT) |
			m.bit(24, FeatureTSCDeadline) | m.bit(26, FeatureXSAVE) | m.bit(30, FeatureRDRAND)
		if c.CR4&CR4OSXSAVE != 0 {
			cx |= 1 << 27
		}
		d = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | // FPU VME DE PSE TSC MSR PAE MCE CX8
			1<<11 | 1<<12 | 1<<13 | 1<<14 | 1<<15 | 1<<16 | 1<<17 | // SEP MTRR PGE MCA CMOV PAT PSE-36
			1<<19 | 1<<23 | 1<<24 | 1<<25 | 1<<26 | 1<<27 // CLFSH MMX FXSR SSE SSE2 SS
		if c.APICPresent {
			d |= 1 << 9
		}
	case 2:
		return 0x00feff01, 0xf0, 0, 0 // see leaf 4; 64-byte prefetch
	case 4:
		return cacheLeaf(sub)
	case 5:
		return 64, 64, 3, 0
	case 6:
		return 1 << 2, 0, 0, 0 // ARAT
	case 7:
		if sub == 0 {
			b = m.bit(0, FeatureFSGSBASE) | 1<<1 | m.bit(3, FeatureBMI1) | m.bit(7, FeatureSMEP) |
				m.bit(8, FeatureBMI2) | m.bit(9, FeatureERMS) | m.bit(10, FeatureINVPCID) | 1<<13 |
				m.bit(19, FeatureADX) | m.bit(20, FeatureSMAP) | m.bit(23, FeatureCLFLUSHOPT) | m.bit(24, FeatureCLWB)
			cx = m.bit(2, FeatureUMIP) | m.bit(22, FeatureRDPID)
			d = m.bit(14, FeatureSERIALIZE)
		}
	case 0xa:
		if m.Has(FeaturePMU) {
			// Version 2; core and reference cycles, instructions and
			// branches are there, the cache and misprediction events not.
			return 2 | pmuCounters<<8 | pmuWidth<<16 | 7<<24, 1<<3 | 1<<4 | 1<<6, 0, pmuFixed | pmuWidth<<5
		}
	case 0xb:
		id := uint32(c.APICID)
		if sub == 0 {
			return 0, 1, sub | 1<<8, id
		}
		if sub == 1 {
			return 0, 1, sub | 2<<8, id
		}
		return 0, 0, sub, id
	case 0xd:
		if m.Has(FeatureXSAVE) {
			if sub == 0 {
				return 3, 576, 576, 0
			}
		}
	case 0x15:
		return 1, 1, uint32(m.TSCHz), 0
	case 0x16:
		mhz := uint32(m.TSCHz / 1_000_000)
		return mhz, mhz, 100, 0
	case 0x80000000:
		return maxExtended, 0, 0, 0
	case 0x80000001:
		cx = 1 | m.bit(5, FeatureLZCNT) | 1<<8 // LAHF, LZCNT, PREFETCHW
		d = 1<<20 | m.bit(26, Feature1GBPages) | m.bit(27, FeatureRDTSCP) | 1<<29
		if c.long {
			d |= 1 << 11 // SYSCALL is there in 64-bit mode
		}
		return 0, 0, cx, d
	case 0x80000002, 0x80000003, 0x80000004:
		i := int(leaf-0x80000002) * 16
		return word(m.Brand, i), word(m.Brand, i+4), word(m.Brand, i+8), word(m.Brand, i+12)
	case 0x80000006:
		return 0, 0, 256<<16 | 6<<12 | 64, 0
	case 0x80000007:
		return 0, 0, 0, 1 << 8 // invariant TSC
	case 0x80000008:
		return uint32(m.PhysBits) | uint32(m.LinearBits)<<8, 0, 0, 0
	}
	return a, b, cx, d
}

// cacheLeaf is leaf 4, deterministic cache parameters.
func cacheLeaf(sub uint32) (a, b, c, d uint32) {
	entry := func(typ, level, ways, sets uint32) (uint32, uint32, uint32, uint32) {
		return typ | level<<5 | 1<<8, 63 | (ways-1)<<22, sets - 1, 0
	}
	switch sub {
	case 0:
		return entry(1, 1, 8, 64)
	case 1:
		return entry(2, 1, 8, 64)
	case 2:
		return entry(3, 2, 8, 512)
	}
	return 0, 0, 0, 0
}
