//go:build !amd64 || purego

package sm3lanes

// engines returns all that this processor has.
func engines() []engine { return []engine{library} }
