package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"aval/api"
	"aval/client"
	"aval/codec"
	"aval/internal/fleet"
	"aval/internal/genesis"
	"aval/ledger"
	"aval/suite"
)

// patience bounds every wait; it is long because machines are shared. What is measured is logged, not judged.
const patience = 60 * time.Second

// figures runs the measurements that take minutes: go test ./internal/e2e -run Figures -v -figures
var figures = flag.Bool("figures", false, "run the measurements that take minutes")

// faults runs the long form of the fault tests and holds them to the figures promised, which needs a quiet machine: make faults
var faults = flag.Bool("faults", false, "run the fault tests in their long form, and judge what they measure")

// program is the built binary.
var program string

// envProgram hands the built binary to a test that runs again in namespaces of its own.
const envProgram = "AVAL_E2E_PROGRAM"

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if program = os.Getenv(envProgram); program != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "aval-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	program = filepath.Join(dir, "aval")
	build := exec.Command("go", "build", "-o", program, "../../cmd/aval")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

const passphrase = "end to end"

// world is one network of processes.
type world struct {
	t         *testing.T
	net       *genesis.Network
	nodes     []genesis.Node // validators, then gateways
	processes []*process     // nil where down
	dir       string
	scopes    atomic.Int64
	launcher  *fleet.Launcher
	// within is the command in whose network a node runs, by node; empty: in that of the test.
	within [][]string
	// seed determines the random choices of the test.
	seed uint64
}

// process is one running node.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	log  *os.File
}

// newWorld founds a network of four validators and one gateway and starts it.
func newWorld(t *testing.T, suiteName string) *world {
	t.Helper()
	w := foundWorld(t, suiteName)
	w.startAll()
	return w
}

// foundWorld founds a network of four validators and one gateway whose nodes are down.
func foundWorld(t *testing.T, suiteName string) *world {
	t.Helper()
	s, err := suite.ByName(suiteName)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ledger.CompleteUSCC("91310000MA1AAAA00")
	if err != nil {
		t.Fatal(err)
	}
	founded, err := genesis.Found(genesis.Spec{Name: "e2e", Suite: s, Clock: ledger.ClockLab, Wall: ledger.Time(time.Now().UnixMilli()),
		AuthorityID: authority, AuthorityName: "Authority", Validators: 4, Observers: 1, Params: ledger.DefaultParams(4)})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, net: founded, dir: filepath.Join(t.TempDir(), "net"), processes: make([]*process, 5), within: make([][]string, 5),
		launcher: fleet.NewLauncher(), seed: seedOf(t)}
	w.nodes, err = founded.Write(genesis.Layout{Dir: w.dir, BasePort: freePorts(t, 5), Passphrase: []byte(passphrase), Iterations: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// envSeed repeats the random choices of a test.
const envSeed = "AVAL_E2E_SEED"

// seedOf returns what the random choices of a test come from, and logs how to make them again.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(envSeed); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("$%s: %v", envSeed, err)
		}
	}
	t.Logf("the same choices again: %s=%d go test ./internal/e2e -run '^%s$' -v", envSeed, seed, t.Name())
	return seed
}

// random returns a source of choices that the test's seed and a name determine.
func (w *world) random(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// startAll starts every node and waits until all answer.
func (w *world) startAll() {
	w.t.Helper()
	for i := range w.nodes {
		w.start(i)
	}
	for i := range w.nodes {
		w.awaitUp(i)
	}
}

// nextPorts keeps the ports of worlds that run at the same time apart, also while a node is down.
var nextPorts atomic.Int64

// freePorts returns the first of n ports that are free, and so are those that the links will take.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for base := 0; base < 50000; {
		base = 20000 + os.Getpid()%5000 + 37*int(nextPorts.Add(1))
		if portsFree(base, n) && portsFree(base+genesis.LinkPortOffset, n) {
			return base
		}
	}
	t.Fatal("no free ports")
	return 0
}

func portsFree(base, n int) bool {
	for i := range n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+i))
		if err != nil {
			return false
		}
		if l.Close() != nil {
			return false
		}
	}
	return true
}

// start starts node i.
func (w *world) start(i int) {
	w.t.Helper()
	log, err := os.OpenFile(filepath.Join(w.dir, w.nodes[i].Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	line := append(slices.Clone(w.within[i]), program, "node", "run", "--home", w.nodes[i].Home)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "AVAL_PASSPHRASE="+passphrase)
	cmd.Stdout, cmd.Stderr = log, log
	if err := w.launcher.Start(cmd); err != nil {
		w.t.Fatalf("start %s: %v", w.nodes[i].Name, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{}), log: log}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is seen in its log
	}()
	w.processes[i] = p
}

// kill ends node i without warning.
func (w *world) kill(i int) { w.end(i, syscall.SIGKILL) }

// signal sends a signal to node i, which was started.
func (w *world) signal(i int, signal os.Signal) {
	w.t.Helper()
	if err := w.processes[i].cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		w.t.Errorf("%s: %v", w.nodes[i].Name, err)
	}
}

func (w *world) end(i int, signal os.Signal) {
	w.t.Helper()
	p := w.processes[i]
	if p == nil {
		return
	}
	w.signal(i, signal)
	select {
	case <-p.done:
	case <-time.After(patience):
		w.t.Errorf("%s did not end on %v", w.nodes[i].Name, signal)
	}
	if err := p.log.Close(); err != nil {
		w.t.Error(err)
	}
	w.processes[i] = nil
}

