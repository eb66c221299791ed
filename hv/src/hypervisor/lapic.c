/*
 * A guest's local APIC. SDM Vol. 3A, chapter 11. There is one processor and
 * no I/O APIC, so what is left is: a priority encoder, a timer, and
 * interrupts that the processor sends to itself.
 */
#include "hv.h"

enum {
    ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0,
    ISR = 0x100, TMR = 0x180, IRR = 0x200, ESR = 0x280, ICR_LOW = 0x300, ICR_HIGH = 0x310,
    LVT = 0x320, LVT_END = 0x380,
    TIMER_INITIAL = 0x380, TIMER_CURRENT = 0x390, TIMER_DIVIDE = 0x3e0,
};

#define SVR_ENABLE      BIT(8)
#define LVT_MASKED      BIT(16)
#define LVT_PERIODIC    BIT(17)
#define ICR_SHORTHAND   (3u << 18)
#define ICR_SELF        (1u << 18)

void lapic_reset(struct vm *vm)
{
    struct lapic *l = &vm->lapic;

    memset(l, 0, sizeof(*l));
    l->svr = 0xff;
    l->dfr = 0xffffffff;
    for (u32 i = 0; i < COUNT_OF(l->lvt); i++)
        l->lvt[i] = LVT_MASKED;
}

/* Highest vector whose bit is set, or -1. */
static int highest(const u32 *bits)
{
    for (int i = 7; i >= 0; i--)
        if (bits[i])
            return i * 32 + 31 - __builtin_clz(bits[i]);
    return -1;
}

/* Processor priority: the higher of the task's and that of the interrupt in
 * service (11.8.3.1). */
static u32 priority(const struct lapic *l)
{
    int serving = highest(l->isr);

    if (serving < 0 || (l->tpr & 0xf0) > ((u32)serving & 0xf0))
        return l->tpr;
    return (u32)serving & 0xf0;
}

int lapic_pending(const struct vm *vm)
{
    int vector = highest(vm->lapic.irr);

    if (vector < 0 || !(vm->lapic.svr & SVR_ENABLE))
        return -1;
    return ((u32)vector & 0xf0) > (priority(&vm->lapic) & 0xf0) ? vector : -1;
}

void lapic_raise(struct vm *vm, u32 vector)
{
    if (vector < 16 || vector > 255)
        return;
    vm->lapic.irr[vector / 32] |= (u32)BIT(vector % 32);
    if (vm->state == VM_BLOCKED && lapic_pending(vm) >= 0)
        sched_wake(vm);
}

/* The processor takes the interrupt. */
void lapic_accept(struct vm *vm, u32 vector)
{
    vm->lapic.irr[vector / 32] &= ~(u32)BIT(vector % 32);
    vm->lapic.isr[vector / 32] |= (u32)BIT(vector % 32);
}

/* It could not be delivered after all. */
void lapic_return(struct vm *vm, u32 vector)
{
    vm->lapic.isr[vector / 32] &= ~(u32)BIT(vector % 32);
    vm->lapic.irr[vector / 32] |= (u32)BIT(vector % 32);
}

static void end_of_interrupt(struct lapic *l)
{
    int serving = highest(l->isr);

    if (serving >= 0)
        l->isr[serving / 32] &= ~(u32)BIT(serving % 32);
}

/* ---- Timer (11.5.4). It counts TSC cycles divided by the divisor. ------ */

static u32 timer_shift(const struct lapic *l)
{
    u32 d = (l->timer_divide & 3) | (l->timer_divide >> 1 & 4);

    return (d + 1) & 7;
}

static u64 timer_period(const struct lapic *l)
{
    return (u64)l->timer_initial << timer_shift(l);
}

static void start_countdown(struct vm *vm)
{
    struct lapic *l = &vm->lapic;

    l->timer_start = vm_tsc(vm);
    l->timer_deadline = l->timer_initial ? l->timer_start + timer_period(l) : 0;
}

