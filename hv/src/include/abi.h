/*
 * The contracts between the three parties that meet in this folder:
 *
 *   guest  <-> hypervisor   CPUID signature, hypercalls, event vectors
 *   hypervisor <-> bench    the probe's I/O ports (optional) and exit port
 *
 * The host side of the probe is written in Go against the same numbers
 * (hv/probe.go); a test compares the two.
 */
#ifndef FLIPVISOR_ABI_H
#define FLIPVISOR_ABI_H

/* ---- guest <-> hypervisor ------------------------------------------- */

/* CPUID 0x40000000: EAX = highest leaf, EBX:ECX:EDX = "FlipvisorHyp". */
#define HV_CPUID_BASE      0x40000000
#define HV_CPUID_EBX       0x70696c46u /* "Flip" */
#define HV_CPUID_ECX       0x6f736976u /* "viso" */
#define HV_CPUID_EDX       0x70794872u /* "rHyp" */
/* CPUID 0x40000001: EAX = ABI version, EBX = this VM's number. */
#define HV_ABI_VERSION     1

/*
 * VMCALL. RAX = number, arguments RDI, RSI, RDX, R10; result in RAX
 * (>= 0, or a negative HV_E* number). Addresses are guest-physical.
 */
#define HC_CONSOLE_WRITE   0  /* (gpa, length)            -> bytes written      */
#define HC_CONSOLE_READ    1  /* (gpa, length)            -> bytes read         */
#define HC_BLOCK_READ      2  /* (sector, gpa, count)     -> sectors read       */
#define HC_BLOCK_WRITE     3  /* (sector, gpa, count)     -> sectors written    */
#define HC_BLOCK_SIZE      4  /* ()                       -> sectors of this VM */
#define HC_EVENT_BIND      5  /* (port, vector)           -> 0: deliver port's events as this interrupt vector */
#define HC_EVENT_SEND      6  /* (vm, port)               -> 0                  */
#define HC_EVENT_PENDING   7  /* ()                       -> bitmap of ports raised, and clears it */
#define HC_SHARE_PAGE      8  /* (slot, gpa)              -> 0: offer the page at gpa under slot 0..15 */
#define HC_MAP_SHARED      9  /* (vm, slot, gpa)          -> 0: map vm's offered page at gpa, replacing what was there */
#define HC_YIELD          10  /* ()                       -> 0                  */
#define HC_SHUTDOWN       11  /* (code)                   -> does not return    */
#define HC_REPORT         12  /* (kind, value)            -> 0: the VM's result, see REPORT_* */

/* Sector numbers of the block calls: 0 up is the VM's own disk, and here
 * begins the disk of 512 sectors that all VMs share. */
#define HV_BLOCK_SHARED   0x80000000u

#define HV_EINVAL         (-22)
#define HV_ENOSYS         (-38)
#define HV_EFAULT         (-14)
#define HV_EAGAIN         (-11)

#define REPORT_STARTED     1  /* value: workload number                  */
#define REPORT_DIGEST      2  /* value: 64-bit digest of the real result */
#define REPORT_PANIC       3  /* value: exception vector or assert line  */

/*
 * A guest is an ordinary multiboot (version 1) kernel: 32-bit protected
 * mode, paging off, EAX = 0x2BADB002, EBX = multiboot information with a
 * memory size and a command line. It finds a UART at 0x3f8 (IRQ 4 arrives
 * as vector 0x24), a local APIC at 0xfee00000 whose timer counts TSC cycles,
 * a keyboard controller at 0x60/0x64 (IRQ 1 arrives as vector 0x21), and a
 * memory-mapped device:
 */
