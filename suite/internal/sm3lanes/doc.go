// Package sm3lanes hashes many messages with SM3 (GB/T 32905) at once: eight side by side in the lanes of 256-bit
// registers, each instruction doing the same step of eight independent computations. One message alone gains nothing; its
// steps depend on one another.
//
// The results are those of the library, github.com/emmansun/gmsm/sm3, which hashes where the processor lacks AVX2, and is
// the twin in tests.
//
// # How lanes stay full
//
// Messages are taken longest first, by their number of blocks. Whenever a lane's message ends, its lane takes the next one, so
// messages of any lengths may come together. A run over eight lanes goes on for as many blocks as the lane with the least
// left has. Blocks that lie whole in a message are read where they are; those with a prefix or padding are put together in
// a buffer.
//
// # The compression function
//
// Register A holds the A of eight messages, and so on. With W′j = Wj ⊕ Wj+4, a round is that of the standard, section
// 5.3.3, except that the registers are not moved: the next round is given them under other names. Wj+4 is expanded in round
// j, when its place in a ring of sixteen falls free. There are two versions. The one for AVX-512VL holds the ring in
// registers, rotates with one instruction and computes any function of three words with one; its vectors are 256 bits wide as
// well, so the processor's clock is not lowered. The one for AVX2 needs three instructions for a rotation and holds the
// ring on the stack.
package sm3lanes
