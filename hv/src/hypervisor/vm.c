/*
 * A VM from its boot module to its end, and the small verbs that all exit
 * handlers share.
 */
#include "hv.h"

#define DEFAULT_MEMORY  8       /* MiB */
#define MAX_MEMORY      512
#define DEFAULT_WEIGHT  256
#define DEFAULT_DISK    1024    /* KiB */

struct vm vms[MAX_VMS] ALIGNED(4096) SECTION(".bss.vms");
u32 vm_count;

/* The lowest page of each is the guard that mm_init() takes away. */
u8 vm_stacks[MAX_VMS][PAGE_SIZE + STACK_SIZE] ALIGNED(4096) SECTION(".bss.stacks");

/* ---- Building -------------------------------------------------------- */

/* What a multiboot loader owes a kernel, in the guest's own memory. */
#define INFO_ADDRESS    0x6000
#define LOW_MEMORY_END  0x9f000

struct guest_info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline;
    u32 mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
    u32 unused[9];
    struct { u32 size; u64 base, length; u32 type; } __attribute__((packed)) mmap[3];
    char command_line[2048];
};

static bool write_guest_info(struct vm *vm, const char *command_line)
{
    static struct guest_info info;

    memset(&info, 0, sizeof(info));
    info.flags = BIT(0) | BIT(2) | BIT(6);      /* memory, command line, map */
    info.mem_lower = LOW_MEMORY_END / KIB;
    info.mem_upper = (u32)((vm->config.memory_size - MIB) / KIB);
    info.cmdline = INFO_ADDRESS + offsetof(struct guest_info, command_line);
    info.mmap_addr = INFO_ADDRESS + offsetof(struct guest_info, mmap);
    info.mmap_length = sizeof(info.mmap);
    info.mmap[0].length = LOW_MEMORY_END;
    info.mmap[0].type = 1;
    info.mmap[1].base = LOW_MEMORY_END;
    info.mmap[1].length = MIB - LOW_MEMORY_END;
    info.mmap[1].type = 2;
    info.mmap[2].base = MIB;
    info.mmap[2].length = vm->config.memory_size - MIB;
    info.mmap[2].type = 1;
    for (u32 i = 0; i < COUNT_OF(info.mmap); i++)
        info.mmap[i].size = sizeof(info.mmap[i]) - sizeof(info.mmap[i].size);

    u64 n = MIN(strlen(command_line), sizeof(info.command_line) - 1);
    memcpy(info.command_line, command_line, n);
    return guest_write(vm, INFO_ADDRESS, &info, sizeof(info));
}

/* A sum over what must not change. Position-dependent, so that swapped words
 * are noticed too. */
u64 vm_seal(const struct vm *vm)
{
    const u64 *words = (const u64 *)&vm->config;
    u64 sum = VM_MAGIC;

    for (u32 i = 0; i < sizeof(vm->config) / 8; i++)
        sum = (sum << 7 | sum >> 57) ^ words[i];
    return sum;
}

/* Runtime detector, for VMs that may not have run for long. */
void vm_check(const struct vm *vm)
{
    CHECK(VM_MAGIC, vm->magic == VM_MAGIC);
    CHECK(VM_SEAL, vm->seal == vm_seal(vm));
    CHECK(EVENT_INFO, vm->events.mapped_count <= SHARE_SLOTS);
    CHECK(CONSOLE_LINE, vm->line_length <= sizeof(vm->line));
    lapic_check(vm);
}

void vm_create(const struct module *image)
{
    const char *line = image->words, *word;
    u64 memory = DEFAULT_MEMORY, weight = DEFAULT_WEIGHT, disk = DEFAULT_DISK;
    u32 length, entry;

    if (vm_count == MAX_VMS)
        cannot_start("more than %u guests", MAX_VMS);
    while (next_word(&line, &word, &length) && !word_is(word, length, "--")) {
        if (word_value(word, length, "memory", &memory)
            || word_value(word, length, "weight", &weight))
            continue;
        word_value(word, length, "disk", &disk);
    }
    while (*line == ' ')
        line++;     /* what is left is the guest's own command line */
    if (memory < 2 || memory > MAX_MEMORY || memory % 2)
        cannot_start("guest with memory=%llu: an even number from 2 to %u", memory, MAX_MEMORY);
    if (weight < 1 || weight > 65535)
        cannot_start("guest with weight=%llu: 1 to 65535", weight);
    if (disk > 64 * KIB)
        cannot_start("guest with disk=%llu: at most %llu", disk, 64 * KIB);

    u32 id = vm_count;
    struct vm *vm = &vms[id];
    vm->magic = VM_MAGIC;
    vm->config.id = id;
    vm->config.weight = (u32)weight;
    vm->config.memory_size = memory * MIB;
    vm->config.memory = mm_alloc(memory * MIB, LARGE_PAGE, OWNER_GUEST, id);
    vm->config.disk_sectors = disk * 2;
    if (disk)
        vm->config.disk = mm_alloc(disk * KIB, PAGE_SIZE, OWNER_DISK, id);
    ept_create(vm);

    if (!multiboot_load(vm, image, &entry))
        cannot_start("guest %u is no multiboot kernel that fits into %llu MiB", id, memory);
    if (!write_guest_info(vm, line))
        cannot_start("guest %u: no room for its multiboot information", id);

    /* The top of the stack names its VM for vmexit.S and is itself guarded. */
    u64 *top = (u64 *)(vm_stacks[id] + sizeof(vm_stacks[id])) - 2;
    top[0] = (u64)vm;
    top[1] = STACK_CANARY;
    *(u64 *)(vm_stacks[id] + PAGE_SIZE) = STACK_CANARY;
    vm->config.stack_top = (u64)top;

    lapic_reset(vm);
    vm->device.random = 0x9e3779b9u * (id + 1);
    vm->pat = 0x0007040600070406;       /* SDM Vol. 3A, 12.12.4: after reset */
    vm->lazy.dr6 = 0xffff0ff0;
    *(u16 *)(vm->lazy.fxsave + 0) = 0x37f;  /* FCW */
    *(u32 *)(vm->lazy.fxsave + 24) = 0x1f80; /* MXCSR */
    vmx_create_vmcs(vm, entry, INFO_ADDRESS);
    vm->seal = vm_seal(vm);
    vm_count++;

    sched_add(vm);
    log_line("vm%u: %llu MiB at %llx, weight %llu, disk %llu KiB, entry %x, \"%s\"",
             id, memory, vm->config.memory, weight, disk, entry, line);
}

