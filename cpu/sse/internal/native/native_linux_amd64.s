#include "textflag.h"

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
	PUSHQ FL_(R9)
	POPFQ
	LDMXCSR CSR_(R9)
	CALL R8
	MOVQ 0(SP), R9
	STMXCSR CSR_(R9)
	LDMXCSR defaultCSR<>(SB)
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

// func restoreMXCSR(old *uint32)
TEXT ·restoreMXCSR(SB), NOSPLIT, $0-8
	MOVQ old+0(FP), AX
	STMXCSR (AX)
	LDMXCSR defaultCSR<>(SB)
	RET

// func address(b []byte) uintptr
TEXT ·address(SB), NOSPLIT, $0-32
	MOVQ b_base+0(FP), AX
	MOVQ AX, ret+24(FP)
	RET
