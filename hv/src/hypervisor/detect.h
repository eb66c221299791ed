/*
 * The detectors. Three mechanisms, each switched on the command line:
 *
 *   runtime     an unexpected exception in root mode, an invariant of the
 *               hypervisor's own data that does not hold, a VMX instruction
 *               that fails: things that stop being true when hardware lies
 *   transition  performance counters, counted from each VM exit to the next
 *               VM entry and judged by a decision tree before the guest runs
 *   watchdog    an NMI when one pass through the hypervisor takes absurdly long
 *
 * A report goes to the probe and to the console; then the policy decides.
 */
#ifndef HV_DETECT_H
#define HV_DETECT_H

#include "types.h"

/* The invariants, in the order of their numbers (from 1) in reports. */
#define ASSERTIONS(A)                                                       \
    A(VM_POINTER,       "exit into something that is no VM")                \
    A(VM_CURRENT,       "exit of a VM that was not running")                \
    A(VM_MAGIC,         "VM structure without its magic number")            \
    A(VM_STATE,         "VM in an impossible state")                        \
    A(VM_SEAL,          "VM's fixed configuration has changed")             \
    A(VM_COUNT,         "number of VMs has changed")                        \
    A(STACK_POINTER,    "stack pointer outside the VM's stack")             \
    A(STACK_CANARY,     "canary of a stack overwritten")                    \
    A(EXIT_REASON,      "exit reason that does not exist")                  \
    A(RUNQ_LINK,        "run queue: neighbours disagree")                   \
    A(RUNQ_MEMBER,      "run queue: member is no runnable VM")              \
    A(RUNQ_ORDER,       "run queue: not in order of priority")              \
    A(RUNQ_LENGTH,      "run queue: wrong number of members")               \
    A(CREDIT_RANGE,     "credit outside its range")                         \
    A(EPT_ENTRY,        "EPT entry maps what it should not")                \
    A(EPT_TABLE,        "EPT entry points to no table")                     \
    A(EPT_MISCONFIGURED, "processor refuses an EPT entry")                  \
    A(VMCS_HOST,        "host state in the VMCS has changed")               \
    A(VMCS_CONTROL,     "controls in the VMCS have changed")                \
    A(DESCRIPTORS,      "descriptor table registers have changed")          \
    A(LAPIC_STATE,      "virtual local APIC in an impossible state")        \
    A(FIFO,             "byte ring with impossible indices")                \
    A(CONSOLE_LINE,     "console line longer than its buffer")              \
    A(GUEST_POINTER,    "guest memory resolved to foreign memory")          \
    A(EVENT_INFO,       "malformed event for injection")                    \
    A(INTERRUPT_VECTOR, "interrupt that nobody asked for")                  \
    A(TICK_LATE,        "scheduler tick overdue")                           \
    A(EXCEPTION_EXIT,   "exit for an exception that was not asked for")     \
    A(COUNTERS,         "performance counters misconfigured")

enum assertion {
    ASSERT_NONE,
#define A(name, text) ASSERT_##name,
    ASSERTIONS(A)
#undef A
    ASSERTION_COUNT
};

extern bool detect_runtime, detect_transition, detect_watchdog;

void assertion_failed(enum assertion number);

/* State an invariant. Costs one test of a flag when the detector is off. */
#define CHECK(name, condition)                                              \
    do {                                                                    \
        if (unlikely(detect_runtime && !(condition)))                       \
            assertion_failed(ASSERT_##name);                                \
    } while (0)

struct trap_frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    u64 vector, error, rip, cs, rflags, rsp, ss;
};

void NORETURN detect_exception(const struct trap_frame *frame, u64 cr2);
void detect_vmx(const char *what, u32 reason, u64 operand);
void detect_transition_anomaly(u32 leaf);
u32 detect_count(void);

/* perf.c: the features of one pass from VM exit to VM entry. */
struct features { u32 values[5]; };     /* indexed by FEATURE_* */
extern struct features last_features;

struct module;
void perf_init(void);
void perf_load_model(const struct module *module);
void perf_restart(u32 reason);
void perf_begin(u32 reason);
void perf_sample(void);
void perf_judge(void);
u64 perf_exit_msr_list(u32 *count);
u64 perf_entry_msr_list(u32 *count);

#endif
