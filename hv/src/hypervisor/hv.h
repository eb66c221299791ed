/*
 * hv: a small type-1 hypervisor for one processor with Intel VMX.
 *
 * How to think about it. After start-up (main.c) there is only one path, a
 * loop that leaves the hypervisor at the bottom and comes back in at the top:
 *
 *     vmexit.S   a guest has exited: save its registers in its struct vm
 *     vmexit.c     find out why, do what the guest asked (the other files)
 *     sched.c      decide which VM runs next; sleep when none can
 *     vmexit.c     prepare its entry: timers, interrupts, the detectors' verdict
 *     vmexit.S   load its registers, VMRESUME
 *
 * Nothing survives on a stack from one round to the next. All that the
 * hypervisor knows about a VM is in its struct vm below, its VMCS, its
 * extended page tables, and a few globals that the files declare as static.
 * Interrupts are off throughout, except for the moment it sleeps.
 *
 * Read in this order: boot.S, main.c, vmx.c, vmexit.S, vmexit.c, then what
 * interests you. detect.c is what this hypervisor is built to study.
 */
#ifndef HV_H
#define HV_H

#include "cpu.h"
#include "detect.h"
#include "types.h"
#include "vmx.h"
#include "../include/abi.h"

#define MAX_VMS         8
#define STACK_SIZE      (8 * KIB)
#define VM_MAGIC        0x564d5f464c495056ull
#define STACK_CANARY    0x57ac4ca9a19fab1eull

/* General registers in the order of their encoding in instructions. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10 };

/* ---- The pieces of a VM ---------------------------------------------- */

struct link { struct link *next, *prev; };

/* A ring of bytes. */
struct fifo { u8 bytes[64]; u32 head, count; };

/* Virtual local APIC: lapic.c. */
struct lapic {
    u32 id, tpr, svr, ldr, dfr, esr, icr_low, icr_high;
    u32 lvt[6];             /* timer, thermal, counters, LINT0, LINT1, error */
    u32 irr[8], isr[8];     /* one bit per vector */
    u32 timer_initial, timer_divide;
    u64 timer_start;        /* guest TSC when the present count began */
    u64 timer_deadline;     /* guest TSC of the next expiry; 0: not armed */
};

/* Virtual 16550 and keyboard controller: vuart.c. */
struct vuart {
    u8 ier, lcr, mcr, scr, dll, dlm;
    struct fifo rx;
};

struct keyboard { struct fifo scancodes; };

/* Event channels and shared pages: evtchn.c. */
#define EVENT_PORTS     32
#define SHARE_SLOTS     16
struct events {
    u32 pending;
    u8 vector[EVENT_PORTS];     /* 0: not bound */
    u64 offered[SHARE_SLOTS];   /* guest-physical address + 1; 0: nothing */
    struct { u64 gpa, host; } mapped[SHARE_SLOTS];
    u32 mapped_count;
};

/* The device at HV_MMIO_BASE: block.c. */
struct mmio_device { u32 scratch, random, sector, address, count, status; };

/* State that VMX does not switch, because a host that leaves it alone need
 * not either; it changes hands only when another VM is entered (vmx.c). */
struct lazy_state {
    u8 fxsave[512] ALIGNED(16);
    u64 star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
    u64 dr0, dr1, dr2, dr3, dr6, cr2;
};

/* What is decided when the VM is built and never changes. vm_seal() sums it
 * up, and the runtime detector compares the sum at every exit. */
struct vm_config {
    u64 memory, memory_size;    /* host address of guest-physical 0; bytes */
    u64 ept_root;
    u64 vmcs;
    u64 stack_top;
    u64 disk, disk_sectors;
    u64 tsc_offset;
    u32 weight, id;
};

enum vm_state {
    VM_UNUSED,
    VM_RUNNABLE,    /* in the run queue */
    VM_RUNNING,     /* the one that is entered next */
    VM_BLOCKED,     /* waits in HLT for an interrupt */
    VM_STOPPED,
};

struct vm {
    u64 regs[16];               /* vmexit.S: must be first. RSP is in the VMCS */
    u64 launched;               /* vmexit.S: must be second */

    u64 magic;
    struct vm_config config;
    u64 seal;

