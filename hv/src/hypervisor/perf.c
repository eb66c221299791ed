/*
 * The transition detector: how much work was one pass through the hypervisor?
 *
 * A flipped bit that makes the hypervisor take a wrong turn changes how many
 * instructions, branches, loads and stores it retires between a VM exit and
 * the next VM entry, even when nothing it did was illegal. Performance
 * counters count them (SDM Vol. 3B, chapter 20), and before each VM entry a
 * decision tree, trained on healthy and faulty runs, judges the four counts
 * together with the exit reason. The idea is Xentry's (ICPP 2014).
 *
 * The processor itself starts and stops the counters: the VM-exit MSR-load
 * list zeroes them and enables them, the VM-entry MSR-load list disables
 * them (28.6, 27.4). So not an instruction of ours is lost or counted twice.
 */
#include "hv.h"

/* Event and mask, with OS, USR and enable bits (figure 20-1). Instructions
 * and branches are architectural; loads and stores are MEM_INST_RETIRED of
 * the Core families since Skylake, and tried out before they are relied on. */
#define SELECT(event, mask) ((event) | (mask) << 8 | 3 << 16 | 1 << 22)
#define INSTRUCTIONS        SELECT(0xc0, 0x00)
#define BRANCHES            SELECT(0xc4, 0x00)
#define LOADS               SELECT(0xd0, 0x81)
#define STORES              SELECT(0xd0, 0x82)
#define EVENT_NMI           BIT(20)     /* interrupt on overflow */
#define FIXED_PMI           BIT(3)
#define GLOBAL_FIXED0       BIT(32)
#define READ_FIXED          BIT(30)     /* RDPMC: a fixed counter */

/* A pass longer than this many instructions is a hang (watchdog). */
#define HANG                4000000ull

bool detect_transition;
bool detect_watchdog;
struct features last_features;

static bool available;
static u32 branches, loads, stores;     /* numbers of programmable counters */
static u32 instructions;                /* as RDPMC numbers it */
static u64 enable;                      /* IA32_PERF_GLOBAL_CTRL while counting */
static u64 preset;                      /* of the instruction counter */
static u64 counter_mask;
static u32 pass_reason;

static struct msr_entry exit_list[5] ALIGNED(16);
static struct msr_entry entry_list[1] ALIGNED(16);

/* ---- Set-up ---------------------------------------------------------- */

/* What a VM exit does to the counters. */
static void start_counters(void)
{
    for (u32 i = 0; i < COUNT_OF(exit_list); i++)
        wrmsr(exit_list[i].index, exit_list[i].value);
}

static u64 instructions_retired(void)
{
    return (rdpmc(instructions) - preset) & counter_mask;
}

static u64 volatile scratch[2];

/* A loop whose loads and stores we know, to see whether the events exist. */
static bool counters_count(void)
{
    enum { ROUNDS = 64 };

    start_counters();
    for (u32 i = 0; i < ROUNDS; i++)
        scratch[0] = scratch[1];
    wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
    u64 l = rdpmc(loads), s = rdpmc(stores), b = rdpmc(branches), n = instructions_retired();
    return l >= ROUNDS && l < 4 * ROUNDS && s >= ROUNDS && s < 4 * ROUNDS && b >= ROUNDS && b < 4 * ROUNDS
        && n >= 4 * ROUNDS && n < 64 * ROUNDS;
}

/* CPUID.0AH describes the counters: version and number in EAX, events that
 * are missing in EBX, fixed counters in EDX. */
static const char *set_up(void)
{
    if (cpuid(0, 0).eax < 10)
        return "no performance counters";
    struct cpuid c = cpuid(10, 0);
    u32 version = c.eax & 0xff, programmable = c.eax >> 8 & 0xff, width = c.eax >> 16 & 0xff;
    u32 fixed = c.edx & 31;

    if (version < 2)
        return "no performance counters of architectural version 2";
    if (programmable < 3 || (programmable < 4 && fixed < 1) || c.ebx & (BIT(1) | BIT(5)))
        return "too few performance counters or events";

    branches = 0, loads = 1, stores = 2;
    counter_mask = BIT(width) - 1;
    preset = detect_watchdog ? -HANG & counter_mask : 0;
    wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
    wrmsr(MSR_PERFEVTSEL0 + branches, BRANCHES);
    wrmsr(MSR_PERFEVTSEL0 + loads, LOADS);
    wrmsr(MSR_PERFEVTSEL0 + stores, STORES);
    enable = BIT(branches) | BIT(loads) | BIT(stores);
    u32 counter;
    u64 value = preset;
    if (fixed) {
        wrmsr(MSR_FIXED_CTR_CTRL, 3 | (detect_watchdog ? FIXED_PMI : 0));
        enable |= GLOBAL_FIXED0;
        instructions = READ_FIXED;
        counter = MSR_FIXED_CTR0;
    } else {
        wrmsr(MSR_PERFEVTSEL0 + 3, INSTRUCTIONS | (detect_watchdog ? EVENT_NMI : 0));
        enable |= BIT(3);
        instructions = 3;
        counter = MSR_PMC0 + 3;
        value = (u32)preset;    /* a write extends the sign of bit 31 (20.2.6) */
    }

    exit_list[0] = (struct msr_entry){ MSR_PMC0 + branches, 0, 0 };
    exit_list[1] = (struct msr_entry){ MSR_PMC0 + loads, 0, 0 };
    exit_list[2] = (struct msr_entry){ MSR_PMC0 + stores, 0, 0 };
    exit_list[3] = (struct msr_entry){ counter, 0, value };
    exit_list[4] = (struct msr_entry){ MSR_PERF_GLOBAL_CTRL, 0, enable };  /* last: now they run */
    entry_list[0] = (struct msr_entry){ MSR_PERF_GLOBAL_CTRL, 0, 0 };
    /* Some emulators describe counters that they do not have. */
    if (!try_rdpmc(instructions) || !try_rdpmc(branches) || !try_rdpmc(loads) || !try_rdpmc(stores))
        return "no performance counters, whatever CPUID says";
    return counters_count() ? NULL : "loads and stores cannot be counted";
}

