package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aval/client"
	"aval/codec"
	"aval/internal/catchup"
	"aval/internal/clock"
	"aval/internal/genesis"
	"aval/internal/kv"
	"aval/internal/snapshot"
	"aval/internal/transport"
	"aval/ledger"
)

// jumping is a clock that all nodes of a test share and that may jump forward.
type jumping struct {
	clock.Clock
	by atomic.Int64 // ns
}

// Now implements clock.Clock.
func (s *jumping) Now() time.Time { return s.Clock.Now().Add(time.Duration(s.by.Load())) }

// shift gives a cluster that is not started a clock of its own.
func (c *cluster) shift() *jumping {
	s := &jumping{Clock: clock.Real()}
	for i := range c.configs {
		c.configs[i].Clock = s
	}
	return s
}

// operated has the operator of every node be served.
func (c *cluster) operated() {
	for i := range c.configs {
		c.configs[i].Control = true
	}
}

// clientAt is client by another clock.
func (c *cluster) clientAt(now func() time.Time, nodes ...int) *client.Client {
	c.t.Helper()
	var urls []string
	for _, i := range nodes {
		urls = append(urls, "http://"+c.configs[i].HTTPListen)
	}
	cl, err := client.New(client.Config{Endpoints: urls, Genesis: codec.MustMarshal(c.net.Genesis), AcceptLab: true, Now: now})
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}

// load opens so many scopes and returns the last.
func (c *cluster) load(cl *client.Client, n int) (last ledger.Scope) {
	c.t.Helper()
	for range n {
		last = c.mustOpenScope(cl)
	}
	return last
}

// sameRoots compares the newest roots that two nodes have in common.
func (c *cluster) sameRoots(a, b int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	pa, _ := c.nodes[a].chain.Progress()
	if err := c.nodes[b].chain.WaitExecuted(ctx, pa.Executed); err != nil {
		c.t.Fatal(err)
	}
	want, err := c.nodes[a].chain.Roots(pa.Executed)
	got, gerr := c.nodes[b].chain.Roots(pa.Executed)
	if err = errors.Join(err, gerr); err != nil || got != want {
		c.t.Fatalf("height %d: %s has roots %v, %s %v, %v", pa.Executed, c.configs[a].Name, want, c.configs[b].Name, got, err)
	}
}

// certified waits until a node has something to make a snapshot of.
func (c *cluster) certified(i int) {
	c.t.Helper()
	c.until("a height is proven", func() bool {
		p, _ := c.nodes[i].chain.Progress()
		return p.Proven > 0
	})
}

func (c *cluster) snapshotOf(i int) *Snapshot {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	c.certified(i)
	s, err := AskSnapshot(ctx, c.configs[i])
	if err != nil {
		c.t.Fatalf("snapshot of %s: %v", c.configs[i].Name, err)
	}
	return s
}

// TestEmptyNodeBeginsFromASnapshot starts an empty gateway that may, in a network with a validator that lies about snapshots.
func TestEmptyNodeBeginsFromASnapshot(t *testing.T) {
	c := foundCluster(t, "intl", 4, 1)
	c.operated()
	c.startBut(3, 4)
	cl := c.client(0)
	c.load(cl, 5)
	s := c.snapshotOf(0)
	if runs := c.snapshotOf(0); runs.Height < s.Height || runs.Leaves == 0 || runs.Bytes == 0 {
		t.Fatalf("a second snapshot: %+v after %+v", runs, s)
	}
	path := c.load(cl, 3)
	var lies atomic.Int64
	newPuppet(c, 3, ends{catchup: func(_ context.Context, _ transport.Peer, request []byte) ([]byte, error) {
		q, err := catchup.DecodeRequest(request)
		if err != nil {
			return nil, err
		}
		if q.Snapshot > 0 {
			lies.Add(1)
		}
		return codec.MustMarshal(&catchup.Response{Head: 1 << 40, First: 1, Snapshot: 1 << 39, Data: []byte("lies")}), nil
	}})
	c.configs[4].FetchSnapshot = true
	c.start(4)
	if first := c.nodes[4].chain.First(); first <= s.Height {
		t.Errorf("the gateway keeps blocks from %d on: it did not begin from the snapshot of height %d", first, s.Height)
	}
	if lies.Load() == 0 {
		t.Error("the liar was not asked: the test shows nothing")
	}
	c.sameRoots(0, 4)
	if err := c.hasScope(4, path); err != nil {
		t.Error(err)
	}
	last := c.load(c.client(4), 2) // through the gateway
	c.sameRoots(4, 0)
	if err := c.hasScope(0, last); err != nil {
		t.Error(err)
	}
	c.stop(4)
	c.start(4)
	c.sameRoots(0, 4)
}