    u32 state, stop_cause;      /* enum vm_state, VM_STOP_* */
    u64 stop_code;

    /* sched.c */
    struct link run;
    s32 credit;
    u32 priority;

    /* The event to deliver at the next entry, as ENTRY_INTERRUPTION_INFO. */
    u32 event, event_error, event_length;
    u32 preempted_vector;       /* unused bits zero; see vm_inject_exception */

    struct lapic lapic;
    struct vuart uart;
    struct keyboard keyboard;
    struct events events;
    struct mmio_device device;
    u64 pat, mtrr_def_type;     /* plain storage: EPT decides memory types */

    char line[120];             /* console output up to the next newline */
    u32 line_length;

    /* Statistics. */
    u64 exits, exits_by_reason[EXIT_REASONS];
    u64 ticks, switches, digest;

    struct lazy_state lazy;
};

extern struct vm vms[MAX_VMS];
extern u32 vm_count;
extern struct vm *current;      /* whose VMCS is loaded */

/* ---- The hypervisor's own command line: main.c ----------------------- */

struct options {
    bool profile;
    bool stop_on_detection;     /* policy=stop */
    u32 quantum;                /* host LAPIC timer counts per scheduler tick */
};
extern struct options options;

/* ---- uart.c, printf.c ------------------------------------------------ */

void uart_init(void);
void uart_putc(char c);
void print(const char *format, ...) PRINTF(1, 2);
void print_args(const char *format, va_list args);
void log_line(const char *format, ...) PRINTF(1, 2);    /* "[hv] ...\n" */
void console_putc(struct vm *vm, u8 c);
void console_flush(struct vm *vm);
void console_poll(void);

/* ---- probe.c --------------------------------------------------------- */

void probe_init(void);
void probe_report(u32 kind, const u32 *words, u32 count);
void probe_phase(u32 phase, u32 argument);

void NORETURN finish(u32 status);
void NORETURN cannot_start(const char *format, ...) PRINTF(1, 2);

/* ---- mm.c ------------------------------------------------------------ */

enum owner { OWNER_FREE, OWNER_GUEST, OWNER_DISK, OWNER_MODEL };

/* Who owns which piece of allocated memory; read by the bench by symbol. */
struct memory_owner { u64 base, size; u32 owner, vm; };
extern struct memory_owner memory_owners[64];

void mm_init(void);
u64 mm_alloc(u64 size, u64 align, enum owner owner, u32 vm);

/* ---- multiboot.c ----------------------------------------------------- */

struct module { u64 start, size; const char *words; };

void multiboot_init(u32 magic, u64 info);
const char *multiboot_command_line(void);
u32 multiboot_modules(const struct module **modules);
bool multiboot_next_ram(u32 *cursor, u64 *base, u64 *size);
bool multiboot_load(struct vm *vm, const struct module *image, u32 *entry);
bool next_word(const char **line, const char **word, u32 *length);
bool word_is(const char *word, u32 length, const char *text);
bool word_value(const char *word, u32 length, const char *key, u64 *value);

/* ---- traps.c --------------------------------------------------------- */

#define SELECTOR_CODE   0x08
#define SELECTOR_DATA   0x10
#define SELECTOR_TSS    0x18

void traps_init(void);
void traps_check(void);
bool try_rdpmc(u32 counter);
u64 traps_gdt_base(void);
u64 traps_idt_base(void);
u64 traps_tss_base(void);

/* ---- timer.c: the host's own local APIC ------------------------------ */

#define VECTOR_TIMER    0x40
#define VECTOR_SPURIOUS 0xff

extern u64 tsc_per_tick;
void timer_init(void);
void timer_start(void);
void timer_interrupt(u32 vector);
void timer_watch(void);
void timer_route_overflow_to_nmi(void);

/* ---- vm.c ------------------------------------------------------------ */

void vm_create(const struct module *image);
void vm_stop(struct vm *vm, u32 cause, u64 code);
u64 vm_seal(const struct vm *vm);
void vm_check(const struct vm *vm);
void vm_inject_exception(struct vm *vm, u32 vector, bool has_error, u32 error);
void vm_skip_instruction(void);
void vm_skip_bytes(u64 length);
u64 vm_reg(const struct vm *vm, u32 number);
void vm_set_reg(struct vm *vm, u32 number, u64 value);
u64 vm_tsc(const struct vm *vm);