#define HV_MMIO_BASE       0xfed10000u
#define HV_MMIO_ID         0x00 /* read: 0x46564d44                        */
#define HV_MMIO_SCRATCH    0x04 /* read/write                              */
#define HV_MMIO_RANDOM     0x08 /* read: next of a deterministic generator */
#define HV_MMIO_TICKS      0x0c /* read: scheduler ticks of this VM        */
#define HV_MMIO_SECTOR     0x10 /* block device by registers: sector,      */
#define HV_MMIO_ADDRESS    0x14 /*   guest-physical address,               */
#define HV_MMIO_COUNT      0x18 /*   number of sectors,                    */
#define HV_MMIO_COMMAND    0x1c /*   1 read, 2 write; read back: status    */
#define HV_MMIO_ID_VALUE   0x46564d44u
#define HV_KEYBOARD_VECTOR 0x21

/* ---- hypervisor <-> bench ------------------------------------------- */

/*
 * The probe: four 32-bit ports. Reading PROBE_ID gives PROBE_MAGIC where a
 * probe is present, all ones elsewhere. A report is up to 16 words written
 * to PROBE_DATA, then its kind to PROBE_COMMIT.
 */
#define PROBE_ID           0xf10
#define PROBE_DATA         0xf14
#define PROBE_COMMIT       0xf18
#define PROBE_MAGIC        0x46504c46u

#define PROBE_PHASE        1  /* words: phase, argument                                    */
#define PROBE_OUTPUT       2  /* words: vm, REPORT_* kind, value low, value high           */
#define PROBE_DETECTION    3  /* words: detector, reason, rip lo, rip hi, error code, cr2 lo,
                                 cr2 hi, exit reason, instructions, branches, loads, stores */
#define PROBE_VM_STOPPED   4  /* words: vm, VM_STOP_* cause, code low, code high           */
#define PROBE_PROFILE      5  /* words: exit reason, instructions, branches, loads, stores:
                                 one per VM entry, only with "profile" on the command line */

#define PHASE_BOOT         1  /* the hypervisor's C code runs        */
#define PHASE_VMS_READY    2  /* argument: number of VMs             */
#define PHASE_VM_START     3  /* argument: vm; its first VM entry    */
#define PHASE_DONE         4  /* argument: 0, every VM has stopped   */

#define DETECT_EXCEPTION   1  /* reason: vector                              */
#define DETECT_ASSERTION   2  /* reason: number of the assertion             */
#define DETECT_TRANSITION  3  /* reason: index of the tree's leaf            */
#define DETECT_VMX         4  /* reason: VM-instruction error or entry failure exit reason; part of "runtime" */
#define DETECT_WATCHDOG    5  /* reason: vector 2; one pass took longer than any should */

#define VM_STOP_SHUTDOWN   1  /* code: the guest's                     */
#define VM_STOP_TRIPLE     2  /* code: 0                               */
#define VM_STOP_KILLED     3  /* code: exit reason it could not handle */
#define VM_STOP_PANIC      4  /* code: REPORT_PANIC value              */

/* Writing here ends a bench run with status (value << 1) | 1. */
#define EXIT_PORT          0xf4
#define EXIT_DONE          0  /* every VM has stopped                    */
#define EXIT_CANNOT_START  1  /* the machine lacks something; see console */
#define EXIT_PANIC         2  /* unexpected exception, detectors off     */
#define EXIT_DETECTED      3  /* a detector reported, policy is to stop  */

/*
 * The transition model, a boot module whose command line begins with
 * "model": little-endian words. Header: TREE_MAGIC, version 1, number of
 * nodes. Then nodes of five words: feature (0..4, or TREE_LEAF), threshold
 * low, threshold high, left, right. value <= threshold goes left. For a
 * leaf: threshold low = 1 anomalous, 0 normal. Node 0 is the root;
 * children have higher numbers than their parent.
 */
#define TREE_MAGIC         0x45455254u /* "TREE" */
#define TREE_VERSION       1
#define TREE_LEAF          0xffffffffu
#define FEATURE_REASON     0  /* basic VM-exit reason, or REASON_IDLE     */
#define FEATURE_INSTRUCTIONS 1
#define FEATURE_BRANCHES   2
#define FEATURE_LOADS      3
#define FEATURE_STORES     4
#define REASON_IDLE        127 /* the pass began in the hypervisor's idle sleep */

#endif