// TestNodeLeftBehindBeginsAgain prunes the peers of a gateway that is away, beyond what it has.
func TestNodeLeftBehindBeginsAgain(t *testing.T) {
	c := foundCluster(t, "intl", 4, 2)
	c.net.Genesis.Params.RetainHeights = 5
	c.operated()
	now := c.shift()
	c.startBut(5)
	cl := c.clientAt(now.Now, 0)
	c.start(5)
	c.load(cl, 2)
	c.sameRoots(0, 5)
	c.stop(5)
	behind, err := Inspect(t.Context(), c.configs[5])
	if err != nil {
		t.Fatal(err)
	}
	c.load(cl, 6)
	now.by.Add(int64(30 * time.Minute))
	path := c.load(cl, 40)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := c.snapshotOf(1)
	for i := range 5 {
		out, err := AskPrune(ctx, c.configs[i], 3)
		if err != nil {
			t.Fatalf("%s: %v", c.configs[i].Name, err)
		}
		if out.First <= behind.Committed+1 || out.First > s.Height {
			t.Fatalf("%s keeps blocks from %d on; the gateway that is away is at %d, the snapshot at %d", c.configs[i].Name, out.First, behind.Committed, s.Height)
		}
	}
	// Without leave it says why it stands still.
	c.start(5)
	c.until("the gateway knows that it was left behind", func() bool { return strings.Contains(c.nodes[5].Status().Cause, "pruned") })
	if got := c.nodes[5].chain.Head().Header.Height; got != behind.Committed {
		t.Errorf("the gateway is at %d, it was at %d", got, behind.Committed)
	}
	c.stop(5)
	cfg := c.configs[5]
	cfg.FetchSnapshot = true
	run, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(run, cfg) }()
	at := c.clientAt(now.Now, 5)
	c.until("the gateway has begun again", func() bool {
		st, err := at.Status(ctx, 0)
		return err == nil && st.Heights.Executed >= s.Height+ledger.Lag
	})
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.start(5)
	c.sameRoots(0, 5)
	if err := c.hasScope(5, path); err != nil {
		t.Error(err)
	}
}

