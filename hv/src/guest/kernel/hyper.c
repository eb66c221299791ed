/* Is a hypervisor below us? And the two things a run ends with. */
#include "hypercall.h"
#include "kernel.h"

bool hypervisor_present;
uint32_t vm_number;

void hyper_init(void)
{
	struct cpuid id = cpuid(HV_CPUID_BASE);

	if (id.ebx != HV_CPUID_EBX || id.ecx != HV_CPUID_ECX || id.edx != HV_CPUID_EDX)
		return;

	struct cpuid abi = cpuid(HV_CPUID_BASE + 1);

	if (abi.eax != HV_ABI_VERSION) {
		kprint("hypervisor: speaks version %u, not %u: ignored\n", abi.eax, HV_ABI_VERSION);
		return;
	}
	hypervisor_present = true;
	vm_number = abi.ebx;
}

void report(uint64_t kind, uint64_t value)
{
	if (hypervisor_present)
		hypercall(HC_REPORT, kind, value, 0);
}

/* Where QEMU puts its isa-debug-exit device unless told iobase=0xf4. */
#define QEMU_EXIT_PORT 0x501

/* On a bare machine the exit port ends QEMU and the bench; a PC just halts. */
_Noreturn void shutdown(uint64_t code)
{
	interrupts_off();
	if (hypervisor_present)
		hypercall(HC_SHUTDOWN, code, 0, 0);
	outl(EXIT_PORT, (uint32_t)code);
	outl(QEMU_EXIT_PORT, (uint32_t)code);
	for (;;)
		__asm__ volatile("hlt");
}
