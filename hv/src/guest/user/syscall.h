/*
 * The system calls: SYSCALL with the number in RAX, arguments in RDI, RSI,
 * RDX, the result in RAX. RCX and R11 are lost, as the processor has it.
 */
#ifndef USER_SYSCALL_H
#define USER_SYSCALL_H

#define SYS_WRITE        0 /* (text, length)           -> bytes written              */
#define SYS_BLOCK_SIZE   1 /* ()                       -> sectors                    */
#define SYS_BLOCK_READ   2 /* (sector, buffer, count)  -> sectors read, or negative  */
#define SYS_BLOCK_WRITE  3 /* (sector, buffer, count)  -> sectors written, or negative */
#define SYS_YIELD        4 /* ()                       -> 0                          */
#define SYS_SBRK         5 /* (bytes, may be negative) -> the old break, or negative */
#define SYS_EXIT         6 /* (digest)                    does not return            */
#define SYS_ABORT        7 /* (line)                      does not return            */

#endif
