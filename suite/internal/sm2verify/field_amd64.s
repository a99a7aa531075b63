//go:build !purego

#include "textflag.h"

// row adds DX·x, x at SI, to a0 … a3 and sets t to what goes beyond: two carry chains side by side.
#define row(a0, a1, a2, a3, t) \
	XORQ  DI, DI         \
	MULXQ 0(SI), AX, BX  \
	ADOXQ AX, a0         \
	ADCXQ BX, a1         \
	MULXQ 8(SI), AX, BX  \
	ADOXQ AX, a1         \
	ADCXQ BX, a2         \
	MULXQ 16(SI), AX, BX \
	ADOXQ AX, a2         \
	ADCXQ BX, a3         \
	MULXQ 24(SI), AX, t  \
	ADOXQ AX, a3         \
	ADCXQ DI, t          \
	ADOXQ DI, t

// fold is two steps of Montgomery reduction of t0 … t3, as in fold of field.go, and moves down by two limbs: the result is
// t2, t3, t0, t1. DI is 32. What clears t0 and t1 is m0 = t0 and m1 = t1 + m0 − m0·2^32, whose carry is kept in CX and whose
// borrow goes on into the subtractions; shifts and LEAQ leave it alone.
#define fold(t0, t1, t2, t3) \
	SHLXQ DI, t0, AX       \
	SHRXQ DI, t0, BX       \
	ADDQ  t0, t1           \
	SBBQ  CX, CX           \
	SUBQ  AX, t1           \
	SHLXQ DI, t1, DX       \
	LEAQ  (DX)(BX*1), BX   \
	SHRXQ DI, t1, DX       \
	LEAQ  (AX)(DX*1), AX   \
	MOVQ  t1, SI           \
	SBBQ  BX, t2           \
	SBBQ  AX, t3           \
	SBBQ  BX, t0           \
	SBBQ  DX, t1           \
	ADDQ  CX, CX           \
	ADCQ  SI, t2           \
	ADCQ  $0, t3           \
	ADCQ  $0, t0           \
	ADCQ  $0, t1

// finish reduces R8 … R15 to AX, BX, SI, DX.
#define finish() \
	MOVQ    $32, DI                  \
	fold(R8, R9, R10, R11)           \
	fold(R10, R11, R8, R9)           \
	XORQ    CX, CX                   \
	ADDQ    R12, R8                  \
	ADCQ    R13, R9                  \
	ADCQ    R14, R10                 \
	ADCQ    R15, R11                 \
	ADCQ    $0, CX                   \
	MOVQ    $0xffffffff00000000, R12 \
	MOVQ    $0xfffffffeffffffff, R13 \
	MOVQ    R8, AX                   \
	MOVQ    R9, BX                   \
	MOVQ    R10, SI                  \
	MOVQ    R11, DX                  \
	SUBQ    $-1, AX                  \
	SBBQ    R12, BX                  \
	SBBQ    $-1, SI                  \
	SBBQ    R13, DX                  \
	SBBQ    $0, CX                   \
	CMOVQCS R8, AX                   \
	CMOVQCS R9, BX                   \
	CMOVQCS R10, SI                  \
	CMOVQCS R11, DX

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
	MOVQ  z+0(FP), DI
	MOVQ  AX, 0(DI)
	MOVQ  BX, 8(DI)
	MOVQ  SI, 16(DI)
	MOVQ  DX, 24(DI)
	RET

// square sets R8 … R15 to the square of the element at SI: the sides, then doubled with one carry chain while the diagonal is
// added with the other.
#define square() \
	MOVQ  0(SI), DX      \
	MULXQ 8(SI), R9, R10 \
	MULXQ 16(SI), AX, R11 \
	ADDQ  AX, R10        \
	MULXQ 24(SI), AX, R12 \
	ADCQ  AX, R11        \
	ADCQ  $0, R12        \
	MOVQ  8(SI), DX      \
	XORQ  DI, DI         \
	MULXQ 16(SI), AX, BX \
	ADOXQ AX, R11        \
	ADCXQ BX, R12        \
	MULXQ 24(SI), AX, R13 \
	ADOXQ AX, R12        \
	ADCXQ DI, R13        \
	ADOXQ DI, R13        \
	MOVQ  16(SI), DX     \
	MULXQ 24(SI), AX, R14 \
	ADDQ  AX, R13        \
	ADCQ  $0, R14        \
	XORQ  R15, R15       \
	MOVQ  0(SI), DX      \
	MULXQ DX, R8, BX     \
	ADCXQ R9, R9         \
	ADOXQ BX, R9         \
	MOVQ  8(SI), DX      \
	MULXQ DX, AX, BX     \
	ADCXQ R10, R10       \
	ADOXQ AX, R10        \
	ADCXQ R11, R11       \
	ADOXQ BX, R11        \
	MOVQ  16(SI), DX     \
	MULXQ DX, AX, BX     \
	ADCXQ R12, R12       \
	ADOXQ AX, R12        \
	ADCXQ R13, R13       \
	ADOXQ BX, R13        \
	MOVQ  24(SI), DX     \
	MULXQ DX, AX, BX     \
	ADCXQ R14, R14       \
	ADOXQ AX, R14        \
	ADCXQ R15, R15       \
	ADOXQ BX, R15

// func sqrADX(z, x *fe)
TEXT ·sqrADX(SB), NOSPLIT, $0-16
	MOVQ x+8(FP), SI
	square()
	finish()
	MOVQ z+0(FP), DI
	MOVQ AX, 0(DI)
	MOVQ BX, 8(DI)
	MOVQ SI, 16(DI)
	MOVQ DX, 24(DI)
	RET

// func squaresADX(v *fe, count, n int)
TEXT ·squaresADX(SB), NOSPLIT, $24-24
	MOVQ n+16(FP), AX
	MOVQ AX, rounds-8(SP)

round:
	MOVQ v+0(FP), SI
	MOVQ count+8(FP), AX
	MOVQ AX, left-16(SP)

next:
	MOVQ SI, at-24(SP)
	square()
	finish()
	MOVQ at-24(SP), DI
	MOVQ AX, 0(DI)
	MOVQ BX, 8(DI)
	MOVQ SI, 16(DI)
	MOVQ DX, 24(DI)
	LEAQ 32(DI), SI
	DECQ left-16(SP)
	JNZ  next
	DECQ rounds-8(SP)
	JNZ  round
	RET
