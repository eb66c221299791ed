package cpu

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// A tiny virtual machine: the host in 64-bit mode, as newTestCPU makes it,
// and a guest that is described by its code.
//
//	10000  the host's code: VMLAUNCH, then the VM-exit handler, which halts
//	20000  the guest's code
//	30000  VMXON region, 31000 VMCS, 32000 another VMCS
//	33000  I/O bitmaps, 35000 MSR bitmap, 36000 virtual-APIC page
//	37000  MSR areas
//	40000  guest's GDT, 41000 guest's IDT, handlers at 42000 + 16*vector
//	43000  guest's TSS
//	50000  EPT: identity, 2-MiB pages
//	60000  host's IDT
//	80000  host's stack, 90000 guest's
const (
	testHostCode   = 0x10000
	testExitCode   = 0x10100
	testGuestCode  = 0x20000
	testVMXON      = 0x30000
	testVMCS       = 0x31000
	testOtherVMCS  = 0x32000
	testIOBitmaps  = 0x33000
	testMSRBitmap  = 0x35000
	testAPICPage   = 0x36000
	testMSRArea    = 0x37000
	testGDT        = 0x40000
	testIDT        = 0x41000
	testHandlers   = 0x42000
	testTSS        = 0x43000
	testEPT        = 0x50000
	testHostStack  = 0x80000
	testGuestStack = 0x90000
)

type testVM struct {
	*CPU
	tb   testing.TB
	apic *testAPIC
}

// testAPIC is an interrupt controller with at most one interrupt.
type testAPIC struct {
	vector  uint8
	pending bool
	acked   int
}

func (a *testAPIC) Pending() (uint8, bool) { return a.vector, a.pending }
func (a *testAPIC) Ack() uint8 {
	a.pending = false
	a.acked++
	return a.vector
}
func (a *testAPIC) InitReset()                    {}
func (a *testAPIC) GetCR8() uint8                 { return 0 }
func (a *testAPIC) SetCR8(uint8)                  {}
func (a *testAPIC) APICBase() uint64              { return 0xfee00900 }
func (a *testAPIC) SetAPICBase(uint64) bool       { return true }
func (a *testAPIC) ReadMSR(uint32) (uint64, bool) { return 0, false }
func (a *testAPIC) WriteMSR(uint32, uint64) bool  { return false }
func (a *testAPIC) TSCDeadline() uint64           { return 0 }
func (a *testAPIC) SetTSCDeadline(uint64)         {}
func (a *testAPIC) SetTSCOffset(uint64)           {}
func (a *testAPIC) PerfOverflow()                 {}
func (a *testAPIC) interrupt(vector uint8)        { a.vector, a.pending = vector, true }
func (vm *testVM) write(pa uint64, b ...byte)     { vm.must(vm.MMU.Mem.WriteBytes(pa, b)) }
func (vm *testVM) write64(pa, v uint64)           { vm.MMU.Mem.Write(pa, 8, v) }
func (vm *testVM) read64(pa uint64) uint64        { return vm.MMU.Mem.Read(pa, 8) }
func (vm *testVM) set(f VMCSField, v uint64)      { vm.WriteVMCSField(f, v) }
func (vm *testVM) or(f VMCSField, v uint64)       { vm.set(f, vm.get(f)|v) }
func (vm *testVM) clear(f VMCSField, v uint64)    { vm.set(f, vm.get(f)&^v) }
func (vm *testVM) must(err error) {
	vm.tb.Helper()
	if err != nil {
		vm.tb.Fatal(err)
	}
}

func (vm *testVM) get(f VMCSField) uint64 {
	vm.tb.Helper()
	v, ok := vm.ReadVMCSField(f)
	if !ok {
		vm.tb.Fatalf("no field %v", f)
	}
	return v
}

// Code as bytes, with its text beside it where it is used.
var (
	codeVMLAUNCH = []byte{0x0f, 0x01, 0xc2}
	codeVMRESUME = []byte{0x0f, 0x01, 0xc3}
	codeVMCALL   = []byte{0x0f, 0x01, 0xc1}
	codeHLT      = []byte{0xf4}
	codeCPUID    = []byte{0x0f, 0xa2}
)

