//go:build !linux

package demo

import "syscall"

// childAttributes keeps the terminal's Ctrl-C away from a child: the program stops its children in order.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
