//go:build !purego

#include "textflag.h"

// How PSHUFB turns the bytes of each word around, and how it rotates each word left by 8 bits.
DATA swap<>+0(SB)/8, $0x0405060700010203
DATA swap<>+8(SB)/8, $0x0c0d0e0f08090a0b
DATA swap<>+16(SB)/8, $0x0405060700010203
DATA swap<>+24(SB)/8, $0x0c0d0e0f08090a0b
GLOBL swap<>(SB), RODATA|NOPTR, $32

DATA rol8<>+0(SB)/8, $0x0605040702010003
DATA rol8<>+8(SB)/8, $0x0e0d0c0f0a09080b
DATA rol8<>+16(SB)/8, $0x0605040702010003
DATA rol8<>+24(SB)/8, $0x0e0d0c0f0a09080b
GLOBL rol8<>(SB), RODATA|NOPTR, $32

// Where the lanes' blocks are, the state and the number of blocks.
#define arguments \
	MOVQ data+8(FP), DI \
	MOVQ 0(DI), AX      \
	MOVQ 8(DI), BX      \
	MOVQ 16(DI), CX     \
	MOVQ 24(DI), DX     \
	MOVQ 32(DI), SI     \
	MOVQ 40(DI), R8     \
	MOVQ 48(DI), R9     \
	MOVQ 56(DI), R10    \
	MOVQ s+0(FP), DI    \
	MOVQ n+16(FP), R11

// advance moves all lanes to their next blocks.
#define advance \
	ADDQ $64, AX  \
	ADDQ $64, BX  \
	ADDQ $64, CX  \
	ADDQ $64, DX  \
	ADDQ $64, SI  \
	ADDQ $64, R8  \
	ADDQ $64, R9  \
	ADDQ $64, R10

// pair reads 16 bytes of lanes l and l+4 into the halves of y, whose lower half is x.
#define pair(off, lane, lane4, x, y) \
	VMOVDQU     off(lane), x       \
	VINSERTI128 $1, off(lane4), y, y \
	VPSHUFB     Y15, y, y

// words reads four words of every lane, off bytes into the block: word i of lane l goes to lane l of Y8+i. Y15 is swap.
// It needs Y0 to Y7.
#define words(off) \
	pair(off, AX, SI, X0, Y0) \
	pair(off, BX, R8, X1, Y1) \
	pair(off, CX, R9, X2, Y2) \
	pair(off, DX, R10, X3, Y3) \
	VPUNPCKLDQ  Y1, Y0, Y4 \
	VPUNPCKHDQ  Y1, Y0, Y5 \
	VPUNPCKLDQ  Y3, Y2, Y6 \
	VPUNPCKHDQ  Y3, Y2, Y7 \
	VPUNPCKLQDQ Y6, Y4, Y8 \
	VPUNPCKHQDQ Y6, Y4, Y9 \
	VPUNPCKLQDQ Y7, Y5, Y10 \
	VPUNPCKHQDQ Y7, Y5, Y11

// load reads the state into A to H, which are Y0 to Y7; feed adds the state before the block to it.
#define load \
	VMOVDQU 0(DI), Y0   \
	VMOVDQU 32(DI), Y1  \
	VMOVDQU 64(DI), Y2  \
	VMOVDQU 96(DI), Y3  \
	VMOVDQU 128(DI), Y4 \
	VMOVDQU 160(DI), Y5 \
	VMOVDQU 192(DI), Y6 \
	VMOVDQU 224(DI), Y7

#define feed \
	VPXOR   0(DI), Y0, Y0   \
	VPXOR   32(DI), Y1, Y1  \
	VPXOR   64(DI), Y2, Y2  \
	VPXOR   96(DI), Y3, Y3  \
	VPXOR   128(DI), Y4, Y4 \
	VPXOR   160(DI), Y5, Y5 \
	VPXOR   192(DI), Y6, Y6 \
	VPXOR   224(DI), Y7, Y7 \
	VMOVDQU Y0, 0(DI)       \
	VMOVDQU Y1, 32(DI)      \
	VMOVDQU Y2, 64(DI)      \
	VMOVDQU Y3, 96(DI)      \
	VMOVDQU Y4, 128(DI)     \
	VMOVDQU Y5, 160(DI)     \
	VMOVDQU Y6, 192(DI)     \
	VMOVDQU Y7, 224(DI)

