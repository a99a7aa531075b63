//go:build !purego

package sm3lanes

import (
	"math/bits"

	"golang.org/x/sys/cpu"
)

// best is the fastest engine of this processor.
var best = func() engine {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX2:
		return avx512
	case cpu.X86.HasAVX2:
		return avx2
	}
	return library
}()

// constants holds Tj <<< j, sections 4.2 and 5.3.3.
var constants = func() (out [64]uint32) {
	for j := range out {
		t := uint32(0x79cc4519)
		if j >= 16 {
			t = 0x7a879d8a
		}
		out[j] = bits.RotateLeft32(t, j)
	}
	return out
}()

// compressAVX2 goes on with n blocks of 64 bytes in each lane, n at least 1; t is constants.
//
//go:noescape
func compressAVX2(s *state, data *[laneCount]*byte, n int, t *[64]uint32)

// compressAVX512 goes on with n blocks of 64 bytes in each lane, n at least 1; t is constants.
//
//go:noescape
func compressAVX512(s *state, data *[laneCount]*byte, n int, t *[64]uint32)

// compress goes on with the n blocks, at least 1, that begin at data[l] in each lane l.
func (e engine) compress(s *state, data *[laneCount]*byte, n int) {
	if e == avx512 {
		compressAVX512(s, data, n, &constants)
	} else {
		compressAVX2(s, data, n, &constants)
	}
}
