/*
 * Who runs next: a credit scheduler, after the one of Xen.
 *
 * Running costs credit, tick by tick; every few ticks all VMs get new credit
 * in proportion to their weights. Those with credit left go before those
 * without, and one that wakes from sleep goes before both, once, so that
 * interrupts are answered soon. Among equals it is first come, first served.
 */
#include "hv.h"

#define CREDIT_PER_TICK     100
#define TICKS_PER_PERIOD    3
#define CREDIT_LIMIT        300     /* neither hoarded nor owed beyond this */

enum { PRIORITY_OVER, PRIORITY_UNDER, PRIORITY_BOOST };

static struct link queue = { &queue, &queue };  /* VM_RUNNABLE, highest priority first */
static u32 queue_length;
static struct vm *running;                      /* VM_RUNNING, or none */
static bool must_choose;                        /* the running VM's turn is over */
static bool asleep;
static u32 ticks;

static struct vm *vm_of(struct link *l)
{
    return CONTAINER_OF(l, struct vm, run);
}

static void enqueue(struct vm *vm)
{
    struct link *after = queue.prev;

    while (after != &queue && vm_of(after)->priority < vm->priority)
        after = after->prev;
    vm->run.prev = after;
    vm->run.next = after->next;
    after->next->prev = &vm->run;
    after->next = &vm->run;
    vm->state = VM_RUNNABLE;
    queue_length++;

#ifdef KNOWN_DEFECT
    /*
     * The defect of the image hypervisor-defect.elf, for trying detectors on:
     * the hundredth insertion leaves a link to the wrong neighbour, as code
     * does that sets pointers in the wrong order. Taking this VM out of the
     * queue then leaves it in the queue.
     */
    static u32 insertions;
    if (++insertions == 100)
        vm->run.prev = &vm->run;
#endif
}

static void dequeue(struct vm *vm)
{
    CHECK(RUNQ_LINK, vm->run.prev->next == &vm->run && vm->run.next->prev == &vm->run);
    vm->run.prev->next = vm->run.next;
    vm->run.next->prev = vm->run.prev;
    queue_length--;
}

static u32 fair_priority(const struct vm *vm)
{
    return vm->credit >= 0 ? PRIORITY_UNDER : PRIORITY_OVER;
}

void sched_add(struct vm *vm)
{
    vm->priority = PRIORITY_UNDER;
    enqueue(vm);
}

/* The VM has stopped. */
void sched_remove(struct vm *vm)
{
    if (vm->state == VM_RUNNABLE)
        dequeue(vm);
    if (vm == running) {
        running = NULL;
        must_choose = true;
    }
}

/* The running VM waits for an interrupt. */
void sched_block(struct vm *vm)
{
    vm->state = VM_BLOCKED;
    running = NULL;
    must_choose = true;
}

void sched_wake(struct vm *vm)
{
    vm->priority = vm->credit >= 0 ? PRIORITY_BOOST : PRIORITY_OVER;
    enqueue(vm);
    if (!running || running->priority < vm->priority)
        must_choose = true;
}

/* The running VM lets others go first. */
void sched_yield(void)
{
    if (running)
        running->priority = PRIORITY_OVER;
    must_choose = true;
}

/* ---- Time ------------------------------------------------------------ */

static void give_credit(void)
{
    u32 weights = 0;

    for (u32 i = 0; i < vm_count; i++)
        if (vms[i].state == VM_RUNNABLE || vms[i].state == VM_RUNNING)
            weights += vms[i].config.weight;
    for (u32 i = 0; i < vm_count; i++) {
        struct vm *vm = &vms[i];
        if (vm->state != VM_RUNNABLE && vm->state != VM_RUNNING)
            continue;
        u32 share = CREDIT_PER_TICK * TICKS_PER_PERIOD * vm->config.weight / weights;
        vm->credit = MIN(vm->credit + (s32)share, CREDIT_LIMIT);
        if (vm->state == VM_RUNNABLE && vm->priority != fair_priority(vm)) {
            dequeue(vm);
            vm->priority = fair_priority(vm);
            enqueue(vm);
        }
    }
}