static u32 timer_current(struct vm *vm)
{
    struct lapic *l = &vm->lapic;

    lapic_timer_poll(vm);
    if (!l->timer_deadline)
        return 0;
    return (u32)((l->timer_deadline - vm_tsc(vm)) >> timer_shift(l));
}

void lapic_timer_poll(struct vm *vm)
{
    struct lapic *l = &vm->lapic;

    if (!l->timer_deadline)
        return;
    u64 now = vm_tsc(vm);
    if ((s64)(now - l->timer_deadline) < 0)
        return;
    if (l->lvt[0] & LVT_PERIODIC)   /* expiries that nobody saw are lost, as on hardware */
        l->timer_deadline += ((now - l->timer_deadline) / timer_period(l) + 1) * timer_period(l);
    else
        l->timer_deadline = 0;
    if (!(l->lvt[0] & LVT_MASKED))
        lapic_raise(vm, l->lvt[0] & 0xff);
}

/* ---- Registers ------------------------------------------------------- */

u32 lapic_read(struct vm *vm, u32 offset)
{
    struct lapic *l = &vm->lapic;

    switch (offset) {
    case ID:                return l->id;
    case VERSION:           return 0x00050014;  /* six LVT entries */
    case TPR:               return l->tpr;
    case PPR:               return priority(l);
    case LDR:               return l->ldr;
    case DFR:               return l->dfr;
    case SVR:               return l->svr;
    case ISR ... TMR - 1:   return l->isr[(offset - ISR) / 16];
    case IRR ... ESR - 1:   return l->irr[(offset - IRR) / 16];
    case ESR:               return l->esr;
    case ICR_LOW:           return l->icr_low;
    case ICR_HIGH:          return l->icr_high;
    case LVT ... LVT_END - 1: return l->lvt[(offset - LVT) / 16];
    case TIMER_INITIAL:     return l->timer_initial;
    case TIMER_CURRENT:     return timer_current(vm);
    case TIMER_DIVIDE:      return l->timer_divide;
    }
    return 0;
}

void lapic_write(struct vm *vm, u32 offset, u32 value)
{
    struct lapic *l = &vm->lapic;

    switch (offset) {
    case ID:        l->id = value & 0xff000000; break;
    case TPR:       l->tpr = value & 0xff; break;
    case EOI:       end_of_interrupt(l); break;
    case LDR:       l->ldr = value & 0xff000000; break;
    case DFR:       l->dfr = value | 0x0fffffff; break;
    case SVR:       l->svr = value & 0x1ff; break;
    case ESR:       l->esr = 0; break;
    case ICR_HIGH:  l->icr_high = value & 0xff000000; break;
    case ICR_LOW:
        /* Fixed delivery to itself, by shorthand or by its own number. */
        l->icr_low = value & ~(u32)BIT(12);
        if (!(value & (7u << 8)) && ((value & ICR_SHORTHAND) == ICR_SELF
                || (!(value & ICR_SHORTHAND) && l->icr_high == l->id)))
            lapic_raise(vm, value & 0xff);
        break;
    case LVT ... LVT_END - 1:
        l->lvt[(offset - LVT) / 16] = value & 0x310ff;
        break;
    case TIMER_INITIAL:
        l->timer_initial = value;
        start_countdown(vm);
        break;
    case TIMER_DIVIDE:
        l->timer_divide = value & 0xb;
        break;
    }
}

/* Runtime detector: what the code above can never leave behind. */
void lapic_check(const struct vm *vm)
{
    const struct lapic *l = &vm->lapic;

    CHECK(LAPIC_STATE, !(l->irr[0] & 0xffff) && !(l->isr[0] & 0xffff));
    CHECK(LAPIC_STATE, l->tpr < 256 && !(l->svr & ~0x1ffu) && !(l->timer_divide & ~0xbu));
    CHECK(LAPIC_STATE, !l->timer_deadline || l->timer_initial);
    for (u32 i = 0; i < COUNT_OF(l->lvt); i++)
        CHECK(LAPIC_STATE, !(l->lvt[i] & ~0x310ffu));
}
