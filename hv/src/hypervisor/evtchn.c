/*
 * Event channels and shared pages: how VMs meet. A VM raises a port of
 * another; the other sees an interrupt, if it has bound the port to a vector,
 * and can ask which ports were raised. A VM offers a page under a slot; the
 * other maps it over a page of its own.
 */
#include "hv.h"

s64 event_bind(struct vm *vm, u64 port, u64 vector)
{
    if (port >= EVENT_PORTS || vector > 255 || (vector && vector < 32))
        return HV_EINVAL;
    vm->events.vector[port] = (u8)vector;
    if (vector && vm->events.pending & BIT(port))
        lapic_raise(vm, (u32)vector);   /* raised before it was bound */
    return 0;
}

s64 event_send(struct vm *vm, u64 target, u64 port)
{
    (void)vm;
    if (target >= vm_count || port >= EVENT_PORTS)
        return HV_EINVAL;
    struct vm *other = &vms[target];
    if (other->state == VM_STOPPED)
        return HV_EAGAIN;
    other->events.pending |= (u32)BIT(port);
    if (other->events.vector[port])
        lapic_raise(other, other->events.vector[port]);
    return 0;
}

s64 event_pending(struct vm *vm)
{
    u32 pending = vm->events.pending;

    vm->events.pending = 0;
    return pending;
}

s64 share_page(struct vm *vm, u64 slot, u64 gpa)
{
    if (slot >= SHARE_SLOTS || gpa % PAGE_SIZE)
        return HV_EINVAL;
    if (!guest_pointer(vm, gpa, PAGE_SIZE))
        return HV_EFAULT;
    vm->events.offered[slot] = gpa + 1;
    return 0;
}

s64 map_shared(struct vm *vm, u64 owner, u64 slot, u64 gpa)
{
    struct events *e = &vm->events;
    u64 host;
    u32 i;

    if (owner >= vm_count || slot >= SHARE_SLOTS || gpa % PAGE_SIZE)
        return HV_EINVAL;
    u64 offered = vms[owner].events.offered[slot];
    if (!offered)
        return HV_EAGAIN;
    if (!ept_translate(&vms[owner], offered - 1, &host) || !guest_pointer(vm, gpa, PAGE_SIZE))
        return HV_EFAULT;

    for (i = 0; i < e->mapped_count && e->mapped[i].gpa != gpa; i++)
        ;
    if (i == SHARE_SLOTS || !ept_map_page(vm, gpa, host))
        return HV_EFAULT;
    e->mapped[i].gpa = gpa;
    e->mapped[i].host = host;
    e->mapped_count = MAX(e->mapped_count, i + 1);
    return 0;
}
