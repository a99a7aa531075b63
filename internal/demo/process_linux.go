package demo

import "syscall"

// childAttributes lets the kernel end a child when this program dies, and keeps the terminal's Ctrl-C away from it: the program
// stops its children in order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