/* ---- Stopping -------------------------------------------------------- */

void vm_stop(struct vm *vm, u32 cause, u64 code)
{
    static const char *const causes[] = {
        [VM_STOP_SHUTDOWN] = "shut down, code", [VM_STOP_TRIPLE] = "triple fault",
        [VM_STOP_KILLED] = "killed, exit reason", [VM_STOP_PANIC] = "panic",
    };

    if (vm->state == VM_STOPPED)
        return;
    sched_remove(vm);
    vm->state = VM_STOPPED;
    vm->stop_cause = cause;
    vm->stop_code = code;
    console_flush(vm);
    log_line("vm%u: stopped: %s %lld", vm->config.id, causes[cause], code);
    probe_report(PROBE_VM_STOPPED, (u32[]){ vm->config.id, cause, (u32)code, (u32)(code >> 32) }, 4);
}

/* ---- Verbs of exit handlers ------------------------------------------ */

/*
 * Queue an exception for the next entry. If the guest was in the middle of
 * being delivered something else (IDT vectoring), that has to be combined
 * (SDM Vol. 3A, table 6-5): two exceptions become a double fault, and an
 * external interrupt goes back to where it came from.
 */
void vm_inject_exception(struct vm *vm, u32 vector, bool has_error, u32 error)
{
    if (vm->event & INTR_VALID) {
        if ((vm->event & INTR_TYPE) == INTR_TYPE_EXTERNAL) {
            lapic_return(vm, vm->event & INTR_VECTOR);
        } else if ((vm->event & INTR_TYPE) == INTR_TYPE_EXCEPTION) {
            if ((vm->event & INTR_VECTOR) == VECTOR_DF) {
                vm_stop(vm, VM_STOP_TRIPLE, 0);
                return;
            }
            vector = VECTOR_DF;
            has_error = true;
            error = 0;
        }
    }
    vm->event = vector | INTR_TYPE_EXCEPTION | (u32)INTR_VALID | (has_error ? INTR_HAS_ERROR_CODE : 0);
    vm->event_error = error;
    vm->event_length = 0;
}

/* The guest's instruction is done: step over it. What hardware does at the
 * end of an instruction is now ours to do: the one-instruction shadow of STI
 * and MOV SS ends (SDM Vol. 3A, 6.8.3), and a single-step trap is due. */
void vm_skip_bytes(u64 length)
{
    u64 rip = vmread(GUEST_RIP) + length;

    if (!(vmread(GUEST_CS_ACCESS) & ACCESS_CODE_LONG))
        rip &= 0xffffffff;
    vmwrite(GUEST_RIP, rip);
    vmwrite(GUEST_INTERRUPTIBILITY,
            vmread(GUEST_INTERRUPTIBILITY) & ~(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS));
    if (vmread(GUEST_RFLAGS) & RFLAGS_TF)
        vmwrite(GUEST_PENDING_DEBUG, vmread(GUEST_PENDING_DEBUG) | BIT(14));
}

void vm_skip_instruction(void)
{
    vm_skip_bytes(vmread(EXIT_INSTRUCTION_LENGTH));
}

u64 vm_reg(const struct vm *vm, u32 number)
{
    return number == RSP ? vmread(GUEST_RSP) : vm->regs[number & 15];
}

void vm_set_reg(struct vm *vm, u32 number, u64 value)
{
    if (number == RSP)
        vmwrite(GUEST_RSP, value);
    else
        vm->regs[number & 15] = value;
}

u64 vm_tsc(const struct vm *vm)
{
    return rdtsc() + vm->config.tsc_offset;
}