// newTestVM makes a machine ready to execute VMLAUNCH: a 64-bit guest with
// no controls but those that must be set, and with EPT and VPID off.
func newTestVM(tb testing.TB, guest []byte) *testVM {
	tb.Helper()
	c := newTestCPU(tb, append(append([]byte{}, codeVMLAUNCH...), codeHLT...))
	vm := &testVM{CPU: c, tb: tb, apic: new(testAPIC)}
	c.APIC = vm.apic
	c.CR4 |= CR4VMXE
	c.MSR.FeatureControl = 5
	vm.write(testExitCode, codeHLT...)
	vm.write(testGuestCode, guest...)
	vm.MMU.Mem.Write(testVMXON, 4, vmcsRevision)
	vm.MMU.Mem.Write(testVMCS, 4, vmcsRevision)
	c.vmx.on, c.vmx.region, c.vmx.current = true, testVMXON, testVMCS
	vm.hostTables()
	vm.guestTables()

	for f, v := range map[VMCSField]uint64{
		vmPinControls: pinDefault1, vmProcControls: procTrueDefault | procSecondary, vmProcControls2: 0,
		vmExitControls:  exitTrueDefault | exitHost64,
		vmEntryControls: entryTrueDefault | entryIA32e,
		vmLinkPointer:   noVMCS,
		vmIOBitmapA:     testIOBitmaps, vmIOBitmapB: testIOBitmaps + 0x1000, vmMSRBitmap: testMSRBitmap,
		vmVirtualAPIC: testAPICPage, vmEPTP: testEPT | 3<<3 | 6, vmVPID: 1,
		vmExitMSRStore: testMSRArea, vmExitMSRLoad: testMSRArea + 0x400, vmEntryMSRLoad: testMSRArea + 0x800,

		vmHostCR0: c.CR0, vmHostCR3: c.CR3, vmHostCR4: c.CR4, vmHostCS: 8, vmHostSS: 16, vmHostTR: 24,
		vmHostRSP: testHostStack, vmHostRIP: testExitCode, vmHostIDTRBase: 0x60000, vmHostGDTRBase: testGDT,

		vmGuestCR0: c.CR0, vmGuestCR3: c.CR3, vmGuestCR4: c.CR4, vmGuestDR7: 0x400,
		vmGuestRSP: testGuestStack, vmGuestRIP: testGuestCode, vmGuestRFLAGS: FlagR1,
		vmGuestGDTRBase: testGDT, vmGuestGDTRLimit: 0xff, vmGuestIDTRBase: testIDT, vmGuestIDTRLimit: 0xfff,
	} {
		vm.set(f, v)
	}
	for i := range LDTR {
		vm.segment(i, Segment{Selector: 16, Limit: 0xffffffff, Attr: 0xc093})
	}
	vm.segment(CS, Segment{Selector: 8, Limit: 0xffffffff, Attr: 0xa09b})
	vm.segment(LDTR, Segment{Attr: AttrUnusable})
	vm.segment(TR, Segment{Selector: 24, Limit: 0x67, Attr: 0x8b, Base: testTSS})

	// EPT that maps the first GiB to itself.
	vm.write64(testEPT, testEPT+0x1000|7)
	vm.write64(testEPT+0x1000, testEPT+0x2000|7)
	for i := range uint64(512) {
		vm.write64(testEPT+0x2000+8*i, i<<21|1<<7|6<<3|7)
	}
	c.Settle()
	return vm
}

// segment sets a guest segment register.
func (vm *testVM) segment(i int, s Segment) {
	f := VMCSField(2 * i)
	vm.set(vmGuestES+f, uint64(s.Selector))
	vm.set(vmGuestESBase+f, s.Base)
	vm.set(vmGuestESLimit+f, uint64(s.Limit))
	vm.set(vmGuestESAccess+f, uint64(s.Attr))
}

// hostTables gives the host an IDT that halts at 0x61000 + 16*vector.
func (vm *testVM) hostTables() {
	vm.IDTR = Table{0x60000, 0xfff}
	vm.GDTR = Table{testGDT, 0xff}
	for v := range uint64(256) {
		vm.gate(0x60000, v, 0x61000+16*v)
		vm.write(0x61000+16*v, codeHLT...)
	}
}

// guestTables gives the guest flat segments and an IDT whose handlers are
// VMCALL.
func (vm *testVM) guestTables() {
	vm.write64(testGDT+8, 0x00af9b000000ffff)  // 64-bit code
	vm.write64(testGDT+16, 0x00cf93000000ffff) // data
	vm.write64(testGDT+24, testTSS<<16|0x8b<<40|0x67)
	vm.write64(testGDT+40, 0x00cf9b000000ffff) // 32-bit code
	for v := range uint64(256) {
		vm.gate(testIDT, v, testHandlers+16*v)
		vm.write(testHandlers+16*v, codeVMCALL...)
	}
}

