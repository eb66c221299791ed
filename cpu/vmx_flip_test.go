package cpu

import (
	"math/rand/v2"
	"testing"

	"github.com/flipvisor/flipvisor/internal/state"
)

// TestVMCSFlips flips bits of a VMCS, before the VM entry and while the guest
// runs, under guests that do everything: whatever that leads to, the
// emulator goes on, and twice the same way.
func TestVMCSFlips(t *testing.T) {
	trials := 4000
	if testing.Short() {
		trials = 400
	}
	guests := []change{all(), ept, unrestricted, unpaged, pae, realMode, v86, all(ept, or(vmProcControls2, proc2VPID))}
	programs := [][]byte{
		code([]byte{0xb9, 20, 0, 0, 0}, []byte{0xcd, 0x80}, codeCPUID, []byte{0xe2, 0xfa}), // mov ecx, 20; int 80h; cpuid; loop
		code([]byte{0x0f, 0x20, 0xc0, 0x0f, 0x22, 0xc0}, []byte{0x0f, 0x31}, []byte{0xe4, 0x60}, []byte{0x0f, 0x0b}),
		code([]byte{0xfb, 0xf4, 0x0f, 0x32, 0x0f, 0x30, 0xcc, 0xeb, 0xf7}), // sti; hlt; rdmsr; wrmsr; int3; jmp
	}
	// The host: advances the guest past the instruction, and resumes.
	handler := code(
		[]byte{0xb8, 0x0c, 0x44, 0, 0, 0x0f, 0x78, 0xc2}, // mov eax, 440ch; vmread rdx, rax
		[]byte{0xb8, 0x1e, 0x68, 0, 0, 0x0f, 0x78, 0xc1}, // mov eax, 681eh; vmread rcx, rax
		[]byte{0x48, 0x01, 0xd1, 0x0f, 0x79, 0xc1},       // add rcx, rdx; vmwrite rax, rcx
		codeVMRESUME, codeHLT)

	vm := newTestVM(t, nil)
	memory := vm.MMU.Mem.Snapshot()
	processor := state.Save(nil, vm.CPU)
	run := func(seed uint64) (digest []byte) {
		r := rand.New(rand.NewPCG(seed, 1))
		vm.MMU.Mem.Restore(memory)
		vm.must(state.Load(processor, vm.CPU))
		vm.MMU.FlushAll(0, false)
		vm.MMU.FlushAll(1, false)
		vm.write(testGuestCode, programs[r.IntN(len(programs))]...)
		vm.write(testExitCode, handler...)
		guests[r.IntN(len(guests))](vm)
		// Random settings that are allowed, then flips that need not be.
		vm.or(vmProcControls, r.Uint64()&procSupported&r.Uint64())
		vm.or(vmPinControls, r.Uint64()&(pinExternal|pinNMI|pinTimer))
		vm.set(vmTimer, r.Uint64N(4))
		vm.set(vmExceptionBitmap, r.Uint64()&r.Uint64())
		if r.IntN(3) == 0 {
			vm.set(vmEntryInfo, infoValid|r.Uint64N(8)<<infoType|r.Uint64N(32)|r.Uint64N(2)*infoCode)
		}
		vm.Settle()
		flip := func() {
			fields := VMCSFields()
			f := fields[r.IntN(len(fields))]
			vm.set(f, vm.get(f)^1<<r.IntN(f.Width()))
		}
		if r.IntN(2) == 0 {
			flip()
		}
		for range 6 {
			if s := vm.Run(vm.Count + r.Uint64N(60)); s == StopShutdown || s == StopError {
				break
			} else if s == StopHalted {
				vm.IdleUntil(vm.Count + 10)
			}
			if vm.vmx.current != testVMCS {
				break // the host's HLT, after INIT
			}
			flip()
			switch r.IntN(6) {
			case 0:
				vm.NMI()
			case 1:
				vm.apic.interrupt(0x41)
			case 2:
				vm.INIT()
			}
		}
		vm.apic.pending = false
		return state.Save(nil, vm.CPU)
	}
	var exits uint64
	for seed := range uint64(trials) {
		first := run(seed)
		exits += vm.ExitCount()
		if seed%16 == 0 && string(first) != string(run(seed)) {
			t.Fatalf("seed %d: two runs differ", seed)
		}
	}
	if exits < uint64(trials) {
		t.Errorf("%d exits in %d trials", exits, trials)
	}
}
