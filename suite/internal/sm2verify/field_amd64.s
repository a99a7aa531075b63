//go:build !purego

#include "textflag.h"

// row adds DX·x, x at SI, to a0 … a3 and sets t to what goes beyond: two carry chains side by side.
#define row(a0, a1, a2, a3, t) \
	XORQ  t, t          \
	MULXQ 0(SI), AX, BX \
	ADOXQ AX, a0        \
	ADCXQ BX, a1        \
	MULXQ 8(SI), AX, BX \
	ADOXQ AX, a1        \
	ADCXQ BX, a2        \
	MULXQ 16(SI), AX, BX \
	ADOXQ AX, a2        \
	ADCXQ BX, a3        \
	MULXQ 24(SI), AX, BX \
	ADOXQ AX, a3        \
	ADCXQ BX, t         \
	MOVQ  $0, AX        \
	ADOXQ AX, t

// fold is one step of Montgomery reduction of t0 … t3: adds t0·p, which clears t0, and moves down by a limb. The result is
// t1, t2, t3, t0.
#define fold(t0, t1, t2, t3) \
	MOVQ t0, AX  \
	MOVQ t0, BX  \
	SHLQ $32, AX \
	SHRQ $32, BX \
	ADDQ t0, t1  \
	ADCQ $0, t2  \
	ADCQ $0, t3  \
	ADCQ $0, t0  \
	SUBQ AX, t1  \
	SBBQ BX, t2  \
	SBBQ AX, t3  \
	SBBQ BX, t0

// finish reduces R8 … R15 and stores the result.
#define finish() \
	fold(R8, R9, R10, R11)         \
	fold(R9, R10, R11, R8)         \
	fold(R10, R11, R8, R9)         \
	fold(R11, R8, R9, R10)         \
	XORQ    CX, CX                 \
	ADDQ    R12, R8                \
	ADCQ    R13, R9                \
	ADCQ    R14, R10               \
	ADCQ    R15, R11               \
	ADCQ    $0, CX                 \
	MOVQ    $0xffffffff00000000, R12 \
	MOVQ    $0xfffffffeffffffff, R13 \
	MOVQ    R8, AX                 \
	MOVQ    R9, BX                 \
	MOVQ    R10, SI                \
	MOVQ    R11, DX                \
	SUBQ    $-1, AX                \
	SBBQ    R12, BX                \
	SBBQ    $-1, SI                \
	SBBQ    R13, DX                \
	SBBQ    $0, CX                 \
	CMOVQCS R8, AX                 \
	CMOVQCS R9, BX                 \
	CMOVQCS R10, SI                \
	CMOVQCS R11, DX                \
	MOVQ    z+0(FP), DI            \
	MOVQ    AX, 0(DI)              \
	MOVQ    BX, 8(DI)              \
	MOVQ    SI, 16(DI)             \
	MOVQ    DX, 24(DI)

// func mulADX(z, x, y *fe)
TEXT ·mulADX(SB), NOSPLIT, $0-24
	MOVQ  x+8(FP), SI
	MOVQ  y+16(FP), CX
	MOVQ  0(CX), DX
	MULXQ 0(SI), R8, R9
	MULXQ 8(SI), AX, R10
	ADDQ  AX, R9
	MULXQ 16(SI), AX, R11
	ADCQ  AX, R10
	MULXQ 24(SI), AX, R12
	ADCQ  AX, R11
	ADCQ  $0, R12
	MOVQ  8(CX), DX
	row(R9, R10, R11, R12, R13)
	MOVQ  16(CX), DX
	row(R10, R11, R12, R13, R14)
	MOVQ  24(CX), DX
	row(R11, R12, R13, R14, R15)
	finish()
	RET

// func sqrADX(z, x *fe)
TEXT ·sqrADX(SB), NOSPLIT, $0-16
	MOVQ  x+8(FP), SI
	MOVQ  0(SI), DX
	MULXQ 8(SI), R9, R10
	MULXQ 16(SI), AX, R11
	ADDQ  AX, R10
	MULXQ 24(SI), AX, R12
	ADCQ  AX, R11
	ADCQ  $0, R12
	MOVQ  8(SI), DX
	XORQ  R13, R13
	MULXQ 16(SI), AX, BX
	ADOXQ AX, R11
	ADCXQ BX, R12
	MULXQ 24(SI), AX, BX
	ADOXQ AX, R12
	ADCXQ BX, R13
	MOVQ  $0, AX
	ADOXQ AX, R13
	MOVQ  16(SI), DX
	MULXQ 24(SI), AX, R14
	ADDQ  AX, R13
	ADCQ  $0, R14

	// Double the sides with one carry, add the diagonal with the other.
	XORQ  R15, R15
	MOVQ  0(SI), DX
	MULXQ DX, R8, BX
	ADCXQ R9, R9
	ADOXQ BX, R9
	MOVQ  8(SI), DX
	MULXQ DX, AX, BX
	ADCXQ R10, R10
	ADOXQ AX, R10
	ADCXQ R11, R11
	ADOXQ BX, R11
	MOVQ  16(SI), DX
	MULXQ DX, AX, BX
	ADCXQ R12, R12
	ADOXQ AX, R12
	ADCXQ R13, R13
	ADOXQ BX, R13
	MOVQ  24(SI), DX
	MULXQ DX, AX, BX
	ADCXQ R14, R14
	ADOXQ AX, R14
	ADCXQ R15, R15
	ADOXQ BX, R15
	finish()
	RET