// gate writes a 64-bit interrupt gate, which programs of any privilege may
// use.
func (vm *testVM) gate(idt, vector, target uint64) {
	vm.write64(idt+16*vector, target&0xffff|8<<16|0xee<<40|target>>16&0xffff<<48)
	vm.write64(idt+16*vector+8, 0)
}

// launch runs from VMLAUNCH to the host's HLT, that is, to the first VM exit
// or to a VM entry that failed.
func (vm *testVM) launch() {
	vm.tb.Helper()
	vm.RIP = testHostCode
	vm.Activity = Active
	vm.Settle()
	vm.toHost()
}

// resume enters the guest again after an exit.
func (vm *testVM) resume() {
	vm.tb.Helper()
	vm.write(testHostCode, codeVMRESUME...)
	vm.launch()
}

func (vm *testVM) toHost() {
	vm.tb.Helper()
	end := vm.Count + 100_000
	for vm.Count < end {
		switch s := vm.Run(end); s {
		case StopHalted:
			if !vm.InGuest() {
				return
			}
			if n := vm.IdleUntil(end); n >= end {
				vm.tb.Fatalf("guest halted for good at %#x", vm.RIP)
			}
		case StopDevice:
		default:
			vm.tb.Fatalf("stopped: %v (%v) at %#x, guest %v", s, vm.Err(), vm.RIP, vm.InGuest())
		}
	}
	vm.tb.Fatalf("no VM exit; rip %#x, guest %v", vm.RIP, vm.InGuest())
}

// exited checks that a VM exit for a reason has happened.
func (vm *testVM) exited(r ExitReason) {
	vm.tb.Helper()
	if vm.RIP != testExitCode+1 {
		vm.tb.Fatalf("no VM exit: host rip %#x, flags %#x, error %d", vm.RIP, vm.flags(), vm.get(vmInstructionError))
	}
	if got := vm.get(vmExitReason); got != uint64(r) {
		vm.tb.Fatalf("exit reason %v (%#x), want %v; guest rip %#x, qualification %#x, info %#x",
			ExitReason(got), got, r, vm.get(vmGuestRIP), vm.get(vmQualification), vm.get(vmExitInfo))
	}
}

// field checks fields of the VMCS.
func (vm *testVM) field(f VMCSField, want uint64) {
	vm.tb.Helper()
	if got := vm.get(f); got != want {
		vm.tb.Errorf("%v is %#x, want %#x", f, got, want)
	}
}

func code(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			b = append(b, p...)
		case int:
			b = append(b, byte(p))
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, p)
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, p)
		default:
			panic(fmt.Sprintf("code: %T", p))
		}
	}
	return b
}

func TestVMExitAndResume(t *testing.T) {
	vm := newTestVM(t, code(
		[]byte{0xb8, 7, 0, 0, 0}, // mov eax, 7
		codeCPUID,
		[]byte{0xff, 0xc3}, // inc ebx
		codeVMCALL))
	vm.R[RBX] = 41
	vm.launch()
	vm.exited(ExitCPUID)
	vm.field(vmGuestRIP, testGuestCode+5)
	vm.field(vmExitLength, 2)
	if vm.R[RAX] != 7 || vm.InGuest() || vm.ExitCount() != 1 {
		t.Errorf("rax %#x, guest %v, exits %d", vm.R[RAX], vm.InGuest(), vm.ExitCount())
	}
	vm.set(vmGuestRIP, testGuestCode+7)
	vm.resume()
	vm.exited(ExitVMCALL)
	if vm.R[RBX] != 42 {
		t.Errorf("rbx %d, want 42", vm.R[RBX])
	}
	vm.field(vmGuestRIP, testGuestCode+9)
	vm.field(vmExitLength, 3)
}

// BenchmarkVMExit is a VM exit and the VM entry after it.
func BenchmarkVMExit(b *testing.B) {
	for _, cfg := range []struct {
		name  string
		proc2 uint64
	}{{"plain", 0}, {"ept+vpid", proc2EPT | proc2VPID}} {
		b.Run(cfg.name, func(b *testing.B) {
			vm := newTestVM(b, code(codeVMCALL))
			vm.or(vmProcControls2, cfg.proc2)
			vm.launch()
			vm.exited(ExitVMCALL)
			vm.write(testExitCode, codeVMRESUME...)
			vm.RIP, vm.Activity = testExitCode, Active
			vm.Settle()
			vm.Run(vm.Count + 100)
			b.ResetTimer()
			vm.Run(vm.Count + 2*uint64(b.N))
		})
	}
}
