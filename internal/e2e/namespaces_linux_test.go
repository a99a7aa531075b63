package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

const (
	// envInside says that a test runs in namespaces of its own.
	envInside = "AVAL_E2E_INSIDE"
	// envWithout names what the tests are to do without, and only namespaces can be. What is left out then is printed.
	envWithout = "AVAL_E2E_WITHOUT"
)

// isolated runs the calling test again, in a process with mounts and a network of its own, of which nothing is left when it
// ends. It reports whether this is that process; if not, the test is over. Root may do this, and on most systems everybody
// (user namespaces). Where it is forbidden the test fails, unless $AVAL_E2E_WITHOUT says "namespaces".
func isolated(t *testing.T) bool {
	t.Helper()
	if os.Getenv(envInside) == t.Name() {
		settle(t)
		return true
	}
	if os.Getenv(envWithout) == "namespaces" {
		fmt.Printf("NOT RUN: %s, because $%s says so\n", t.Name(), envWithout)
		return false
	}
	runtime.LockOSThread() // the child dies with the thread that starts it
	defer runtime.UnlockOSThread()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=0", fmt.Sprintf("-faults=%v", *faults))
	cmd.Env = append(os.Environ(), envInside+"="+t.Name(), envProgram+"="+program)
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s needs namespaces of its own, and this system does not let it have them: %v\n"+
			"Run it as root or with user namespaces allowed (and --privileged in a container), or leave such tests out knowingly: %s=namespaces",
			t.Name(), err, envWithout)
	}
	err := cmd.Wait()
	t.Logf("in namespaces of its own:\n%s", out)
	if err != nil {
		t.Errorf("in namespaces of its own: %v", err)
	}
	return false
}

// settle makes the new namespaces habitable.
func settle(t *testing.T) {
	t.Helper()
	if err := syscall.Mount("none", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatalf("mount: %v", err)
	}
	if err := os.Mkdir("/run/netns", 0o700); err != nil {
		t.Fatal(err)
	}
	runTool(t, "ip", "link", "set", "lo", "up")
}

// runTool runs a command to its end.
func runTool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// switched gives every node a network of its own and connects them, and this process, by a switch. The nodes must be down.
func (w *world) switched() {
	w.t.Helper()
	runTool(w.t, "ip", "link", "add", "switch", "type", "bridge")
	runTool(w.t, "ip", "addr", "add", "10.77.0.254/24", "dev", "switch")
	runTool(w.t, "ip", "link", "set", "switch", "up")
	for i := range w.nodes {
		name, wire := netns(i), fmt.Sprintf("wire%d", i)
		runTool(w.t, "ip", "netns", "add", name)
		runTool(w.t, "ip", "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", name)
		runTool(w.t, "ip", "link", "set", wire, "master", "switch", "up")
		runTool(w.t, "ip", "-n", name, "addr", "add", address(i)+"/24", "dev", "eth0")
		runTool(w.t, "ip", "-n", name, "link", "set", "eth0", "up")
		runTool(w.t, "ip", "-n", name, "link", "set", "lo", "up")
		w.within[i] = []string{"ip", "netns", "exec", name}
	}
	for i := range w.nodes {
		path := filepath.Join(w.nodes[i].Home, "config.toml")
		text, err := os.ReadFile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		for k, n := range w.nodes {
			for _, at := range []string{n.HTTP, n.Link} {
				text = []byte(strings.ReplaceAll(string(text), at, strings.Replace(at, "127.0.0.1", address(k), 1)))
			}
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	for i := range w.nodes {
		w.nodes[i].HTTP = strings.Replace(w.nodes[i].HTTP, "127.0.0.1", address(i), 1)
		w.nodes[i].Link = strings.Replace(w.nodes[i].Link, "127.0.0.1", address(i), 1)
	}
}

func netns(i int) string   { return fmt.Sprintf("node%d", i) }
func address(i int) string { return fmt.Sprintf("10.77.0.%d", i+1) }

// cut has whatever node from sends to node to vanish without a word, or arrive again: it believes the other to be at a
// hardware address that nobody has.
func (w *world) cut(from, to int, broken bool) {
	w.t.Helper()
	args := []string{"-n", netns(from), "neigh", "replace", address(to), "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "permanent"}
	if !broken {
		args = []string{"-n", netns(from), "neigh", "del", address(to), "dev", "eth0"}
	}
	runTool(w.t, "ip", args...)
}

// part cuts, or mends, all links between nodes of different groups.
func (w *world) part(broken bool, groups ...[]int) {
	w.t.Helper()
	for a := range groups {
		for b := range groups {
			if a == b {
				continue
			}
			for _, i := range groups[a] {
				for _, k := range groups[b] {
					w.cut(i, k, broken)
				}
			}
		}
	}
}
