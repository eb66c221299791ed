/*
 * Start-up: from the first C instruction to the first VM entry.
 *
 * The command line knows
 *     detect=none|runtime,transition,watchdog   which detectors are on
 *     policy=stop|continue      what to do after a report (default stop)
 *     quantum=N                 local APIC timer counts per scheduler tick
 *     profile                   report every pass's features to the probe
 * and each boot module's command line holds one of the words
 *     guest [memory=MiB] [weight=N] [disk=KiB] -- GUEST COMMAND LINE
 *     model                     the transition detector's decision tree
 *     disk [vm=N]               contents of VM N's disk, or of the shared one
 * Words that nobody knows, such as the file names that some loaders put in
 * front, are passed over.
 */
#include "hv.h"

/* A tick costs some thousand instructions; guests must get the larger part. */
#define MIN_QUANTUM 10000

struct options options = { .stop_on_detection = true, .quantum = 50000 };

static void parse_detectors(const char *list, u32 length)
{
    static const struct { const char *name; bool *flag; } detectors[] = {
        { "runtime", &detect_runtime },
        { "transition", &detect_transition },
        { "watchdog", &detect_watchdog },
    };

    while (length) {
        u32 n = 0, i;
        while (n < length && list[n] != ',')
            n++;
        for (i = 0; i < COUNT_OF(detectors); i++)
            if (word_is(list, n, detectors[i].name))
                *detectors[i].flag = true;
        if (n == length)
            break;
        list += n + 1;
        length -= n + 1;
    }
}

static void parse_options(void)
{
    const char *line = multiboot_command_line(), *word;
    u32 length;
    u64 value;

    while (next_word(&line, &word, &length)) {
        if (length > 7 && !memcmp(word, "detect=", 7))
            parse_detectors(word + 7, length - 7);
        else if (word_is(word, length, "policy=continue"))
            options.stop_on_detection = false;
        else if (word_is(word, length, "profile"))
            options.profile = true;
        else if (word_value(word, length, "quantum", &value) && value >= MIN_QUANTUM && value <= 0xffffffff)
            options.quantum = (u32)value;
        else if (length > 8 && !memcmp(word, "quantum=", 8))
            log_line("quantum: a number from %u up, ignored", MIN_QUANTUM);
    }
}

enum kind { KIND_GUEST, KIND_MODEL, KIND_DISK, KIND_UNKNOWN };

static enum kind module_kind(const struct module *m)
{
    const char *line = m->words, *word;
    u32 length;

    while (next_word(&line, &word, &length) && !word_is(word, length, "--")) {
        if (word_is(word, length, "guest"))
            return KIND_GUEST;
        if (word_is(word, length, "model"))
            return KIND_MODEL;
        if (word_is(word, length, "disk"))
            return KIND_DISK;
    }
    return KIND_UNKNOWN;
}

void NORETURN hv_main(u32 magic, u64 info)
{
    const struct module *modules;

    uart_init();
    probe_init();
    probe_phase(PHASE_BOOT, 0);
    log_line("flipvisor hypervisor, ABI %u", HV_ABI_VERSION);

    multiboot_init(magic, info);
    parse_options();
    traps_init();
    mm_init();
    vmx_init();
    processor_init();
    timer_init();

    u32 count = multiboot_modules(&modules);
    for (u32 i = 0; i < count; i++)
        if (module_kind(&modules[i]) == KIND_MODEL)
            perf_load_model(&modules[i]);
    perf_init();
    block_init();
    for (u32 i = 0; i < count; i++)
        if (module_kind(&modules[i]) == KIND_GUEST)
            vm_create(&modules[i]);
    for (u32 i = 0; i < count; i++) {
        if (module_kind(&modules[i]) == KIND_DISK)
            block_attach(&modules[i]);
        else if (module_kind(&modules[i]) == KIND_UNKNOWN)
            log_line("boot module %u is neither guest, model nor disk: ignored", i);
    }
    if (!vm_count)
        cannot_start("no boot module is a guest");

    log_line("%u VMs; detectors:%s%s%s%s; policy: %s", vm_count,
             detect_runtime ? " runtime" : "", detect_transition ? " transition" : "",
             detect_watchdog ? " watchdog" : "",
             detect_runtime || detect_transition || detect_watchdog ? "" : " none",
             options.stop_on_detection ? "stop" : "continue");
    probe_phase(PHASE_VMS_READY, vm_count);

    timer_start();
    perf_restart(REASON_IDLE);  /* the first entry is like one after sleep */
    vm_enter(vmexit_next_entry());
}
