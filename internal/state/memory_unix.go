//go:build unix

package state

import (
	"fmt"
	"syscall"
)

// mapMemory returns zeroed memory that the garbage collector does not know of. Only pages that are used take room.
func mapMemory(size int) []byte {
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(fmt.Sprintf("state: no memory for the tree: %v", err)) // as the runtime does when it has none
	}
	preferHuge(b)
	return b
}

func unmapMemory(b []byte) {
	if err := syscall.Munmap(b); err != nil {
		panic(fmt.Sprintf("state: give back memory: %v", err)) // the slice was not what mapMemory returned
	}
}
