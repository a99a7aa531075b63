package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"aval/internal/genesis"
	"aval/internal/keyfile"
)

// launcher starts child processes from one thread that lives as long as it does: the kernel ends a child when the thread that started
// it is gone, which must mean the program and not one of its threads.
type launcher struct {
	jobs chan func()
}

func newLauncher() *launcher {
	l := &launcher{jobs: make(chan func())}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for job := range l.jobs {
			job()
		}
	}()
	return l
}

func (l *launcher) start(cmd *exec.Cmd) error {
	done := make(chan error)
	l.jobs <- func() { done <- cmd.Start() }
	return <-done
}

func (l *launcher) close() { close(l.jobs) }

// process is one node as a child process. Its methods are called by one goroutine at a time.
type process struct {
	name    string
	home    string
	url     string
	logPath string

	cmd *exec.Cmd
	// killed says that it was ended on purpose.
	killed bool
	// exited is closed when the process has ended, after err was set.
	exited chan struct{}
	err    error
}

// start runs `node run` of this program for the node's home. Its output is appended to the log.
func (p *process) start(l *launcher, passphrase []byte) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(p.logPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "node", "run", "--home", p.home) //nolint:gosec,noctx // it is this very program, and is stopped in order
	cmd.Env = append(os.Environ(), keyfile.EnvPassphrase+"="+string(passphrase))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	err = l.start(cmd)
	if cerr := log.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.exited, p.killed = cmd, make(chan struct{}), false
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return nil
}

// kill ends the process at once, as a power failure would.
func (p *process) kill() error {
	p.killed = true
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.exited
	return nil
}

// stopTimeout is how long a node may take to stop before it is killed.
const stopTimeout = 10 * time.Second

// stop ends the process in order and reports whether it obeyed.
func (p *process) stop() error {
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("%s did not stop within %s and was killed", p.name, stopTimeout), p.kill())
	}
}

// stopAll ends all processes at the same time.
func stopAll(processes []*process) error {
	errs := make([]error, len(processes))
	var wg sync.WaitGroup
	for i, p := range processes {
		wg.Go(func() { errs[i] = p.stop() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// dead returns an error that says why if the process has ended by itself.
func (p *process) dead() error {
	if p.killed {
		return nil
	}
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended: %w; the end of %s:\n%s", p.name, orExited(p.err), p.logPath, tail(p.logPath, 8))
	default:
		return nil
	}
}

func orExited(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// tail returns the last lines of a file.
func tail(path string, lines int) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	var last []string
	for s := bufio.NewScanner(f); s.Scan(); {
		last = append(last, "  "+s.Text())
		if len(last) > lines {
			last = last[1:]
		}
	}
	return strings.Join(last, "\n")
}

// freeBase returns a port from which n ports, and n more above by genesis.LinkPortOffset, are free on loopback. They lie below the
// ports that the system gives to outgoing connections, one of which could otherwise take the address of a node that is just
// restarting.
func freeBase(ctx context.Context, n int) (int, error) {
	const low, high, tries = 20_000, 31_000, 1000
	for range tries {
		base := low + rand.IntN(high-low-n)
		free := true
		for i := range 2 * n {
			port := base + i
			if i >= n {
				port = base + i - n + genesis.LinkPortOffset
			}
			l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				err = l.Close()
			}
			free = free && err == nil
		}
		if free {
			return base, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports found between %d and %d on 127.0.0.1", 2*n, low, high+genesis.LinkPortOffset)
}

// cluster is the demo's nodes.
type cluster struct {
	launcher   *launcher
	processes  []*process
	passphrase []byte
}

// startCluster writes the network to dir and starts every node. Nodes stop when the cluster is stopped, not when ctx ends.
func startCluster(ctx context.Context, n *network, dir string) (*cluster, error) {
	base, err := freeBase(ctx, len(n.genesis.Validators)+len(n.genesis.Observers))
	if err != nil {
		return nil, err
	}
	c := &cluster{launcher: newLauncher(), passphrase: newPassphrase()}
	nodes, err := n.founded.Write(genesis.Layout{Dir: dir, BasePort: base, Passphrase: c.passphrase, Iterations: sealIterations})
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	for _, node := range nodes {
		p := &process{name: node.Name, home: node.Home, url: "http://" + node.HTTP, logPath: filepath.Join(dir, node.Name+".log")}
		if err := p.start(c.launcher, c.passphrase); err != nil {
			return nil, errors.Join(err, c.stop())
		}
		c.processes = append(c.processes, p)
	}
	return c, nil
}

// restart starts a node that has ended.
func (c *cluster) restart(i int) error { return c.processes[i].start(c.launcher, c.passphrase) }

// stop ends every node.
func (c *cluster) stop() error {
	err := stopAll(c.processes)
	c.launcher.close()
	return err
}

// dead returns an error if a node has ended by itself.
func (c *cluster) dead() error {
	for _, p := range c.processes {
		if err := p.dead(); err != nil {
			return err
		}
	}
	return nil
}