// TestValidatorRestoredFromABackupObserves backs up a validator that runs, loses its home, restores it and starts it.
func TestValidatorRestoredFromABackupObserves(t *testing.T) {
	c := foundCluster(t, "intl", 4, 0)
	c.operated()
	c.startBut()
	c.meshed()
	cl := c.client(0)
	c.load(cl, 4)
	c.certified(3)
	dir := filepath.Join(t.TempDir(), "backup")
	b, err := MakeBackup(t.Context(), c.configs[3], dir, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range b.Files {
		if strings.Contains(f.Path, "engine") {
			t.Errorf("the backup has %s", f.Path)
		}
	}
	if _, err := MakeBackup(t.Context(), c.configs[3], dir, nil, false); err == nil {
		t.Error("a backup goes over another")
	}
	path := c.load(cl, 3)
	if _, err := RestoreBackup(t.Context(), c.configs[3], dir, true); !errors.Is(err, ErrRunning) {
		t.Errorf("a running node is restored: %v", err)
	}
	c.stop(3)
	if _, err := RestoreBackup(t.Context(), c.configs[3], dir, false); !errors.Is(err, ErrHasData) {
		t.Errorf("data is replaced without being asked: %v", err)
	}
	if err := os.RemoveAll(c.configs[3].DataDir); err != nil {
		t.Fatal(err)
	}
	out, err := RestoreBackup(t.Context(), c.configs[3], dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if out.Height != b.Height || out.Root != b.Root || out.Committed < b.Committed {
		t.Errorf("restored %+v, the backup is of %+v", out, b)
	}
	c.start(3)
	if !c.nodes[3].Status().Engine.Observing {
		t.Error("a restored validator does not observe")
	}
	if _, err := os.Stat(c.configs[3].path(restoredMark)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the mark stays although the engine knows: %v", err)
	}
	c.until("the restored validator votes again", func() bool {
		c.mustOpenScope(cl)
		return !c.nodes[3].Status().Engine.Observing
	})
	c.stop(0) // now its vote is needed
	last := c.load(c.client(1), 2)
	c.sameRoots(1, 3)
	for _, p := range []ledger.Scope{path, last} {
		if err := c.hasScope(3, p); err != nil {
			t.Error(err)
		}
	}
}

func TestBackupIsChecked(t *testing.T) {
	c := foundCluster(t, "intl", 1, 0)
	c.operated()
	c.start(0)
	c.load(c.client(0), 3)
	c.certified(0)
	home := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(home, []byte("name = 'x'"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.stop(0)
	dir := filepath.Join(t.TempDir(), "backup") // of a node that does not run
	b, err := MakeBackup(t.Context(), c.configs[0], dir, []HomeFile{{home, "config.toml"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	to := c.configs[0]
	for i, f := range b.Files {
		to.DataDir = filepath.Join(t.TempDir(), fmt.Sprint(i))
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := append([]byte{}, good...)
		if len(bad) > 0 {
			bad[len(bad)/2] ^= 4
		} else {
			bad = []byte{0}
		}
		// The blocks are linked to the node's own: the file is replaced, not written to.
		replace := func(b []byte) {
			if err := errors.Join(os.Remove(path), os.WriteFile(path, b, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		replace(bad)
		if _, err := RestoreBackup(t.Context(), to, dir, false); !errors.Is(err, ErrBackup) {
			t.Errorf("with %s damaged: %v", f.Path, err)
		}
		if _, err := os.Stat(to.path(blocksDir)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("with %s damaged something was restored", f.Path)
		}
		replace(good)
	}
	if _, err := RestoreBackup(t.Context(), to, t.TempDir(), false); !errors.Is(err, ErrBackup) {
		t.Errorf("a folder that is no backup: %v", err)
	}
	if _, err := RestoreBackup(t.Context(), to, dir, false); err != nil {
		t.Fatal(err)
	}
	names, err := RestoreHome(to.Suite, dir, filepath.Dir(to.DataDir))
	if err != nil || fmt.Sprint(names) != "[config.toml]" {
		t.Errorf("of the home came %v, %v", names, err)
	}
	if names, err = RestoreHome(to.Suite, dir, filepath.Dir(to.DataDir)); err != nil || len(names) != 0 {
		t.Errorf("a file of the home is overwritten: %v, %v", names, err)
	}
	other := foundCluster(t, "intl", 1, 0)
	if _, err := RestoreBackup(t.Context(), other.configs[0], dir, false); !errors.Is(err, snapshot.ErrNetwork) {
		t.Errorf("another network's backup: %v", err)
	}
}

// TestInterruptedRestoreIsFinished stops a restore after each of its last steps, as a crash would, and starts the node.
func TestInterruptedRestoreIsFinished(t *testing.T) {
	c := foundCluster(t, "intl", 1, 0)
	c.operated()
	c.start(0)
	c.load(c.client(0), 3)
	s := c.snapshotOf(0)
	c.stop(0)
	file, err := os.ReadFile(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	base := c.configs[0].DataDir
	for step := range 5 {
		cfg := &c.configs[0]
		cfg.DataDir = filepath.Join(base, fmt.Sprintf("crash-%d", step))
		copied := filepath.Join(t.TempDir(), "s")
		if err := os.WriteFile(copied, file, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := snapshot.OpenFile(copied)
		if err != nil {
			t.Fatal(err)
		}
		out, err := RestoreSnapshot(t.Context(), *cfg, f, false)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if out.Height != s.Height || out.Root != s.Root {
			t.Errorf("restored %+v from %+v", out, s)
		}
		undo(t, cfg, step)
		c.start(0)
		if !c.nodes[0].cfg.Restored {
			t.Errorf("step %d: the node does not know that it was restored", step)
		}
		c.load(c.client(0), 2)
		c.stop(0)
		for _, left := range []string{restoredDir, restoringDir, restoredMark} {
			if _, err := os.Stat(cfg.path(left)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("step %d: %s is left: %v", step, left, err)
			}
		}
	}
}

// undo takes back the last steps of a restore: 0: none; 1: the folder was not removed; 2: the state was not moved; 3: nor the blocks, and
// old ones are in their place; 4: nor the mark was written.
func undo(t *testing.T, cfg *Config, step int) {
	t.Helper()
	if step == 0 {
		return
	}
	err := os.Mkdir(cfg.path(restoredDir), 0o700)
	back := func(name string) {
		err = errors.Join(err, os.Rename(cfg.path(name), filepath.Join(cfg.path(restoredDir), name)))
	}
	if step >= 2 {
		back(stateDir)
	}
	if step >= 3 {
		back(blocksDir)
		old, oerr := kv.OpenPebble(kv.PebbleConfig{Dir: cfg.path(blocksDir)})
		if err = errors.Join(err, oerr); err == nil {
			err = old.Close()
		}
	}
	if step >= 4 {
		err = errors.Join(err, os.Remove(cfg.path(restoredMark)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotsComeByThemselves(t *testing.T) {
	c := foundCluster(t, "intl", 4, 0)
	for i := range c.configs {
		c.configs[i].SnapshotEvery, c.configs[i].KeepSnapshots = 10, 1
	}
	c.startBut()
	c.meshed()
	cl := c.client(0)
	height := func(i int) ledger.Height {
		h, err := c.nodes[i].snapshots.Newest()
		if err != nil {
			return 0
		}
		return h
	}
	c.until("all validators have a snapshot", func() bool {
		c.mustOpenScope(cl)
		return height(0) > 0 && height(1) > 0 && height(2) > 0 && height(3) > 0
	})
	c.until("all have the same", func() bool {
		return height(0) == height(1) && height(1) == height(2) && height(2) == height(3)
	})
	before := height(0)
	c.until("the next one comes", func() bool {
		c.mustOpenScope(cl)
		return height(0) > before
	})
	c.until("the old one is gone", func() bool {
		list, err := Snapshots(c.configs[0].DataDir)
		return err == nil && len(list) == 1
	})
	if _, err := c.nodes[0].Prune(t.Context(), 1); !errors.Is(err, ErrRetained) {
		t.Errorf("a validator of a network that keeps all prunes: %v", err)
	}
	for i := range c.nodes {
		c.stop(i)
	}
	c.compareSnapshots()
}

// compareSnapshots verifies the snapshots that nodes made under load, restores each, and compares those of one height.
func (c *cluster) compareSnapshots() {
	c.t.Helper()
	byHeight := map[ledger.Height]*snapshot.Manifest{}
	for i := range c.configs {
		list, err := Snapshots(c.configs[i].DataDir)
		if err != nil || len(list) == 0 {
			c.t.Fatalf("%s has snapshots %v, %v", c.configs[i].Name, list, err)
		}
		one := list[len(list)-1]
		f, err := snapshot.OpenFile(one.Path)
		if err != nil {
			c.t.Fatal(err)
		}
		cfg := c.configs[i]
		cfg.DataDir = c.t.TempDir()
		out, err := RestoreSnapshot(c.t.Context(), cfg, f, false)
		if err := errors.Join(err, f.Close()); err != nil {
			c.t.Fatalf("%s: %v", c.configs[i].Name, err)
		}
		if out.Root != one.Root || out.Height != one.Height || out.Committed != one.Height+ledger.Lag {
			c.t.Errorf("restored %+v from %+v", out, one)
		}
		m := f.Manifest()
		other := byHeight[m.Height]
		if byHeight[m.Height] = m; other == nil {
			continue
		}
		for k := range m.Chunks {
			if m.Chunks[k].Kind != snapshot.KindBlocks && m.Chunks[k] != other.Chunks[k] {
				c.t.Errorf("chunk %d (%s) of height %d differs between nodes", k, m.Chunks[k].Kind, m.Height)
			}
		}
	}
	if len(byHeight) == len(c.configs) {
		c.t.Error("no two nodes have a snapshot of one height")
	}
}

// TestOperatorAlone: whoever has not the token is turned away, and what a crash left of the control file does no harm.
func TestOperatorAlone(t *testing.T) {
	c := foundCluster(t, "intl", 1, 0)
	c.operated()
	c.start(0)
	c.load(c.client(0), 2)
	c.certified(0)
	info, err := os.Stat(c.configs[0].controlPath())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the control file: %v, %v", info, err)
	}
	good, err := os.ReadFile(c.configs[0].controlPath())
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(good), `"token":"`, `"token":"0`, 1)
	stranger := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(stranger, controlFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(forged)
	if _, err := ask(t.Context(), stranger, controlPrune, controlRequest{Keep: 1}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a stranger: %v", err)
	}
	write(string(good))
	if _, err := ask(t.Context(), stranger, "/other", controlRequest{}); err == nil || errors.Is(err, ErrNotRunning) {
		t.Errorf("an unknown operation: %v", err)
	}
	if _, err := ask(t.Context(), stranger, controlBackup, controlRequest{Dir: "relative"}); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("a backup to a relative path: %v", err)
	}
	c.stop(0)
	if _, err := os.Stat(c.configs[0].controlPath()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the control file after the end: %v", err)
	}
	if _, err := ask(t.Context(), stranger, controlSnapshot, controlRequest{}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
	write(string(good))
	c.configs[0].Control = false
	if s, err := AskSnapshot(t.Context(), c.configs[0]); err != nil || s.Height == 0 { // of a node that does not run
		t.Errorf("offline: %+v, %v", s, err)
	}
}

// FuzzDecodeBackup checks that what decodes encodes back and names no file outside the backup.
func FuzzDecodeBackup(f *testing.F) {
	for _, path := range []string{"blocks/000001.sst", "../x", "/etc/passwd", "a/../../b", ""} {
		f.Add(codec.MustMarshal(&Backup{Version: backupVersion, Node: genesis.ValidatorName(0), Files: []BackedFile{{Path: path, Bytes: 3}}}))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := DecodeBackup(raw)
		if err != nil {
			return
		}
		if string(codec.MustMarshal(b)) != string(raw) {
			t.Fatalf("%x encodes back otherwise", raw)
		}
		for _, file := range b.Files {
			const root = "/backup"
			if joined := filepath.Join(root, file.Path); !strings.HasPrefix(joined, root+"/") && joined != root {
				t.Fatalf("%q leads to %s", file.Path, joined)
			}
		}
	})
}

// FuzzDecodeControl checks that no bytes make a panic, and that what decodes encodes to what decodes alike.
func FuzzDecodeControl(f *testing.F) {
	f.Add([]byte(`{"address":"127.0.0.1:1","token":"00"}`))
	f.Add([]byte(`{"dir":"/b","keep":"5"}`))
	f.Add([]byte(`{"error":"","snapshot":{"height":"3"},"backup":null,"pruned":null}`))
	f.Add([]byte(`{} {}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeControl[controlRequest](b); err == nil {
			again, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if same, err := decodeControl[controlRequest](again); err != nil || *same != *r {
				t.Fatalf("%s decodes to %+v, %v, its like to %+v", b, r, err, same)
			}
		}
		if at, err := decodeControl[controlAddress](b); err == nil && len(at.Address)+len(at.Token) > 3*len(b) {
			t.Fatalf("%d bytes make an address of %d", len(b), len(at.Address)+len(at.Token))
		}
		if a, err := decodeControl[controlAnswer](b); err == nil && a == nil {
			t.Fatal("nothing and no error")
		}
	})
}
