//go:build !purego

package sm3lanes

import "golang.org/x/sys/cpu"

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

// compressAVX2 goes on with n blocks of 64 bytes in each lane, n at least 1.
//
//go:noescape
func compressAVX2(s *state, data *[laneCount]*byte, n int)

// compressAVX512 goes on with n blocks of 64 bytes in each lane, n at least 1.
//
//go:noescape
func compressAVX512(s *state, data *[laneCount]*byte, n int)

// compress goes on with the n blocks, at least 1, that begin at data[l] in each lane l.
func (e engine) compress(s *state, data *[laneCount]*byte, n int) {
	if e == avx512 {
		compressAVX512(s, data, n)
	} else {
		compressAVX2(s, data, n)
	}
}