// The version for AVX-512VL. W is in Y16 to Y31, R12 points to the constants of the next four rounds.

// The functions of three words, as tables of VPTERNLOGD: a ⊕ b ⊕ c, (a ∧ b) ∨ (a ∧ c) ∨ (b ∧ c), (a ∧ b) ∨ (¬a ∧ c).
#define XOR3 0x96
#define MAJORITY 0xe8
#define CHOICE 0xca

// round512 is a round with the constant at k(R12), w being Wj and w4 Wj+4. Afterwards the names are d, a, b, c, h, e, f, g.
#define round512(ff, gg, k, a, b, c, d, e, f, g, h, w, w4) \
	VPROLD      $12, a, Y8         \
	VPADDD.BCST k(R12), e, Y9      \
	VPADDD      Y8, Y9, Y9         \
	VPROLD      $7, Y9, Y9         \ // SS1
	VPXOR       Y8, Y9, Y8         \ // SS2
	VMOVDQA     a, Y10             \
	VPTERNLOGD  $ff, c, b, Y10     \
	VPXORD      w, w4, Y11         \
	VPADDD      d, Y11, Y11        \
	VPADDD      Y10, Y11, Y11      \
	VPADDD      Y8, Y11, d         \ // TT1
	VMOVDQA     e, Y12             \
	VPTERNLOGD  $gg, g, f, Y12     \
	VPADDD      w, h, Y13          \
	VPADDD      Y12, Y13, Y13      \
	VPADDD      Y9, Y13, Y13       \ // TT2
	VPROLD      $9, b, b           \
	VPROLD      $19, f, f          \
	VPROLD      $9, Y13, Y14       \ // P0
	VPROLD      $17, Y13, h        \
	VPTERNLOGD  $XOR3, Y13, Y14, h

// expand512 replaces Wj−16, in w, by Wj; the others are Wj−9, Wj−3, Wj−13 and Wj−6.
#define expand512(w, w9, w3, w13, w6) \
	VPROLD     $15, w3, Y8      \
	VPTERNLOGD $XOR3, Y8, w9, w \
	VPROLD     $15, w, Y9       \
	VPROLD     $23, w, Y10      \
	VPTERNLOGD $XOR3, Y9, Y10, w \
	VPROLD     $7, w13, Y11     \
	VPTERNLOGD $XOR3, Y11, w6, w

// four512 is four rounds, w0 being the first one's W.
#define four512(ff, gg, w0, w1, w2, w3, w4, w5, w6, w7) \
	round512(ff, gg, 0, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, w0, w4)  \
	round512(ff, gg, 4, Y3, Y0, Y1, Y2, Y7, Y4, Y5, Y6, w1, w5)  \
	round512(ff, gg, 8, Y2, Y3, Y0, Y1, Y6, Y7, Y4, Y5, w2, w6)  \
	round512(ff, gg, 12, Y1, Y2, Y3, Y0, Y5, Y6, Y7, Y4, w3, w7) \
	ADDQ $16, R12

// more512 is four rounds that expand W.
#define more512(ff, gg, w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15) \
	expand512(w4, w11, w1, w7, w14) \
	round512(ff, gg, 0, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, w0, w4)  \
	expand512(w5, w12, w2, w8, w15) \
	round512(ff, gg, 4, Y3, Y0, Y1, Y2, Y7, Y4, Y5, Y6, w1, w5)  \
	expand512(w6, w13, w3, w9, w0)  \
	round512(ff, gg, 8, Y2, Y3, Y0, Y1, Y6, Y7, Y4, Y5, w2, w6)  \
	expand512(w7, w14, w4, w10, w1) \
	round512(ff, gg, 12, Y1, Y2, Y3, Y0, Y5, Y6, Y7, Y4, w3, w7) \
	ADDQ $16, R12

// keep512 moves four words to where W is.
#define keep512(w0, w1, w2, w3) \
	VMOVDQU32 Y8, w0  \
	VMOVDQU32 Y9, w1  \
	VMOVDQU32 Y10, w2 \
	VMOVDQU32 Y11, w3

// func compressAVX512(s *state, data *[8]*byte, n int, t *[64]uint32)
TEXT ·compressAVX512(SB), NOSPLIT, $0-32
	arguments

