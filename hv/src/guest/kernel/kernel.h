/*
 * The kernel on one page: what each file offers the others.
 *
 *   boot.S      from the loader to kernel_main
 *   main.c      the order in which things come to life
 *   console.c   UART, and the hypervisor's console once there is one
 *   hyper.c     is there a hypervisor?, how a run ends
 *   options.c   the command line
 *   segments.c  TSS and IDT
 *   entry.S     the doors between ring 3 and ring 0
 *   trap.c      what to do behind them: exceptions, interrupts, panic
 *   frames.c    physical memory
 *   paging.c    virtual memory, demand-zero pages for the workload
 *   apic.c      local APIC: the timer's tick, end of interrupt
 *   keyboard.c  scan codes
 *   block.c     the disk: hypercalls, or a disk in memory
 *   regdev.c    the memory-mapped register device
 *   peer.c      shared pages and events with another VM
 *   syscall.c   what ring 3 may ask for
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../../include/abi.h"
#include "../lib/string.h"
#include "x86.h"

/* Interrupt vectors; the keyboard's is part of the contract in abi.h. */
#define VECTOR_NMI          2
#define VECTOR_DOUBLE_FAULT 8
#define VECTOR_PAGE_FAULT   14
#define VECTOR_TIMER        0x40
#define VECTOR_EVENT        0x50
#define VECTOR_SPURIOUS     0xff

/* How HC_SHUTDOWN and the exit port tell the ways to end apart. */
#define EXIT_OK             0
#define EXIT_KERNEL_PANIC   1
#define EXIT_WORKLOAD_DIED  2

#define PAGE_SIZE 4096ull
#define SECTOR_SIZE 512

/* What the processor and entry.S push on the way into the kernel. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* console.c */
void console_init(void);
void console_use_hypervisor(void);
void console_write(const char *text, size_t length); /* the workload's output */
void kprint(const char *format, ...);                /* the kernel's own lines, on the UART */

/* hyper.c */
extern bool hypervisor_present;
extern uint32_t vm_number;
void hyper_init(void);
void report(uint64_t kind, uint64_t value);
_Noreturn void shutdown(uint64_t code);

/* options.c */
struct options {
	char workload[16];
	uint64_t scale, seed, repeat;
	uint64_t tick;  /* timer counts between two ticks */
	int64_t peer;   /* another VM's number, or -1 */
	bool stats;     /* print ticks and cycles at the end */
};

extern struct options options;
void options_parse(const char *command_line);

/* segments.c, entry.S */
void segments_init(void);
extern const char trap_stubs[], kernel_stack_top[];
void syscall_entry(void);

/* What enter_user puts into a fresh ring 3: offsets known to entry.S. */
struct launch {
	uint64_t entry, stack, arguments[4];
};

_Noreturn void enter_user(const struct launch *launch);

/* trap.c */
_Noreturn void panic_at(const char *file, int line, const char *what);
#define panic(what) panic_at(__FILE_NAME__, __LINE__, what)
#define assert(condition) \
	do { \
		if (!(condition)) \
			panic(#condition); \
	} while (0)

/* frames.c */
void frames_init(uint64_t start, uint64_t end);
uint64_t frame_alloc(void); /* a zeroed page's physical address, or 0 */
void frame_free(uint64_t frame);

/* paging.c */
#define USER_HEAP  0x48000000ull
#define USER_STACK 0x50000000ull /* grows down from here */

void paging_init(uint64_t memory_end);
bool page_fault(uint64_t address, uint64_t error);
bool user_range(uint64_t address, uint64_t length);
int64_t heap_move(int64_t bytes);

/* apic.c */
extern volatile uint64_t ticks;
uint64_t cycles_since_boot(void);
void apic_init(void);
void timer_start(uint32_t count);
void timer_check(void);
void timer_interrupt(void);
void end_of_interrupt(void);
void pic_end_of_interrupt(void);

/* keyboard.c */
void keyboard_interrupt(void);

/* block.c */
void block_init(void);
bool block_in_memory(void); /* for want of a disk */
uint64_t block_size(void);
int64_t block_read(uint64_t sector, void *to, uint64_t count);
int64_t block_write(uint64_t sector, const void *from, uint64_t count);

/* regdev.c */
void regdev_check(void);

/* peer.c */
void peer_exchange(uint32_t peer);
void peer_interrupt(void);

/* syscall.c */
void syscall_init(void);

#endif
