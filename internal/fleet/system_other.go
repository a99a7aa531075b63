//go:build !linux

package fleet

import (
	"errors"
	"os/exec"
	"syscall"
)

// childAttributes keeps the terminal's Ctrl-C away from a child: the program stops its children in order. Only Linux ends
// children with their parent.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// startOn starts cmd; processors cannot be chosen here.
func startOn(cmd *exec.Cmd, cpus []int) error {
	if len(cpus) > 0 {
		return errors.New("a process can be kept to processors on Linux only")
	}
	return cmd.Start()
}
