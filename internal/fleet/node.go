package fleet

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"aval/internal/keyfile"
)

// Node is one node as a child process. Its methods are called by one goroutine at a time.
type Node struct {
	Name, Home, URL, LogPath string

	fleet *Fleet
	env   []string
	cmd   *exec.Cmd
	// killed says that it was ended on purpose.
	killed bool
	// exited is closed when the process has ended, after err was set.
	exited chan struct{}
	err    error
}

// Start runs the node, which must not be running. Its output is appended to its log.
func (n *Node) Start() error {
	log, err := os.OpenFile(n.LogPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(n.fleet.cfg.Program, "node", "run", "--home", n.Home) //nolint:gosec,noctx // it is this very program, and is stopped in order
	cmd.Env = append(append(os.Environ(), keyfile.EnvPassphrase+"="+string(n.fleet.Passphrase)), n.env...)
	cmd.Stdout, cmd.Stderr = log, log
	err = n.fleet.launcher.Start(cmd, n.fleet.cfg.CPUs...)
	if err := errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	exited := make(chan struct{})
	n.cmd, n.exited, n.killed = cmd, exited, false
	go func() {
		n.err = cmd.Wait()
		close(exited)
	}()
	return nil
}

// PID returns the process id of a node that was started.
func (n *Node) PID() int { return n.cmd.Process.Pid }

// Exited is closed when the process has ended.
func (n *Node) Exited() <-chan struct{} { return n.exited }

// Kill ends the process at once, as a power failure would.
func (n *Node) Kill() error {
	n.killed = true
	if err := n.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-n.exited
	return nil
}

// stopTimeout is how long a node may take to stop before it is killed.
const stopTimeout = 20 * time.Second

// Stop ends the process in order and reports whether it obeyed.
func (n *Node) Stop() error {
	if n.cmd == nil {
		return nil
	}
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-n.exited:
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("%s did not stop within %s and was killed", n.Name, stopTimeout), n.Kill())
	}
}

// Dead returns an error that says why if the process has ended by itself.
func (n *Node) Dead() error {
	if n.killed || n.cmd == nil {
		return nil
	}
	select {
	case <-n.exited:
		err := n.err
		if err == nil {
			err = errors.New("exit status 0")
		}
		return fmt.Errorf("%s ended: %w; the end of %s:\n%s", n.Name, err, n.LogPath, tail(n.LogPath, 8))
	default:
		return nil
	}
}

// tail returns the last lines of a file.
func tail(path string, lines int) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }() // read only
	var last []string
	for s := bufio.NewScanner(f); s.Scan(); {
		last = append(last, "  "+s.Text())
		if len(last) > lines {
			last = last[1:]
		}
	}
	return strings.Join(last, "\n")
}
