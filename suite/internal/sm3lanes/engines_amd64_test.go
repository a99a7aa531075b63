//go:build !purego

package sm3lanes

import "golang.org/x/sys/cpu"

// engines returns all that this processor has.
func engines() []engine {
	out := []engine{library}
	if cpu.X86.HasAVX2 {
		out = append(out, avx2)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL {
		out = append(out, avx512)
	}
	return out
}