/* Runtime detector. The run queue is looked at with every tick; the rest by
 * turns, so that it costs guests a few percent of their time and not more. */
static void check_some(void)
{
    sched_check();
    switch (ticks % 4) {
    case 0: ept_check(); break;
    case 1: vmx_check_host_state(current); break;
    case 2: traps_check(); break;
    case 3: vm_check(&vms[ticks / 4 % vm_count]); break;
    }
}

void sched_tick(void)
{
    ticks++;
    if (running) {
        running->ticks++;
        running->credit = MAX(running->credit - CREDIT_PER_TICK, -CREDIT_LIMIT);
        running->priority = fair_priority(running);
    }
    for (u32 i = 0; i < vm_count; i++)
        if (vms[i].state == VM_BLOCKED)
            lapic_timer_poll(&vms[i]);  /* may wake it */
    if (ticks % TICKS_PER_PERIOD == 0)
        give_credit();
    must_choose = true;

    if (detect_runtime)
        check_some();
}

/* ---- Choice ---------------------------------------------------------- */

/* Nobody can run: sleep until an interrupt makes somebody runnable. How often
 * that takes is no property of any pass through the hypervisor, so for the
 * transition detector a new one begins here. */
static void sleep(void)
{
    perf_restart(REASON_IDLE);
    asleep = true;
    wait_for_interrupt();
    asleep = false;
}

/* An interrupt at any other time would find data half changed. */
bool sched_asleep(void)
{
    return asleep;
}

static void NORETURN all_stopped(void)
{
    u64 exits = 0;

    for (u32 i = 0; i < vm_count; i++) {
        const struct vm *vm = &vms[i];
        exits += vm->exits;
        log_line("vm%u: %llu exits, %llu ticks, %llu switches, digest %016llx", i, vm->exits, vm->ticks,
                 vm->switches, vm->digest);
    }
    log_line("all VMs have stopped: %llu exits, %u ticks, %u detections", exits, ticks, detect_count());
    probe_phase(PHASE_DONE, 0);
    finish(EXIT_DONE);
}

struct vm *sched_next(void)
{
    if (running && !must_choose)
        return running;
    if (running) {
        enqueue(running);
        running = NULL;
    }
    while (queue.next == &queue) {
        u32 alive = 0;
        for (u32 i = 0; i < vm_count; i++)
            alive += vms[i].state != VM_STOPPED;
        if (!alive)
            all_stopped();
        sleep();
    }
    running = vm_of(queue.next);
    dequeue(running);
    running->state = VM_RUNNING;
    must_choose = false;
    return running;
}

/* ---- Runtime detector ------------------------------------------------ */

static bool is_vm(const struct vm *vm)
{
    u64 index = (u64)(vm - vms);

    return index < vm_count && vm == &vms[index] && vm->magic == VM_MAGIC;
}

void sched_check(void)
{
    u32 n = 0, last = PRIORITY_BOOST;

    for (struct link *l = queue.next; l != &queue; l = l->next) {
        if (++n > MAX_VMS) {
            CHECK(RUNQ_LENGTH, false);
            return;
        }
        struct vm *vm = vm_of(l);
        CHECK(RUNQ_MEMBER, is_vm(vm) && vm->state == VM_RUNNABLE);
        CHECK(RUNQ_LINK, l->prev->next == l && l->next->prev == l);
        CHECK(RUNQ_ORDER, vm->priority <= last);
        last = vm->priority;
    }
    CHECK(RUNQ_LENGTH, n == queue_length);
    CHECK(VM_STATE, !running || (is_vm(running) && running->state == VM_RUNNING));
    for (u32 i = 0; i < vm_count; i++) {
        CHECK(CREDIT_RANGE, vms[i].credit >= -CREDIT_LIMIT && vms[i].credit <= CREDIT_LIMIT);
        CHECK(VM_STATE, vms[i].state > VM_UNUSED && vms[i].state <= VM_STOPPED);
    }
}