func (w *world) close() {
	for i, p := range w.processes {
		if p != nil {
			w.signal(i, syscall.SIGCONT) // it may be paused
		}
		w.end(i, os.Interrupt)
	}
	w.launcher.Close()
	if !w.t.Failed() {
		return
	}
	for _, n := range w.nodes {
		if log, err := os.ReadFile(filepath.Join(w.dir, n.Name+".log")); err == nil {
			w.t.Logf("--- %s\n%s", n.Name, tail(log, 40))
		}
	}
}

func tail(log []byte, lines int) string {
	all := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (w *world) url(i int) string { return "http://" + w.nodes[i].HTTP }

// poll calls try until it reports success.
func (w *world) poll(what string, try func() error) {
	w.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			w.t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// awaitUp waits until node i answers.
func (w *world) awaitUp(i int) {
	w.t.Helper()
	w.poll(w.nodes[i].Name+" comes up", func() error {
		select {
		case <-w.processes[i].done:
			return errors.New("the process has ended")
		default:
		}
		response, err := http.Get(w.url(i) + api.PathHealth)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
}

// client speaks to the given nodes, in this order.
func (w *world) client(nodes ...int) *client.Client {
	w.t.Helper()
	var urls []string
	for _, i := range nodes {
		urls = append(urls, w.url(i))
	}
	c, err := client.New(client.Config{Endpoints: urls, Genesis: codec.MustMarshal(w.net.Genesis), AcceptLab: true, AttemptTimeout: 3 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// openScope makes one small change of state through c and returns when it is acknowledged.
func (w *world) openScope(ctx context.Context, c *client.Client) (*api.Outcome, error) {
	path := ledger.Scope(fmt.Sprintf("/s%d", w.scopes.Add(1)))
	authority := w.net.Genesis.Authority.ID
	op := ledger.NewOp(authority, &ledger.ScopeOpen{Path: path, Authority: authority})
	return c.Do(ctx, []ledger.Op{op}, w.net.Keys[genesis.KeyAuthorityAdmin])
}

func (w *world) mustOpenScope(c *client.Client) *api.Outcome {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	o, err := w.openScope(ctx, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// status asks node i.
func (w *world) status(i int) (*api.Status, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Second)
	defer cancel()
	return client.Get[api.Status](ctx, w.client(i), api.PathStatus, nil)
}

// leader returns the validator that node i takes for the leader.
func (w *world) leader(i int) int {
	w.t.Helper()
	s, err := w.status(i)
	if err != nil {
		w.t.Fatal(err)
	}
	for k := range w.nodes {
		if w.nodes[k].Name == s.Engine.Leader {
			return k
		}
	}
	w.t.Fatalf("no leader in %+v", s.Engine)
	return 0
}

// newestLeader returns the leader of the highest view that any validator is in; those that are down are not asked.
func (w *world) newestLeader() int {
	w.t.Helper()
	view, leader := uint64(0), ""
	for i := range w.nodes {
		if w.processes[i] == nil {
			continue
		}
		if s, err := w.status(i); err == nil && s.Engine.Leader != "" && (leader == "" || s.Engine.View > view) {
			view, leader = s.Engine.View, s.Engine.Leader
		}
	}
	for k := range w.nodes {
		if w.nodes[k].Name == leader {
			return k
		}
	}
	w.t.Fatalf("no leader: %q", leader)
	return 0
}

// agree waits until the nodes are at one height at least as high as want, and fails unless their blocks are the same.
func (w *world) agree(want ledger.Height, nodes ...int) {
	w.t.Helper()
	for _, i := range nodes {
		w.poll(fmt.Sprintf("%s reaches height %d", w.nodes[i].Name, want), func() error {
			s, err := w.status(i)
			if err == nil && s.Heights.Executed < want {
				err = fmt.Errorf("it is at %+v: %s", s.Heights, s.Cause)
			}
			return err
		})
	}
	chains := make([][]byte, len(nodes))
	var wg sync.WaitGroup
	for k, i := range nodes {
		wg.Go(func() { chains[k] = w.chainOf(i, want) })
	}
	wg.Wait()
	for k, i := range nodes {
		if !bytes.Equal(chains[k], chains[0]) {
			w.t.Fatalf("%s has other blocks than %s up to height %d, at first at height %d", w.nodes[i].Name, w.nodes[nodes[0]].Name, want,
				differs(chains[k], chains[0])/len(suite.Hash{})+1)
		}
	}
}

// chainOf returns the hashes of all headers of node i up to a height, worked out here, one after another. What is missing
// is reported.
func (w *world) chainOf(i int, top ledger.Height) []byte {
	c := w.client(i)
	var out []byte
	for h := ledger.Height(1); h <= top; h++ {
		b, err := c.Block(w.t.Context(), h)
		if err != nil {
			w.t.Errorf("block %d of %s: %v", h, w.nodes[i].Name, err)
			return out
		}
		hash := b.Header.Hash(w.net.Suite)
		if b.Hash != hash {
			w.t.Errorf("block %d of %s is said to be %s, its header is %s", h, w.nodes[i].Name, b.Hash, hash)
		}
		out = append(out, hash[:]...)
	}
	return out
}

// differs returns the first place at which a and b differ.
func differs(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// aval runs the command line and returns what it printed.
func (w *world) aval(args ...string) (string, error) {
	cmd := exec.CommandContext(w.t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "AVAL_HOME="+filepath.Join(w.dir, genesis.ClientDir), "AVAL_PASSPHRASE="+passphrase)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