block:
	VMOVDQU swap<>(SB), Y15
	words(0)
	keep512(Y16, Y17, Y18, Y19)
	words(16)
	keep512(Y20, Y21, Y22, Y23)
	words(32)
	keep512(Y24, Y25, Y26, Y27)
	words(48)
	keep512(Y28, Y29, Y30, Y31)
	load
	MOVQ    t+24(FP), R12
	four512(XOR3, XOR3, Y16, Y17, Y18, Y19, Y20, Y21, Y22, Y23)
	four512(XOR3, XOR3, Y20, Y21, Y22, Y23, Y24, Y25, Y26, Y27)
	four512(XOR3, XOR3, Y24, Y25, Y26, Y27, Y28, Y29, Y30, Y31)
	more512(XOR3, XOR3, Y28, Y29, Y30, Y31, Y16, Y17, Y18, Y19, Y20, Y21, Y22, Y23, Y24, Y25, Y26, Y27)
	MOVQ    $3, R13

sixteen:
	more512(MAJORITY, CHOICE, Y16, Y17, Y18, Y19, Y20, Y21, Y22, Y23, Y24, Y25, Y26, Y27, Y28, Y29, Y30, Y31)
	more512(MAJORITY, CHOICE, Y20, Y21, Y22, Y23, Y24, Y25, Y26, Y27, Y28, Y29, Y30, Y31, Y16, Y17, Y18, Y19)
	more512(MAJORITY, CHOICE, Y24, Y25, Y26, Y27, Y28, Y29, Y30, Y31, Y16, Y17, Y18, Y19, Y20, Y21, Y22, Y23)
	more512(MAJORITY, CHOICE, Y28, Y29, Y30, Y31, Y16, Y17, Y18, Y19, Y20, Y21, Y22, Y23, Y24, Y25, Y26, Y27)
	DECQ    R13
	JNZ     sixteen
	feed
	advance
	DECQ    R11
	JNZ     block
	VZEROUPPER
	RET

// The version for AVX2. Word j of W is 32·(j mod 16) bytes from R13, R12 points to the constants of the next four rounds, Y15
// is rol8.

// rotate sets d to x <<< n, using t.
#define rotate(n, x, d, t) \
	VPSLLD $n, x, t      \
	VPSRLD $(32-n), x, d \
	VPOR   t, d, d

// early2 sets Y8 to FF(a, b, c) and Y9 to GG(e, f, g) of the rounds before the 16th, late2 of the others.
#define early2(a, b, c, e, f, g) \
	VPXOR a, b, Y8  \
	VPXOR c, Y8, Y8 \
	VPXOR e, f, Y9  \
	VPXOR g, Y9, Y9

#define late2(a, b, c, e, f, g) \
	VPXOR a, b, Y8  \
	VPXOR b, c, Y9  \
	VPAND Y9, Y8, Y8 \
	VPXOR b, Y8, Y8 \
	VPXOR f, g, Y9  \
	VPAND e, Y9, Y9 \
	VPXOR g, Y9, Y9

// round2 is the rest of a round, as round512.
#define round2(k, a, b, c, d, e, f, g, h, w, w4) \
	rotate(12, a, Y10, Y11)        \
	VPBROADCASTD k(R12), Y12       \
	VPADDD       e, Y12, Y12       \
	VPADDD       Y10, Y12, Y12     \
	rotate(7, Y12, Y12, Y11)       \ // SS1
	VPXOR        Y12, Y10, Y10     \ // SS2
	VMOVDQU      (32*w)(R13), Y13  \
	VPADDD       Y13, h, h         \
	VPADDD       Y9, h, h          \
	VPADDD       Y12, h, h         \ // TT2
	VPXOR        (32*w4)(R13), Y13, Y13 \
	VPADDD       Y13, d, d         \
	VPADDD       Y8, d, d          \
	VPADDD       Y10, d, d         \ // TT1
	rotate(9, b, b, Y11)           \
	rotate(19, f, f, Y14)          \
	VPSHUFB      Y15, h, Y13       \ // P0 = h ⊕ (h ⊕ h <<< 8) <<< 9
	VPXOR        h, Y13, Y13       \
	VPSLLD       $9, Y13, Y14      \
	VPSRLD       $23, Y13, Y13     \
	VPXOR        Y14, h, h         \
	VPXOR        Y13, h, h

