#include "textflag.h"
#include "go_asm.h"

// Offsets in State.
#define X0_(r) 0(r)
#define X1_(r) 16(r)
#define M0_(r) 32(r)
#define M1_(r) 40(r)
#define AX_(r) 48(r)
#define CX_(r) 56(r)
#define DX_(r) 64(r)
#define FL_(r) 72(r)
#define CSR_(r) 80(r)
#define FAULTED_(r) 84(r)

// Offsets in the kernel's struct ucontext and struct _fpstate.
#define UC_R11(r) 64(r)
#define UC_RSP(r) 160(r)
#define UC_RIP(r) 168(r)
#define UC_FPSTATE(r) 224(r)
#define FP_MXCSR(r) 24(r)

DATA defaultCSR<>+0(SB)/4, $0x1f80
GLOBL defaultCSR<>(SB), RODATA|NOPTR, $4

// func call(code Code, s *State)
TEXT ·call(SB), NOSPLIT, $32-16
	MOVQ code+0(FP), R8
	MOVQ s+8(FP), R9
	MOVQ R9, 0(SP)
	MOVOU X0_(R9), X0
	MOVOU X1_(R9), X1
	MOVQ M0_(R9), M0
	MOVQ M1_(R9), M1
	MOVQ AX_(R9), AX
	MOVQ CX_(R9), CX
	MOVQ DX_(R9), DX
	XORL R11, R11
	PUSHQ FL_(R9)
	POPFQ
	LDMXCSR CSR_(R9)
	CALL R8
	MOVQ 0(SP), R9
	STMXCSR CSR_(R9)
	LDMXCSR defaultCSR<>(SB)
	MOVL R11, FAULTED_(R9)
	PUSHFQ
	POPQ R10
	MOVQ R10, FL_(R9)
	MOVOU X0, X0_(R9)
	MOVOU X1, X1_(R9)
	MOVQ M0, M0_(R9)
	MOVQ M1, M1_(R9)
	MOVQ AX, AX_(R9)
	MOVQ CX, CX_(R9)
	MOVQ DX, DX_(R9)
	EMMS
	RET

// onSIGFPE is a signal handler in C's convention. An exception in the arena
// returns from the instruction's code with R11 set and all exceptions masked;
// MXCSR's flags stay. Any other goes to the handler that was there before.
TEXT ·onSIGFPE(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ UC_RIP(DX), AX
	SUBQ ·arenaStart(SB), AX
	CMPQ AX, $const_arenaSize
	JAE other
	MOVQ UC_RSP(DX), CX
	MOVQ (CX), AX
	MOVQ AX, UC_RIP(DX)
	ADDQ $8, CX
	MOVQ CX, UC_RSP(DX)
	MOVQ $1, UC_R11(DX)
	MOVQ UC_FPSTATE(DX), CX
	ORL $0x1f80, FP_MXCSR(CX)
	RET
other:
	MOVQ ·previous(SB), AX
	JMP AX

// func handlerAddress() uintptr
TEXT ·handlerAddress(SB), NOSPLIT, $0-8
	MOVQ $·onSIGFPE(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func address(b []byte) uintptr
TEXT ·address(SB), NOSPLIT, $0-32
	MOVQ b_base+0(FP), AX
	MOVQ AX, ret+24(FP)
	RET