/* ---- vmx.c ----------------------------------------------------------- */

struct vmx_features { bool vpid, rdtscp, preemption_timer; u32 preemption_shift; };
extern struct vmx_features vmx;

/* Bits of CR0 that a guest cannot change without an exit. */
#define CR0_HOST_OWNED  (CR0_NE | CR0_NW | CR0_CD)

void vmx_init(void);
void vmx_create_vmcs(struct vm *vm, u32 entry, u32 info);
void vmx_switch_to(struct vm *vm);
void vmx_check_host_state(const struct vm *vm);
void vmx_flush(const struct vm *vm);

/* ---- ept.c, guestmem.c ----------------------------------------------- */

void ept_create(struct vm *vm);
u64 ept_pointer(const struct vm *vm);
bool ept_translate(const struct vm *vm, u64 gpa, u64 *host);
bool ept_map_page(struct vm *vm, u64 gpa, u64 host);
void ept_check(void);

void *guest_pointer(const struct vm *vm, u64 gpa, u64 size);
bool guest_read(const struct vm *vm, u64 gpa, void *to, u64 size);
bool guest_write(const struct vm *vm, u64 gpa, const void *from, u64 size);
bool guest_linear_to_physical(const struct vm *vm, u64 linear, u64 *gpa);
bool guest_load_pdptes(const struct vm *vm);

/* ---- sched.c --------------------------------------------------------- */

void sched_add(struct vm *vm);
void sched_remove(struct vm *vm);
void sched_block(struct vm *vm);
void sched_wake(struct vm *vm);
void sched_yield(void);
void sched_tick(void);
struct vm *sched_next(void);
bool sched_asleep(void);
void sched_check(void);

/* ---- vmexit.c, vmexit.S ---------------------------------------------- */

void vmexit_entry(void);                        /* HOST_RIP */
void NORETURN vm_enter(struct vm *vm);
struct vm *vmexit_next_entry(void);

/* ---- processor.c: CPUID, MSRs and control registers of a guest ------- */

void processor_init(void);
void exit_cpuid(struct vm *vm);
void exit_rdmsr(struct vm *vm);
void exit_wrmsr(struct vm *vm);
void exit_cr_access(struct vm *vm);
u64 processor_forced_cr4(void);

/* ---- devices of a guest ---------------------------------------------- */

void exit_io(struct vm *vm);                    /* io.c */
void exit_ept_violation(struct vm *vm);         /* decode.c */

void lapic_reset(struct vm *vm);
u32 lapic_read(struct vm *vm, u32 offset);
void lapic_write(struct vm *vm, u32 offset, u32 value);
void lapic_raise(struct vm *vm, u32 vector);
int lapic_pending(const struct vm *vm);         /* vector, or -1 */
void lapic_accept(struct vm *vm, u32 vector);
void lapic_return(struct vm *vm, u32 vector);
void lapic_timer_poll(struct vm *vm);
void lapic_check(const struct vm *vm);

u8 vuart_read(struct vm *vm, u32 offset);
void vuart_write(struct vm *vm, u32 offset, u8 value);
u8 keyboard_read(struct vm *vm, u32 port);
void keyboard_write(struct vm *vm, u32 port, u8 value);
void vuart_input(struct vm *vm, u8 c);
bool fifo_put(struct fifo *f, u8 byte);
int fifo_get(struct fifo *f);                   /* byte, or -1 */

void block_init(void);
void block_attach(const struct module *module);
s64 block_transfer(struct vm *vm, u64 sector, u64 gpa, u64 count, bool write);
u32 device_read(struct vm *vm, u32 offset);
void device_write(struct vm *vm, u32 offset, u32 value);

/* ---- hypercall.c, evtchn.c ------------------------------------------- */

void exit_hypercall(struct vm *vm);
s64 event_bind(struct vm *vm, u64 port, u64 vector);
s64 event_send(struct vm *vm, u64 target, u64 port);
s64 event_pending(struct vm *vm);
s64 share_page(struct vm *vm, u64 slot, u64 gpa);
s64 map_shared(struct vm *vm, u64 owner, u64 slot, u64 gpa);

#endif