// expand2 replaces Wj−16, number w, by Wj, as expand512.
#define expand2(w, w9, w3, w13, w6) \
	VMOVDQU (32*w3)(R13), Y10       \
	rotate(15, Y10, Y10, Y11)       \
	VPXOR   (32*w)(R13), Y10, Y10   \
	VPXOR   (32*w9)(R13), Y10, Y10  \
	VPSHUFB Y15, Y10, Y11           \ // P1 = x ⊕ (x ⊕ x <<< 8) <<< 15
	VPXOR   Y10, Y11, Y11           \
	VPSLLD  $15, Y11, Y12           \
	VPSRLD  $17, Y11, Y11           \
	VPXOR   Y12, Y10, Y10           \
	VPXOR   Y11, Y10, Y10           \
	VMOVDQU (32*w13)(R13), Y11      \
	VPSLLD  $7, Y11, Y12            \
	VPSRLD  $25, Y11, Y11           \
	VPXOR   (32*w6)(R13), Y10, Y10  \
	VPXOR   Y12, Y10, Y10           \
	VPXOR   Y11, Y10, Y10           \
	VMOVDQU Y10, (32*w)(R13)

// four2 is four rounds, w0 being the number of the first one's W.
#define four2(w0, w1, w2, w3, w4, w5, w6, w7) \
	early2(Y0, Y1, Y2, Y4, Y5, Y6) \
	round2(0, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, w0, w4)  \
	early2(Y3, Y0, Y1, Y7, Y4, Y5) \
	round2(4, Y3, Y0, Y1, Y2, Y7, Y4, Y5, Y6, w1, w5)  \
	early2(Y2, Y3, Y0, Y6, Y7, Y4) \
	round2(8, Y2, Y3, Y0, Y1, Y6, Y7, Y4, Y5, w2, w6)  \
	early2(Y1, Y2, Y3, Y5, Y6, Y7) \
	round2(12, Y1, Y2, Y3, Y0, Y5, Y6, Y7, Y4, w3, w7) \
	ADDQ $16, R12

// more2 is four rounds that expand W, with early2 or late2.
#define more2(fg, w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15) \
	expand2(w4, w11, w1, w7, w14)  \
	fg(Y0, Y1, Y2, Y4, Y5, Y6)     \
	round2(0, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, w0, w4)  \
	expand2(w5, w12, w2, w8, w15)  \
	fg(Y3, Y0, Y1, Y7, Y4, Y5)     \
	round2(4, Y3, Y0, Y1, Y2, Y7, Y4, Y5, Y6, w1, w5)  \
	expand2(w6, w13, w3, w9, w0)   \
	fg(Y2, Y3, Y0, Y6, Y7, Y4)     \
	round2(8, Y2, Y3, Y0, Y1, Y6, Y7, Y4, Y5, w2, w6)  \
	expand2(w7, w14, w4, w10, w1)  \
	fg(Y1, Y2, Y3, Y5, Y6, Y7)     \
	round2(12, Y1, Y2, Y3, Y0, Y5, Y6, Y7, Y4, w3, w7) \
	ADDQ $16, R12

// keep2 stores four words from number w on.
#define keep2(w) \
	VMOVDQU Y8, (32*w)(R13)       \
	VMOVDQU Y9, (32*w+32)(R13)    \
	VMOVDQU Y10, (32*w+64)(R13)   \
	VMOVDQU Y11, (32*w+96)(R13)

// func compressAVX2(s *state, data *[8]*byte, n int, t *[64]uint32)
TEXT ·compressAVX2(SB), 0, $544-32
	arguments
	LEAQ 31(SP), R13
	ANDQ $~31, R13

block:
	VMOVDQU swap<>(SB), Y15
	words(0)
	keep2(0)
	words(16)
	keep2(4)
	words(32)
	keep2(8)
	words(48)
	keep2(12)
	VMOVDQU rol8<>(SB), Y15
	load
	MOVQ    t+24(FP), R12
	four2(0, 1, 2, 3, 4, 5, 6, 7)
	four2(4, 5, 6, 7, 8, 9, 10, 11)
	four2(8, 9, 10, 11, 12, 13, 14, 15)
	more2(early2, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	MOVQ    $3, R14

sixteen:
	more2(late2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
	more2(late2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3)
	more2(late2, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
	more2(late2, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	DECQ    R14
	JNZ     sixteen
	feed
	advance
	DECQ    R11
	JNZ     block
	VZEROUPPER
	RET
