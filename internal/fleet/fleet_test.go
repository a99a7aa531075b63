package fleet

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"aval/internal/genesis"
	"aval/ledger"
	"aval/suite"
)

// childEnv makes the test binary behave as a node: as a good one, or as one that ends by itself.
const childEnv = "AVAL_FLEET_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "dies":
		fmt.Println("cannot go on")
		os.Exit(3)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	fmt.Println("ran", strings.Join(os.Args[1:], " "), os.Getenv("EXTRA"), len(os.Getenv("AVAL_PASSPHRASE")), runtime.NumCPU())
	<-ctx.Done()
	stop()
	fmt.Println("stopped")
}

func newFleet(t *testing.T, role string, cfg Config) (*Fleet, error) {
	t.Helper()
	t.Setenv(childEnv, role)
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ledger.CompleteUSCC("91310000MA1AAAA00")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Network, err = genesis.Found(genesis.Spec{Name: "fleet", Suite: s, Clock: ledger.ClockReal, Wall: 1, AuthorityID: authority, AuthorityName: "A",
		Validators: 4, Observers: 1, Params: ledger.DefaultParams(4)})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Dir = filepath.Join(t.TempDir(), "net")
	return Start(t.Context(), cfg)
}

// logged waits until the log of a node contains text.
func logged(t *testing.T, n *Node, text string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(30 * time.Second); ; {
		log, err := os.ReadFile(n.LogPath)
		if err == nil && strings.Contains(string(log), text) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: %q is not in its log (%v):\n%s", n.Name, text, err, log)
		}
	}
}

func TestNodesRunStopAndStartAgain(t *testing.T) {
	f, err := newFleet(t, "runs", Config{Ports: 2, Env: func(i int, ports []int) []string {
		return []string{fmt.Sprintf("EXTRA=node-%d-%d", i, len(ports))}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Nodes) != 5 || f.Nodes[0].Name != "validator-0" || f.Nodes[4].Name != "gateway-0" || len(f.Passphrase) != 32 {
		t.Errorf("nodes %+v", f.Nodes)
	}
	for i, n := range f.Nodes {
		logged(t, n, fmt.Sprintf("ran node run --home %s node-%d-2 32", n.Home, i))
		if n.PID() == os.Getpid() || !strings.HasPrefix(n.URL, "http://127.0.0.1:") {
			t.Errorf("node %+v", n)
		}
	}
	first := f.Nodes[1].PID()
	if err := f.Nodes[1].Kill(); err != nil {
		t.Fatal(err)
	}
	if err := f.Dead(); err != nil {
		t.Errorf("killed on purpose: %v", err)
	}
	if err := f.Nodes[1].Start(); err != nil {
		t.Fatal(err)
	}
	logged(t, f.Nodes[1], "32 "+fmt.Sprint(runtime.NumCPU())+"\nran")
	if f.Nodes[1].PID() == first {
		t.Error("the same process runs again")
	}
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, n := range f.Nodes {
		logged(t, n, "stopped")
		select {
		case <-n.Exited():
		default:
			t.Errorf("%s still runs", n.Name)
		}
	}
}

func TestNodeThatEndsByItselfIsNamed(t *testing.T) {
	f, err := newFleet(t, "dies", Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range f.Nodes {
		<-n.Exited()
	}
	if err := f.Dead(); err == nil || !strings.Contains(err.Error(), "validator-0 ended: exit status 3") || !strings.Contains(err.Error(), "cannot go on") {
		t.Errorf("dead: %v", err)
	}
	if err := f.Stop(); err != nil {
		t.Error(err)
	}
}

func TestProcessesAreKeptToProcessors(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // Start refuses elsewhere
	}
	l := NewLauncher()
	defer l.Close()
	log := filepath.Join(t.TempDir(), "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(childEnv, "runs")
	cmd := exec.Command(os.Args[0], "node")
	cmd.Stdout = out
	if err := l.Start(cmd, 0); err != nil {
		t.Fatal(err)
	}
	n := &Node{Name: "pinned", LogPath: log}
	logged(t, n, "ran node  0 1\n")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Start(exec.Command(os.Args[0]), 5000); err == nil {
		t.Error("processor 5000 was accepted")
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	f, err := newFleet(t, "runs", Config{})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Start(t.Context(), f.cfg); err == nil {
		t.Errorf("started over another network: %v", again.Stop())
	}
	if _, err := FreePorts(t.Context(), genesis.LinkPortOffset+1); err == nil {
		t.Error("more ports in a row than lie below the links'")
	}
	if err := f.Stop(); err != nil {
		t.Error(err)
	}
}
