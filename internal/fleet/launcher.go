package fleet

import (
	"os/exec"
	"runtime"
)

// Launcher starts child processes from one thread that lives as long as it does: the kernel ends a child when the thread
// that started it is gone, which must mean the program and not one of its threads. Its methods are safe for concurrent use
// until Close.
type Launcher struct {
	jobs chan func()
}

// NewLauncher returns a running launcher; Close ends its thread, and with it the children that still run.
func NewLauncher() *Launcher {
	l := &Launcher{jobs: make(chan func())}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for job := range l.jobs {
			job()
		}
	}()
	return l
}

// Start starts cmd so that it dies with this program and hears nothing of the terminal's Ctrl-C. cpus are the processors
// that it may run on, from 0; none means all.
func (l *Launcher) Start(cmd *exec.Cmd, cpus ...int) error {
	cmd.SysProcAttr = childAttributes()
	done := make(chan error)
	l.jobs <- func() { done <- startOn(cmd, cpus) }
	return <-done
}

// Close ends the launcher's thread.
func (l *Launcher) Close() { close(l.jobs) }
