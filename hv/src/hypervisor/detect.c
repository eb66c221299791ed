/*
 * Reports of the detectors and what follows from them. See detect.h.
 */
#include "hv.h"

#define MAX_REPORTS 16  /* later ones are only counted: the first say it all */

bool detect_runtime;

static u32 count;

static const char *const assertion_texts[] = {
#define A(name, text) [ASSERT_##name] = text,
    ASSERTIONS(A)
#undef A
};

static const char *const exception_names[32] = {
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9", "#TS", "#NP", "#SS", "#GP", "#PF", "15",
    "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
};

u32 detect_count(void)
{
    return count;
}

static bool report(u32 detector, u32 reason, u64 rip, u64 error, u64 cr2)
{
    const u32 *f = last_features.values;

    if (++count > MAX_REPORTS)
        return false;
    if (detector != DETECT_TRANSITION)
        perf_sample();      /* that one has judged a sample already */
    probe_report(PROBE_DETECTION,
                 (u32[]){ detector, reason, (u32)rip, (u32)(rip >> 32), (u32)error, (u32)cr2, (u32)(cr2 >> 32),
                          f[FEATURE_REASON], f[FEATURE_INSTRUCTIONS], f[FEATURE_BRANCHES], f[FEATURE_LOADS],
                          f[FEATURE_STORES] }, 12);
    return true;
}

static void act(void)
{
    if (options.stop_on_detection)
        finish(EXIT_DETECTED);
}

/* ---- runtime --------------------------------------------------------- */

void assertion_failed(enum assertion number)
{
    u64 rip = (u64)__builtin_return_address(0);

    if (report(DETECT_ASSERTION, number, rip, 0, 0))
        log_line("DETECTED assertion %u at %llx: %s", number, rip, assertion_texts[number]);
    act();
}

static void print_machine_checks(void)
{
    u32 banks = rdmsr(MSR_MCG_CAP) & 0xff;

    for (u32 i = 0; i < banks; i++) {
        u64 status = rdmsr(MSR_MC0_CTL + 4 * i + 1);
        if (status & BIT(63))
            log_line("  machine check bank %u: status %016llx", i, status);
    }
}

/* There is no way back: whatever was interrupted cannot be continued. */
void NORETURN detect_exception(const struct trap_frame *f, u64 cr2)
{
    static u32 depth;
    bool watchdog = detect_watchdog && f->vector == VECTOR_NMI;

    if (depth++)
        halt_forever();     /* an exception while reporting one */

    bool detected = detect_runtime || watchdog;
    if (detected)
        report(watchdog ? DETECT_WATCHDOG : DETECT_EXCEPTION, (u32)f->vector, f->rip, f->error, cr2);
    log_line("%s: %s, error code %llx, at rip %llx, cr2 %llx", detected ? "DETECTED exception" : "panic",
             watchdog ? "NMI of the watchdog" : f->vector < 32 && exception_names[f->vector]
             ? exception_names[f->vector] : "?", f->error, f->rip, cr2);
    log_line("  rax %016llx rbx %016llx rcx %016llx rdx %016llx", f->rax, f->rbx, f->rcx, f->rdx);
    log_line("  rsi %016llx rdi %016llx rbp %016llx rsp %016llx", f->rsi, f->rdi, f->rbp, f->rsp);
    log_line("  r8  %016llx r9  %016llx r10 %016llx r11 %016llx", f->r8, f->r9, f->r10, f->r11);
    log_line("  r12 %016llx r13 %016llx r14 %016llx r15 %016llx", f->r12, f->r13, f->r14, f->r15);
    if (f->vector == VECTOR_MC)
        print_machine_checks();
    finish(detected ? EXIT_DETECTED : EXIT_PANIC);
}

/* A VMX instruction or a VM entry failed. */
void detect_vmx(const char *what, u32 reason, u64 operand)
{
    u64 rip = (u64)__builtin_return_address(0);

    if (!detect_runtime) {
        log_line("%s failed: %u (operand %llx)", what, reason, operand);
        return;
    }
    if (report(DETECT_VMX, reason, rip, operand, 0))
        log_line("DETECTED %s failed: %u (operand %llx)", what, reason, operand);
    act();
}

/* ---- transition ------------------------------------------------------ */

void detect_transition_anomaly(u32 leaf)
{
    const u32 *f = last_features.values;

    if (report(DETECT_TRANSITION, leaf, (u64)__builtin_return_address(0), 0, 0))
        log_line("DETECTED transition, leaf %u: exit reason %u, %u instructions, %u branches, %u loads, %u stores",
                 leaf, f[FEATURE_REASON], f[FEATURE_INSTRUCTIONS], f[FEATURE_BRANCHES], f[FEATURE_LOADS],
                 f[FEATURE_STORES]);
    act();
}
