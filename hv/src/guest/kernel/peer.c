/*
 * Greetings between VMs. Each offers a page, maps the other's, and goes
 * through a few rounds: write a value, raise an event, wait until the other
 * has written its own. No one waits for more than its peer's round, so any
 * chain or ring of VMs gets through; and no one waits for ever, because the
 * peer may be broken or absent.
 */
#include "hypercall.h"
#include "kernel.h"

#define SLOT     0
#define PORT     1
#define ROUNDS   8
#define PATIENCE 500 /* yields before the peer is given up */

/* Fills its page, because mapping the peer's replaces all that is there. */
struct shared {
	volatile uint64_t round; /* values up to this one are there */
	volatile uint64_t values[ROUNDS + 1];
} __attribute__((aligned(4096)));

static struct shared mine, theirs;
static volatile uint64_t events; /* that came; several at once count as one */

static uint64_t value_for(uint64_t vm, uint64_t round)
{
	return (vm + 1) * 0x9e3779b97f4a7c15ull ^ round * 0xc2b2ae3d27d4eb4full;
}

void peer_interrupt(void)
{
	if (hypervisor_present && hypercall(HC_EVENT_PENDING, 0, 0, 0) & 1 << PORT)
		events++;
	end_of_interrupt();
}

/* Interrupts are taken only around the yield: that is where the event arrives. */
static void yield(void)
{
	hypercall(HC_YIELD, 0, 0, 0);
	interrupts_on();
	pause();
	interrupts_off();
}

static bool connect(uint32_t peer)
{
	if (hypercall(HC_SHARE_PAGE, SLOT, gpa(&mine), 0) < 0 ||
	    hypercall(HC_EVENT_BIND, PORT, VECTOR_EVENT, 0) < 0)
		return false;
	for (int i = 0; i < PATIENCE; i++) {
		int64_t result = hypercall(HC_MAP_SHARED, peer, SLOT, gpa(&theirs));

		if (result != HV_EAGAIN) /* which means: nothing is offered yet */
			return result == 0;
		yield();
	}
	return false;
}

static bool wait_for_round(uint64_t round)
{
	for (int i = 0; i < PATIENCE; i++) {
		if (theirs.round >= round)
			return true;
		yield();
	}
	return theirs.round >= round;
}

void peer_exchange(uint32_t peer)
{
	if (!hypervisor_present || !connect(peer)) {
		kprint("peer: vm %u is not there\n", peer);
		return;
	}
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		mine.values[round] = value_for(vm_number, round);
		mine.round = round;
		hypercall(HC_EVENT_SEND, peer, PORT, 0);
		if (!wait_for_round(round)) {
			kprint("peer: vm %u fell silent\n", peer);
			return;
		}
		if (theirs.values[round] != value_for(peer, round))
			panic("peer: a greeting arrived damaged");
	}
	kprint("peer: exchanged %u greetings with vm %u\n", ROUNDS, peer);
}