static bool wanted(void)
{
    return detect_transition || detect_watchdog || options.profile;
}

static const u32 *tree;     /* nodes, five words each */
static u32 tree_nodes;

/* Before any VM is built: their VMCSs point to the lists. */
void perf_init(void)
{
    if (!wanted())
        return;
    const char *problem = set_up();
    available = !problem;
    if (problem)
        log_line("%s: running without transition detection, watchdog and profile", problem);
    else if (detect_transition && !tree)
        log_line("no usable model: running without transition detection");
    if (problem || !tree)
        detect_transition = false;
    if (problem)
        detect_watchdog = false;
    if (detect_watchdog)
        timer_route_overflow_to_nmi();
}

u64 perf_exit_msr_list(u32 *count)
{
    *count = available ? COUNT_OF(exit_list) : 0;
    return available ? (u64)exit_list : 0;
}

u64 perf_entry_msr_list(u32 *count)
{
    *count = available ? COUNT_OF(entry_list) : 0;
    return available ? (u64)entry_list : 0;
}

/* ---- Passes ---------------------------------------------------------- */

/* A VM exit has happened; the processor has already started the counters. */
void perf_begin(u32 reason)
{
    pass_reason = reason;
}

/* The same for a pass that begins with the wake-up from sleep. */
void perf_restart(u32 reason)
{
    pass_reason = reason;
    if (available)
        start_counters();
}

/* The counts as they are now. */
void perf_sample(void)
{
    last_features.values[FEATURE_REASON] = pass_reason;
    if (!available)
        return;
    last_features.values[FEATURE_INSTRUCTIONS] = (u32)instructions_retired();
    last_features.values[FEATURE_BRANCHES] = (u32)rdpmc(branches);
    last_features.values[FEATURE_LOADS] = (u32)rdpmc(loads);
    last_features.values[FEATURE_STORES] = (u32)rdpmc(stores);
}

/* ---- The tree -------------------------------------------------------- */

enum { NODE_FEATURE, NODE_THRESHOLD, NODE_THRESHOLD_HIGH, NODE_LEFT, NODE_RIGHT, NODE_WORDS };
enum { HEADER_WORDS = 3 };

/* Everything that a walk relies on is checked here, once: then a walk ends,
 * because children have higher numbers, and stays inside the table. */
void perf_load_model(const struct module *m)
{
    const u32 *words = (const u32 *)m->start;
    u64 count = m->size / 4;

    if (count < HEADER_WORDS + NODE_WORDS || words[0] != TREE_MAGIC || words[1] != TREE_VERSION
        || words[2] < 1 || words[2] > 65536 || (u64)words[2] * NODE_WORDS > count - HEADER_WORDS) {
        log_line("model: bad header, ignored");
        return;
    }
    u32 n = words[2];
    u64 size = (u64)n * NODE_WORDS * 4;
    u32 *nodes = (u32 *)mm_alloc(size, PAGE_SIZE, OWNER_MODEL, 0);

    memcpy(nodes, words + HEADER_WORDS, size);
    for (u32 i = 0; i < n; i++) {
        const u32 *node = nodes + (u64)i * NODE_WORDS;
        if (node[NODE_FEATURE] == TREE_LEAF ? node[NODE_THRESHOLD] <= 1
            : node[NODE_FEATURE] <= FEATURE_STORES && node[NODE_LEFT] > i && node[NODE_LEFT] < n
              && node[NODE_RIGHT] > i && node[NODE_RIGHT] < n)
            continue;
        log_line("model: node %u is malformed, ignored", i);
        return;
    }
    tree = nodes;
    tree_nodes = n;
    log_line("model: %u nodes", n);
}

static void judge(void)
{
    u32 i = 0;

    while (i < tree_nodes) {
        const u32 *node = tree + (u64)i * NODE_WORDS;
        if (node[NODE_FEATURE] == TREE_LEAF) {
            if (node[NODE_THRESHOLD])
                detect_transition_anomaly(i);
            return;
        }
        u64 threshold = node[NODE_THRESHOLD] | (u64)node[NODE_THRESHOLD_HIGH] << 32;
        i = last_features.values[node[NODE_FEATURE]] <= threshold ? node[NODE_LEFT] : node[NODE_RIGHT];
    }
}

/* The last thing before a VM entry. What follows the reading is the same few
 * instructions every time. */
void perf_judge(void)
{
    if (!available)
        return;
    perf_sample();
    if (options.profile)
        probe_report(PROBE_PROFILE, last_features.values, COUNT_OF(last_features.values));
    if (detect_transition)
        judge();
}
