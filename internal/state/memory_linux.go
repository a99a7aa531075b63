package state

import "syscall"

// preferHuge asks the kernel for large pages: a change of the tree goes to places all over it, and each would need another entry of
// the processor's page table cache. It is advice; a kernel that has none goes on with small ones.
func preferHuge(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }
